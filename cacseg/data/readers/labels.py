"""Read a label map that somebody drew on an image: NIfTI or DICOM SEG."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.dicom_seg import is_segmentation, labels_of_segmentation
from cacseg.data.readers.nifti import read_label_map
from cacseg.data.readers.placing import placed_on
from cacseg.errors import UnreadableError, UsageError
from cacseg.volume import Volume


def read_labels(path: Path, image: Volume) -> NDArray[np.uint8]:
    """Read labels onto the image's grid, in whatever axis order they are stored.

    Parameters
    ----------
    path : ``.nii``, ``.nii.gz``, a DICOM SEG file or a folder that holds one.
    image : the grid to reach.

    Returns
    -------
    (slice, row, column) uint8, values of ``Label``.

    Raises
    ------
    UsageError : nothing there, or the labels do not lie on the image's voxels.
    UnreadableError : neither NIfTI nor DICOM SEG, damaged, or without a known label.
    """
    if not path.exists():
        raise UsageError(f"There is nothing at {path}. Give a NIfTI label map or a DICOM SEG.")
    if path.name.endswith((".nii", ".nii.gz")):
        return placed_on(image, read_label_map(path))[0]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    segmentations = [file for file in files if is_segmentation(file)]
    if not segmentations:
        raise UnreadableError(f"{path.name} is neither NIfTI nor DICOM SEG. Export the labels as one of the two.")
    if len(segmentations) > 1:
        raise UsageError(f"{path.name} holds {len(segmentations)} DICOM SEG objects; give the file of one.")
    return labels_of_segmentation(segmentations[0], image)
