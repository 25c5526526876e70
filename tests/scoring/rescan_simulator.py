"""A few plaques in fat and vessel, scanned with blur, a first slice anywhere, and correlated noise."""

import numpy as np
from scipy import ndimage

from cacseg.volume import Volume

TILE, PIXEL_MM, INCREMENT_MM, FINE = 24, 0.45, 3.0, 6


def draw_plaques(rng, count):
    """(radii in mm (z, y, x), HU above the vessel, centre) of each plaque; one tile of the image each."""
    return [
        (
            np.minimum(np.exp(rng.normal(0.1, 0.35)) * rng.uniform(0.7, 1.5, 3), 2.5),
            np.exp(rng.normal(6.3, 0.4)),
            rng.uniform(-0.5, 0.5, 3) * (INCREMENT_MM, PIXEL_MM, PIXEL_MM),
        )
        for _ in range(count)
    ]


def scan(plaques, sd_hu, rng, blur_mm=0.67, texture_px=0.8, slices=7):
    """Image and labels: calcium at or above 130 HU, as LAD."""
    shift_mm = rng.uniform(-0.5, 0.5) * INCREMENT_MM
    z = ((np.arange(slices * FINE) + 0.5) / FINE - slices / 2) * INCREMENT_MM + shift_mm
    y = (np.arange(2 * TILE) + 0.5 - TILE) * PIXEL_MM / 2
    grid = np.meshgrid(z, y, y, indexing="ij", sparse=True)
    vessel = grid[1] ** 2 + grid[2] ** 2 < 4.0
    image, added = [], []
    for radii, hu, centre in plaques:
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)) < 1
        for kept, fine in (
            (added, inside * hu),
            (image, np.where(inside, 40.0 + hu, np.where(vessel, 40.0, -80.0))),
        ):
            soft = ndimage.gaussian_filter(fine.astype(np.float32), (0, *[2 * blur_mm / PIXEL_MM] * 2))
            kept.append(soft.reshape(slices, FINE, TILE, 2, TILE, 2).mean((1, 3, 5)))
    hu, calcium = np.concatenate(image, 2), np.concatenate(added, 2)
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape), (0, texture_px, texture_px), mode="wrap")
    hu = np.rint(hu + noise * (sd_hu / noise.std())).astype(np.int16)
    volume = Volume.axial(hu, (INCREMENT_MM, PIXEL_MM, PIXEL_MM))
    return volume, volume.with_voxels(np.where((calcium > 15) & (hu >= 130), 2, 0).astype(np.uint8))
