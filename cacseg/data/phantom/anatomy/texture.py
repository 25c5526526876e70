"""Fine irregularity inside tissues: strands in fat, trabeculae in marrow, mottling of organs."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.population import PatientFacts
from cacseg.data.phantom.tissue import Tissue

TILE: Final = 48
"""Side of the periodic block of noise that is laid over the grid."""

SPREAD_HU: Final = {
    Tissue.FAT: 11.0,
    Tissue.EPICARDIAL_FAT: 12.0,
    Tissue.SOFT: 7.0,
    Tissue.BONE: 55.0,
    Tissue.LUNG: 22.0,
    Tissue.LIVER: 4.0,
    Tissue.MYOCARDIUM: 4.0,
}
"""SD of the irregularity; blood is even."""


def add_texture(canvas: Canvas, facts: PatientFacts, rng: np.random.Generator) -> None:
    """Add irregularity to the HU of each tissue."""
    from scipy.ndimage import gaussian_filter

    block = gaussian_filter(rng.standard_normal((TILE, TILE, TILE)).astype(np.float32), 1.1, mode="wrap")
    broad = gaussian_filter(rng.standard_normal((TILE, TILE, TILE)).astype(np.float32), 3.0, mode="wrap")
    block = block / block.std() + 0.8 * broad / broad.std()
    block /= block.std()
    amount = np.zeros(max(Tissue) + 1, np.float32)
    for tissue, spread in SPREAD_HU.items():
        amount[tissue] = spread
    shape = canvas.hu.shape
    repeat = [(-(-size // TILE)) for size in shape]
    plane = np.tile(block, (1, repeat[1], repeat[2]))[:, : shape[1], : shape[2]]
    for index in range(shape[0]):
        canvas.hu[index] += amount[canvas.tissue[index]] * plane[index % TILE]
