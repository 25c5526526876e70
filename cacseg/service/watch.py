"""A folder in which studies appear: each folder or archive in it that has grown still is taken in, then moved aside.

    WATCH/study or WATCH/study.zip  ->  inbox  ->  WATCH/done/   or  WATCH/failed/ with the reason in a file beside it

Whatever moment the service is stopped at, an entry that still lies in the folder is looked at again; what was taken
in before is not taken twice.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cacseg.errors import CacsegError, UsageError
from cacseg.service.errors import BusyError, StorageFullError
from cacseg.service.inbox import Receipt, looks_like_zip
from cacseg.service.services import Services

log = logging.getLogger("cacseg.service.watch")

DONE: Final = "done"
FAILED: Final = "failed"
NOTE: Final = ".note.txt"
"""Suffix of the file that says why an entry failed, or what of it was left out."""

ORIGIN: Final = "watch"

Shape = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of every file of an entry."""


class Watch:
    """The watched folder of a service.

    Parameters
    ----------
    services : whose settings name the folder.
    clock : gives seconds; how long an entry has been still is measured with it.

    Raises
    ------
    UsageError : no folder is named, or it is not there.
    """

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        folder = services.settings.watch
        if folder is None or not folder.is_dir():
            raise UsageError(f"The folder to watch is {folder}; expected a folder. Make it, or leave 'watch' out.")
        self._folder = folder
        self._inbox = services.inbox
        self._quiet_s = services.settings.quiet_s
        self._clock = clock
        self._seen: dict[str, tuple[Shape, float]] = {}

    def look(self) -> tuple[str, ...]:
        """Take in every entry that has been still for the quiet time; give the names that were moved aside."""
        now = self._clock()
        shapes = {entry.name: _shape(entry) for entry in self._entries()}
        self._seen = {
            name: self._seen[name] if name in self._seen and self._seen[name][0] == shape else (shape, now)
            for name, shape in shapes.items()
        }
        still = [name for name, (shape, since) in self._seen.items() if shape and now - since >= self._quiet_s]
        return tuple(name for name in still if self._take(self._folder / name))

    def _entries(self) -> list[Path]:
        """List what may be a study: visible folders and files, no links."""
        return sorted(
            entry
            for entry in self._folder.iterdir()
            if not entry.name.startswith(".") and entry.name not in (DONE, FAILED) and not entry.is_symlink()
        )

    def _take(self, entry: Path) -> bool:
        """Take in one entry; say whether it was moved aside."""
        try:
            self._inbox.check_room()
            receipt = self._taken_in(entry)
        except (BusyError, StorageFullError) as error:
            log.warning("watched study waits", extra={"reason": type(error).__name__})
            return False
        except (CacsegError, OSError) as error:
            log.warning("watched study failed", extra={"reason": type(error).__name__})
            return self._move(entry, FAILED, str(error))
        for study in {each.study_id for each in receipt.stored}:
            self._inbox.complete(study)
        if receipt.conflicts:
            shown = "\n".join(receipt.conflicts)
            return self._move(
                entry, FAILED, f"Instances that are kept already with another content; the first ones stay:\n{shown}"
            )
        skipped = f"Files that are no DICOM objects of a study, not taken in: {receipt.skipped}." * bool(
            receipt.skipped
        )
        return self._move(entry, DONE, skipped)

    def _taken_in(self, entry: Path) -> Receipt:
        if entry.is_file() and looks_like_zip(entry):
            return self._inbox.put_archive(entry, ORIGIN, ORIGIN)
        return self._inbox.put_all(_files(entry), ORIGIN, ORIGIN)

    def _move(self, entry: Path, folder: str, note: str) -> bool:
        """Move an entry aside under a name that is free there, with a note where there is something to say."""
        target = self._folder / folder
        try:
            target.mkdir(exist_ok=True)
            name = next(name for name in _names(entry.name) if not (target / name).exists())
            if note:
                (target / f"{name}{NOTE}").write_text(note + "\n", encoding="utf-8")
            entry.rename(target / name)
        except OSError as error:
            log.error("watched study not moved aside", extra={"reason": error.strerror})
            return False
        return True


def _files(entry: Path) -> list[Path]:
    """List the regular files of an entry; links are not followed."""
    if entry.is_file():
        return [entry]
    found = (Path(folder) / name for folder, _, names in os.walk(entry) for name in names)
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _shape(entry: Path) -> Shape:
    """Describe the files of an entry; an empty folder, or one that is just being moved, has none."""
    try:
        return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(entry))
    except FileNotFoundError:
        return ()


def _names(name: str) -> Iterator[str]:
    """Give a name and then names like it."""
    yield name
    number = 2
    while True:
        yield f"{number}-{name}"
        number += 1
