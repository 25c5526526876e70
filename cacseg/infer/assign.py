"""Give every candidate voxel of a scan its label: an artery, another structure, or background.

The network speaks on its own grid; everything counted stays on the original voxels. A voxel is a candidate
when its original HU reaches the rule's threshold, and no other voxel is ever labelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.findings import Finding, Severity
from cacseg.infer.bifurcation import FirstLook, shared_out
from cacseg.infer.closeup import looked_again
from cacseg.infer.components import FACES, connected
from cacseg.infer.decide import Decision, decide
from cacseg.infer.grid import axial_array, axial_view, model_input, obliqueness_degrees
from cacseg.infer.heart import HeartBox, find_heart
from cacseg.infer.release import Release
from cacseg.infer.sampling import Samples, averaged, joined, sample_candidates
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume

CUT_WARNING: Final = 0.35
CUT_REFUSAL: Final = 0.85
"""Heart area in the scan's first or last slice over the largest: from here on arteries are surely missing."""

OBLIQUE_WARNING_DEGREES: Final = 20.0
"""Training rotates by up to 15 degrees."""

METAL_HU: Final = 1600.0
"""Coronary calcium on a 3 mm scan rarely passes 1500 HU; a stent strut or a clip does."""

LEFT_OUT_NEAR: Final = 0.5
LEFT_OUT_MM3: Final = 15.0
"""Other calcium of this volume, whose voxels are on average this likely to lie near an artery, is told."""

