"""One version of a study opened for review: its voxels, its labels, its result."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cacseg.acquisition import Acquisition
from cacseg.data.readers import read_labels
from cacseg.errors import UsageError
from cacseg.report import read_result
from cacseg.result import Result
from cacseg.scoring import Rule, Scoring
from cacseg.scoring.components import IndexArray, nonzero_flat
from cacseg.scoring.lesions import find_lesions, labelled_voxels
from cacseg.service.errors import ConflictError
from cacseg.study import read_study
from cacseg.volume import Volume

LABELS_NAME = "labels.nii.gz"


@dataclass(frozen=True, eq=False)
class Scan:
    """What a review begins from; nothing of it ever changes.

    Parameters
    ----------
    volume : HU of the scored series.
    labels : (slice, row, column) uint8 label map of the version under review, on the grid of ``volume``.
    result : result of that version.
    acquisition : facts of the series.
    sources, frame_numbers : headers, as ``cacseg.study`` gives them.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    result: Result
    acquisition: Acquisition
    sources: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] | None = None

    @property
    def scoring(self) -> Scoring:
        """Scores of the version, which has some."""
        if self.result.scoring is None:
            raise UsageError(f"Study {self.result.study_instance_uid} was refused; there is no score to correct.")
        return self.result.scoring

    @property
    def rule(self) -> Rule:
        """The rule that the version was scored under, adapted to its tube voltage."""
        return self.scoring.rule

    @property
    def mass_factor(self) -> float | None:
        """Mass calibration factor of the version, in mg HA / (mL HU)."""
        return None if self.result.mass is None else float(self.result.mass["factor"])

    @cached_property
    def labelled(self) -> IndexArray:
        """Flat indices of the labelled voxels, ascending."""
        return nonzero_flat(self.labels)

    @cached_property
    def confidence(self) -> NDArray[np.float64] | None:
        """Confidence of the label of each voxel in ``labelled``: that of its lesion, NaN outside of lesions."""
        lesions = {one.id: one.confidence for one in (*self.scoring.lesions, *self.scoring.extracoronary)}
        if all(value is None for value in lesions.values()):
            return None
        marked = self.volume.with_voxels(self.labels)
        found = find_lesions(labelled_voxels(self.volume, marked, self.rule.counted_volume_hu), self.volume, self.rule)
        known = np.array([lesions.get(number + 1) or np.nan for number in range(int(found.lesion.max(initial=-1)) + 1)])
        values = np.full(self.labelled.size, np.nan)
        values[np.searchsorted(self.labelled, found.voxels.flat)] = known[found.lesion]
        return values

    def header(self) -> dict[str, Any]:
        """Give grid and acquisition as JSON-ready data, for viewers of the voxels."""
        return image_header(self.volume, self.acquisition, self.rule.threshold_hu)


def image_header(volume: Volume, acquisition: Acquisition, centre_hu: float) -> dict[str, Any]:
    """Describe voxels for a viewer; the window lies around a threshold."""
    return {
        "shape": list(volume.shape),
        "spacing_mm": list(volume.spacing_mm),
        "affine": volume.affine.tolist(),
        "dtype": "int16",
        "byte_order": "little",
        "axes": ["slice", "row", "column"],
        "description": acquisition.description,
        "kvp": acquisition.kvp,
        "kernel": acquisition.kernel,
        "slice_thickness_mm": acquisition.slice_thickness_mm,
        "window": {"centre_hu": centre_hu, "width_hu": 600.0},
    }


def load_scan(incoming: Path, version_folder: Path) -> Scan:
    """Read the voxels that a version was scored on, and its labels.

    Parameters
    ----------
    incoming : folder of the study's instances.
    version_folder : folder with ``result.json`` and ``labels.nii.gz``.

    Raises
    ------
    UsageError : the version was refused, or is not there.
    ConflictError : the images are gone, or are not those that were scored any more.
    UnreadableError : images or labels cannot be read.
    """
    result, _ = read_result(version_folder)
    if result.scoring is None or result.series is None:
        raise UsageError(f"Study {result.study_instance_uid} was refused; there is no score to correct.")
    if not incoming.is_dir() or not (version_folder / LABELS_NAME).is_file():
        raise ConflictError(
            f"The images or the label map of study {result.study_instance_uid} are not kept any more, so it cannot "
            "be reviewed. Send the study again."
        )
    chosen = read_study(incoming, series_uid=result.series.series_instance_uid).chosen
    if chosen is None or chosen.volume.shape[0] != result.series.slices:
        slices = 0 if chosen is None else chosen.volume.shape[0]
        raise ConflictError(
            f"Series {result.series.series_instance_uid} has {slices} slices now, {result.series.slices} were scored. "
            "Wait until the study is scored again, then open it."
        )
    labels = read_labels(version_folder / LABELS_NAME, chosen.volume)
    return Scan(
        chosen.volume,
        np.ascontiguousarray(labels, np.uint8),
        result,
        chosen.acquisition,
        chosen.sources,
        chosen.frame_numbers,
    )
