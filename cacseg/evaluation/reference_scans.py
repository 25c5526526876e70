"""Two real scans as special cases: a physical phantom whose calcium is known, and a real zero.

``qrm``: a folder with ``qrm_canon_large_rep1`` and ``qrm_expected.csv``: inserts of known mass. No heart is in
it, so what is tested is the score of each insert where the labels are given, not the assignment.
``lidc``: ``lidc_0314_heart``, a chest scan without coronary calcium: every coronary voxel is false.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.dicom_image import read_image
from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.placing import CALCIUM_HU
from cacseg.errors import UnreadableError, UsageError
from cacseg.vessels import Label

REFERENCE_SCANS: Final = ("qrm", "lidc")
QRM_FOLDER: Final = "qrm_canon_large_rep1"
LIDC_FOLDER: Final = "lidc_0314_heart"


def reference_studies(name: str, folder: Path) -> Iterator[LabelledStudy]:
    """Read a reference scan.

    Parameters
    ----------
    name : one of ``REFERENCE_SCANS``.
    folder : that holds the scan's folder.

    Raises
    ------
    UsageError : unknown name.
    UnreadableError : the scan is not there.
    """
    if name not in REFERENCE_SCANS:
        raise UsageError(f"Unknown reference scan {name!r}; expected one of {', '.join(REFERENCE_SCANS)}.")
    scan = folder / (QRM_FOLDER if name == "qrm" else LIDC_FOLDER)
    if not scan.is_dir():
        raise UnreadableError(f"{scan} is not there; give the folder that holds {scan.name}.")
    yield read_qrm(folder) if name == "qrm" else read_lidc(folder)


def read_lidc(folder: Path) -> LabelledStudy:
    """Read the chest scan with its empty coronary labels (facts of the scan in its own folder's notes)."""
    image = read_image(folder / LIDC_FOLDER)
    empty = np.zeros(image.volume.shape, np.uint8)
    return LabelledStudy("lidc-0314", image.volume, empty, "coronary", image.repairs, facts=image.facts)


def read_qrm(folder: Path) -> LabelledStudy:
    """Read the phantom; each insert's voxels of at least 130 HU are labelled as LAD, for want of an artery."""
    image = read_image(folder / QRM_FOLDER)
    labels = np.zeros(image.volume.shape, np.uint8)
    for insert in qrm_inserts(folder):
        labels[insert_mask(insert, image.volume.shape)] = Label.LAD
    labels[image.volume.voxels < CALCIUM_HU] = Label.BACKGROUND
    return LabelledStudy("qrm-canon-large-1", image.volume, labels, "coronary", image.repairs, facts=image.facts)


def insert_mask(insert: Mapping[str, float | str], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Give the cylinder around an insert: (slice, row, column) bool.

    Parameters
    ----------
    insert : a row of ``qrm_inserts``.
    shape : of the scan, slices in ascending z.
    """
    _, rows, columns = np.ogrid[: shape[0], : shape[1], : shape[2]]
    distance = np.hypot(rows - float(insert["row"]), columns - float(insert["col"]))
    mask = np.broadcast_to(distance <= float(insert["mask_radius_px"]), shape).copy()
    mask[: int(insert["slice_min"])] = False
    mask[int(insert["slice_max"]) + 1 :] = False
    return mask


def qrm_inserts(folder: Path) -> tuple[Mapping[str, float | str], ...]:
    """Read the table of inserts: name, density, size, place, published and recomputed scores.

    Raises
    ------
    UnreadableError : ``qrm_expected.csv`` is missing.
    """
    path = folder / "qrm_expected.csv"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as fault:
        raise UnreadableError(f"{path} cannot be read: {fault}.") from fault
    return tuple({key: value if key == "insert" else float(value) for key, value in row.items()} for row in rows)
