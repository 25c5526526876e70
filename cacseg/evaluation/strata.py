"""Bands into which cases are sorted, so that a weakness of one kind of scan does not hide in the mean.

Facts that a case may carry (``LabelledStudy.facts``): ``noise_sd_hu``, ``slice_thickness_mm``,
``slice_increment_mm``, ``field_of_view_mm``, ``kernel``, ``kvp``, ``tin_filter``, ``gated``, ``dominance``, ``bmi``,
``epicardial_fat_mm``. A fact that is unknown is absent, and the case then joins no band of it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from cacseg.evaluation.case import CaseMeasures
from cacseg.scoring import category_of

BAND_EDGES: Final[Mapping[str, tuple[float, ...]]] = {
    "noise_sd_hu": (15.0, 20.0, 25.0, 35.0),
    "slice_thickness_mm": (1.0, 2.0, 2.75, 3.25),
    "slice_increment_mm": (1.0, 2.0, 2.75, 3.25),
    "field_of_view_mm": (180.0, 220.0, 300.0),
    "bmi": (25.0, 30.0, 35.0),
    "epicardial_fat_mm": (4.0, 7.0, 10.0),
}
"""Upper edges (inclusive) of the bands of numeric facts; one more band lies above the last."""

NAMED_FACTS: Final = ("kernel", "kvp", "gated", "dominance")
"""Facts whose every value is a band of its own."""

SCORE_BAND: Final = "score_band"
"""The Agatston category of the reference."""


def band(value: float, edges: Sequence[float]) -> str:
    """Name the band of a value.

    Examples
    --------
    >>> band(18.0, (15.0, 20.0)), band(15.0, (15.0, 20.0)), band(21.0, (15.0, 20.0))
    ('15-20', '<=15', '>20')
    """
    if value <= edges[0]:
        return f"<={edges[0]:g}"
    for lower, upper in pairwise(edges):
        if value <= upper:
            return f"{lower:g}-{upper:g}"
    return f">{edges[-1]:g}"


def bands_of(case: CaseMeasures) -> dict[str, str]:
    """Give the band of a case for every fact that is known of it."""
    found: dict[str, str] = {}
    if case.status == "scored":
        found[SCORE_BAND] = category_of(case.truth["total"]).name
    for fact, edges in BAND_EDGES.items():
        value = case.facts.get(fact)
        if isinstance(value, int | float):
            found[fact] = band(float(value), edges)
    for fact in NAMED_FACTS:
        value = case.facts.get(fact)
        if value is not None:
            tin = "Sn" if fact == "kvp" and case.facts.get("tin_filter") else ""
            found[fact] = tin + _named(value)
    return found


def stratify(cases: Sequence[CaseMeasures]) -> dict[str, dict[str, list[CaseMeasures]]]:
    """Sort cases: fact -> band -> cases; bands in ascending or alphabetical order."""
    sorted_cases: dict[str, dict[str, list[CaseMeasures]]] = {}
    for case in cases:
        for fact, name in bands_of(case).items():
            sorted_cases.setdefault(fact, {}).setdefault(name, []).append(case)
    return {
        fact: {name: sorted_cases[fact][name] for name in sorted(sorted_cases[fact], key=_order)}
        for fact in (SCORE_BAND, *BAND_EDGES, *NAMED_FACTS)
        if fact in sorted_cases
    }


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _order(name: str) -> tuple[float, float, str]:
    """Order "<=15" before "15-20" before ">20", numbers by size, other names by letter."""
    after = 1.0 if name.startswith(">") else 0.0
    before = -1.0 if name.startswith("<") else after
    digits = name.lstrip("<>=").split("-")[0]
    try:
        return float(digits), before, name
    except ValueError:
        return 0.0, before, name
