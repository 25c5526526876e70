"""How often each kind of calcium or device outside the arteries is there, and how much of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from cacseg.data.phantom.disease import aorta, chest, devices, heart_other
from cacseg.data.phantom.disease.aortic_valve import aortic_valve
from cacseg.data.phantom.disease.contrast import contrast_residue
from cacseg.data.phantom.disease.mitral import mitral_annulus
from cacseg.data.phantom.scene import Deposit, Scene

Findings = Literal["mesa", "training", "hard"]
"""Whose shares: of people, of training patients, of those with many rare findings."""

Builder = Callable[[Scene, float, np.random.Generator], list[Deposit]]

MEAN_AGE_YEARS: Final = 62.0
"""Mean age of MESA, at which ``Occurrence.population`` holds."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One kind of extra-coronary finding.

    Parameters
    ----------
    build : makes its deposits; empty where the patient lacks the landmarks.
    population : share of people of 62 years who have it.
    training : share of training patients who have it, at 62 years.
    per_decade : log-odds per ten years of age.
    correlation : of its liability with that of coronary calcium.
    women : log-odds added in women.
    """

    build: Builder
    population: float
    training: float
    per_decade: float = 0.0
    correlation: float = 0.0
    women: float = 0.0


OCCURRENCES: Final[Mapping[str, Occurrence]] = {
    "aortic_valve": Occurrence(aortic_valve, 0.100, 0.20, 0.85, 0.40, -0.3),
    "mitral_annulus": Occurrence(mitral_annulus, 0.036, 0.11, 0.95, 0.35, 0.4),
    "aortic_root": Occurrence(aorta.root, 0.15, 0.23, 0.50, 0.45),
    "ascending_aorta": Occurrence(aorta.ascending, 0.10, 0.13, 0.60, 0.45),
    "aortic_arch": Occurrence(aorta.arch, 0.40, 0.45, 0.80, 0.45),
    "descending_aorta": Occurrence(aorta.descending, 0.25, 0.34, 0.75, 0.45),
    "papillary_muscle": Occurrence(heart_other.papillary_muscle, 0.015, 0.06, 0.40, 0.30),
    "pericardium": Occurrence(heart_other.pericardium, 0.006, 0.05),
    "scar": Occurrence(heart_other.scar, 0.004, 0.03, 0.30, 0.40),
    "ligamentum_arteriosum": Occurrence(heart_other.ligamentum, 0.06, 0.08),
    "phlebolith": Occurrence(heart_other.phlebolith, 0.002, 0.02),
    "nodes": Occurrence(chest.nodes, 0.12, 0.22, 0.20),
    "bronchi": Occurrence(chest.bronchi, 0.05, 0.12, 0.70, 0.10, 0.5),
    "granulomas": Occurrence(chest.granulomas, 0.12, 0.20, 0.15),
    "costal_cartilage": Occurrence(chest.costal_cartilage, 0.55, 0.60, 0.60, 0.10),
    "xiphoid": Occurrence(chest.xiphoid, 0.18, 0.35, 0.40, 0.10),
    "osteophytes": Occurrence(chest.osteophytes, 0.40, 0.45, 0.70, 0.10),
    "breast": Occurrence(chest.breast, 0.02, 0.05, 0.30, 0.0, 2.0),
    "pleura": Occurrence(chest.pleura, 0.012, 0.05, 0.50, 0.0, -1.0),
    "stents": Occurrence(devices.stents, 0.015, 0.035, 0.30, 0.55, -0.5),
    "bypass": Occurrence(devices.bypass, 0.006, 0.02, 0.40, 0.40, -0.8),
    "sternal_wires": Occurrence(devices.sternal_wires, 0.005, 0.03),
    "pacing_leads": Occurrence(devices.pacing_leads, 0.012, 0.03, 0.60, 0.10),
    "prosthesis": Occurrence(devices.prosthesis, 0.004, 0.025, 0.50, 0.10),
    "port": Occurrence(devices.port, 0.003, 0.015),
    "contrast_residue": Occurrence(contrast_residue, 0.003, 0.02),
    "granulomas_at_heart": Occurrence(chest.granulomas_at_heart, 0.01, 0.03),
}
"""Valve and annulus in the population: 13.4 and 8.8 % of MESA over its ages (Whelton; PMC7899264), reached with
these shares at 62 years and their slopes. The others are orders of magnitude by judgement, from reports of
chest and calcium CT, not from one source. Training shares are a choice."""

HARD: Final[Mapping[str, float]] = {
    "stents": 0.25,
    "bypass": 0.10,
    "pericardium": 0.18,
    "granulomas_at_heart": 0.25,
    "papillary_muscle": 0.12,
    "scar": 0.08,
    "phlebolith": 0.08,
    "pleura": 0.12,
    "pacing_leads": 0.10,
    "prosthesis": 0.06,
    "port": 0.04,
}
"""Shares in "hard" training patients of what is rare and taken for coronary calcium: a network that meets a stent in
one patient of thirty learns no stents. The other findings keep their training shares."""

DEVICES: Final = frozenset(
    {"stents", "bypass", "sternal_wires", "pacing_leads", "prosthesis", "port", "contrast_residue"}
)
"""What people put there."""

SHARED: Final = 0.45
"""Correlation of the liabilities of two cardiovascular findings beyond what coronary calcium explains."""


def draw_present(
    age_years: float, sex: str, propensity: float, rng: np.random.Generator, mode: Findings
) -> dict[str, float]:
    """Draw which findings a patient has.

    Parameters
    ----------
    age_years, sex : of the patient.
    propensity : standard normal deviate of the coronary score among people alike.
    rng : source of chance; as many numbers are drawn whatever is found.
    mode : whose shares, "mesa", "training" or "hard".

    Returns
    -------
    Severity (about standard normal) by name, for those present.
    """
    normal = NormalDist()
    common = float(rng.standard_normal())
    present = {}
    for name, item in OCCURRENCES.items():
        own = float(rng.standard_normal())
        severity = float(rng.standard_normal())
        together = SHARED if item.correlation > 0.2 else 0.0
        rest = 1 - item.correlation**2
        liability = item.correlation * propensity + math.sqrt(rest) * (
            together * common + math.sqrt(1 - together**2) * own
        )
        share = item.population if mode == "mesa" else item.training
        if mode == "hard":
            share = HARD.get(name, share)
        log_odds = math.log(share / (1 - share)) + item.per_decade * (age_years - MEAN_AGE_YEARS) / 10
        log_odds += item.women if sex == "F" else 0.0
        if normal.cdf(liability) > 1 - 1 / (1 + math.exp(-log_odds)):
            present[name] = 0.9 * severity + 0.4 * item.correlation * propensity
    return present
