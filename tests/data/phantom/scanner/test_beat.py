from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from cacseg.data.phantom.scanner.beat import beat
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.volume import Volume

SIZE = 129
RADIUS = 24.0
DISTANCE = np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE // 2))
DISC = np.clip(RADIUS + 0.5 - DISTANCE, 0.0, 1.0).astype(np.float32) * 1040.0


class Drawn(np.random.Generator):
    """Chance that gives what it is told to, in order."""

    def __init__(self, *given):
        super().__init__(np.random.PCG64(0))
        self.given = list(given)

    def uniform(self, low=0.0, high=1.0, size=None):
        value = self.given.pop(0)
        assert low <= value <= high
        return value if size is None else np.full(size, value)


@pytest.fixture
def disc():
    """A disc of the heart in lung, three slices alike, HU + 1000, and the scene it belongs to."""
    slab = Volume.axial(np.stack([DISC] * 3), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    tissue = np.where(DISTANCE <= RADIUS, Tissue.LEFT_VENTRICLE, Tissue.LUNG).astype(np.uint8)
    classes = Volume.axial(np.stack([tissue] * 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    return slab, Scene(classes.with_voxels(classes.voxels.astype(np.float32)), classes, (), (), {"seed": 0})


def back_projected(shift_of):
    """Filtered back projection of the disc, displaced along the rows by what its moment says, -1 to 1."""
    middle, along = SIZE // 2, np.arange(SIZE) - SIZE // 2
    y, x = np.meshgrid(along, along, indexing="ij")
    image = np.zeros((SIZE, SIZE))
    angles = np.linspace(0.0, np.pi, 120, endpoint=False)
    for angle in angles:
        s, u = np.meshgrid(along, along, indexing="ij")
        rows = s * np.sin(angle) + u * np.cos(angle) + middle
        columns = s * np.cos(angle) - u * np.sin(angle) + middle - shift_of(2 * angle / np.pi - 1)
        projection = map_coordinates(DISC, [rows, columns], order=1).sum(axis=1)
        ramp = np.abs(np.fft.fftfreq(4 * SIZE))
        filtered = np.fft.ifft(np.fft.fft(projection, 4 * SIZE) * ramp).real[:SIZE]
        image += np.interp(x * np.cos(angle) + y * np.sin(angle), along, filtered, 0.0, 0.0)
    return image * np.pi / len(angles)


def test_it_looks_like_what_back_projection_makes_of_a_moving_disc(disc, quiet):
    slab, scene = disc
    protocol = replace(quiet, motion_mm=2.0, gated=True)
    along_rows, inwards, as_far_as_lad, from_0_degrees, full_speed = 0.0, 0.0, 1.0, 0.0, 1.0
    chance = Drawn(along_rows, inwards, as_far_as_lad, from_0_degrees, full_speed)
    change = beat(slab, scene, protocol, chance).voxels[1] - DISC
    expected = back_projected(lambda moment: -2.0 * moment) - back_projected(lambda moment: 0.0)
    near = DISTANCE < RADIUS + 12
    assert np.corrcoef(change[near], expected[near])[0, 1] > 0.9
    assert 0.7 < change[near].std() / expected[near].std() < 1.3


def test_walls_against_the_lung_get_brighter_than_anything_there(disc, quiet):
    slab, scene = disc
    brightest = [
        float(beat(slab, scene, replace(quiet, motion_mm=2.0), np.random.default_rng(seed)).voxels.max())
        for seed in range(8)
    ]
    assert max(brightest) > 1040.0 + 50.0
    assert min(brightest) >= 1039.0


def test_what_lies_beyond_the_heart_stays_and_nothing_is_lost(disc, quiet):
    slab, scene = disc
    moved = beat(slab, scene, replace(quiet, motion_mm=1.5), np.random.default_rng(1)).voxels
    far = DISTANCE > 1.5 * (RADIUS + 8)
    assert np.abs(moved[:, far]).max() < 25.0
    assert moved.sum(dtype=np.float64) == pytest.approx(slab.voxels.sum(dtype=np.float64), rel=0.01)


def test_a_heart_at_rest_and_a_body_without_one_stay_as_they_are(disc, quiet):
    slab, scene = disc
    assert beat(slab, scene, replace(quiet, motion_mm=0.0), np.random.default_rng(0)) is slab
    nobody = replace(scene, tissue=scene.tissue.with_voxels(np.zeros_like(scene.tissue.voxels)))
    assert beat(slab, nobody, replace(quiet, motion_mm=2.0), np.random.default_rng(0)) is slab


def test_slices_of_a_gated_slab_are_exposed_alike_and_others_are_not(disc, quiet):
    slab, scene = disc
    gated = beat(slab, scene, replace(quiet, motion_mm=2.0, slab_slices=50), np.random.default_rng(3)).voxels
    free = beat(slab, scene, replace(quiet, motion_mm=2.0, gated=False), np.random.default_rng(3)).voxels
    assert np.array_equal(gated[0], gated[2])
    assert np.abs(free[0] - free[2]).max() > 5.0
