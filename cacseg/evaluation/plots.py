"""The plots of an evaluation report."""

from collections.abc import Mapping, Sequence
from typing import Any

from cacseg.evaluation.case import CaseMeasures
from cacseg.evaluation.svg import (
    BLUE,
    ORANGE,
    Axis,
    bars,
    dots,
    figure,
    line,
    linear_axis,
    note,
    score_axis,
)

CATEGORY_LIMITS = (10.0, 100.0, 400.0)


def agreement_plot(cases: Sequence[CaseMeasures], name: str = "total") -> str:
    """Draw predicted over true Agatston on log axes; wrong categories stand out in orange."""
    highest = max([10.0, *(max(case.truth[name], case.predicted[name]) for case in cases)])
    x, y = score_axis(highest, "reference Agatston"), score_axis(highest, "predicted Agatston")
    marks = [line(x, y, [(0, 0), (x.high, x.high)])]
    marks += [line(x, y, [(limit, 0), (limit, y.high)], dash="2 4") for limit in CATEGORY_LIMITS if limit < x.high]
    marks += [line(x, y, [(0, limit), (x.high, limit)], dash="2 4") for limit in CATEGORY_LIMITS if limit < x.high]
    for colour, wanted in ((BLUE, True), (ORANGE, False)):
        points = [
            (case.truth[name], case.predicted[name], f"{case.id}: {case.truth[name]:.1f} -> {case.predicted[name]:.1f}")
            for case in cases
            if _same_band(case.truth[name], case.predicted[name]) is wanted
        ]
        marks += dots(x, y, points, colour)
    return figure(f"Agatston, {'all arteries' if name == 'total' else name}", x, y, marks)


def bland_altman_plot(cases: Sequence[CaseMeasures], limits: Mapping[str, float] | None) -> str:
    """Draw the difference over the mean with bias and 95 % limits."""
    differences = [case.predicted["total"] - case.truth["total"] for case in cases]
    reach = max(
        [1.0, *(abs(d) for d in differences), *((abs(limits["lower"]), abs(limits["upper"])) if limits else ())]
    )
    highest = max([10.0, *((case.truth["total"] + case.predicted["total"]) / 2 for case in cases)])
    x = score_axis(highest, "mean of both")
    y = linear_axis(-reach * 1.08, reach * 1.08, "predicted minus reference")
    marks = dots(
        x,
        y,
        [
            ((case.truth["total"] + case.predicted["total"]) / 2, difference, f"{case.id}: {difference:+.1f}")
            for case, difference in zip(cases, differences, strict=True)
        ],
    )
    if limits:
        for key, dash in (("bias", ""), ("lower", "5 4"), ("upper", "5 4")):
            marks.append(line(x, y, [(0, limits[key]), (x.high, limits[key])], ORANGE, dash))
            marks.append(note(x, y, (x.high, limits[key]), f"{limits[key]:+.1f}"))
    return figure("Bland-Altman", x, y, marks)


def reliability_plot(calibration: Mapping[str, Any]) -> str:
    """Draw how often lesions of each confidence were right."""
    x = linear_axis(0.0, 1.0, "confidence of a lesion")
    y = linear_axis(0.0, 1.0, "share labelled rightly")
    spans = [
        (
            entry["lower"],
            entry["upper"],
            entry["accuracy"],
            f"{entry['lesions']} lesions, {entry['accuracy']:.3f} right",
        )
        for entry in calibration["bins"]
    ]
    means = [
        (entry["mean_confidence"], entry["accuracy"], f"{entry['lesions']} lesions") for entry in calibration["bins"]
    ]
    marks = [*bars(x, y, spans), line(x, y, [(0, 0), (1, 1)]), *dots(x, y, means, ORANGE, 3.5)]
    return figure("Does the confidence mean what it says?", x, y, marks)


def reader_plot(calibration: Mapping[str, Any]) -> str:
    """Draw the error that is left when doubtful lesions go to a reader."""
    curve = calibration["reader"]
    highest = max([1e-6, *(entry["mean_absolute_error"] for entry in curve)])
    x = linear_axis(0.0, 1.0, "share of reported lesions that a reader sees")
    y = linear_axis(0.0, highest * 1.1, "mean absolute error, Agatston")
    points = [(entry["share_sent"], entry["mean_absolute_error"]) for entry in curve]
    texts = [
        (
            entry["share_sent"],
            entry["mean_absolute_error"],
            f"below {entry['below']:g}: {entry['lesions_sent']} lesions",
        )
        for entry in curve
    ]
    return figure("Doubtful lesions to a reader", x, y, [line(x, y, points, BLUE), *dots(x, y, texts, BLUE, 3.5)])


def strata_plot(fact: str, bands: Mapping[str, Any], key: str, name: str) -> str | None:
    """Draw one estimate with its interval for each band; ``None`` where no band defines it."""
    entries = [(band, short[key], short["cases"]) for band, short in bands.items() if _defined(short.get(key))]
    if not entries:
        return None
    values = [v for _, estimate, _ in entries for v in (estimate["value"], estimate["lower"]) if v is not None]
    low = max(-1.0, min([0.9, *values]) - 0.02)
    ticks = tuple((float(k), f"{band} (n={count})") for k, (band, _, count) in enumerate(entries))
    x = Axis(-0.5, len(entries) - 0.5, fact.replace("_", " "), ticks)
    y = linear_axis(low, 1.0, name)
    marks: list[str] = []
    for k, (band, estimate, _) in enumerate(entries):
        if estimate["lower"] is not None:
            marks.append(line(x, y, [(k, estimate["lower"]), (k, estimate["upper"])], BLUE))
        marks += dots(x, y, [(k, estimate["value"], f"{band}: {estimate['value']:.3f}")], BLUE, 4.0)
    return figure(f"{name} by {fact.replace('_', ' ')}", x, y, marks)


def _same_band(first: float, second: float) -> bool:
    limits = (0.0, *CATEGORY_LIMITS)
    return sum(first > limit for limit in limits) == sum(second > limit for limit in limits)


def _defined(estimate: Any) -> bool:
    return isinstance(estimate, Mapping) and estimate["value"] is not None
