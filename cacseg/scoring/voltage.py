"""Adapting a rule to the tube voltage: calcium is brighter at lower voltage, so its thresholds rise.

Adaptation is automatic: a rule means 130 HU *at 120 kVp*, and what that is at another voltage is looked up
here. Every adaptation is a finding; 120 kVp is left untouched; a voltage that is not known, or that no
table covers, is scored as 120 kVp with a warning. Calling the scorer with the unadapted rule opts out.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

from cacseg.findings import Finding, Severity
from cacseg.scoring.rule import Rule
from cacseg.scoring.rules import AGATSTON_EDGES_HU

Basis = Literal["published", "computed"]

REFERENCE_KVP: Final = 120.0
SAME_KVP: Final = 0.5
"""Voltages closer than this are the same setting."""


@dataclass(frozen=True, slots=True)
class Beam:
    """What 130, 200, 300 and 400 HU at 120 kVp become at another voltage.

    Parameters
    ----------
    kvp : tube voltage; ``tin_filter``: hardened by tin ("Sn100").
    edges_hu : threshold (also the edge of weight 1) and the edges of weights 2, 3 and 4.
    basis : ``"published"`` in patients or phantoms, or ``"computed"`` from a spectral simulation.
    source : where it comes from.
    """

    kvp: float
    tin_filter: bool
    edges_hu: tuple[float, float, float, float]
    basis: Basis
    source: str

    @property
    def name(self) -> str:
        """Print the beam: ``"100 kVp"``, ``"Sn100 kVp"``."""
        return f"{'Sn' if self.tin_filter else ''}{self.kvp:g} kVp"


_GRANI: Final = "Gräni et al. 2018, doi:10.1093/ehjci/jey019, as coded in CalciumScoring.jl"
_SIMULATED: Final = "spectral simulation (SpekPy, xraydb), 32 cm of water, ratio of hydroxyapatite HU to 120 kVp"

_PUBLISHED: Final = (
    Beam(70, False, (207, 318, 477, 636), "published", _GRANI),
    Beam(80, False, (177, 271, 408, 544), "published", _GRANI),
    Beam(100, False, (145, 222, 334, 446), "published", "CalciumScoring.jl, attributed there to Gräni et al. 2018"),
    Beam(135, False, (119, 183, 274, 364), "published", "CalciumScoring.jl"),
)
_COMPUTED: Final = tuple(
    Beam(kvp, tin, edges, "computed", _SIMULATED)
    for kvp, tin, edges in (
        (90.0, False, (161.0, 247.0, 371.0, 495.0)),
        (110.0, False, (138.0, 212.0, 318.0, 424.0)),
        (130.0, False, (124.0, 190.0, 285.0, 380.0)),
        (140.0, False, (118.0, 182.0, 273.0, 364.0)),
        (150.0, False, (114.0, 175.0, 263.0, 351.0)),
        (100.0, True, (120.0, 184.0, 276.0, 368.0)),
        (110.0, True, (111.0, 171.0, 256.0, 342.0)),
        (120.0, True, (104.0, 161.0, 241.0, 321.0)),
        (130.0, True, (99.0, 153.0, 229.0, 306.0)),
        (140.0, True, (95.0, 147.0, 220.0, 294.0)),
        (150.0, True, (92.0, 142.0, 213.0, 284.0)),
    )
)
_REFERENCE: Final = Beam(REFERENCE_KVP, False, AGATSTON_EDGES_HU, "published", "Agatston et al. 1990")

BEAMS: Final = tuple(sorted((*_PUBLISHED, *_COMPUTED, _REFERENCE), key=lambda beam: (beam.tin_filter, beam.kvp)))
"""Every tabulated beam, plain ones first, by voltage."""


def beam_at(kvp: float, tin_filter: bool = False) -> Beam | None:
    """Look up a beam; between two tabulated voltages the edges are interpolated and marked as computed.

    Returns
    -------
    Beam, or ``None`` outside the tabulated voltages (70-150 kVp; with tin 100-150 kVp).

    Examples
    --------
    >>> beam_at(100).edges_hu
    (145, 222, 334, 446)
    >>> beam_at(105).basis, beam_at(60) is None
    ('computed', True)
    """
    row = [beam for beam in BEAMS if beam.tin_filter == tin_filter]
    for beam in row:
        if abs(beam.kvp - kvp) < SAME_KVP:
            return beam
    for low, high in pairwise(row):
        if low.kvp < kvp < high.kvp:
            share = (kvp - low.kvp) / (high.kvp - low.kvp)
            first, second, third, fourth = (
                a + share * (b - a) for a, b in zip(low.edges_hu, high.edges_hu, strict=True)
            )
            source = f"interpolated between {low.name} ({low.source}) and {high.name} ({high.source})"
            return Beam(kvp, tin_filter, (first, second, third, fourth), "computed", source)
    return None


def adapt(rule: Rule, kvp: float | None, tin_filter: bool = False) -> tuple[Rule, tuple[Finding, ...]]:
    """Adapt a rule to the tube voltage of a series.

    Parameters
    ----------
    rule : as named, for 120 kVp.
    kvp : tube voltage; ``None`` or not positive: unknown.
    tin_filter : whether tin hardened the beam.

    Returns
    -------
    rule : thresholds and edges adapted (``adapted_to`` set), or as given.
    findings : one for every adaptation, or for why there is none; empty at 120 kVp.

    Examples
    --------
    >>> from cacseg.scoring.rules import RULES
    >>> rule, findings = adapt(RULES["literature"], 100.0)
    >>> rule.threshold_hu, rule.weight_edges_hu, findings[0].code
    (145, (145, 222, 334, 446), 'rule-adapted-to-voltage')
    >>> adapt(RULES["literature"], 120.0) == (RULES["literature"], ())
    True
    """
    if kvp is None or not math.isfinite(kvp) or kvp <= 0:
        return rule, (_unknown(rule),)
    beam = beam_at(kvp, tin_filter)
    if beam is None:
        return rule, (_outside(rule, kvp, tin_filter),)
    if beam is _REFERENCE:
        return rule, ()
    adapted = _on_beam(rule, beam)
    return adapted, (_adapted(rule, adapted, beam),)


def _on_beam(rule: Rule, beam: Beam) -> Rule:
    """Carry every HU value of a rule to a beam; the four standard values by the table, others by ratio."""
    table = dict(zip(AGATSTON_EDGES_HU, beam.edges_hu, strict=True))
    ratio = beam.edges_hu[0] / AGATSTON_EDGES_HU[0]

    def carried(hu: float) -> float:
        return table.get(hu, hu * ratio)

    first, second, third, fourth = (carried(edge) for edge in rule.weight_edges_hu)
    return replace(
        rule,
        threshold_hu=carried(rule.threshold_hu),
        weight_edges_hu=(first, second, third, fourth),
        volume_threshold_hu=None if rule.volume_threshold_hu is None else carried(rule.volume_threshold_hu),
        adapted_to=beam.name,
    )


def _adapted(rule: Rule, adapted: Rule, beam: Beam) -> Finding:
    change = (
        f"{beam.name}: threshold {rule.threshold_hu:g} -> {adapted.threshold_hu:g} HU, weight edges "
        f"{_print(rule.weight_edges_hu)} -> {_print(adapted.weight_edges_hu)} HU ({beam.source})."
    )
    if beam.basis == "published":
        return Finding(
            "rule-adapted-to-voltage",
            Severity.INFO,
            f"Rule {rule.name!r} was adapted to {change}",
            "Compare only with scores of the same adaptation; a protocol at 120 kVp needs none.",
        )
    return Finding(
        "rule-adapted-to-voltage-computed",
        Severity.WARNING,
        f"Rule {rule.name!r} was adapted to {change} These values are computed, not clinically validated.",
        "Treat the score as an estimate; repeat at 120 kVp if a decision hangs on it.",
    )


def _unknown(rule: Rule) -> Finding:
    return Finding(
        "kvp-unknown",
        Severity.WARNING,
        f"The tube voltage is not known; rule {rule.name!r} was applied as for 120 kVp.",
        "Find the tube voltage: at 100 kVp the same calcium reads about 12 % brighter, at 70 kVp 60 %.",
    )


def _outside(rule: Rule, kvp: float, tin_filter: bool) -> Finding:
    known = "100 to 150 kVp with a tin filter" if tin_filter else "70 to 150 kVp"
    return Finding(
        "kvp-outside-table",
        Severity.WARNING,
        f"Tube voltage {'Sn' if tin_filter else ''}{kvp:g} kVp lies outside the known {known}; rule "
        f"{rule.name!r} was applied as for 120 kVp.",
        "Check the KVP tag; do not compare the score with others.",
    )


def _print(edges: tuple[float, ...]) -> str:
    return "/".join(f"{edge:g}" for edge in edges)
