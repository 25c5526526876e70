"""Hearts unlike the mean one, which the second and third networks are shown beside the usual ones.

Digital patients share how arteries and chambers lie to each other. People do not: in the one label map of a heart at
hand (``benchmarks/anatomy.py``) the anterior artery runs 13 to 18 mm further to the right over the ventricles, and side
branches end elsewhere.
"""

from typing import Any, Final

import numpy as np

USUAL_EVERY: Final = 3
"""Every so many-th patient that the second and third network learn from has a heart like the mean one."""

LEAN_SHARE: Final = 0.5
"""Share of them whose arteries lie on muscle, with hardly any fat in the grooves."""

ROLL_SD_DEG: Final = 10.0
BRANCH_SPREAD_MM: Final = (3.5, 9.0)
DEFORMATION_MM: Final = (2.0, 4.0)


def unusual_facts(seed: int) -> dict[str, Any]:
    """Draw what is unusual about a patient.

    Parameters
    ----------
    seed : of the patient; the same seed gives the same facts.

    Returns
    -------
    dict : overrides of ``cacseg.data.phantom.digital_patient``.

    Examples
    --------
    >>> unusual_facts(3) == unusual_facts(3)
    True
    """
    rng = np.random.default_rng([seed, 403])
    facts = {
        "ventricle_roll_deg": float(np.clip(rng.normal(0.0, ROLL_SD_DEG), -20.0, 20.0)),
        "branch_spread_mm": float(rng.uniform(*BRANCH_SPREAD_MM)),
        "deformation_mm": float(rng.uniform(*DEFORMATION_MM)),
    }
    if rng.random() < LEAN_SHARE:
        facts |= {"epicardial_fat_mm": float(rng.uniform(0.6, 1.5)), "groove_fat": float(rng.uniform(0.0, 0.25))}
    return facts


def heart_facts(seed: int, number: int) -> dict[str, Any]:
    """Give the unusual facts of patient ``number`` of those that a network learns from; a usual one has none."""
    return unusual_facts(seed) if number % USUAL_EVERY else {}
