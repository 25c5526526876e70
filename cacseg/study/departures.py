"""Departures of the chosen series from the standard protocol, each a finding with what to do.

The standard: 120 kVp, 2.5-3 mm contiguous slices, smooth kernel, filtered back projection, no contrast, ECG
synchronised (Agatston 1990; Hecht 2017, SCCT guideline).
"""

from collections.abc import Iterator
from typing import Final

from cacseg.acquisition import Acquisition
from cacseg.findings import Finding, Severity
from cacseg.study.evidence import STANDARD_KVP, STANDARD_THICKNESS_MM
from cacseg.study.kernels import sharpness_of

LARGE_FIELD_MM: Final = 320.0
"""Fields above this are of a whole chest; pixels get larger than the smallest lesion that counts (1 mm2)."""

HIGH_NOISE_HU: Final = 23.0
"""Target noise for large patients; 20 for small and medium ones (McCollough 2007, Radiology 243:527)."""

OVERLAP_FRACTION: Final = 0.05
"""Increment and thickness that differ by less than 5 % are equal."""

METAL_IGNORED_MM3: Final = 5.0
"""A few voxels at the end of the scale may be noise on calcium."""


def departures(acquisition: Acquisition, increment_mm: float, metal_mm3: float) -> tuple[Finding, ...]:
    """List what differs from the standard protocol.

    Parameters
    ----------
    acquisition : facts, with noise already measured.
    increment_mm : distance between slices.
    metal_mm3 : volume of voxels that only metal reaches.
    """
    return (
        *_voltage(acquisition),
        *_thickness(acquisition, increment_mm),
        *_synchronisation(acquisition),
        *_kernel(acquisition),
        *_reconstruction(acquisition),
        *_field(acquisition),
        *_noise(acquisition),
        *_metal(metal_mm3),
    )


def _voltage(acquisition: Acquisition) -> Iterator[Finding]:
    kvp = acquisition.kvp
    if kvp is None:
        yield Finding(
            "kvp-unknown",
            Severity.WARNING,
            "The tube voltage is unknown; 120 kVp is assumed by the 130 HU threshold.",
            "Look the voltage up in the scan protocol before using the score.",
        )
    elif abs(kvp - STANDARD_KVP) >= 1.0:
        yield Finding(
            "kvp-not-120",
            Severity.WARNING,
            f"The tube voltage is {kvp:g} kVp; 130 HU is defined for 120 kVp.",
            "Use a rule with a voltage-adapted threshold, and do not compare with scores at 120 kVp.",
        )
    if acquisition.tin_filter:
        yield Finding(
            "tin-filter",
            Severity.WARNING,
            "A tin filter hardened the beam: calcium has other HU than at the same voltage without it.",
            "Use a rule with a threshold made for this filter, if your scanner's maker gives one.",
        )


def _thickness(acquisition: Acquisition, increment_mm: float) -> Iterator[Finding]:
    thickness = acquisition.slice_thickness_mm
    if thickness is None:
        yield Finding(
            "thickness-unknown",
            Severity.INFO,
            f"The slice thickness is unknown; slices lie {increment_mm:.2f} mm apart.",
            "Nothing is to be done if the increment is the usual 2.5-3 mm.",
        )
        low, high, measured, word = *STANDARD_THICKNESS_MM, increment_mm, "increment"
    else:
        low, high, measured, word = *STANDARD_THICKNESS_MM, thickness, "thickness"
    if not low - 0.05 <= measured <= high + 0.05:
        yield Finding(
            "thickness-not-standard",
            Severity.WARNING,
            f"The slice {word} is {measured:g} mm; scores are defined for 2.5 to 3 mm.",
            "Reconstruct at 3 mm if the raw data exist: thin slices add noise, thick ones hide small lesions.",
        )
    if thickness is None:
        return
    if increment_mm < (1.0 - OVERLAP_FRACTION) * thickness:
        yield Finding(
            "overlapping-slices",
            Severity.INFO,
            f"Slices overlap: {thickness:g} mm thick, {increment_mm:.2f} mm apart. The score is corrected by the "
            "increment.",
            "Compare with contiguous reconstructions with care.",
        )
    elif increment_mm > (1.0 + OVERLAP_FRACTION) * thickness:
        yield Finding(
            "gapped-slices",
            Severity.WARNING,
            f"Slices leave gaps: {thickness:g} mm thick, {increment_mm:.2f} mm apart, so calcium between them is not "
            "seen.",
            "Reconstruct contiguous slices.",
        )


