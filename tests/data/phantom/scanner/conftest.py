"""A small chest for scanner tests: soft tissue in air, a heart in fat, and whatever deposits a test puts in."""

from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.scanner import Protocol
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label
from cacseg.volume import Volume


def deposit(label=Label.LAD, centre=(0.0, 0.0, 0.0), radius=2.0, density=600.0, **rest):
    point = np.array([centre], np.float64)
    return Deposit(label, rest.pop("kind", "plaque"), point, point, np.array([radius]), np.array([density]), **rest)


def small_scene(*deposits, spacing=1.0):
    z, y, x = np.ogrid[-45:46, -70:71, -80:81]
    shape = np.broadcast_shapes(z.shape, y.shape, x.shape)
    hu = np.full(shape, -1000.0, np.float32)
    tissue = np.zeros(shape, np.uint8)
    for half_x, half_y, half_z, value, kind in (
        (74, 64, 400, 50.0, Tissue.SOFT),
        (66, 56, 400, -850.0, Tissue.LUNG),
        (46, 44, 40, -95.0, Tissue.EPICARDIAL_FAT),
        (36, 34, 30, 42.0, Tissue.LEFT_VENTRICLE),
    ):
        inside = (x / half_x) ** 2 + (y / half_y) ** 2 + (z / half_z) ** 2 <= 1
        hu[inside], tissue[inside] = value, kind
    rib = (np.abs(x) < 3) & (np.abs(y - 60) < 3) & (np.abs(z) < 100)
    hu[rib], tissue[rib] = 700.0, Tissue.BONE
    volume = Volume.axial(hu, (spacing,) * 3, (-80.0 * spacing, -70.0 * spacing, -45.0 * spacing))
    return Scene(volume, Volume(tissue, volume.affine), (), tuple(deposits), {"seed": 3})


@pytest.fixture
def scene():
    return small_scene(deposit(), deposit(Label.RCA, (-30.0, 5.0, 8.0), 1.5, 500.0))


@pytest.fixture
def protocol():
    return Protocol(
        family="gated",
        kvp=120,
        ha_slope_hu=1.3,
        slice_thickness_mm=3.0,
        increment_mm=3.0,
        field_of_view_mm=150.0,
        matrix=256,
        sigma_mm=0.7,
        noise_sd_hu=15.0,
        noise_cutoff_lpmm=0.4,
        slices=21,
        z_start_mm=-30.0,
    )


@pytest.fixture
def quiet(protocol):
    return replace(protocol, noise_sd_hu=0.0)


@pytest.fixture
def make_deposit():
    return deposit


@pytest.fixture
def make_scene():
    return small_scene
