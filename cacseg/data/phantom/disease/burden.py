"""How much coronary calcium a patient has, and in which arteries."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from cacseg.data.phantom.disease.mesa import AGE_KNOTS_YEARS, MESA_FIT
from cacseg.vessels import CORONARY, Label

Mode = Literal["mesa", "training"]

OLDEST_YEARS: Final = 90.0
YOUNGEST_YEARS: Final = 35.0
"""The fit covers 45-84 years; a little beyond it the mean of ln(score) is continued, further it is held."""

TRAINING_BANDS: Final = (
    (0.20, 0.0, 0.0),
    (0.20, 1.5, 10.0),
    (0.20, 10.0, 100.0),
    (0.20, 100.0, 400.0),
    (0.13, 400.0, 1000.0),
    (0.07, 1000.0, 3500.0),
)
"""Share, lowest and highest score of each band of the training mixture; log-uniform within a band."""

INVOLVEMENT: Final = {
    Label.LM: (-1.75, 0.36),
    Label.LAD: (0.10, 1.05),
    Label.LCX: (-1.05, 0.56),
    Label.RCA: (-0.80, 0.68),
}
"""Log-odds that an artery is involved at a score of 7 and their slope per unit of ln(score / 7).

Set so that new calcium (median score 7.1) lies in a single artery in 72 % and, by artery, as in MESA
(Alluri et al. 2015, PMC4476056), and that nearly all scores over 400 involve several.
"""

SINGLE_VESSEL: Final = {Label.LM: 6.0, Label.LAD: 44.0, Label.LCX: 10.0, Label.RCA: 12.0}
"""Per cent of new calcium that lies in this artery alone (same source)."""

TRAINING_EXTRA_LOG_ODDS: Final = {Label.LM: 1.0, Label.LAD: -0.1, Label.LCX: 0.7, Label.RCA: 0.2}

SHARE: Final = {Label.LM: 0.14, Label.LAD: 1.0, Label.LCX: 0.45, Label.RCA: 0.75}
"""Median relative amount in an involved artery; spread log-normally by ``SHARE_SIGMA``."""

SHARE_SIGMA: Final = 0.8

SMALLEST_AGATSTON: Final = 1.5
"""No artery gets less than this: about the least that shows on a 3 mm scan at 130 HU and 1 mm2."""

MOST_PER_LM_MM: Final = 11.0
"""Agatston units per mm of left main beyond which no more is put there; the left main is 3-16 mm long."""


@dataclass(frozen=True, slots=True)
class Burden:
    """Target Agatston score and how unusual it is.

    Parameters
    ----------
    agatston : 0 or at least 1.
    propensity : standard normal deviate of the score among people alike (or in the mixture): what calcium
        elsewhere is correlated with.
    """

    agatston: float
    propensity: float


def draw_burden(
    age_years: float, sex: str, race: str | None, rng: np.random.Generator, mode: Mode = "training"
) -> Burden:
    """Draw a target score.

    Parameters
    ----------
    age_years : clipped to 35-90.
    sex : "M" or "F".
    race : "white", "black", "hispanic" or "chinese"; anything else counts as "white".
    rng : source of chance.
    mode : "mesa" draws as in that population; "training" balances zeros, scores of 1-10 and all categories.

    Examples
    --------
    >>> draw_burden(60, "F", None, np.random.default_rng(1), "training").agatston >= 0
    True
    """
    rank = float(rng.uniform())
    rank = min(max(rank, 1e-6), 1 - 1e-6)
    score = _mesa_score(age_years, sex, race, rank) if mode == "mesa" else _training_score(rank)
    return Burden(score, NormalDist().inv_cdf(rank))


def burden_of(agatston: float) -> Burden:
    """Take a given score; its propensity is where it stands in the training mixture."""
    below = 0.0
    for share, low, high in TRAINING_BANDS:
        if agatston <= high:
            part = 0.5 if high == 0 or agatston <= low else math.log(agatston / low) / math.log(high / low)
            below += share * part
            break
        below += share
    return Burden(agatston, NormalDist().inv_cdf(min(max(below, 0.01), 0.995)))


def split_by_artery(
    agatston: float, lm_length_mm: float, rng: np.random.Generator, mode: Mode = "training"
) -> dict[Label, float]:
    """Divide a score over the arteries.

    Parameters
    ----------
    agatston : total.
    lm_length_mm : length of the left main, which bounds what it can hold.
    rng : source of chance.
    mode : "training" involves LM and LCX more often.

    Returns
    -------
    Score of every artery, in the order LM, LAD, LCX, RCA; the sum is the total.
    """
    if agatston <= 0:
        return dict.fromkeys(CORONARY, 0.0)
    involved = _involved(agatston, rng, mode)
    weight = {label: SHARE[label] * math.exp(SHARE_SIGMA * float(rng.standard_normal())) for label in involved}
    while len(weight) > 1:
        least = min(weight, key=weight.__getitem__)
        if agatston * weight[least] / sum(weight.values()) >= SMALLEST_AGATSTON:
            break
        del weight[least]
    total = sum(weight.values())
    split = {label: agatston * weight.get(label, 0.0) / total for label in CORONARY}
    excess = max(0.0, split[Label.LM] - MOST_PER_LM_MM * lm_length_mm)
    if excess > 0:
        split[Label.LM] -= excess
        split[Label.LAD] += excess
    return split


def _involved(agatston: float, rng: np.random.Generator, mode: Mode) -> list[Label]:
    """Which arteries hold any calcium; at least one."""
    found = []
    for label in CORONARY:
        start, slope = INVOLVEMENT[label]
        log_odds = start + slope * math.log(agatston / 7.0)
        if mode == "training":
            log_odds += TRAINING_EXTRA_LOG_ODDS[label]
        if float(rng.uniform()) < 1 / (1 + math.exp(-log_odds)):
            found.append(label)
    if not found:
        odds = np.array([SINGLE_VESSEL[label] for label in CORONARY])
        found = [CORONARY[int(rng.choice(len(CORONARY), p=odds / odds.sum()))]]
    return found


def _mesa_score(age_years: float, sex: str, race: str | None, rank: float) -> float:
    """Score at a rank (0-1) among people of this age, sex and race."""
    fit = MESA_FIT.get((sex, (race or "white").lower()), MESA_FIT["F" if sex == "F" else "M", "white"])
    positive = float(np.interp(age_years, AGE_KNOTS_YEARS, fit.positive_percent)) / 100
    if rank <= 1 - positive:
        return 0.0
    within = NormalDist().inv_cdf(min(max((rank - 1 + positive) / positive, 1e-9), 1 - 1e-9))
    age = min(max(age_years, YOUNGEST_YEARS), OLDEST_YEARS)
    return max(1.0, math.exp(fit.intercept + fit.per_year * age + fit.sigma * within))


def _training_score(rank: float) -> float:
    """Score at a rank (0-1) of the training mixture."""
    below = 0.0
    for share, low, high in TRAINING_BANDS:
        if rank < below + share or high == TRAINING_BANDS[-1][2]:
            if high == 0:
                return 0.0
            return low * math.exp(math.log(high / low) * (rank - below) / share)
        below += share
    return TRAINING_BANDS[-1][2]
