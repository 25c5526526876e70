"""The QRM cardiac calcification phantom as a scene for the scanner model.

Nine hydroxyapatite rods in a plastic heart inside a plastic thorax, and two calibration rods: what scanners
are calibrated and compared with, so what a scanner model must reproduce.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.deposits import Rod
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label
from cacseg.volume import Volume

DENSITIES_MG_CM3: Final = (800.0, 400.0, 200.0)
DIAMETERS_MM: Final = (5.0, 3.0, 1.0)
"""Hydroxyapatite densities of the inserts; each comes with three diameters, as long as wide (QRM CCI)."""

NAMES: Final = tuple(f"{size}_{density}" for density in ("HD", "MD", "LD") for size in ("Large", "Medium", "Small"))
"""Inserts in the order of ``Scene.deposits``: high, medium, low density; large, medium, small."""

INSERT_XY_MM: Final = (
    (-38.0, 1.5), (-25.5, 1.8), (-13.3, 1.6),
    (16.3, -32.4), (10.8, -21.3), (5.3, -10.6),
    (19.8, 31.4), (13.2, 20.7), (6.6, 10.3),
)  # fmt: skip
"""Centres of the inserts from the heart's centre, x to the left, y to the back; the seven that show in the
scan of MolloiLab/CAC-stanford-data as found there, the smallest of 400 and 200 mg/cm3 on the same lines."""

CANON_Z_MM: Final = (-0.16, 0.2, 0.2, -0.55, -0.1, 0.0, -0.53, -0.1, 0.0)
"""How far the middle of each insert lies above the middle of its slice in that scan, from how its HU are
shared between neighbouring slices (the phantom lay tilted by half a degree); good to about 0.2 mm."""

SOLID_WATER_HU: Final = 78.0
"""HU of the plastic that stands for soft tissue, as measured on that scan."""

WATER_ROD_HU: Final = 33.0
"""HU of the calibration rod without hydroxyapatite, the carrier of all rods, measured likewise."""

ROD_SLOPE_HU: Final = 1.39
"""HU per mg/cm3 between the two calibration rods of that scan, 20 mm wide."""

CALIBRATION_MG_CM3: Final = 200.0
CALIBRATION_RADIUS_MM: Final = 10.09
ROD_START_MM: Final = 25.1
"""Calibration rods: density, radius of the edge, and how far above the inserts they begin, as on that scan."""

LUNG_HU: Final = -815.0
CORTICAL_HU: Final = 440.0
SPONGY_HU: Final = 124.0
RING_HU: Final = -78.0
HEART_RADIUS_MM: Final = 53.7

STEP_MM: Final = 1.0
SUPERSAMPLE: Final = 4


def qrm_scene(large: bool = True, rods: bool = True, insert_z_mm: Sequence[float] = (0.0,) * 9) -> Scene:
    """Build the phantom; its heart's centre lies at x = y = 0, the middle of the inserts at z = 0.

    Parameters
    ----------
    large : with the extension ring that makes a large patient of it.
    rods : with the two calibration rods (200 mg/cm3 and without hydroxyapatite).
    insert_z_mm : height of the middle of each insert, in the order of ``NAMES``.

    Returns
    -------
    Scene
        Nine deposits labelled LAD (800 mg/cm3), LCX (400), RCA (200) so that scores tell them apart, then
        the calibration rod as ``Label.OTHER``.
    """
    half_x, half_y = (215, 165) if large else (160, 110)
    x_mm = np.arange(-half_x, half_x + 1, STEP_MM)
    y_mm = np.arange(-half_y, half_y + 1, STEP_MM) + 20.0
    z_mm = np.arange(-60, 61, STEP_MM)
    plane, tissue = _cross_section(x_mm, y_mm, large)
    within = np.abs(z_mm - 2.0) <= 46.5
    hu = np.where(within[:, None, None], plane, np.float32(-1000.0)).astype(np.float32)
    classes = np.where(within[:, None, None], tissue, np.uint8(Tissue.OUTSIDE))
    affine = Volume.axial(hu, (STEP_MM,) * 3, (float(x_mm[0]), float(y_mm[0]), float(z_mm[0]))).affine
    bodies = _inserts(insert_z_mm)
    if rods:
        bodies.append(
            _rod("calibration", Label.OTHER, (0.03, 0.72), (ROD_START_MM, 47.0), CALIBRATION_RADIUS_MM, 200.0)
        )
        water = np.hypot(x_mm[None] + 11.0, y_mm[:, None] + 20.7) <= 10.0
        hu[np.ix_(z_mm >= ROD_START_MM)] = np.where(
            water & (hu[z_mm >= ROD_START_MM] > 0), WATER_ROD_HU, hu[z_mm >= ROD_START_MM]
        )
    facts = {"seed": None, "phantom": "QRM cardiac calcification, " + ("large" if large else "small")}
    return Scene(Volume(hu, affine), Volume(classes, affine), (), tuple(bodies), facts)


def canon_protocol(ha_slope_hu: float = ROD_SLOPE_HU, z_shift_mm: float = 0.0) -> Protocol:
    """Protocol of the shared scan: Canon Aquilion ONE, FC12, 120 kVp, with what was measured on it.

    Parameters
    ----------
    ha_slope_hu : calibration of the inserts.
    z_shift_mm : shift of all slices; at 0 the middle of the phantom is the middle of a slice.
    """
    return Protocol(
        family="gated",
        kvp=120,
        ha_slope_hu=ha_slope_hu,
        slice_thickness_mm=3.0,
        increment_mm=3.0,
        field_of_view_mm=0.488 * 512,
        sigma_mm=0.67,
        noise_sd_hu=21.0,
        noise_cutoff_lpmm=0.42,
        z_start_mm=-66.0 + z_shift_mm,
        slices=47,
        centre_lps_mm=(-1.1, 19.2),
        padding_hu=-2048,
        model_name="Aquilion ONE",
        kernel_name="FC12",
        patient_position="FFS",
    )


def _inserts(insert_z_mm: Sequence[float]) -> list[Deposit]:
    labels = (Label.LAD, Label.LCX, Label.RCA)
    bodies = []
    for number, (xy, name) in enumerate(zip(INSERT_XY_MM, NAMES, strict=True)):
        diameter = DIAMETERS_MM[number % 3]
        z = (insert_z_mm[number] - diameter / 2, insert_z_mm[number] + diameter / 2)
        bodies.append(_rod(name, labels[number // 3], xy, z, diameter / 2, DENSITIES_MG_CM3[number // 3]))
    return bodies


def _rod(
    kind: str, label: Label, xy: tuple[float, float], z: tuple[float, float], radius: float, density: float
) -> Deposit:
    start, end = np.array([[*xy, z[0]]]), np.array([[*xy, z[1]]])
    return Rod(label, kind, start, end, np.array([radius]), np.array([density]), matrix_hu=WATER_ROD_HU)


def _cross_section(
    x_mm: NDArray[np.float64], y_mm: NDArray[np.float64], large: bool
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """HU and class of a slice through the body, antialiased; measured off the shared scan."""
    fine = (np.arange(SUPERSAMPLE) - (SUPERSAMPLE - 1) / 2) * STEP_MM / SUPERSAMPLE
    x = (x_mm[:, None] + fine).reshape(1, -1)
    y = (y_mm[:, None] + fine).reshape(-1, 1)
    hu = np.full((y.size, x.size), -1000.0, np.float32)
    tissue = np.full(hu.shape, Tissue.OUTSIDE, np.uint8)

    def fill(inside: NDArray[np.bool_], value: float, kind: Tissue) -> None:
        hu[inside] = value
        tissue[inside] = kind

    chest_y = y - 19.8
    if large:
        fill(np.abs(x / 200) ** 2.6 + np.abs(chest_y / 148) ** 2.6 <= 1, RING_HU, Tissue.FAT)
    fill(np.abs(x / 150) ** 3 + np.abs(chest_y / 99) ** 3 <= 1, SOLID_WATER_HU, Tissue.SOFT)
    neck = np.where(chest_y < 0, 23.0 + 0.02 * np.maximum(-chest_y - 55.0, 0.0) ** 2, 7.0)
    lung = (np.abs(x / 132) ** 2.6 + np.abs(chest_y / 82) ** 2.6 <= 1) & (np.abs(x) > neck)
    fill(lung, LUNG_HU, Tissue.LUNG)
    from_heart = np.hypot(x, y)
    fill(from_heart <= HEART_RADIUS_MM, SOLID_WATER_HU, Tissue.SOFT)
    fill((np.abs(from_heart - 50.2) < 0.2) & (np.abs(x) < 0.6 * np.abs(y)), -150.0, Tissue.SOFT)
    behind = y - 72.0
    fill((behind > 22) & (behind < 45) & (np.abs(x) < 30), SOLID_WATER_HU, Tissue.SOFT)
    wing = (behind > 13) & (behind < 22.5) & (np.abs(x) < 3.2 * (behind - 11.5))
    fill(wing | ((np.abs(x) < 4.2) & (behind > 13) & (behind < 44)), CORTICAL_HU, Tissue.BONE)
    from_spine = np.hypot(x + 1.8, behind)
    fill(from_spine <= 17.2, CORTICAL_HU, Tissue.BONE)
    fill(from_spine <= 14.9, SPONGY_HU, Tissue.BONE)
    shape = (len(y_mm), SUPERSAMPLE, len(x_mm), SUPERSAMPLE)
    return hu.reshape(shape).mean(axis=(1, 3), dtype=np.float32), tissue.reshape(shape)[:, 2, :, 2]