WINDOW_MARGIN_MM: Final = 6.0
"""A heart that needs more than the height of the grid less this is read in two overlapping windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Labels of a scan.

    Parameters
    ----------
    labels : uint8, native shape and axis order, values of ``Label``.
    confidence : float32, same shape; probability of the given label where there is one, else 0.
    heart : where the heart was found, None when it was not.
    findings : what was noticed; a refusal among them means that the labels must not be scored.
    timings_s : seconds of each stage.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    heart: HeartBox | None
    findings: tuple[Finding, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)


def assign(volume: Volume, release: Release, *, rule_threshold_hu: float = 130.0) -> Assignment:
    """Find the heart, run the network around it, and label the candidate voxels.

    Parameters
    ----------
    volume : HU, any orientation.
    release : from ``load_release``, whose thread count is used.
    rule_threshold_hu : lowest candidate HU, inclusive.
    """
    labels = np.zeros(volume.shape, np.uint8)
    confidence = np.zeros(volume.shape, np.float32)
    timings: dict[str, float] = {}
    start = perf_counter()
    view = axial_view(volume)
    heart = find_heart(view, release.predict_heart, release.scout_grid)
    timings["find_heart"] = perf_counter() - start
    findings = _heart_findings(heart, volume)
    if heart is None or not heart.plausible:
        return Assignment(labels, confidence, heart, findings, timings)
    samples = sampled(view, heart, release, rule_threshold_hu, timings)
    start = perf_counter()
    decided, certainty = decide(samples, view, Decision(**release.decision))
    at = np.unravel_index(samples.voxels, view.shape)
    axial_array(labels, volume.affine)[at] = decided
    axial_array(confidence, volume.affine)[at] = certainty
    timings["decide"] = perf_counter() - start
    findings += _calcium_findings(samples, decided, rule_threshold_hu) + left_out_findings(samples, decided, view)
    return Assignment(labels, confidence, heart, findings, timings)


def sampled(view: Volume, heart: HeartBox, release: Release, threshold_hu: float, timings: dict[str, float]) -> Samples:
    """Run the networks around the heart and carry their scores to the candidate voxels.

    Parameters
    ----------
    view : the scan, axial view.
    heart : where to look.
    threshold_hu : lowest candidate HU, inclusive.
    timings : seconds of each stage are added here.
    """
    samples, looks = first_looks(view, heart, release, threshold_hu, timings)
    if release.closeup_session is not None:
        start = perf_counter()
        decision = Decision(**release.decision)
        samples = looked_again(samples, view, heart.centre_lps_mm, threshold_hu, decision, release.closeup_session)
        timings["closeup"] = perf_counter() - start
    if release.bifurcation_session is not None:
        start = perf_counter()
        samples = shared_out(samples, view, looks, release.bifurcation_session)
        timings["bifurcation"] = perf_counter() - start
    return samples


def first_looks(
    view: Volume, heart: HeartBox, release: Release, threshold_hu: float, timings: dict[str, float]
) -> tuple[Samples, list[FirstLook]]:
    """Run the first network; see ``sampled``.

    Returns
    -------
    What it says of the candidate voxels, and of its grid in each window, there at the first of ``shifts_mm``.
    """
    parts, looks = [], []
    grid = release.grid_for(heart.size_mm)
    for centre, slices in _windows(view, heart, grid.extent_mm[0]):
        passes: list[Samples] = []
        for shift_mm in release.shifts_mm:
            start = perf_counter()
            grid_input = model_input(view, centre + view.affine[:3, :3] @ (shift_mm / np.array(view.spacing_mm)), grid)
            middle = perf_counter()
            calcium, territory = release.predict(grid_input.cells[None])
            end = perf_counter()
            if not passes:
                looks.append(FirstLook(grid_input, calcium[0], territory[0]))
            passes.append(sample_candidates(view, grid_input, calcium[0], territory[0], threshold_hu, slices))
            for stage, seconds in (
                ("resample", middle - start),
                ("network", end - middle),
                ("sample", perf_counter() - end),
            ):
                timings[stage] = timings.get(stage, 0.0) + seconds
        parts.append(averaged(passes))
    return joined(parts), looks


def _windows(view: Volume, heart: HeartBox, height_mm: float) -> list[tuple[NDArray[np.float64], tuple[int, int]]]:
    """Centres of the grid and the view slices that each of them answers for."""
    surplus_mm = heart.size_mm[0] - (height_mm - WINDOW_MARGIN_MM)
    if surplus_mm <= 0:
        return [(heart.centre_lps_mm, (0, view.shape[0]))]
    count = 1 + int(np.ceil(surplus_mm / (height_mm / 2)))
    up = view.affine[:3, 0] / np.linalg.norm(view.affine[:3, 0])
    offsets_mm = (np.arange(count) - (count - 1) / 2) * surplus_mm / (count - 1)
    centres = [heart.centre_lps_mm + mm * up for mm in offsets_mm]
    middles = view.to_index(centres)[:, 0]
    edges = [0, *np.ceil((middles[:-1] + middles[1:]) / 2).astype(int).tolist(), view.shape[0]]
    edges = np.clip(edges, 0, view.shape[0]).tolist()
    return [(centre, (edges[i], edges[i + 1])) for i, centre in enumerate(centres)]


def _heart_findings(heart: HeartBox | None, volume: Volume) -> tuple[Finding, ...]:
    findings = []
    degrees = obliqueness_degrees(volume.affine)
    if degrees > OBLIQUE_WARNING_DEGREES:
        message = f"The slices are {degrees:.0f} degrees oblique; the network is trained up to 15 degrees."
        findings.append(Finding("oblique-slices", Severity.WARNING, message, "Check every lesion's artery."))
    if heart is None or not heart.plausible:
        seen = "nothing" if heart is None else f"{heart.volume_ml:.0f} mL of {heart.middle_hu:.0f} HU"
        message = (
            f"No heart was found in the scan without contrast (marked as heart: {seen}; "
            "expected 120 mL or more of at most 90 HU)."
        )
        action = "Score a non-contrast scan that shows the heart; check that the right series was chosen."
        return (*findings, Finding("no-heart", Severity.REFUSAL, message, action))
    for side, cut in (("upper", heart.cut_above), ("lower", heart.cut_below)):
        if cut >= CUT_WARNING:
            severity = Severity.REFUSAL if cut >= CUT_REFUSAL else Severity.WARNING
            message = (
                f"The heart is cut off at the {side} end of the scan: {100 * cut:.0f} % of its largest cross-section."
            )
            action = "The score may miss calcium; scan from the carina to below the apex."
            findings.append(Finding(f"heart-cut-{side}", severity, message, action))
    return tuple(findings)


def _calcium_findings(samples: Samples, labels: NDArray[np.uint8], threshold_hu: float) -> tuple[Finding, ...]:
    if samples.candidates == 0:
        message = f"No voxel around the heart reaches {threshold_hu:g} HU."
        return (Finding("no-candidates", Severity.INFO, message, "Nothing is to be done; the score is 0."),)
    coronary = (labels >= Label.LM) & (labels <= Label.RCA)
    metal: Any = samples.hu[coronary & (samples.hu >= METAL_HU)]
    if metal.size:
        message = f"{metal.size} voxels labelled coronary reach {metal.max():.0f} HU; metal, e.g. a stent, is likely."
        return (Finding("metal-in-coronary", Severity.WARNING, message, "Remove a stent from the score by hand."),)
    return ()


def left_out_findings(samples: Samples, labels: NDArray[np.uint8], view: Volume) -> tuple[Finding, ...]:
    """Tell of other calcium that lies where an artery runs: a stent or a granuloma, or dense plaque left out.

    Parameters
    ----------
    samples : of the scan.
    labels : (n,) uint8, what was decided for them.
    view : the scan, axial view.
    """
    at = np.flatnonzero(labels == Label.OTHER)
    if at.size == 0:
        return ()
    component = connected(samples.voxels[at], view.shape, FACES)
    count = np.bincount(component)
    near = np.bincount(component, weights=1.0 - samples.territory[at, 0]) / count
    found = np.flatnonzero((near >= LEFT_OUT_NEAR) & (count * view.voxel_volume_mm3 >= LEFT_OUT_MM3))
    told = []
    for number in found:
        inside = at[component == number]
        vessel = CORONARY[int(samples.territory[inside, 1:].sum(axis=0).argmax())]
        volume_mm3 = inside.size * view.voxel_volume_mm3
        told.append(f"{volume_mm3:.0f} mm3 of up to {samples.hu[inside].max()} HU ({vessel.name})")
    if not told:
        return ()
    message = f"Calcium or metal close to an artery was not counted as coronary: {', '.join(told)}."
    action = "Look at it: a stent, clip or granuloma stays out, a dense plaque is to be added by hand."
    return (Finding("other-near-artery", Severity.WARNING, message, action),)
