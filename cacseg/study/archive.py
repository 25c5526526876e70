"""Unpack a ``.zip`` study into a private folder, guarded against hostile archives.

Entries are written under numbers, never under their own names, so no name can leave the folder. What the
archive claims about sizes is not believed: bytes are counted while they are unpacked.
"""

import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from cacseg.errors import UnreadableError
from cacseg.study.files import FoundFile, Listing

ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
"""First bytes of a zip archive: with entries, empty, spanned (PKWARE APPNOTE 4.3)."""

MAX_ENTRIES: Final = 20_000
"""More entries than the largest cardiac study (about 6,000 images) by a wide margin."""

MAX_TOTAL_BYTES: Final = 8 * 1024**3
"""Unpacked size above which an archive is refused: some 16,000 slices of 512 x 512."""

MAX_RATIO: Final = 200
"""Unpacked to packed size of one entry; a slice of pure padding packs about 100:1, a bomb 1000:1."""

RATIO_FREE_BYTES: Final = 4 * 1024**2
"""Entries smaller than this when unpacked are not judged by their ratio."""

_CHUNK_BYTES: Final = 1024**2
_ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar", ".bz2", ".xz")


def is_zip(first_bytes: bytes) -> bool:
    r"""Say whether a file starts like a zip archive.

    Examples
    --------
    >>> is_zip(b"PK\x03\x04....")
    True
    """
    return first_bytes.startswith(ZIP_MAGICS)


def is_archive_name(name: str) -> bool:
    """Say whether a file inside a study is itself an archive, by its name.

    Examples
    --------
    >>> is_archive_name("old/Backup.ZIP"), is_archive_name("IM0001")
    (True, False)
    """
    return name.lower().endswith(_ARCHIVE_SUFFIXES)


def unpack(path: Path, folder: Path, report: Callable[[int, int], None] | None = None) -> Listing:
    """Unpack every regular entry into ``folder`` under a running number.

    Raises
    ------
    UnreadableError : not a zip, damaged, encrypted, or beyond ``MAX_ENTRIES``, ``MAX_TOTAL_BYTES``, ``MAX_RATIO``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack_entries(archive, path.name, folder, report)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise UnreadableError(
            f"The archive {path.name} is damaged or of an unsupported kind ({type(error).__name__}: {error}). "
            "Make the archive again, or pass the unpacked folder."
        ) from error


def _unpack_entries(
    archive: zipfile.ZipFile, name: str, folder: Path, report: Callable[[int, int], None] | None
) -> Listing:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ENTRIES:
        raise _bomb(name, f"{len(entries)} entries", f"at most {MAX_ENTRIES}")
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise UnreadableError(f"The archive {name} is encrypted. Unpack it with its password and pass the folder.")
    files: list[FoundFile] = []
    skipped: list[str] = []
    total = 0
    for number, entry in enumerate(sorted(entries, key=lambda entry: entry.filename)):
        shown = _shown(entry.filename)
        if stat.S_ISLNK(entry.external_attr >> 16) or is_archive_name(shown) or _leaves(entry.filename):
            skipped.append(shown)
            continue
        target = folder / f"{number:06d}"
        total += _unpack_one(archive, entry, target, name, MAX_TOTAL_BYTES - total)
        files.append(FoundFile(shown, target))
        if report is not None:
            report(number + 1, len(entries))
    return Listing(tuple(files), tuple(skipped))


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, name: str, budget: int) -> int:
    written = 0
    with archive.open(entry) as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > budget:
                raise _bomb(name, f"more than {MAX_TOTAL_BYTES} bytes", f"at most {MAX_TOTAL_BYTES} bytes in all")
            if written > RATIO_FREE_BYTES and written > MAX_RATIO * max(entry.compress_size, 1):
                raise _bomb(name, f"an entry that unpacks to over {MAX_RATIO} times its size", f"at most {MAX_RATIO}")
            sink.write(chunk)
    return written


def _bomb(name: str, found: str, expected: str) -> UnreadableError:
    return UnreadableError(
        f"The archive {name} is refused as a decompression bomb: {found}, expected {expected}. If it is genuine, "
        "unpack it yourself and pass the folder."
    )


def _leaves(filename: str) -> bool:
    path = PurePosixPath(filename.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in filename


def _shown(filename: str) -> str:
    return filename.encode("unicode_escape").decode("ascii")
