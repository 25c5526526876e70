"""A study of a dataset before it is read: what it is called, whose it is, where its files are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cacseg.data.readers.labelled_study import LabelledStudy


@dataclass(frozen=True, slots=True)
class StudySource:
    """One study that can be read.

    Parameters
    ----------
    id : unique within the dataset, taken from file names.
    patient_id : pseudonym by which the split is made.
    files : every file that belongs to it, for the manifest's checksum.
    load : reads it; raises a ``CacsegError`` that names the file where it cannot.
    """

    id: str
    patient_id: str
    files: tuple[Path, ...]
    load: Callable[[], LabelledStudy]


@dataclass(frozen=True, slots=True)
class UnreadStudy:
    """A study that could not be read, with the reason: it is counted, never skipped in silence."""

    id: str
    message: str
