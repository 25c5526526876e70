"""Copies of one object: the same SOPInstanceUID met more than once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import dcmread

from cacseg.study.header import DicomFile


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """Objects, each once.

    Parameters
    ----------
    files : the objects kept, in the order of their UID.
    dropped : names of copies that were dropped.
    contradicting : SOPInstanceUIDs whose copies have different pixels.
    """

    files: tuple[DicomFile, ...]
    dropped: tuple[str, ...]
    contradicting: tuple[str, ...]


def distinct(files: Sequence[DicomFile]) -> Distinct:
    """Keep one copy of every object.

    Copies with different pixels contradict each other; the one whose pixels have the lowest SHA-256 is kept, so
    the choice depends neither on file names nor on file order. Objects without a UID are told apart by pixels.
    """
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        groups.setdefault(file.sop_instance_uid or f"pixels {pixel_digest(file)}", []).append(file)
    kept: list[DicomFile] = []
    dropped: list[str] = []
    contradicting: list[str] = []
    for uid in sorted(groups):
        copies = groups[uid]
        if len(copies) > 1:
            digests = {id(copy): pixel_digest(copy) for copy in copies}
            copies = sorted(copies, key=lambda copy: (digests[id(copy)], copy.found.name))
            if len(set(digests.values())) > 1:
                contradicting.append(uid)
        kept.append(copies[0])
        dropped.extend(copy.found.name for copy in copies[1:])
    return Distinct(tuple(kept), tuple(sorted(dropped)), tuple(contradicting))


def pixel_digest(file: DicomFile) -> str:
    """SHA-256 of the pixel bytes as stored; of the whole file where there are none."""
    if file.pixel_offset is not None and file.pixel_bytes is not None:
        with file.found.path.open("rb") as stream:
            stream.seek(file.pixel_offset)
            return hashlib.sha256(stream.read(file.pixel_bytes)).hexdigest()
    try:
        pixels = dcmread(file.found.path, force=True).get("PixelData")
    except Exception:
        pixels = None
    if not isinstance(pixels, bytes):
        pixels = file.found.path.read_bytes()
    return hashlib.sha256(pixels).hexdigest()
