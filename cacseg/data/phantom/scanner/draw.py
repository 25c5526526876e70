"""Protocols as they are met: drawn at random within what a family of scans shows."""

from collections.abc import Callable
from typing import Any, Final
from typing import Protocol as Shape

import numpy as np

from cacseg.data.phantom.scanner.calcium import ha_slope_hu
from cacseg.data.phantom.scanner.protocol import Family, Protocol, Texture
from cacseg.errors import UsageError

VENDORS: Final = ("Siemens", "GE", "Philips", "Canon")
VENDOR_SHARE: Final = (0.36, 0.28, 0.18, 0.18)

MODELS: Final = {
    "Siemens": ("SOMATOM Force", "SOMATOM Definition Flash", "SOMATOM Drive", "Sensation 64"),
    "GE": ("Revolution CT", "LightSpeed VCT", "Discovery CT750 HD"),
    "Philips": ("iCT 256", "Brilliance 64", "IQon - Spectral CT"),
    "Canon": ("Aquilion ONE", "Aquilion PRIME", "Aquilion"),
}

KERNELS: Final = {
    "Siemens": ("Qr36d/2", "B35f", "Sa36f", "I30f/3"),
    "GE": ("STANDARD", "STANDARD", "DETAIL"),
    "Philips": ("B", "XCA", "CB"),
    "Canon": ("FC12", "FC13", "FC03"),
}

SHARP_KERNELS: Final = {
    "Siemens": ("B60f", "Bl57d/3", "B70f"),
    "GE": ("LUNG", "BONE"),
    "Philips": ("D", "YB"),
    "Canon": ("FC51", "FC86"),
}


SHARP_SHARE: Final = {"gated": 0.065, "chest": 0.5}
"""Share of scans reconstructed with an edge-enhancing kernel; by judgement."""

NOISY_SHARE: Final = 0.12
"""Share of gated scans so noisy that islands of noise reach the threshold within the heart; by judgement."""

NOISY_SD_HU: Final = (26.0, 45.0)


class HasSize(Shape):
    """What a protocol depends on: the patient's size."""

    @property
    def bmi(self) -> float:
        """Body mass index in kg/m2."""
        ...


def draw_protocol(family: Family, facts: HasSize, rng: np.random.Generator, **overrides: Any) -> Protocol:
    """Draw how a patient is scanned.

    Parameters
    ----------
    family : "gated" as clinical calcium scans are; "shifted" beyond what those show (other voltages, sharp
        or very smooth kernels, thin or thick slices, much noise or motion); "chest" without gating;
        "contrast" like "gated", for patients whose blood holds contrast medium.
    facts : the patient; the noise grows with the body mass index.
    overrides : fields of ``Protocol`` to set instead of drawing them.

    Raises
    ------
    UsageError : unknown family or field.
    """
    drawers: dict[str, Callable[[float, np.random.Generator], dict[str, Any]]] = {
        "gated": _gated,
        "contrast": _gated,
        "shifted": _shifted,
        "chest": _chest,
    }
    if family not in drawers:
        raise UsageError(f"Unknown protocol family {family!r}; expected one of {', '.join(drawers)}.")
    unknown = sorted(set(overrides) - set(Protocol.__dataclass_fields__))
    if unknown:
        raise UsageError(f"No such field of a protocol: {', '.join(unknown)}.")
    drawn = drawers[family](facts.bmi, rng)
    drawn["ha_slope_hu"] = ha_slope_hu(drawn["kvp"], drawn["tin_filter"], drawn["vendor"]) * rng.normal(1.0, 0.02)
    return Protocol(**{"family": family, **drawn, **overrides})


def _scanner(rng: np.random.Generator, kernels: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    vendor = str(rng.choice(VENDORS, p=VENDOR_SHARE))
    return {
        "vendor": vendor,
        "model_name": str(rng.choice(MODELS[vendor])),
        "kernel_name": str(rng.choice(kernels[vendor])),
    }


def _gated(bmi: float, rng: np.random.Generator) -> dict[str, Any]:
    sharp = rng.random() < SHARP_SHARE["gated"]
    scanner = _scanner(rng, SHARP_KERNELS if sharp else KERNELS)
    vendor = scanner["vendor"]
    thickness = {"GE": 2.5, "Philips": float(rng.choice((2.5, 3.0)))}.get(vendor, 3.0)
    kvp, tin = 120, False
    beam = rng.random()
    if beam < 0.12:
        kvp = 100
    elif beam < 0.16 and vendor == "Siemens":
        kvp, tin = 100, True
    still = rng.random() < 0.55
    kernel = _kernel(sharp, float(np.clip(rng.normal(0.64, 0.06), 0.52, 0.85)), 0.35, rng)
    sd = (18.0 + 0.7 * (bmi - 27.0)) * np.exp(rng.normal(0.0, 0.22)) * (1.6 if sharp else 1.0)
    if rng.random() < NOISY_SHARE:
        sd = max(sd, rng.uniform(*NOISY_SD_HU))
    return {
        **scanner,
        "kvp": kvp,
        "tin_filter": tin,
        "slice_thickness_mm": thickness,
        "increment_mm": thickness,
        "first_slice_offset_mm": float(rng.uniform(0.0, thickness)),
        "field_of_view_mm": float(np.clip(rng.normal(218.0, 24.0), 170.0, 262.0).round(0)),
        "shift_mm": (float(rng.normal(0.0, 6.0)), float(rng.normal(0.0, 6.0))),
        "margin_mm": (float(rng.uniform(2.0, 20.0)), float(rng.uniform(12.0, 32.0))),
        **kernel,
        "noise_sd_hu": float(np.clip(sd, 8.0, NOISY_SD_HU[1])),
        **_unrest(rng),
        "streak_sd_hu": float(max(0.0, rng.normal(0.5, 1.0) + 0.08 * (bmi - 27.0))),
        "cupping_hu": float(rng.uniform(0.0, 5.0)),
        "hardening": float(rng.uniform(0.3, 1.2)),
        "motion_mm": 0.0 if still else float(rng.gamma(1.6, 0.28)),
        "step_mm": 0.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 1.2)),
        "slab_slices": int(rng.choice((8, 10, 12, 13, 16))),
        "padding_hu": {"GE": -3024, "Canon": -2048}.get(vendor) if rng.random() < 0.5 else None,
    }


