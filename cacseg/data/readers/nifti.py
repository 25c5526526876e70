"""Pairs of NIfTI files: an image and a label map of the same name.

Layouts: ``images/NAME.nii.gz`` with ``labels/NAME.nii.gz``; or nnU-Net's ``imagesTr/NAME_0000.nii.gz`` with
``labelsTr/NAME.nii.gz`` (and ``Ts``). Label values are those of the contract unless ``dataset.json`` beside the
folders names them: ``{"labels": {"background": 0, "LAD": 1, ...}, "label_scope": "coronary"}``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.labelled_study import LabelledStudy, LabelScope
from cacseg.data.readers.names import label_named
from cacseg.data.readers.placing import only_calcium, placed_on
from cacseg.data.readers.source import StudySource
from cacseg.errors import UnreadableError
from cacseg.vessels import Label
from cacseg.volume import Volume

LAYOUTS: Final = (("images", "labels", ""), ("imagesTr", "labelsTr", "_0000"), ("imagesTs", "labelsTs", "_0000"))
ENDINGS: Final = (".nii.gz", ".nii")
DEFAULT_SCOPE: Final[LabelScope] = "calcium"


def nifti_sources(root: Path) -> tuple[StudySource, ...]:
    """List the pairs, by name.

    Raises
    ------
    UnreadableError : no pair, or a ``dataset.json`` that cannot be understood.
    """
    meanings, scope = _dataset(root / "dataset.json")
    sources = []
    for images, labels, suffix in LAYOUTS:
        for marks in sorted(path for ending in ENDINGS for path in (root / labels).glob(f"*{ending}")):
            name = _stem(marks)
            image = next((p for e in ENDINGS if (p := root / images / f"{name}{suffix}{e}").is_file()), None)
            if image is not None:
                sources.append(_source(name, image, marks, meanings, scope))
    if not sources:
        raise UnreadableError(
            f"{root} holds no NIfTI pair: expected images/NAME.nii.gz with labels/NAME.nii.gz, or nnU-Net's folders."
        )
    return tuple(sources)


def read_nifti_pair(
    study_id: str,
    image: Path,
    marks: Path,
    meanings: Mapping[int, Label] | None = None,
    scope: LabelScope = DEFAULT_SCOPE,
) -> LabelledStudy:
    """Read an image and its label map.

    Parameters
    ----------
    study_id : id of the study.
    image, marks : the two files, in any axis order.
    meanings : label of each value; ``None`` takes the values of the contract.
    scope : how far the labels reach.

    Raises
    ------
    UnreadableError : a file is damaged, not 3-D, or holds a value without a meaning.
    UsageError : the label map does not lie on the image's voxels.
    """
    volume = read_nifti(image)
    placed, moved = placed_on(volume, read_label_map(marks, meanings))
    labels, cleared = only_calcium(volume, placed)
    return LabelledStudy(
        id=study_id,
        volume=volume,
        labels=labels,
        label_scope=scope,
        repairs=(*moved, *cleared),
        facts={"slice_increment_mm": volume.spacing_mm[0]},
    )


def read_nifti(path: Path) -> Volume:
    """Read a 3-D NIfTI file; whole numbers become int16 or what holds them, others float32.

    Raises
    ------
    UnreadableError : missing, damaged, not 3-D, without a position in space, or with values that are not finite.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        stored = nibabel.load(path)
        values = np.asarray(stored.dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as fault:
        raise UnreadableError(f"{path} cannot be read as NIfTI: {fault}.") from fault
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3 or not np.isfinite(values).all():
        raise UnreadableError(f"{path}: expected a 3-D image of finite values; got shape {values.shape}.")
    return Volume.from_ras(_narrowed(values), np.asarray(stored.affine, np.float64))


def read_label_map(path: Path, meanings: Mapping[int, Label] | None = None) -> Volume:
    """Read a NIfTI label map as uint8 values of ``Label``.

    Raises
    ------
    UnreadableError : damaged, not 3-D, or a value without a meaning.
    """
    stored = read_nifti(path)
    return Volume(_as_labels(stored.voxels, meanings, path), stored.affine)


def _narrowed(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return values.astype(np.float32)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    return values.astype(np.int16 if low >= -32768 and high <= 32767 else np.int32)


def _as_labels(values: NDArray[Any], meanings: Mapping[int, Label] | None, path: Path) -> NDArray[np.uint8]:
    known = {int(label): label for label in Label} if meanings is None else meanings
    found = np.unique(values)
    unknown = [value for value in found.tolist() if value != 0 and value not in known]
    if unknown:
        raise UnreadableError(
            f"{path}: label values {unknown} have no meaning; known are {sorted(known)}. Name them in dataset.json."
        )
    labels = np.zeros(values.shape, np.uint8)
    for value in found.tolist():
        if value != 0:
            labels[values == value] = known[value]
    return labels


def _dataset(path: Path) -> tuple[Mapping[int, Label] | None, LabelScope]:
    if not path.is_file():
        return None, DEFAULT_SCOPE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        named = {str(name): int(value) for name, value in dict(data.get("labels", {})).items()}
    except (OSError, ValueError, TypeError) as fault:
        raise UnreadableError(f"{path} cannot be understood: {fault}. Expected labels as NAME: VALUE.") from fault
    scope = data.get("label_scope", DEFAULT_SCOPE)
    if scope not in get_args(LabelScope):
        raise UnreadableError(f"{path}: label_scope {scope!r}; expected one of {', '.join(get_args(LabelScope))}.")
    meanings: dict[int, Label] = {}
    for name, value in named.items():
        if name.lower() == "background" or value == 0:
            continue
        label, _ = label_named(name)
        if label is None:
            raise UnreadableError(f"{path}: label {name!r} is not a known artery or structure.")
        meanings[value] = label
    return meanings or None, scope


def _stem(path: Path) -> str:
    return next(path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending))


def _source(
    name: str, image: Path, marks: Path, meanings: Mapping[int, Label] | None, scope: LabelScope
) -> StudySource:
    return StudySource(name, name, (image, marks), lambda: read_nifti_pair(name, image, marks, meanings, scope))
