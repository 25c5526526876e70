"""A coarse look at the chest without a network: lungs, and the soft tissue that lies between them.

The voxels are sampled to about 4 mm in each slice, so the whole look takes some 20 ms. In small fields of view
the lungs are cut at the sides; what counts is that some lung lies to the left and some to the right in one row.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.volume import Volume

SAMPLE_MM: Final = 4.0
"""Size of a coarse pixel."""

LUNG_HU: Final = (-930.0, -500.0)
"""Lung parenchyma; room air with its noise lies below, chest wall above."""

SOFT_HU: Final = (-250.0, 3100.0)
"""Everything of the body that is not lung: fat, muscle, blood, bone."""

BLOOD_HU: Final = (-30.0, 600.0)
"""Muscle and blood with or without contrast, without fat and dense bone."""

ENHANCED_POOL_HU: Final = (130.0, 600.0)
"""Blood with contrast, from the late venous phase to an angiography."""

FAT_HU: Final = (-140.0, -50.0)

MEDIASTINUM_CM2: Final = 20.0
"""A slice with at least this much soft tissue between lungs shows a mediastinum (the heart has 70-130 cm2)."""


@dataclass(frozen=True, eq=False)
class Thorax:
    """Coarse chest: masks of shape (slice, front-back, right-left).

    Parameters
    ----------
    coarse_hu : float32 sampled HU.
    pixel_cm2 : area of a coarse pixel.
    increment_mm : distance between slices.
    back_is_last : whether the second axis runs to the back.
    """

    coarse_hu: NDArray[np.float32]
    pixel_cm2: float
    increment_mm: float
    back_is_last: bool = True

    @cached_property
    def lung(self) -> NDArray[np.bool_]:
        """Lung, less a one-pixel rim: skin and edges of bowel gas have lung-like values too, but are thin."""
        low, high = LUNG_HU
        inside = (self.coarse_hu > low) & (self.coarse_hu < high)
        thick = inside.copy()
        thick[:, :, 1:] &= inside[:, :, :-1]
        thick[:, 1:] &= thick[:, :-1]
        return thick

    @cached_property
    def soft(self) -> NDArray[np.bool_]:
        """Body that is not lung."""
        return (self.coarse_hu > SOFT_HU[0]) & (self.coarse_hu < SOFT_HU[1])

    @cached_property
    def between(self) -> NDArray[np.bool_]:
        """Soft tissue with lung on both sides in its row: heart and mediastinum, and part of the spine."""
        left = np.maximum.accumulate(self.lung, axis=2)
        right = np.maximum.accumulate(self.lung[:, :, ::-1], axis=2)[:, :, ::-1]
        return self.soft & left & right

    @cached_property
    def between_cm2(self) -> NDArray[np.float64]:
        """Area of soft tissue between the lungs in each slice."""
        return np.asarray(self.between.sum(axis=(1, 2)) * self.pixel_cm2, np.float64)

    @cached_property
    def lung_cm2(self) -> NDArray[np.float64]:
        """Area of lung in each slice."""
        return np.asarray(self.lung.sum(axis=(1, 2)) * self.pixel_cm2, np.float64)

    @property
    def lung_ml(self) -> float:
        """Volume of lung in the field of view."""
        return float(self.lung_cm2.sum()) * self.increment_mm / 10.0

    @property
    def mediastinum_mm(self) -> float:
        """Length over which slices show a mediastinum."""
        return float((self.between_cm2 >= MEDIASTINUM_CM2).sum()) * self.increment_mm

    @cached_property
    def blood_median_hu(self) -> float | None:
        """Median HU of muscle and blood between the lungs; ``None`` where too little of it is seen (10 mL)."""
        values = self.coarse_hu[self.between]
        values = values[(values > BLOOD_HU[0]) & (values < BLOOD_HU[1])]
        if values.size * self.pixel_cm2 * self.increment_mm / 10.0 < 10.0:
            return None
        return float(np.median(values))

    @cached_property
    def enhanced_ml(self) -> float:
        """Volume of solid pools of 130 to 600 HU in front of the lungs' centre, between the lungs.

        Coronary calcium, valves and the sternum are thinner than the 12 mm that count as solid here; the spine lies
        behind. Heart chambers and great vessels with contrast have 100 mL and more.
        """
        low, high = ENHANCED_POOL_HU
        pool = self.between & (self.coarse_hu > low) & (self.coarse_hu < high)
        solid = pool[:, 1:-1, 1:-1].copy()
        for row in (slice(None, -2), slice(1, -1), slice(2, None)):
            for column in (slice(None, -2), slice(1, -1), slice(2, None)):
                solid &= pool[:, row, column]
        rows = np.arange(self.lung.shape[1])
        lung_rows = self.lung.sum(axis=(0, 2))
        if not lung_rows.any():
            return 0.0
        centre = float((rows * lung_rows).sum() / lung_rows.sum())
        front = (rows < centre) if self.back_is_last else (rows > centre)
        return float(solid[:, front[1:-1]].sum()) * self.pixel_cm2 * self.increment_mm / 10.0

    @property
    def fat_share(self) -> float:
        """Share of fat in the soft tissue between the lungs."""
        values = self.coarse_hu[self.between]
        return 0.0 if values.size == 0 else float(((values > FAT_HU[0]) & (values < FAT_HU[1])).mean())

    def sameness(self, apart_mm: float) -> float | None:
        """Median overlap (Dice) of the mediastinum's outline with the one ``apart_mm`` further up.

        1 for a cylinder, about 0.6 in a chest. ``None`` where fewer than three pairs of slices can be compared.
        """
        step = max(1, round(apart_mm / self.increment_mm))
        shows = self.between_cm2 >= MEDIASTINUM_CM2
        overlaps = []
        for lower in range(len(shows) - step):
            upper = lower + step
            if shows[lower] and shows[upper]:
                both = (self.between[lower] & self.between[upper]).sum()
                overlaps.append(2.0 * both / (self.between[lower].sum() + self.between[upper].sum()))
        return float(np.median(overlaps)) if len(overlaps) >= 3 else None


def thorax_of(volume: Volume) -> Thorax:
    """Sample a volume; axes are turned so that the last one runs between the patient's sides."""
    slice_mm, row_mm, column_mm = volume.spacing_mm
    every = (max(1, round(SAMPLE_MM / row_mm)), max(1, round(SAMPLE_MM / column_mm)))
    voxels = volume.voxels
    rows = voxels.shape[1] // every[0] * every[0]
    columns = voxels.shape[2] // every[1] * every[1]
    starts = [(r, c) for r in {0, every[0] // 2} for c in {0, every[1] // 2}]
    coarse = np.zeros((voxels.shape[0], rows // every[0], columns // every[1]), np.float32)
    for row, column in starts:
        coarse += voxels[:, row : rows : every[0], column : columns : every[1]]
    coarse /= len(starts)
    across = int(np.argmax(np.abs(volume.affine[0, 1:3])))
    if across == 0:
        coarse = coarse.transpose(0, 2, 1)
    back_is_last = bool(volume.affine[1, 2 if across == 0 else 1] > 0)
    return Thorax(coarse, row_mm * every[0] * column_mm * every[1] / 100.0, slice_mm, back_is_last)
