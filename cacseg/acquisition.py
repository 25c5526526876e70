"""How a series was acquired and reconstructed: what is known, and ``None`` for what is not."""

from dataclasses import dataclass
from typing import Literal

Known = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Patient:
    """Facts about the patient that risk equations need; race is never guessed."""

    age_years: float | None = None
    sex: Literal["M", "F"] | None = None
    race: str | None = None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Acquisition facts of the chosen series, from its tags and its pixels.

    Parameters
    ----------
    slice_thickness_mm : SliceThickness (0018,0050); the increment between positions is the volume's spacing.
    kvp : tube voltage; ``tin_filter`` tells whether a tin filter hardened the beam ("Sn100").
    kernel : ConvolutionKernel as written; ``reconstruction`` names an iterative or deep-learning method.
    gated, contrast : yes, no, unknown.
    noise_sd_hu : SD measured in a homogeneous soft-tissue region.
    mass_factor : CalciumScoringMassFactorPatient, else Device, in mg HA / (mL HU), where present.
    """

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    description: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    study_date: str | None = None
    slice_thickness_mm: float | None = None
    kvp: float | None = None
    tin_filter: bool = False
    kernel: str | None = None
    reconstruction: str | None = None
    field_of_view_mm: float | None = None
    patient_position: str | None = None
    gated: Known = "unknown"
    contrast: Known = "unknown"
    noise_sd_hu: float | None = None
    mass_factor: float | None = None
    patient: Patient = Patient()
