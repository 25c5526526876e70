"""Find the files of a study on disk: a folder in any nesting, one file, or what a DICOMDIR lists."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from cacseg.errors import UnreadableError, UsageError
from cacseg.study import tags

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR (PS3.10)."""


@dataclass(frozen=True, slots=True, order=True)
class FoundFile:
    """A file and the name it goes by in messages (relative to the study)."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """Files to open, names never opened (links, devices, nested archives) and names that are missing."""

    files: tuple[FoundFile, ...]
    skipped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def list_folder(root: Path) -> Listing:
    """List every file below a folder, in a fixed order; folder links are not followed, so no loop can form.

    Raises
    ------
    UsageError : the folder cannot be listed.
    """
    files: list[FoundFile] = []
    skipped: list[str] = []
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"The folder {root} cannot be listed: permission denied. Give read access and run again.")
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        here = Path(folder)
        skipped.extend(str((here / name).relative_to(root)) for name in folders if (here / name).is_symlink())
        for name in sorted(names):
            path = here / name
            shown = str(path.relative_to(root))
            if path.is_file():
                files.append(FoundFile(shown, path))
            else:
                skipped.append(shown)
    return Listing(tuple(files), tuple(skipped))


def list_dicomdir(path: Path) -> Listing:
    """List the files that a DICOMDIR names, with the DICOMDIR itself.

    References that leave the DICOMDIR's folder are never followed. Names are matched without regard to case,
    as media written on one system and copied by another often change it.

    Raises
    ------
    UnreadableError : the DICOMDIR is damaged or names no file.
    """
    try:
        directory = dcmread(path)
        records = directory.get("DirectoryRecordSequence") or []
        references = [tags.texts(record, "ReferencedFileID") for record in records]
    except (InvalidDicomError, OSError, *tags.MALFORMED) as error:
        raise UnreadableError(
            f"The DICOMDIR {path.name} is damaged ({type(error).__name__}). Pass the folder that holds it instead: "
            "every file below is then read without it."
        ) from error
    root = path.parent.resolve()
    files = [FoundFile(path.name, path)]
    missing: list[str] = []
    for parts in sorted({reference for reference in references if reference}):
        target = _inside(root, parts)
        if target is None:
            missing.append("/".join(parts))
        else:
            files.append(FoundFile("/".join(parts), target))
    if len(files) == 1:
        raise UnreadableError(
            f"The DICOMDIR {path.name} names {len(missing)} files and none of them is there. Pass the folder that "
            "holds the images instead."
        )
    return Listing(tuple(files), (), tuple(missing))


def is_dicomdir(header: Dataset) -> bool:
    """Say whether a header is that of a DICOMDIR."""
    meta = getattr(header, "file_meta", None)
    declared = None if meta is None else tags.text(meta, "MediaStorageSOPClassUID")
    return declared == MEDIA_STORAGE_DIRECTORY or "DirectoryRecordSequence" in header


def _inside(root: Path, parts: tuple[str, ...]) -> Path | None:
    current = root
    for part in parts:
        if part in ("..", ".") or "/" in part or "\\" in part:
            return None
        exact = current / part
        if exact.exists():
            current = exact
            continue
        wanted = {part.lower(), f"{part.lower()};1", f"{part.lower()}."}
        if not current.is_dir():
            return None
        matches = sorted(entry for entry in current.iterdir() if entry.name.lower() in wanted)
        if not matches:
            return None
        current = matches[0]
    return current if current.is_file() and current.resolve().is_relative_to(root) else None
