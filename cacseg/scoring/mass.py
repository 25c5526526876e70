"""Calcium mass: which calibration factor holds for a scan, how sure it is, and a mass beyond thresholds."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from cacseg.errors import UsageError
from cacseg.scoring.lesions import MM3_PER_ML, find_lesions, labelled_voxels
from cacseg.scoring.neighbourhood import spread
from cacseg.scoring.rods import RodReading
from cacseg.scoring.rule import Rule
from cacseg.scoring.rules import AGATSTON_EDGES_HU, RULES
from cacseg.scoring.scorer import LITERATURE_MASS_FACTOR, check_same_grid
from cacseg.scoring.voltage import beam_at
from cacseg.volume import Volume

LITERATURE_SD: Final = 0.092
"""Relative SD of the factor between vendors at 120 kVp: 0.7185, 0.788, 0.787, 0.897 (``qrm_scanner_scores``)."""

UNKNOWN_VOLTAGE_SD: Final = 0.15
"""Relative SD where the voltage is not known either: between 100 and 140 kVp the factor moves by +-12 %."""

DICOM_SD: Final = 0.03
"""Relative SD taken for a factor that the scanner's maker measured; no published figure was at hand."""

PER_MM_OF_DIAMETER: Final = 0.000125
"""Relative rise of the factor per mm of effective diameter: 0.714 in the small and 0.723 in the large QRM
phantom on one scanner (Canon), about 245 and 346 mm across."""

REFERENCE_DIAMETER_MM: Final = 320.0

CalibrationSource = Literal["dicom", "rod", "body-and-voltage", "literature"]


@dataclass(frozen=True, slots=True)
class MassCalibration:
    """The factor that turns HU into calcium, and how far to trust it.

    Parameters
    ----------
    factor : mg HA / (mL HU).
    relative_sd : one standard deviation, as a share of the factor and so of every mass.
    source : which of the four ways gave it.
    detail : one sentence for the report.
    """

    factor: float
    relative_sd: float
    source: CalibrationSource
    detail: str


def calibrate_mass(
    *,
    dicom_factor: float | None = None,
    rods: RodReading | None = None,
    kvp: float | None = None,
    tin_filter: bool = False,
    body_diameter_mm: float | None = None,
) -> MassCalibration:
    """Choose the best calibration there is: the scanner's own, a rod, a model of body and beam, the literature.

    Parameters
    ----------
    dicom_factor : CalciumScoringMassFactorPatient (0018,9351), else Device (0018,9352).
    rods : a calibration rod and water, found by :func:`~cacseg.scoring.rods.find_rods` or measured by hand.
    kvp, tin_filter : beam.
    body_diameter_mm : effective diameter of the body at the heart.

    Raises
    ------
    UsageError : a factor or diameter that cannot be.

    Examples
    --------
    >>> calibrate_mass(dicom_factor=0.75, kvp=120).source
    'dicom'
    >>> calibrate_mass(kvp=120).factor, calibrate_mass().relative_sd
    (0.7976, 0.15)
    >>> round(calibrate_mass(rods=RodReading(310.5, 33.4, 200.0, 0.5)).factor, 4)
    0.7218
    """
    if dicom_factor is not None:
        _check("CalciumScoringMassFactor", dicom_factor, 0.1, 5.0, "mg HA / (mL HU)")
        return MassCalibration(dicom_factor, DICOM_SD, "dicom", "CalciumScoringMassFactor of the series.")
    if rods is not None:
        return _from_rods(rods)
    beam = None if kvp is None else beam_at(kvp, tin_filter)
    if beam is None:
        detail = "Literature factor of 120 kVp; the voltage is not known."
        return MassCalibration(LITERATURE_MASS_FACTOR, UNKNOWN_VOLTAGE_SD, "literature", detail)
    factor = LITERATURE_MASS_FACTOR * (AGATSTON_EDGES_HU[3] / beam.edges_hu[3])
    if body_diameter_mm is None:
        detail = f"Mean of four vendors, at {beam.name}."
        return MassCalibration(factor, LITERATURE_SD, "literature", detail)
    _check("body diameter", body_diameter_mm, 100.0, 700.0, "mm")
    factor *= math.exp(PER_MM_OF_DIAMETER * (body_diameter_mm - REFERENCE_DIAMETER_MM))
    detail = f"Mean of four vendors, at {beam.name}, for a body {body_diameter_mm:.0f} mm across."
    return MassCalibration(factor, LITERATURE_SD, "body-and-voltage", detail)


def _from_rods(rods: RodReading) -> MassCalibration:
    contrast = rods.rod_hu - rods.water_hu
    if not contrast > 0:
        raise UsageError(f"The rod reads {rods.rod_hu} HU and water {rods.water_hu} HU; the rod must be brighter.")
    detail = f"Rod of {rods.rod_mg_per_ml:g} mg HA/mL at {rods.rod_hu:.1f} HU, water at {rods.water_hu:.1f} HU."
    return MassCalibration(rods.rod_mg_per_ml / contrast, rods.sd_hu / contrast, "rod", detail)


def _check(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise UsageError(f"The {name} is {value!r} {unit}; expected {low:g} to {high:g}. Leave it out if unknown.")


HALO_MM: Final = 2.5
"""In-plane reach of the blur around a lesion (sigma about 0.7 mm for a calcium scoring kernel)."""

BACKGROUND_MM: Final = 5.0
"""Outer reach of the ring in which the local background is read (the median)."""

LEAST_BACKGROUND: Final = 20
"""Voxels that a ring needs for its median to stand for the background."""


def integrated_masses_mg(
    volume: Volume,
    labels: Volume,
    rule: Rule = RULES["literature"],
    *,
    mass_factor: float = LITERATURE_MASS_FACTOR,
) -> dict[int, float | None]:
    """Mass of each lesion from its whole intensity above the local background, not from voxels over a threshold.

    Blur and partial volume move intensity but keep its sum, so the sum over a lesion and its halo is that of
    the calcium, where thresholded summing adds the background of every counted voxel and loses the halo.

    Parameters
    ----------
    volume, labels, rule : as scored; the lesions are those of the rule.
    mass_factor : mg HA / (mL HU).

    Returns
    -------
    mg HA by lesion id; ``None`` where the background cannot be read.
    """
    check_same_grid(volume, labels)
    found = find_lesions(labelled_voxels(volume, labels, rule.counted_volume_hu), volume, rule)
    if found.lesion.size == 0:
        return {}
    lesion = (found.lesion + 1).astype(np.int32)
    halo, of_halo = spread(found.voxels.flat, lesion, volume, HALO_MM)
    ring, of_ring = spread(found.voxels.flat, lesion, volume, BACKGROUND_MM)
    outside = np.isin(ring, halo, assume_unique=True, invert=True)
    ring, of_ring = ring[outside], of_ring[outside]
    hu = volume.voxels.reshape(-1)
    masses: dict[int, float | None] = {}
    for number in range(1, int(lesion.max()) + 1):
        around = hu[ring[of_ring == number]]
        within = hu[halo[of_halo == number]].astype(np.float64)
        background = float(np.median(around)) if around.size >= LEAST_BACKGROUND else None
        if background is None:
            masses[number] = None
            continue
        excess_hu = math.fsum((within - background).tolist())
        masses[number] = max(excess_hu, 0.0) * volume.voxel_volume_mm3 * mass_factor / MM3_PER_ML
    return masses
