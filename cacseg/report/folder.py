"""Replacing a folder as a whole: a reader sees the old one or the new one, never half of either."""

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cacseg.durable import sync
from cacseg.errors import UsageError

AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2
"""renameat2(2), Linux 3.15: swap two names in one step."""

MARK: Final = ".cacseg-partial-"


def replace_folder(target: Path, write: Callable[[Path], None], ours: Callable[[str], bool]) -> None:
    """Fill a new folder beside ``target`` and put it in its place.

    Parameters
    ----------
    target : the folder to make or to replace.
    write : fills the folder that it is given; when it raises, ``target`` stays as it was.
    ours : says whether a name is one that we write; a folder that holds anything else is not replaced.

    Raises
    ------
    UsageError : ``target`` is a file, the working directory, or holds what is not ours.
    """
    target = target.resolve()
    _check(target, ours)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    fresh = target.with_name(f".{target.name}{MARK}{os.getpid()}")
    fresh.mkdir()
    try:
        write(fresh)
        # The content lies on the disk before the name changes hands.
        sync((*fresh.rglob("*"), fresh))
        _put_in_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check(target: Path, ours: Callable[[str], bool]) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file; the output is a folder. Choose another name.")
    if target == Path.cwd().resolve():
        raise UsageError("The output folder is the working directory, which cannot be replaced. Choose another name.")
    names = sorted(entry.name for entry in target.iterdir())
    strange = [name for name in names if not ours(name)]
    if strange or (names and "result.json" not in names):
        shown = ", ".join((strange or names)[:5])
        raise UsageError(
            f"{target} holds what cacseg did not write ({shown}), so it is not replaced. "
            "Choose another folder, or move those files away."
        )


def _clear_leftovers(target: Path) -> None:
    """Remove what a run that was killed left behind."""
    for leftover in target.parent.glob(f".{target.name}{MARK}*"):
        owner = leftover.name.rpartition("-")[2]
        if not owner.isdigit() or int(owner) == os.getpid() or not Path(f"/proc/{owner}").exists():
            shutil.rmtree(leftover, ignore_errors=True)


def _put_in_place(fresh: Path, target: Path) -> None:
    if not target.exists() or not any(target.iterdir()):
        fresh.rename(target)
        return
    if _exchange(fresh, target):
        return
    aside = target.with_name(f".{target.name}{MARK}old-{os.getpid()}")
    target.rename(aside)
    fresh.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step where the system can."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(swap(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0)
