"""Which part of a dataset a patient belongs to: decided once, by patient, and written down with checksums."""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cacseg.data.readers.labelled_study import Split
from cacseg.errors import UnreadableError, UsageError

SHARES: Final[Mapping[Split, float]] = {"train": 0.7, "validation": 0.1, "test": 0.2}
SALT: Final = "cacseg-split-1"
"""Part of the hash; a new salt would be a new split of everything."""

COLUMNS: Final = ("study_id", "patient_id", "split", "sha256")
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One study in a manifest; ``sha256`` is over its files as ``study_checksum`` gives it, or empty."""

    study_id: str
    patient_id: str
    split: Split
    sha256: str = ""


def split_of(patient_id: str, dataset: str, shares: Mapping[Split, float] = SHARES) -> Split:
    """Assign a patient to a part by a hash: the same for ever, whoever else is in the dataset.

    Parameters
    ----------
    patient_id : pseudonym; all studies of a patient fall in one part.
    dataset : name of the dataset.
    shares : of the parts; they sum to 1.

    Examples
    --------
    >>> split_of("12", "coca") == split_of("12", "coca")
    True
    """
    digest = hashlib.sha256(f"{SALT}/{dataset}/{patient_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    reached = 0.0
    for part, share in shares.items():
        reached += share
        if place < reached:
            return part
    return next(reversed(tuple(shares)))


def study_checksum(files: Iterable[Path]) -> str:
    """Give one SHA-256 over the contents of files, independent of their names and order.

    Raises
    ------
    UsageError : there is no file.
    """
    digests = []
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        digests.append(digest.hexdigest())
    if not digests:
        raise UsageError("A checksum over no file would be the same for every study; give the study's files.")
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def write_manifest(entries: Iterable[ManifestEntry], path: Path) -> None:
    """Write a manifest as CSV, ordered by study.

    Raises
    ------
    UsageError : a study occurs twice, or a patient stands in two parts.
    """
    rows = sorted(entries, key=lambda entry: entry.study_id)
    _check(rows, path)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([entry.study_id, entry.patient_id, entry.split, entry.sha256] for entry in rows)


def read_manifest(path: Path) -> dict[str, ManifestEntry]:
    """Read a manifest: study id -> entry.

    Raises
    ------
    UnreadableError : the file is missing, lacks a column, or names an unknown part.
    UsageError : a study occurs twice, or a patient stands in two parts.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
    except OSError as fault:
        raise UnreadableError(f"The split manifest {path} cannot be read: {fault}.") from fault
    entries = []
    for line, row in enumerate(table, start=2):
        if not set(COLUMNS) <= row.keys() or row["split"] not in SHARES:
            raise UnreadableError(
                f"{path}, line {line}: expected columns {', '.join(COLUMNS)} with a split of {', '.join(SHARES)}; "
                f"got {dict(row)}."
            )
        part: Split = row["split"]  # type: ignore[assignment]
        entries.append(ManifestEntry(row["study_id"], row["patient_id"], part, row["sha256"]))
    _check(entries, path)
    return {entry.study_id: entry for entry in entries}


def _check(entries: list[ManifestEntry], path: Path) -> None:
    parts: dict[str, Split] = {}
    studies: set[str] = set()
    for entry in entries:
        if entry.study_id in studies:
            raise UsageError(f"{path}: study {entry.study_id} stands there twice; keep one line of it.")
        studies.add(entry.study_id)
        if parts.setdefault(entry.patient_id, entry.split) != entry.split:
            raise UsageError(
                f"{path}: patient {entry.patient_id} stands in {parts[entry.patient_id]} and in {entry.split}; "
                "a patient belongs to one part, or the test has seen its own training data."
            )
