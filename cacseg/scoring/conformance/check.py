"""Comparing somebody's answers with the expected scores."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from cacseg.scoring.conformance.case import Case

ROUNDING: Final = 0.5000001
"""A printed number may differ from the exact one by half a unit of its last digit."""

Quantity = Literal["agatston", "volume_mm3", "lesions"]
QUANTITIES: Final[tuple[Quantity, ...]] = ("agatston", "volume_mm3", "lesions")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program says about a case under a rule, as text, so that its precision shows; empty: no answer."""

    case: str
    rule: str
    agatston: str = ""
    volume_mm3: str = ""
    lesions: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expected number beside the one given.

    Parameters
    ----------
    agrees : ``None`` where no answer was given.
    isolates : what the case tests, so that a disagreement explains itself.
    """

    case: str
    rule: str
    quantity: Quantity
    expected: float
    given: str
    agrees: bool | None
    isolates: str


def check_answers(answers: Iterable[Answer], made: tuple[Case, ...]) -> tuple[Verdict, ...]:
    """Compare answers with every case and the rules that were answered for at least once.

    Parameters
    ----------
    answers : in any order; those for unknown cases or rules give a verdict that disagrees.
    made : the cases of :func:`~cacseg.scoring.conformance.cases.cases`.

    Examples
    --------
    >>> from cacseg.scoring.conformance.cases import cases
    >>> verdicts = check_answers([Answer("weight-400", "ge", agatston="9.0")], cases())
    >>> next(v for v in verdicts if v.given).agrees
    True
    """
    by_key = {(answer.case, answer.rule): answer for answer in answers}
    rules = sorted({rule for _, rule in by_key})
    found = []
    for case in made:
        for rule in rules:
            if rule not in case.expected:
                continue
            answer = by_key.get((case.name, rule), Answer(case.name, rule))
            for quantity in QUANTITIES:
                expected = float(getattr(case.expected[rule], quantity))
                given = getattr(answer, quantity).strip()
                found.append(
                    Verdict(case.name, rule, quantity, expected, given, _agrees(expected, given), case.isolates)
                )
    known = {(case.name, rule) for case in made for rule in case.expected}
    for key in sorted(set(by_key) - known):
        found.append(Verdict(*key, "agatston", float("nan"), by_key[key].agatston, False, "no such case or rule"))
    return tuple(found)


def _agrees(expected: float, given: str) -> bool | None:
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        return False
    digits = given.lower().split("e")[0].partition(".")[2]
    unit = 10.0 ** -len(digits) if "e" not in given.lower() else 0.0
    return abs(value - expected) <= max(ROUNDING * unit if digits else 0.0, 1e-6 * max(expected, 1.0))
