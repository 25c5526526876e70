"""How calcium is made up: density, number of arteries, how far it is spread."""

from typing import Final

from cacseg.scoring.score import Scoring
from cacseg.vessels import CORONARY

DENSITY_SOURCE: Final = "Criqui et al. JAMA 2014;311:271-278"
DIFFUSIVITY_SOURCE: Final = (
    "1 - (score of the most affected artery / total), after Blaha et al. JACC Cardiovasc Imaging 2016 "
    "(definition quoted from memory; not checked against the paper)"
)


def density(scoring: Scoring) -> float | None:
    """Give the density score: Agatston score per area, 1 (faint) to 4 (dense), ``None`` where it has no sense.

    The area is the volume at the reference increment (3 mm), as Criqui computed it.

    Parameters
    ----------
    scoring : a scoring whose volume counts the same voxels as its Agatston score.
    """
    if scoring.total.volume_mm3 <= 0:
        return None
    value = scoring.total.agatston * scoring.rule.reference_increment_mm / scoring.total.volume_mm3
    return value if 1.0 - 1e-6 <= value <= 4.0 + 1e-6 else None


def affected_vessels(scoring: Scoring) -> int:
    """Count the arteries with a score above 0."""
    return sum(scoring.vessels[vessel].agatston > 0 for vessel in CORONARY)


def diffusivity(scoring: Scoring) -> float | None:
    """Give 1 - largest vessel score / total score: 0 in one artery, up to 0.75; ``None`` without calcium."""
    if scoring.total.agatston <= 0:
        return None
    return 1.0 - max(scoring.vessels[vessel].agatston for vessel in CORONARY) / scoring.total.agatston
