"""Acquisition facts of a series from its tags."""

import re
from typing import Final

from cacseg.acquisition import Acquisition
from cacseg.study.image import Image
from cacseg.study.patient import patient_of
from cacseg.study.reconstruction import reconstruction_method
from cacseg.study.synchronisation import synchronised

MIN_KVP: Final = 40.0
MAX_KVP: Final = 160.0
"""Tube voltages outside this range are writing errors (0, volts instead of kilovolts)."""

_TIN: Final = re.compile(r"(?<![A-Z])SN\s?\d{2,3}(?!\d)|\bTIN\b|\d{2,3}\s?KV\s?SN\b")

_METHOD_WORDS: Final = (
    "ReconstructionAlgorithm",
    "ImageFilter",
    "FilterType",
    "ImageComments",
    "ScanOptions",
    "DerivationDescription",
)
_TIN_WORDS: Final = ("FilterMaterial", "FilterType", "KVP", "ConvolutionKernel", "ProtocolName", "SeriesDescription")


def acquisition_of(image: Image) -> Acquisition:
    """Read every fact that one plane's tags give; pixels add noise and contrast later."""
    header = image.file.header
    kernel = image.text("ConvolutionKernel")
    return Acquisition(
        study_instance_uid=image.text("StudyInstanceUID"),
        series_instance_uid=image.text("SeriesInstanceUID"),
        description=image.text("SeriesDescription"),
        manufacturer=image.text("Manufacturer"),
        model_name=image.text("ManufacturerModelName"),
        study_date=image.text("StudyDate"),
        slice_thickness_mm=_positive(image, "SliceThickness"),
        kvp=tube_voltage(image),
        tin_filter=has_tin_filter(image),
        kernel=None if kernel is None else kernel.replace("\\", "/"),
        reconstruction=reconstruction_method(kernel, [image.text(word) for word in _METHOD_WORDS]),
        field_of_view_mm=field_of_view_mm(image),
        patient_position=image.text("PatientPosition"),
        gated=synchronised(image)[0],
        mass_factor=mass_factor(image),
        patient=patient_of(header),
    )


def tube_voltage(image: Image) -> float | None:
    """KVP (0018,0060) in kilovolts; values written in volts are converted, impossible ones are unknown."""
    value = image.number("KVP")
    if value is None:
        match = re.search(r"(\d{2,3})", image.text("KVP") or "")
        value = float(match.group(1)) if match else None
    if value is not None and MIN_KVP * 1000 <= value <= MAX_KVP * 1000:
        value /= 1000.0
    return value if value is not None and MIN_KVP <= value <= MAX_KVP else None


def has_tin_filter(image: Image) -> bool:
    """Say whether FilterMaterial is TIN, or kernel, protocol, voltage or description name a tin filter ("Sn100")."""
    return any(_TIN.search((image.text(keyword) or "").upper()) is not None for keyword in _TIN_WORDS)


def field_of_view_mm(image: Image) -> float | None:
    """Reconstructed field: ReconstructionDiameter, ReconstructionFieldOfView, else matrix times spacing."""
    value = _positive(image, "ReconstructionDiameter")
    if value is not None:
        return value
    field = image.numbers("ReconstructionFieldOfView", 2)
    if field is not None and bool((field > 0).all()):
        return float(field.max())
    rows, columns = image.matrix
    spacing = image.spacing_mm
    return None if spacing is None else max(rows * spacing[0], columns * spacing[1])


def mass_factor(image: Image) -> float | None:
    """Calibration of the calcium mass in mg HA / (mL HU).

    CalciumScoringMassFactorPatient (0018,9351) where present; of CalciumScoringMassFactorDevice (0018,9352), which
    gives one value each for a small, a medium and a large patient, the medium one (PS3.3 C.8.15.3.10). Values
    outside 0.1 to 3 are writing errors: HA phantoms give 0.6 to 1.0.
    """
    own = image.number("CalciumScoringMassFactorPatient")
    if own is None:
        sizes = image.numbers("CalciumScoringMassFactorDevice", 3)
        own = None if sizes is None else float(sizes[1])
    return own if own is not None and 0.1 <= own <= 3.0 else None


def _positive(image: Image, keyword: str) -> float | None:
    value = image.number(keyword)
    return value if value is not None and value > 0 else None
