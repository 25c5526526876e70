"""How far a rescan of the same patient would plausibly lie from the score.

The scan itself is rescanned in simulation: its slices start elsewhere, its noise is drawn afresh with the SD
and correlation that it has, lesions at the threshold or below the minimum area come and go. What such a
simulation cannot see (calcium blurred away in this scan, motion, contact of plaques with their surroundings)
is a spread of its own, measured on digital patients that were scanned twice
(``benchmarks/interval_coverage.py``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.errors import UsageError
from cacseg.scoring.category import AGATSTON_CATEGORIES, category_of
from cacseg.scoring.compare import DEFAULT_BMI, repeatability_limit
from cacseg.scoring.noise import Noise, measure_noise
from cacseg.scoring.rescan import rescan_scores
from cacseg.scoring.rule import Rule
from cacseg.scoring.rules import RULES
from cacseg.scoring.scorer import check_same_grid, score
from cacseg.volume import Volume

REALISATIONS: Final = 192
"""Simulated rescans; the calibration below belongs to this number."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the spread of simulated rescans becomes that of real ones, on the scale ``u = sqrt(A + 1)``.

    ``centre = own u1 + (1 - own) mean + bias`` and ``spread^2 = (gain sd)^2 + floor^2 + (low / u1)^2``, with
    ``mean`` and ``sd`` of the simulated rescans on that scale and ``u1`` of the score itself.

    Parameters
    ----------
    own : weight of the score itself against the mean of the simulated rescans.
    bias : added to the centre.
    gain : factor on the simulated spread.
    floor, low : spread that simulation from one scan cannot see, and how much more of it low scores have.
    zero_upper : 95 % limit of the rescan's score where this one is 0.
    zero_stays : probability that a rescan of a score of 0 is 0.
    source : what it was fitted on.
    """

    own: float
    bias: float
    gain: float
    floor: float
    low: float
    zero_upper: float
    zero_stays: float
    source: str


CALIBRATION: Final = Calibration(
    own=0.649,
    bias=0.312,
    gain=0.4,
    floor=0.784,
    low=0.749,
    zero_upper=1.5,
    zero_stays=0.95,
    source="305 digital patients scanned twice",
)
"""From ``benchmarks/interval_coverage.py``; docs/scoring.md has the curve.

Of 73 rescans of scans without coronary calcium, in which noise alone brought none up, 3 were above 0 there, too few to
tell how high they come: ``zero_upper`` is the published repeatability limit at a score of 0 (Chung 2008, 28 kg/m2)
and ``zero_stays`` the level of the interval.
"""


@dataclass(frozen=True, slots=True)
class RescanInterval:
    """Where the score of a rescan lies.

    Parameters
    ----------
    level : probability that the rescan's coronary Agatston score lies in ``agatston``.
    agatston : lower and upper limit.
    method : how it was found, for people.
    category_stable : whether both limits fall in the category of the score.
    category_probability : of each Agatston category, that the rescan falls in it; they sum to 1.
    published : limits from the published 95 % between-scan repeatability (Chung 2008), wider where motion and
        repositioning of real patients count, at the body-mass index given.
    noise_sd_hu, seed, realisations : what the simulation used.
    """

    level: float
    agatston: tuple[float, float]
    method: str
    category_stable: bool
    category_probability: Mapping[str, float]
    published: tuple[float, float]
    noise_sd_hu: float
    seed: int
    realisations: int


def rescan_interval(
    volume: Volume,
    labels: Volume,
    rule: Rule = RULES["literature"],
    *,
    noise_sd_hu: float | None = None,
    seed: int = 0,
    level: float = 0.95,
    bmi: float | None = None,
    calibration: Calibration = CALIBRATION,
) -> RescanInterval:
    """Give the interval in which the coronary Agatston score of a rescan lies.

    Parameters
    ----------
    volume, labels, rule : as given to :func:`~cacseg.scoring.scorer.score`; labels also of voxels in components
        below the minimum area, which a rescan may bring up.
    noise_sd_hu : measured noise SD; ``None`` measures it here. Its correlation is always measured here.
    seed : the same seed gives the same interval.
    level : between 0.5 and 0.999.
    bmi : body-mass index for the published limits; a documented default where not known.
    calibration : fitted constants.

    Raises
    ------
    UsageError : labels off the grid, a negative SD, or a level out of range.

    Examples
    --------
    >>> hu = np.full((5, 32, 32), 40, np.int16)
    >>> hu[2, 12:18, 12:18] = 500
    >>> labels = (hu > 130).astype(np.uint8)
    >>> spacing = (3.0, 0.5, 0.5)
    >>> interval = rescan_interval(Volume.axial(hu, spacing), Volume.axial(labels, spacing), noise_sd_hu=20.0)
    >>> low, high = interval.agatston
    >>> low < 36.0 < high, interval.category_stable
    (True, True)
    """
    if not 0.5 <= level <= 0.999:
        raise UsageError(f"The level of the interval is {level!r}; expected 0.5 to 0.999.")
    if noise_sd_hu is not None and not (math.isfinite(noise_sd_hu) and noise_sd_hu >= 0):
        raise UsageError(f"The noise SD is {noise_sd_hu!r} HU; expected a number >= 0, or None to measure it.")
    check_same_grid(volume, labels)
    agatston = score(volume, labels, rule).total.agatston
    noise = measure_noise(volume, noise_sd_hu)
    simulated = rescan_scores(volume, labels, rule, noise, REALISATIONS, np.random.default_rng(seed))
    scaled = np.sqrt(simulated + 1)
    summary = (float(scaled.mean()), float(scaled.std())) if simulated.any() else None
    low, high = interval_from(agatston, summary, level, calibration)
    predicted = _predicted(agatston, summary, calibration)
    body = DEFAULT_BMI if bmi is None else bmi
    limit = repeatability_limit(agatston, body)
    return RescanInterval(
        level=level,
        agatston=(low, high),
        method=_method(
            noise, seed, calibration, limit, f"body-mass index {body:g} kg/m2{' assumed' if bmi is None else ''}"
        ),
        category_stable=category_of(low) == category_of(high),
        category_probability=_probabilities(predicted, calibration),
        published=(max(agatston - limit, 0.0), agatston + limit),
        noise_sd_hu=noise.sd_hu,
        seed=seed,
        realisations=REALISATIONS,
    )


@dataclass(frozen=True, slots=True)
class _Predicted:
    """The rescan's score: normal on the scale ``sqrt(A + 1)``, what lies below 1 is a score of 0."""

    centre: float
    spread: float

    def below(self, agatston: float) -> float:
        """Probability that the rescan's score is at most this."""
        if self.spread == 0:
            return float(self.centre <= math.sqrt(agatston + 1))
        return _normal_cdf((math.sqrt(agatston + 1) - self.centre) / self.spread)


