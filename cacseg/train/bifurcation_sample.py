"""Blocks around the left main artery that the third network learns from, as the first one sees them.

The third network learns from scans that the first has not met, or it would trust it too much.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scene import Branch
from cacseg.data.readers import LabelledStudy
from cacseg.infer import Release
from cacseg.infer.assign import first_looks
from cacseg.infer.bifurcation import ARTERIES, BLOCK, left_main, prior_of
from cacseg.infer.grid import CANDIDATE_HU, GridSpec, axial_array, axial_view, model_input
from cacseg.infer.heart import find_heart
from cacseg.train.sample import cell_labels, nearest_artery
from cacseg.train.unusual import heart_facts
from cacseg.vessels import Label

FIRST_SEED: Final = 700_000
"""Of the digital patients that the third network learns from."""

HEAVY_EVERY: Final = 2
HEAVY_AGATSTON: Final = (100.0, 4000.0)
"""Every so many-th has a score between these, even on a logarithmic scale; the others have it as people do."""

CHEST_EVERY: Final = 7
HARD_EVERY: Final = 5
"""Every so many-th has a scan that is not gated, or many rare findings."""

MARGIN_CELLS: Final = (2, 8, 8)
"""Cells around the block: training moves it by up to 6 mm along each axis."""

CACHED_BLOCK: Final = GridSpec(
    (BLOCK.shape[0] + 4, BLOCK.shape[1] + 16, BLOCK.shape[2] + 16),
    BLOCK.spacing_mm,
)

ARTERY_MM: Final = 5.0
"""Cells within this distance of a centre line are taught to be of its artery, whether there is calcium or not."""

LEFT_MAIN_OR_LAD: Final = 0b011
"""Target where a dataset counts the left main artery as LAD."""


Branches = tuple[Branch, ...]
"""Centre lines of the arteries."""


@dataclass(frozen=True, slots=True, eq=False)
class BifurcationSample:
    """The block of one scan; targets are sets of ``ARTERIES``, a bit each, LM the lowest; 0 teaches nothing.

    Parameters
    ----------
    hu : (20, 96, 96) int16 mean HU of the cells of ``CACHED_BLOCK``.
    at : (n,) int32 flat indices of the cells that hold candidate voxels.
    fraction, excess : (n,) float32, the other two channels there.
    prior : (10, 20, 48, 48) float16, ``cacseg.infer.bifurcation.PRIOR``.
    calcium : (n,) uint8 target of calcified cells.
    artery : (20, 96, 96) uint8 target of the cells along the centre lines.
    """

    hu: NDArray[np.int16]
    at: NDArray[np.int32]
    fraction: NDArray[np.float32]
    excess: NDArray[np.float32]
    prior: NDArray[np.float16]
    calcium: NDArray[np.uint8]
    artery: NDArray[np.uint8]


def bifurcation_patient(number: int) -> tuple[LabelledStudy, Branches]:
    """Make digital patient ``number`` of those that the third network learns from, with the arteries' centre lines."""
    from cacseg.data.phantom import digital_patient
    from cacseg.evaluation.scan_facts import study_of_scan

    seed = FIRST_SEED + number
    settings: dict[str, Any] = heart_facts(seed, number)
    settings["family"] = "chest" if number % CHEST_EVERY == 0 else "gated"
    if number % HARD_EVERY == 0:
        settings["extracoronary"] = "hard"
    if number % HEAVY_EVERY == 0:
        low, high = np.log(HEAVY_AGATSTON)
        settings["target_agatston"] = float(np.exp(np.random.default_rng([seed, 401]).uniform(low, high)))
    scan = digital_patient(seed, **settings)
    return study_of_scan(scan, f"{settings['family']}-{seed}"), scan.branches


def bifurcation_sample(study: LabelledStudy, release: Release, branches: Branches = ()) -> BifurcationSample | None:
    """Show a labelled study to the first network and cut out the block that the third one is to judge.

    Parameters
    ----------
    study : with labels of coronary calcium.
    release : its scout and its first network are used.
    branches : centre lines of the arteries; without them calcium alone teaches.

    Returns
    -------
    ``None`` where no heart or no left main artery is found.
    """
    view = axial_view(study.volume)
    heart = find_heart(view, release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        return None
    _, looks = first_looks(view, heart, release, CANDIDATE_HU, {})
    found = left_main(view, looks)
    if found is None:
        return None
    look, centre_lps_mm = found
    block = model_input(view, centre_lps_mm, CACHED_BLOCK)
    at = np.flatnonzero(block.cells[1] > 0).astype(np.int32)
    labels = np.ascontiguousarray(axial_array(study.labels, study.volume.affine))
    table = np.zeros(256, np.uint8)
    table[list(ARTERIES)] = [1 << place for place in range(len(ARTERIES))]
    artery = np.zeros(CACHED_BLOCK.shape, np.uint8)
    if branches:
        artery = table[nearest_artery(branches, block.affine, CACHED_BLOCK.shape, ARTERY_MM)]
        artery[block.cells[0] <= -1023.0] = 0
    if study.merged.get(Label.LM) == Label.LAD:
        table[[Label.LM, Label.LAD]] = LEFT_MAIN_OR_LAD
    return BifurcationSample(
        hu=np.rint(block.cells[0]).astype(np.int16),
        at=at,
        fraction=block.cells[1].reshape(-1)[at],
        excess=block.cells[2].reshape(-1)[at],
        prior=prior_of(look, block).astype(np.float16),
        calcium=table[cell_labels(view, labels, block, at)],
        artery=artery,
    )


def save_bifurcation(sample: BifurcationSample, path: Path) -> None:
    """Write a sample; it appears whole or not at all."""
    part = path.with_suffix(".part")
    arrays: dict[str, Any] = {field.name: getattr(sample, field.name) for field in fields(sample)}
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)
