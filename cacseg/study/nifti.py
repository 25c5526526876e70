"""Read a NIfTI volume: voxels and affine, nothing about the acquisition."""

import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UnreadableError
from cacseg.findings import Finding, Severity
from cacseg.study.geometry import OBLIQUE_DEGREES, SHEAR_DEGREES, obliqueness_degrees, shear_degrees
from cacseg.study.hounsfield import FLOOR_HU
from cacseg.study.screening import MIN_SLICES
from cacseg.volume import Volume

SUFFIXES: Final = (".nii", ".nii.gz")
MAX_VOXELS: Final = 500_000_000
"""About 1,900 slices of 512 x 512: a header that claims more is damaged, or a bomb."""


def is_nifti(path: Path) -> bool:
    """Say whether a file is NIfTI, by its name.

    Examples
    --------
    >>> is_nifti(Path("scan.NII.gz")), is_nifti(Path("scan.dcm"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> tuple[Volume, bool]:
    """Read HU and where they lie, turned to axial slices (``turned_to_axial``).

    Returns
    -------
    tuple
        The volume, and whether the file says where it lies in the patient (sform or qform).

    Raises
    ------
    UnreadableError : damaged, cut off, not three-dimensional, or without a usable affine.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(path)  # type: ignore[attr-defined]
        shape = tuple(int(size) for size in image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        _check_shape(path, shape)
        array = np.asanyarray(image.dataobj).reshape(shape)
        located = bool(image.header.get("sform_code", 0) or image.header.get("qform_code", 0))
        affine = np.asarray(image.affine, np.float64)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error, MemoryError) as error:
        raise _damaged(path, type(error).__name__) from error
    except ImageFileError as error:
        raise _damaged(path, "no NIfTI header") from error
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableError(f"The affine of {path.name} is not invertible, so nobody knows where its voxels lie.")
    return turned_to_axial(Volume.from_ras(_whole_hu(path, array), affine)), located


def turned_to_axial(volume: Volume) -> Volume:
    """Reorder and flip axes so that slices run to the head, rows to the back, columns to the left.

    As nearly as the grid allows: nothing is interpolated.
    """
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    order = _assignment(np.abs(directions))
    voxels = volume.voxels.transpose(order)
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, list(order)]
    flips = []
    for axis, world in enumerate((2, 1, 0)):
        backwards = affine[world, axis] < 0
        if backwards:
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1.0
        flips.append(slice(None, None, -1) if backwards else slice(None))
    return Volume(np.ascontiguousarray(voxels[tuple(flips)]), affine)


def shape_findings(volume: Volume) -> tuple[Finding, ...]:
    """Refuse a grid that is no stack of axial slices, as ``screening`` does for DICOM."""
    axes = volume.affine[:3, :3]
    angle = obliqueness_degrees(np.cross(axes[:, 2], axes[:, 1]))
    shear = shear_degrees(volume.affine)
    again = "Convert the study to NIfTI again, or pass the DICOM study."
    findings = []
    if volume.shape[0] < MIN_SLICES:
        message = f"The file has {volume.shape[0]} slices, expected at least {MIN_SLICES}."
        findings.append(Finding("too-few-slices", Severity.REFUSAL, message, again))
    if shear > SHEAR_DEGREES:
        message = f"The grid is sheared by {shear:.1f} degrees, expected at most {SHEAR_DEGREES:.0f}."
        findings.append(Finding("gantry-tilt", Severity.REFUSAL, message, again))
    elif angle > OBLIQUE_DEGREES:
        message = f"The slices lie {angle:.0f} degrees from axial, expected at most {OBLIQUE_DEGREES:.0f}."
        findings.append(Finding("not-axial", Severity.REFUSAL, message, again))
    return tuple(findings)


def _assignment(closeness: NDArray[np.float64]) -> tuple[int, int, int]:
    """Pick the array axes that run most along z, y and x: the permutation with the largest sum of cosines."""
    permutations = [(s, r, 3 - s - r) for s in range(3) for r in range(3) if s != r]
    return max(permutations, key=lambda p: closeness[2, p[0]] + closeness[1, p[1]] + closeness[0, p[2]])


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape) < 2:
        raise UnreadableError(f"{path.name} has shape {shape}, expected one volume of three axes.")
    if int(np.prod(shape, dtype=np.float64)) > MAX_VOXELS:
        raise UnreadableError(f"{path.name} claims {shape} voxels, which no scanner makes: its header is damaged.")


def _whole_hu(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """Give int16 where every value is whole, else float32; floored at -1024."""
    if array.dtype.kind not in "iuf":
        raise UnreadableError(f"{path.name} holds {array.dtype} values, expected Hounsfield units.")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            array = np.nan_to_num(array, nan=FLOOR_HU, posinf=np.iinfo(np.int16).max, neginf=FLOOR_HU)
        if not bool((array == np.rint(array)).all()):
            fractions: NDArray[Any] = np.maximum(array, FLOOR_HU).astype(np.float32)
            return fractions
    whole: NDArray[Any] = np.clip(array, FLOOR_HU, np.iinfo(np.int16).max).astype(np.int16)
    return whole


def _damaged(path: Path, why: str) -> UnreadableError:
    return UnreadableError(f"{path.name} cannot be read as NIfTI ({why}): damaged or cut off. Copy it again.")