def _kernel(sharp: bool, soft_sigma_mm: float, iterative_share: float, rng: np.random.Generator) -> dict[str, Any]:
    """Point spread and grain of a kernel: sharp ones overshoot at edges, some soft ones a little."""
    sigma = float(rng.uniform(0.4, 0.55)) if sharp else soft_sigma_mm
    enhancement = float(rng.uniform(0.4, 1.3) if sharp else rng.choice((0.0, 0.0, 0.1, 0.2)))
    texture: Texture = "sharp" if sharp else ("iterative" if rng.random() < iterative_share else "fbp")
    cutoff = 0.24 if texture == "iterative" else 0.265
    return {
        "sigma_mm": sigma,
        "edge_enhancement": enhancement,
        "texture": texture,
        "noise_cutoff_lpmm": float(cutoff / sigma * rng.normal(1.0, 0.06)),
    }


def _unrest(rng: np.random.Generator) -> dict[str, Any]:
    """How uneven the noise is over the image."""
    return {
        "centre_noise_gain": float(rng.uniform(0.05, 0.4)),
        "noise_unevenness": float(rng.uniform(0.0, 0.18)),
        "noise_streakiness": float(rng.uniform(0.1, 0.7)) if rng.random() < 0.6 else 0.0,
    }


def _shifted(bmi: float, rng: np.random.Generator) -> dict[str, Any]:
    drawn = _gated(bmi, rng)
    kvp, tin = ((80, False), (100, False), (140, False), (100, True), (150, True), (120, False))[rng.integers(0, 6)]
    thickness = float(rng.choice((0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0)))
    sigma = float(rng.uniform(0.38, 1.1))
    return {
        **drawn,
        "kvp": kvp,
        "tin_filter": tin,
        "slice_thickness_mm": thickness,
        "increment_mm": thickness * float(rng.choice((0.5, 2 / 3, 1.0, 1.0, 1.2))),
        "first_slice_offset_mm": float(rng.uniform(0.0, thickness)),
        "field_of_view_mm": float(rng.uniform(160.0, 320.0).__round__(0)),
        "matrix": int(rng.choice((512, 512, 768))),
        "shift_mm": (float(rng.normal(0.0, 14.0)), float(rng.normal(0.0, 14.0))),
        "sigma_mm": sigma,
        "edge_enhancement": float(rng.uniform(0.0, 0.9)),
        "texture": str(rng.choice(("fbp", "sharp", "iterative"))),
        "noise_cutoff_lpmm": float(0.27 / sigma * rng.normal(1.0, 0.15)),
        "noise_sd_hu": float(np.clip(drawn["noise_sd_hu"] * rng.uniform(1.0, 1.8), 10.0, 45.0)),
        "streak_sd_hu": float(rng.uniform(0.0, 8.0)),
        "cupping_hu": float(rng.uniform(0.0, 12.0)),
        "hardening": float(rng.uniform(0.5, 2.0)),
        "motion_mm": float(rng.gamma(2.0, 0.5)),
        "step_mm": float(rng.uniform(0.0, 2.5)),
    }


def _chest(bmi: float, rng: np.random.Generator) -> dict[str, Any]:
    sharp = rng.random() < SHARP_SHARE["chest"]
    scanner = _scanner(rng, SHARP_KERNELS if sharp else KERNELS)
    thickness = float(rng.choice((1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0)))
    kernel = _kernel(sharp, float(rng.uniform(0.5, 0.85)), 0.4, rng)
    thin_noise = (3.0 / thickness) ** 0.4
    sd = (16.0 + 0.9 * (bmi - 27.0)) * thin_noise * (1.7 if sharp else 1.0) * np.exp(rng.normal(0.0, 0.25))
    return {
        **scanner,
        "kvp": int(rng.choice((120, 120, 120, 100, 140))),
        "tin_filter": False,
        "slice_thickness_mm": thickness,
        "increment_mm": thickness * float(rng.choice((1.0, 1.0, 0.8, 2 / 3, 0.5))),
        "first_slice_offset_mm": float(rng.uniform(0.0, thickness)),
        "field_of_view_mm": float(rng.triangular(290.0, 350.0, 500.0).__round__(0)),
        "shift_mm": (float(rng.normal(-25.0, 8.0)), float(rng.normal(10.0, 8.0))),
        "margin_mm": (float(rng.uniform(15.0, 40.0)), float(rng.uniform(30.0, 60.0))),
        **kernel,
        "noise_sd_hu": float(np.clip(sd, 8.0, 55.0 if sharp else 45.0)),
        **_unrest(rng),
        "streak_sd_hu": float(max(0.0, rng.normal(1.0, 1.5))),
        "cupping_hu": float(rng.uniform(0.0, 6.0)),
        "hardening": float(rng.uniform(0.3, 1.2)),
        "motion_mm": float(0.4 + rng.gamma(2.0, 0.4)),
        "step_mm": float(rng.uniform(0.0, 2.0)),
        "gated": False,
        "padding_hu": {"GE": -3024, "Canon": -2048}.get(scanner["vendor"]),
    }
