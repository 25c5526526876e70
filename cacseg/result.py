"""The result of one study: the one noun that every report is written from.

``Result.to_dict`` gives the form of the contract (``result.json``, ``schema_version`` 1.0), ``from_dict``
reads it back. The JSON Schema lies beside this file and ships in the wheel.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from cacseg.acquisition import Known, Patient
from cacseg.findings import Finding, Severity
from cacseg.scoring.rule import Rule
from cacseg.scoring.score import Lesion, Score, Scoring
from cacseg.vessels import CORONARY, STRUCTURE, Label

if TYPE_CHECKING:
    from cacseg.scoring import RescanInterval

SCHEMA_VERSION: Final = "1.0"
NOT_A_DEVICE: Final = (
    "The released model was trained on synthetic data only; it has seen no patient. Not a medical device: "
    "for research, not for diagnosis."
)
"""Stands wherever a result is shown."""


@dataclass(frozen=True, slots=True)
class Series:
    """The scored series, as reported."""

    series_instance_uid: str | None
    description: str | None
    slices: int
    spacing_mm: tuple[float, float, float]
    slice_thickness_mm: float | None
    kvp: float | None
    kernel: str | None
    gated: Known
    contrast: Known


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One series of the study, chosen or not, and why."""

    series_instance_uid: str | None
    description: str | None
    chosen: bool
    reasons: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interval:
    """How far a rescan of the same patient would plausibly lie from the score.

    ``category_probability`` maps each Agatston category to the probability that a rescan falls in it.
    """

    level: float
    agatston: tuple[float, float]
    method: str
    category_stable: bool
    category_probability: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, found: "RescanInterval") -> Self:
        """Keep of a simulated interval what a result tells."""
        return cls(
            level=found.level,
            agatston=found.agatston,
            method=found.method,
            category_stable=found.category_stable,
            category_probability=found.category_probability,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One study, scored or refused.

    ``scores``, ``rule`` and ``interval`` are ``None`` exactly when ``status`` is ``"refused"``. ``risk`` and
    ``provenance`` are JSON-ready mappings (their keys are described in the schema).
    """

    status: Literal["scored", "refused"]
    study_instance_uid: str | None
    patient: Patient
    series: Series | None
    ledger: tuple[LedgerEntry, ...]
    findings: tuple[Finding, ...]
    scoring: Scoring | None
    interval: Interval | None
    risk: Mapping[str, Any] | None
    provenance: Mapping[str, Any]
    other_rules: tuple[Scoring, ...] = ()
    mass: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form of the contract; every key is present, unknown values are ``None``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "notice": NOT_A_DEVICE,
            "study": {"study_instance_uid": self.study_instance_uid, "patient": asdict(self.patient)},
            "series": None
            if self.series is None
            else {**asdict(self.series), "spacing_mm": list(self.series.spacing_mm)},
            "ledger": [{**asdict(entry), "reasons": list(entry.reasons)} for entry in self.ledger],
            **scoring_to_dict(self.scoring),
            "interval": None
            if self.interval is None
            else {**asdict(self.interval), "agatston": list(self.interval.agatston)},
            "risk": None if self.risk is None else dict(self.risk),
            "mass": None if self.mass is None else dict(self.mass),
            "other_rules": [
                {"rule": rule_to_dict(other.rule), "scores": scores_to_dict(other)} for other in self.other_rules
            ],
            "findings": [
                {"code": f.code, "severity": f.severity.value, "message": f.message, "action": f.action}
                for f in self.findings
            ],
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form back."""
        series = data["series"]
        interval = data["interval"]
        return cls(
            status=data["status"],
            study_instance_uid=data["study"]["study_instance_uid"],
            patient=Patient(**data["study"]["patient"]),
            series=None if series is None else Series(**{**series, "spacing_mm": tuple(series["spacing_mm"])}),
            ledger=tuple(LedgerEntry(**{**entry, "reasons": tuple(entry["reasons"])}) for entry in data["ledger"]),
            findings=tuple(Finding(**{**f, "severity": Severity(f["severity"])}) for f in data["findings"]),
            scoring=None if data["scores"] is None else _scored_from_dict(data),
            interval=None if interval is None else Interval(**{**interval, "agatston": tuple(interval["agatston"])}),
            risk=data["risk"],
            provenance=data["provenance"],
            other_rules=tuple(
                _scored_from_dict({**other, "lesions": [], "extracoronary": []}) for other in data["other_rules"]
            ),
            mass=data["mass"],
        )


def rule_to_dict(rule: Rule) -> dict[str, Any]:
    """Spell a rule out."""
    return {**asdict(rule), "weight_edges_hu": list(rule.weight_edges_hu)}


def scores_to_dict(scoring: Scoring) -> dict[str, Any]:
    """Give ``{"total": ..., "vessels": {"LM": ...}}``."""
    return {
        "total": asdict(scoring.total),
        "vessels": {vessel.name: asdict(scoring.vessels[vessel]) for vessel in CORONARY},
    }


def lesion_to_dict(lesion: Lesion) -> dict[str, Any]:
    """Give one coronary lesion with its artery under ``vessel``, another with ``structure``."""
    owner = {"vessel": lesion.label.name} if lesion.label in CORONARY else {"structure": STRUCTURE[lesion.label]}
    return {
        "id": lesion.id,
        **owner,
        "agatston": lesion.agatston,
        "volume_mm3": lesion.volume_mm3,
        "mass_mg": lesion.mass_mg,
        "area_mm2": lesion.area_mm2,
        "peak_hu": lesion.peak_hu,
        "slices": list(lesion.slices),
        "centroid_lps_mm": list(lesion.centroid_lps_mm),
        "confidence": lesion.confidence,
    }


def scoring_to_dict(scoring: Scoring | None) -> dict[str, Any]:
    """Give rule, scores and lesions; all empty for ``None``."""
    if scoring is None:
        return {"rule": None, "scores": None, "lesions": [], "extracoronary": [], "extracoronary_lesions": []}
    return {
        "rule": rule_to_dict(scoring.rule),
        "scores": scores_to_dict(scoring),
        "lesions": [lesion_to_dict(lesion) for lesion in scoring.lesions],
        "extracoronary": [
            {
                "structure": STRUCTURE[label],
                "agatston": score.agatston,
                "volume_mm3": score.volume_mm3,
                "mass_mg": score.mass_mg,
                "lesions": score.lesions,
            }
            for label, score in scoring.structures.items()
            if score.lesions
        ],
        "extracoronary_lesions": [lesion_to_dict(lesion) for lesion in scoring.extracoronary],
    }


def _scored_from_dict(data: Mapping[str, Any]) -> Scoring:
    rule = {**data["rule"], "weight_edges_hu": tuple(data["rule"]["weight_edges_hu"])}
    by_name = {name: label for label, name in STRUCTURE.items()}
    structures = {label: Score(0.0, 0.0, 0.0, 0) for label in STRUCTURE}
    for entry in data["extracoronary"]:
        rest = {key: entry[key] for key in ("agatston", "volume_mm3", "mass_mg", "lesions")}
        structures[by_name[entry["structure"]]] = Score(**rest)
    return Scoring(
        rule=Rule(**rule),
        total=Score(**data["scores"]["total"]),
        vessels={vessel: Score(**data["scores"]["vessels"][vessel.name]) for vessel in CORONARY},
        structures=structures,
        lesions=tuple(_lesion_from_dict(lesion, by_name) for lesion in data["lesions"]),
        extracoronary=tuple(_lesion_from_dict(lesion, by_name) for lesion in data.get("extracoronary_lesions", [])),
    )


def _lesion_from_dict(data: Mapping[str, Any], by_name: Mapping[str, Label]) -> Lesion:
    rest = {key: value for key, value in data.items() if key not in ("vessel", "structure")}
    label = Label[data["vessel"]] if "vessel" in data else by_name[data["structure"]]
    rest["slices"] = tuple(rest["slices"])
    rest["centroid_lps_mm"] = tuple(rest["centroid_lps_mm"])
    return Lesion(label=label, **rest)
