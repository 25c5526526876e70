"""Corrections that a reader made on the reading page, exported as training and test labels.

One folder a correction, anywhere below the root:

    corrections.json   {"format": "cacseg-corrections", "version": 1,
                        "study_instance_uid": "...", "series_instance_uid": "...",
                        "study_path": "../studies/0001",      relative to this folder, or absolute
                        "patient_id": "pseudonym",            optional; the split is made by it
                        "labels": "labels.nii.gz", "labels_sha256": "...",
                        "reader": "pseudonym", "finished": "2026-01-31T10:20:00Z",
                        "model": {"name": "...", "sha256": "..."},
                        "changes": [{"lesion": 3, "from": "LAD", "to": "OTHER"}, ...]}
    labels.nii.gz      the final label map, values of the contract, on the series' grid

Only a correction that was finished is read: ``"finished": null`` marks one still in work.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cacseg.data.readers.dicom_image import read_image
from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.nifti import read_nifti
from cacseg.data.readers.placing import only_calcium, placed_on
from cacseg.data.readers.source import StudySource
from cacseg.errors import UnreadableError, UsageError
from cacseg.vessels import Label
from cacseg.volume import Volume

FORMAT: Final = "cacseg-corrections"
VERSION: Final = 1
FILE_NAME: Final = "corrections.json"
LABELS_NAME: Final = "labels.nii.gz"
REQUIRED: Final = ("study_instance_uid", "series_instance_uid", "study_path", "labels", "finished")


def write_correction(
    folder: Path,
    labels: Volume,
    *,
    study_path: Path,
    study_instance_uid: str,
    series_instance_uid: str,
    reader: str,
    finished: str | None,
    patient_id: str | None = None,
    model: Mapping[str, Any] | None = None,
    changes: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Export one correction in the form that ``corrections_sources`` reads.

    Parameters
    ----------
    folder : to make; it must not hold a correction already.
    labels : uint8 label map on the series' grid.
    study_path : where the study lies, absolute or relative to ``folder``.
    reader : pseudonym of who corrected; never a name.
    finished : ISO 8601 time in UTC; ``None`` while in work.
    patient_id : pseudonym of the patient.
    model : name and sha256 of the release whose labels were corrected.
    changes : one mapping a change.

    Returns
    -------
    Path : of ``corrections.json``, written last, so that a reader never meets half an export.

    Raises
    ------
    UsageError : the folder holds a correction already.
    """
    import nibabel

    path = folder / FILE_NAME
    if path.exists():
        raise UsageError(f"{path} exists already; a finished correction is not overwritten. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    marks = folder / LABELS_NAME
    nibabel.save(nibabel.Nifti1Image(labels.voxels.T.astype(np.uint8), labels.ras_affine()), marks)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "study_instance_uid": study_instance_uid,
        "series_instance_uid": series_instance_uid,
        "study_path": str(study_path),
        "patient_id": patient_id,
        "labels": LABELS_NAME,
        "labels_sha256": hashlib.sha256(marks.read_bytes()).hexdigest(),
        "reader": reader,
        "finished": finished,
        "model": None if model is None else dict(model),
        "changes": [dict(change) for change in changes],
    }
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1), encoding="utf-8")
    part.replace(path)
    return path


def corrections_sources(root: Path) -> tuple[StudySource, ...]:
    """List the finished corrections, by folder.

    Raises
    ------
    UnreadableError : none below the folder, or a file that is not in this format.
    """
    sources = []
    for path in sorted(root.rglob(FILE_NAME)):
        correction = read_correction(path)
        if correction["finished"] is not None:
            sources.append(_source(root, path, correction))
    if not sources:
        raise UnreadableError(f"{root} holds no finished correction; expected {FILE_NAME} files below it.")
    return tuple(sources)


def read_correction(path: Path) -> Mapping[str, Any]:
    """Read and check one ``corrections.json``.

    Raises
    ------
    UnreadableError : not JSON, another format or version, or a key is missing.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise UnreadableError(f"{path} cannot be read: {fault}.") from fault
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise UnreadableError(f"{path}: expected format {FORMAT!r}, version {VERSION}.")
    missing = [key for key in REQUIRED if key not in data]
    if missing:
        raise UnreadableError(f"{path}: {', '.join(missing)} missing.")
    return data


def read_corrected_study(study_id: str, path: Path, correction: Mapping[str, Any]) -> LabelledStudy:
    """Read the study that a correction belongs to, with the corrected labels.

    Raises
    ------
    UnreadableError : study or labels are missing or damaged, or the labels' checksum differs.
    UsageError : the labels do not lie on the series' voxels.
    """
    marks = path.parent / correction["labels"]
    stated = correction.get("labels_sha256")
    if stated is not None and (not marks.is_file() or hashlib.sha256(marks.read_bytes()).hexdigest() != stated):
        raise UnreadableError(f"{marks} is not the file that {path} was written with: its SHA-256 differs.")
    image = read_image(path.parent / correction["study_path"], correction["series_instance_uid"])
    stored = read_nifti(marks)
    highest = int(stored.voxels.max(initial=0))
    if highest > max(Label) or int(stored.voxels.min(initial=0)) < 0:
        raise UnreadableError(f"{marks}: label value {highest}; expected 0 to {int(max(Label))}.")
    placed, moved = placed_on(image.volume, Volume(stored.voxels.astype(np.uint8), stored.affine))
    labels, cleared = only_calcium(image.volume, placed)
    return LabelledStudy(
        id=study_id,
        volume=image.volume,
        labels=labels,
        label_scope="calcium",
        repairs=(*image.repairs, *moved, *cleared),
        patient_id=correction.get("patient_id"),
        facts={**image.facts, "changes": len(correction.get("changes", ()))},
    )


def _source(root: Path, path: Path, correction: Mapping[str, Any]) -> StudySource:
    folder = path.parent.relative_to(root).as_posix()
    study_id = correction["study_instance_uid"] if folder == "." else folder.replace("/", "_")
    patient = correction.get("patient_id") or correction["study_instance_uid"]
    files = (path, path.parent / correction["labels"])
    return StudySource(study_id, patient, files, lambda: read_corrected_study(study_id, path, correction))
