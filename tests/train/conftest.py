"""A crude chest with a heart, four arteries and spots of calcium: enough to train on, made in milliseconds."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cacseg.data.phantom.scene import Branch
from cacseg.data.phantom.tissue import Tissue
from cacseg.train.sample import sample_from_scan, save
from cacseg.vessels import Label
from cacseg.volume import Volume

FLOW = {
    Label.LM: ((-5, -30, 40), (12, -35, 38)),
    Label.LAD: ((12, -35, 38), (35, -50, -35)),
    Label.LCX: ((12, -35, 38), (50, 20, 0)),
    Label.RCA: ((-15, -35, 35), (-35, 10, -40)),
}


def crude_scan(seed: int) -> SimpleNamespace:
    """Stand-in for ``cacseg.data.phantom.Scan``: 48 slices of 3 mm, 180 x 180 pixels of 1.2 mm."""
    rng = np.random.default_rng(seed)
    shape, spacing = (48, 180, 180), (3.0, 1.2, 1.2)
    origin = tuple(-(n - 1) / 2 * mm for n, mm in zip(shape, spacing, strict=True))
    grid = Volume.axial(np.zeros(shape, np.uint8), spacing, origin[::-1])
    z, y, x = np.meshgrid(
        *[o + mm * np.arange(n) for o, mm, n in zip(origin, spacing, shape, strict=True)], indexing="ij"
    )
    shift = rng.normal(0, 4, 3)
    tissue = np.full(shape, Tissue.FAT, np.uint8)
    tissue[(x / 100) ** 2 + (y / 75) ** 2 > 1] = Tissue.OUTSIDE
    tissue[((np.abs(x) - 55) / 35) ** 2 + (y / 60) ** 2 < 1] = Tissue.LUNG
    heart = ((x - shift[0]) / 52) ** 2 + ((y + 8 - shift[1]) / 48) ** 2 + ((z - shift[2]) / 55) ** 2
    tissue[heart < 1] = Tissue.EPICARDIAL_FAT
    tissue[heart < 0.75] = Tissue.MYOCARDIUM
    tissue[(x / 14) ** 2 + ((y - 62) / 10) ** 2 < 1] = Tissue.BONE
    hu = np.select(
        [tissue == t for t in (Tissue.OUTSIDE, Tissue.LUNG, Tissue.FAT, Tissue.EPICARDIAL_FAT, Tissue.BONE)],
        [-1000.0, -850.0, -95.0, -80.0, 300.0],
        45.0,
    )
    labels = np.zeros(shape, np.uint8)
    branches = []
    for vessel, ends in FLOW.items():
        start, end = (np.array(point, float) + shift for point in ends)
        points = start + np.linspace(0, 1, 60)[:, None] * (end - start)
        branches.append(Branch(vessel.name, vessel, points, np.full(60, 1.5)))
        for spot in points[rng.integers(0, 60, rng.integers(0, 4))]:
            near = (x - spot[0]) ** 2 + (y - spot[1]) ** 2 + (z - spot[2]) ** 2 < rng.uniform(2.5, 4) ** 2
            hu[near] = rng.uniform(250, 700)
            labels[near] = vessel
    hu += rng.normal(0, 15, shape)
    volume = grid.with_voxels(np.rint(hu).astype(np.int16))
    labels[volume.voxels < 130] = 0
    return SimpleNamespace(
        volume=volume,
        labels=grid.with_voxels(labels),
        tissue=grid.with_voxels(tissue),
        branches=tuple(branches),
        scene=SimpleNamespace(deposits=()),
    )


@pytest.fixture(scope="session")
def scan_of() -> Callable[[int], SimpleNamespace]:
    return crude_scan


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    for seed in range(4):
        save(sample_from_scan(crude_scan(seed), {"family": "crude", "seed": seed}), folder / f"crude-{seed}.npz")
    return folder
