"""The rules by name: how the literature and each workstation count."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from cacseg.errors import UsageError
from cacseg.scoring.rule import Rule

AGATSTON_EDGES_HU: Final = (130.0, 200.0, 300.0, 400.0)
"""Lowest peak HU of weights 1 to 4 at 120 kVp (Agatston 1990, doi:10.1016/0735-1097(90)90282-T)."""

_CONVENTIONS: Final = "FQM_Analysis CACscore.m, validated in Med Phys 2021 (doi:10.1002/mp.14912)"


def _rule(name: str, min_area_mm2: float, source: str, **rest: Any) -> Rule:
    values = {"threshold_hu": 130.0, "connectivity": 4, "weight_edges_hu": AGATSTON_EDGES_HU, **rest}
    return Rule(name=name, min_area_mm2=min_area_mm2, reference_increment_mm=3.0, source=source, **values)


_TABLE: Final = (
    _rule("literature", 1.0, f"Agatston 1990; {_CONVENTIONS}; volume as the plain sum of voxels"),
    _rule("literature-8", 1.0, "as literature, pixels joined across corners", connectivity=8),
    _rule(
        "literature-isotropic",
        1.0,
        f"as literature, volume interpolated to isotropic voxels (Callister 1998); {_CONVENTIONS}",
        volume_method="isotropic",
    ),
    _rule("ge", 1.0, _CONVENTIONS),
    _rule("siemens", 0.0, _CONVENTIONS),
    _rule("siemens-vb60", 0.5, "minimum area reported for syngo.via VB60 in the PureCalcium paper"),
    _rule("philips", 0.5, f"{_CONVENTIONS}; volume and mass from 100 mg HA/mL = 99/0.88 HU", volume_threshold_hu=112.5),
    _rule("canon", 0.0, _CONVENTIONS, min_pixels=3),
    _rule("terarecon", 1.0, _CONVENTIONS, volume_method="isotropic"),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _TABLE})
"""Every rule that is known without a configuration file; ``literature`` is the default."""


def rule_named(name: str, rules: Mapping[str, Rule] = RULES) -> Rule:
    """Find a rule.

    Raises
    ------
    UsageError : no rule has this name; the message lists those that exist.

    Examples
    --------
    >>> rule_named("philips").counted_volume_hu
    112.5
    """
    if name not in rules:
        raise UsageError(f"There is no rule named {name!r}; choose one of {', '.join(rules)}, or 'all'.")
    return rules[name]


def rules_from_mapping(data: object, where: str = "the given mapping") -> Mapping[str, Rule]:
    """Make rules from ``{"rules": {name: {field: value}}}``, the form of the files in ``configs/scoring``.

    A rule may start from another with ``based_on``; its other keys are the fields of :class:`Rule`.

    Parameters
    ----------
    data : the parsed YAML document.
    where : name of its origin, for messages.

    Raises
    ------
    UsageError : not this form, an unknown key, a missing one, or a value that no rule can have.

    Examples
    --------
    >>> rules = rules_from_mapping({"rules": {"ours": {"based_on": "ge", "min_area_mm2": 0.8}}})
    >>> rules["ours"].min_area_mm2, rules["ours"].connectivity
    (0.8, 4)
    """
    if not isinstance(data, Mapping) or set(data) != {"rules"} or not isinstance(data["rules"], Mapping):
        raise UsageError(f"{where}: expected one top-level key 'rules' holding a rule under each name.")
    known: dict[str, Rule] = dict(RULES)
    for name, values in data["rules"].items():
        known[str(name)] = _one_rule(str(name), values, known, where)
    return MappingProxyType({str(name): known[str(name)] for name in data["rules"]})


def _one_rule(name: str, values: object, known: Mapping[str, Rule], where: str) -> Rule:
    if name in RULES:
        raise UsageError(f"{where}: rule {name!r} exists already and cannot be redefined; choose another name.")
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: rule {name!r} holds {values!r}; expected fields and values.")
    allowed = {field.name for field in fields(Rule)} - {"name"}
    unknown = sorted(str(key) for key in set(values) - allowed - {"based_on"})
    if unknown:
        raise UsageError(
            f"{where}: rule {name!r} has unknown keys {', '.join(unknown)}; "
            f"expected some of {', '.join(sorted(allowed | {'based_on'}))}."
        )
    chosen: dict[str, Any] = {
        str(key): tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    base = chosen.pop("based_on", None)
    if base is not None:
        start = rule_named(base, known) if isinstance(base, str) else None
        if start is None:
            raise UsageError(f"{where}: rule {name!r} has based_on {base!r}; expected the name of a rule.")
        chosen = {**{field: getattr(start, field) for field in allowed}, **chosen}
    try:
        return Rule(name=name, **chosen)
    except TypeError as error:
        required = ("threshold_hu", "connectivity", "min_area_mm2", "weight_edges_hu", "reference_increment_mm")
        missing = [field for field in required if field not in chosen]
        raise UsageError(f"{where}: rule {name!r} lacks {', '.join(missing)}; or give based_on.") from error