def interval_from(
    agatston: float, simulated: tuple[float, float] | None, level: float, calibration: Calibration = CALIBRATION
) -> tuple[float, float]:
    """Give the limits from a score and a summary of its simulated rescans.

    Parameters
    ----------
    agatston : the score.
    simulated : mean and SD of ``sqrt(A + 1)`` over the simulated rescans; ``None`` where all of them are 0.
    level, calibration : as in :func:`rescan_interval`.

    Examples
    --------
    >>> low, high = interval_from(100.0, (10.0, 0.5), 0.95)
    >>> 70 < low < 100 < high < 150
    True
    """
    return _limits(_predicted(agatston, simulated, calibration), level, agatston, calibration)


def _predicted(agatston: float, simulated: tuple[float, float] | None, calibration: Calibration) -> _Predicted | None:
    """Combine score and simulated rescans; ``None`` where there is no calcium to simulate."""
    if simulated is None:
        if agatston == 0:
            return None
        simulated = (1.0, 0.0)
    mean, sd = simulated
    own = math.sqrt(agatston + 1)
    centre = calibration.own * own + (1 - calibration.own) * mean + calibration.bias
    return _Predicted(centre, math.hypot(calibration.gain * sd, calibration.floor, calibration.low / own))


def _limits(
    predicted: _Predicted | None, level: float, agatston: float, calibration: Calibration
) -> tuple[float, float]:
    """Limits of the interval; the score itself always lies within."""
    if predicted is None:
        return 0.0, calibration.zero_upper
    reach = _normal_quantile(0.5 + level / 2) * predicted.spread
    low, high = (max(predicted.centre + side * reach, 1.0) ** 2 - 1 for side in (-1, 1))
    return min(low, agatston), max(high, agatston, calibration.zero_upper if agatston == 0 else 0.0)


def _probabilities(predicted: _Predicted | None, calibration: Calibration) -> dict[str, float]:
    """Probability of each Agatston category."""
    if predicted is None:
        stays = calibration.zero_stays
        return {c.name: stays if c.upper == 0 else (1 - stays if c.lower == 0 else 0.0) for c in AGATSTON_CATEGORIES}
    found: dict[str, float] = {}
    under = 0.0
    for category in AGATSTON_CATEGORIES:
        upto = 1.0 if math.isinf(category.upper) else predicted.below(category.upper)
        found[category.name] = upto - under
        under = upto
    return found


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _normal_quantile(probability: float) -> float:
    """Invert the normal distribution function by bisection, to the last bits."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _normal_cdf(middle) < probability else (low, middle)
    return high


def _method(noise: Noise, seed: int, calibration: Calibration, limit: float, body: str) -> str:
    return (
        f"{REALISATIONS} simulated rescans of this scan's calcium (first slice anywhere within one increment, "
        f"noise SD {noise.sd_hu:.1f} HU with pixel correlation {noise.pixel_correlation:.2f}, seed {seed}), "
        f"calibrated on {calibration.source}; beside it, the published 95 % limit between two scans of one "
        f"patient is +-{limit:.1f} (Chung 2008, {body})"
    )
