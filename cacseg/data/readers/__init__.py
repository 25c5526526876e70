"""Readers of labelled datasets, one file a format: each gives a list of sources, read one at a time.

folder -> sources (id, patient, files) -> LabelledStudy (volume, labels, every repair in words)
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from cacseg.data.readers.coca import coca_sources
from cacseg.data.readers.corrections import corrections_sources
from cacseg.data.readers.dicom_seg import dicom_seg_sources
from cacseg.data.readers.labelled_study import LabelledStudy, LabelScope, Split, merge_labels
from cacseg.data.readers.labels import read_labels
from cacseg.data.readers.nifti import nifti_sources
from cacseg.data.readers.orcascore import orcascore_sources
from cacseg.data.readers.source import StudySource, UnreadStudy
from cacseg.data.readers.split import ManifestEntry, read_manifest, split_of, study_checksum, write_manifest
from cacseg.errors import CacsegError, UsageError

__all__ = [
    "READERS",
    "LabelScope",
    "LabelledStudy",
    "ManifestEntry",
    "Split",
    "StudySource",
    "UnreadStudy",
    "labelled_studies",
    "make_manifest",
    "merge_labels",
    "parts_of",
    "read_labels",
    "read_manifest",
    "sources_of",
    "split_of",
    "study_checksum",
    "write_manifest",
]

READERS: Final[Mapping[str, Callable[[Path], tuple[StudySource, ...]]]] = {
    "coca": coca_sources,
    "orcascore": orcascore_sources,
    "nifti": nifti_sources,
    "dicom-seg": dicom_seg_sources,
    "corrections": corrections_sources,
}


def sources_of(dataset: str, root: Path) -> tuple[StudySource, ...]:
    """List the studies of a dataset without reading them.

    Raises
    ------
    UsageError : unknown dataset, or no such folder.
    UnreadableError : the folder is not laid out as that dataset.
    """
    if dataset not in READERS:
        raise UsageError(f"Unknown dataset {dataset!r}; expected one of {', '.join(READERS)}.")
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}; give the folder of the {dataset} dataset.")
    return READERS[dataset](root)


def labelled_studies(
    dataset: str,
    root: Path,
    *,
    split: Split | None = None,
    manifest: Path | None = None,
    count: int | None = None,
    skip: Collection[str] = (),
) -> Iterator[LabelledStudy | UnreadStudy]:
    """Read the studies of a dataset one at a time, as they are asked for.

    Parameters
    ----------
    dataset : one of ``READERS``.
    root : its folder.
    split : only this part; all by default.
    manifest : CSV of the parts; by hash of the patient where ``None``.
    count : only the first so many of the part.
    skip : ids that are not needed.

    Returns
    -------
    iterator of LabelledStudy, with its split; or of UnreadStudy where one cannot be read, with the reason.

    Raises
    ------
    UsageError : unknown dataset, no such folder, or a study that the manifest does not name.
    UnreadableError : the folder is not laid out as that dataset, or the manifest cannot be read.
    """
    sources = sources_of(dataset, root)
    parts = parts_of(dataset, sources, manifest)
    wanted = [source for source in sources if split is None or parts[source.id] == split]
    return _read(tuple(source for source in wanted[:count] if source.id not in skip), parts)


def _read(sources: tuple[StudySource, ...], parts: Mapping[str, Split]) -> Iterator[LabelledStudy | UnreadStudy]:
    for source in sources:
        try:
            yield replace(source.load(), split=parts[source.id])
        except CacsegError as fault:
            yield UnreadStudy(source.id, str(fault))


def make_manifest(dataset: str, root: Path) -> tuple[ManifestEntry, ...]:
    """Give every study of a dataset its part by hash, with the checksum of its files."""
    return tuple(
        ManifestEntry(source.id, source.patient_id, split_of(source.patient_id, dataset), study_checksum(source.files))
        for source in sources_of(dataset, root)
    )


def parts_of(dataset: str, sources: tuple[StudySource, ...], manifest: Path | None = None) -> dict[str, Split]:
    """Give the part of each study, study id -> part.

    Parameters
    ----------
    manifest : CSV of the parts; by hash of the patient where ``None``.

    Raises
    ------
    UsageError : a study that the manifest does not name.
    UnreadableError : the manifest cannot be read.
    """
    if manifest is None:
        return {source.id: split_of(source.patient_id, dataset) for source in sources}
    entries = read_manifest(manifest)
    unnamed = [source.id for source in sources if source.id not in entries]
    if unnamed:
        raise UsageError(f"{manifest} does not name {len(unnamed)} studies, among them {unnamed[0]}; make it anew.")
    return {source.id: entries[source.id].split for source in sources}
