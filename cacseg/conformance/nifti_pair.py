"""A conformance case as a pair of NIfTI files."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.conformance import Case
from cacseg.volume import Volume


def write_nifti_pair(case: Case, folder: Path) -> None:
    """Write ``image.nii.gz`` and ``labels.nii.gz``.

    The encoding of the case shows in the image: byte order, slope and intercept, or flipped axes (then of
    both files, each in its own way).
    """
    _save(folder / "image.nii.gz", case.volume, case.encoding, flip=(True, True, False))
    _save(folder / "labels.nii.gz", case.labels, case.encoding, flip=(False, True, True))


def _save(path: Path, volume: Volume, encoding: str, flip: tuple[bool, bool, bool]) -> None:
    import nibabel as nib

    array, affine = volume.voxels.T, volume.ras_affine()
    if encoding == "reversed":
        array, affine = _flipped(array, affine, flip)
    negative = path.name.startswith("image") and encoding == "negative-slope"
    order: Literal["<", ">"] = ">" if encoding == "big-endian" else "<"
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(array.dtype)
    image = nib.Nifti1Image(-array if negative else array, affine, header)
    if negative:
        image.header.set_slope_inter(-1.0, 0.0)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)


def _flipped(
    array: NDArray[Any], affine: NDArray[np.float64], flip: tuple[bool, bool, bool]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    turn = np.eye(4)
    for axis, turned in enumerate(flip):
        if turned:
            turn[axis, axis], turn[axis, 3] = -1.0, array.shape[axis] - 1.0
    axes = tuple(axis for axis, turned in enumerate(flip) if turned)
    return np.flip(array, axes), affine @ turn
