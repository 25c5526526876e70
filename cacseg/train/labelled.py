"""Training samples of labelled studies: listed from a dataset or a CSV, made one by one, kept for the next run.

A sample is named by its study, so that a run that was stopped goes on, and it is made anew when a file of the study
is newer. Studies of a dataset lie in ``train`` and ``validation`` by patient; those of the test part stay out.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import quote

from cacseg.data.readers import LabelledStudy, LabelScope, StudySource, parts_of, read_labels, sources_of
from cacseg.errors import CacsegError, RefusedError, UnreadableError, UsageError
from cacseg.infer import Release
from cacseg.infer.grid import axial_view
from cacseg.infer.heart import find_heart
from cacseg.study import read_study
from cacseg.train.sample import Sample, sample_from_labels, save
from cacseg.volume import Volume

CACHED_PARTS: Final = ("train", "validation")
"""Parts of a dataset that samples are made of, each in a folder of that name."""


@dataclass(frozen=True, slots=True)
class CachedStudy:
    """What became of one study; ``reason`` says why it was left out."""

    id: str
    outcome: Literal["made", "kept", "left out"]
    reason: str = ""


def dataset_samples(
    dataset: str, root: Path, folder: Path, manifest: Path | None = None
) -> tuple[tuple[StudySource, Path], ...]:
    """Say where the sample of each training and validation study of a dataset belongs.

    Parameters
    ----------
    dataset : one of ``cacseg.data.readers.READERS``.
    root : its folder.
    folder : gets ``train`` and ``validation``.
    manifest : CSV of the parts; by hash of the patient where ``None``.

    Raises
    ------
    UsageError : unknown dataset, no such folder, a study that the manifest does not name, or one whose sample was
        made for another part before.
    UnreadableError : the folder is not laid out as that dataset, or the manifest cannot be read.
    """
    sources = sources_of(dataset, root)
    parts = parts_of(dataset, sources, manifest)
    for source in sources:
        for part in CACHED_PARTS:
            before = sample_path(folder / part, source.id)
            if part != parts[source.id] and before.exists():
                raise UsageError(
                    f"Study {source.id} belongs to {parts[source.id]}, but {before} was made for {part}. Delete that "
                    "file, and train no further from weights that have seen it."
                )
    return tuple(
        (source, sample_path(folder / parts[source.id], source.id))
        for source in sources
        if parts[source.id] in CACHED_PARTS
    )


def table_samples(table: Path, folder: Path) -> tuple[tuple[StudySource, Path], ...]:
    """Say where the sample of each study of a CSV belongs; all in one folder, for a CSV is a choice already."""
    return tuple((source, sample_path(folder, source.id)) for source in table_sources(table))


def table_sources(table: Path) -> tuple[StudySource, ...]:
    """List the studies of a CSV.

    Parameters
    ----------
    table : columns image (a DICOM study or NIfTI) and labels (NIfTI or DICOM SEG on the same voxels), paths relative
        to the table; optionally label_scope (``calcium`` unless stated) and group (what the guard sums up by).

    Raises
    ------
    UnreadableError : no such file, or a column or value is missing.
    UsageError : an image stands there twice, or an unknown label_scope.
    """
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as fault:
        raise UnreadableError(f"The table {table} cannot be read: {fault}.") from fault
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if not row.get("image") or not row.get("labels"):
            raise UnreadableError(f"{table}, line {line}: expected values for image and labels; got {dict(row)}.")
        if row["image"] in seen:
            raise UsageError(f"{table}, line {line}: {row['image']} stands there twice; keep one line of it.")
        if row.get("label_scope") and row["label_scope"] not in get_args(LabelScope):
            raise UsageError(
                f"{table}, line {line}: label_scope {row['label_scope']!r}; expected one of "
                f"{', '.join(get_args(LabelScope))}, or nothing."
            )
        seen.add(row["image"])
    return tuple(_source(table.parent, row) for row in rows)


def labelled_sample(study: LabelledStudy, release: Release) -> Sample:
    """Make a training sample around the heart that the release's scout finds.

    Raises
    ------
    RefusedError : no heart is found.
    """
    heart = find_heart(axial_view(study.volume), release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        raise RefusedError(f"{study.id}: no heart was found; leave this study out of the fine-tuning.")
    facts = {"source": study.id, "label_scope": study.label_scope, "repairs": list(study.repairs)}
    labels = Volume(study.labels, study.volume.affine)
    return sample_from_labels(
        study.volume, labels, heart.centre_lps_mm, facts, scope=study.label_scope, merged=study.merged
    )


def cache_studies(samples: Sequence[tuple[StudySource, Path]], release: Release) -> Iterator[CachedStudy]:
    """Make the samples that are missing or older than a file of their study.

    Parameters
    ----------
    samples : each study with the path of its sample.
    release : its scout finds the heart.

    Returns
    -------
    iterator of CachedStudy : one a study, as it is done; a study that cannot be read or used is left out.

    Raises
    ------
    UsageError : two studies have the same id.
    """
    paths = [path for _, path in samples]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise UsageError(f"Two studies would share {twice}; give each a name of its own.")
    for source, path in samples:
        if _is_current(path, source.files):
            yield CachedStudy(source.id, "kept")
            continue
        path.unlink(missing_ok=True)  # labels that were replaced must not be trained on if the new ones are unreadable
        try:
            sample = labelled_sample(source.load(), release)
        except CacsegError as fault:
            yield CachedStudy(source.id, "left out", str(fault))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        save(sample, path)
        yield CachedStudy(source.id, "made")


def sample_path(folder: Path, study_id: str) -> Path:
    """Give the file of a study's sample; ids of a CSV are paths.

    Examples
    --------
    >>> sample_path(Path("cache"), "a/ct.nii.gz").name
    'a%2Fct.nii.gz.npz'
    """
    return folder / f"{quote(study_id, safe='')}.npz"


def _is_current(path: Path, files: Sequence[Path]) -> bool:
    if not path.is_file():
        return False
    made = path.stat().st_mtime
    return all(file.stat().st_mtime <= made for file in files if file.is_file())


def _source(base: Path, row: Mapping[str, str]) -> StudySource:
    image, marks = base / row["image"], base / row["labels"]
    files = tuple(file for path in (image, marks) for file in (sorted(path.rglob("*")) if path.is_dir() else [path]))
    return StudySource(row["image"], row["image"], files, partial(_read_row, row, image, marks))


def _read_row(row: Mapping[str, str], image: Path, marks: Path) -> LabelledStudy:
    chosen = read_study(image).chosen
    if chosen is None:
        raise UnreadableError(f"{row['image']}: no series can be scored; `cacseg series` says why.")
    scope: LabelScope = row.get("label_scope") or "calcium"  # type: ignore[assignment]
    return LabelledStudy(
        id=row["image"],
        volume=chosen.volume,
        labels=read_labels(marks, chosen.volume),
        label_scope=scope,
        facts={"group": row.get("group") or "all"},
    )