def _synchronisation(acquisition: Acquisition) -> Iterator[Finding]:
    if acquisition.gated == "no":
        yield Finding(
            "not-gated",
            Severity.WARNING,
            "The scan was not synchronised to the heart: motion blurs and doubles calcium.",
            "Report the category rather than the number, or rescan with ECG synchronisation.",
        )
    elif acquisition.gated == "unknown":
        yield Finding(
            "gating-unknown",
            Severity.INFO,
            "No tag says whether the scan was synchronised to the heart.",
            "Check the protocol: without ECG synchronisation only the category is reliable.",
        )


def _kernel(acquisition: Acquisition) -> Iterator[Finding]:
    sharpness = sharpness_of(acquisition.kernel)
    if sharpness == "sharp":
        yield Finding(
            "sharp-kernel",
            Severity.WARNING,
            f"The kernel {acquisition.kernel} is sharp: it raises noise and peaks, and with them the score.",
            "Reconstruct with the scanner's calcium-scoring kernel.",
        )
    elif sharpness == "unknown":
        yield Finding(
            "kernel-unknown",
            Severity.INFO,
            f"The sharpness of the kernel is unknown ({acquisition.kernel or 'no kernel is named'}).",
            "Check that the scanner's calcium-scoring kernel was used.",
        )


def _reconstruction(acquisition: Acquisition) -> Iterator[Finding]:
    if acquisition.reconstruction is not None:
        yield Finding(
            "iterative-reconstruction",
            Severity.INFO,
            f"Reconstructed with {acquisition.reconstruction}: scores are lower than with filtered back projection.",
            "Compare only with scans reconstructed in the same way.",
        )


def _field(acquisition: Acquisition) -> Iterator[Finding]:
    field = acquisition.field_of_view_mm
    if field is not None and field > LARGE_FIELD_MM:
        yield Finding(
            "large-field-of-view",
            Severity.INFO,
            f"The field of view is {field:.0f} mm, expected about 160 to 250 mm for a heart: small lesions fill few "
            "pixels.",
            "Reconstruct a field around the heart if the raw data exist.",
        )


def _noise(acquisition: Acquisition) -> Iterator[Finding]:
    noise = acquisition.noise_sd_hu
    if noise is None:
        yield Finding(
            "noise-unknown",
            Severity.INFO,
            "The noise could not be measured: too little homogeneous soft tissue is in the field of view.",
            "Nothing is to be done.",
        )
    elif noise > HIGH_NOISE_HU:
        yield Finding(
            "high-noise",
            Severity.WARNING,
            f"The noise is {noise:.0f} HU in soft tissue, expected at most {HIGH_NOISE_HU:.0f} HU: single voxels of "
            "plain tissue may pass 130 HU.",
            "Mistrust small lesions; reconstruct with a smoother kernel or thicker slices.",
        )


def _metal(metal_mm3: float) -> Iterator[Finding]:
    if metal_mm3 > METAL_IGNORED_MM3:
        yield Finding(
            "metal",
            Severity.WARNING,
            f"{metal_mm3:.0f} mm3 of metal are in the field of view (stent, lead, valve, clip): its streaks can pass "
            "130 HU.",
            "Check the lesions next to metal; stents and leads are not calcium.",
        )
