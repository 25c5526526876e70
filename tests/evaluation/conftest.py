"""Small labelled studies and paths under test, made by code."""

from dataclasses import dataclass

import numpy as np
import pytest

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.vessels import Label
from cacseg.volume import Volume


@dataclass(frozen=True)
class FakeAssignment:
    labels: np.ndarray
    confidence: np.ndarray | None = None


def make_study(number, *, zero=False, facts=None):
    """A 10 x 96 x 96 scan with blocks of calcium of every label; the number is the seed."""
    rng = np.random.default_rng([number, 77])
    hu = rng.normal(40, 8, (10, 96, 96)).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    for label in Label:
        if label is Label.BACKGROUND or (zero and label <= Label.RCA):
            continue
        for _ in range(int(rng.integers(0, 3))):
            k, row, column = rng.integers(0, 8), rng.integers(2, 84), rng.integers(2, 84)
            box = np.s_[k : k + 2, row : row + int(rng.integers(2, 7)), column : column + int(rng.integers(2, 7))]
            if not labels[box].any():
                hu[box], labels[box] = rng.integers(150, 700), label
    volume = Volume.axial(hu, (3.0, 0.5, 0.5))
    return LabelledStudy(f"case-{number:03d}", volume, labels, "calcium", facts=facts or {})


@pytest.fixture(scope="session")
def studies():
    return [
        make_study(
            number,
            zero=number % 5 == 0,
            facts={"noise_sd_hu": 12.0 + number, "kvp": 120 if number % 2 else 100, "gated": True, "kernel": "FC12"},
        )
        for number in range(16)
    ]


class Oracle:
    """Knows the truth of the studies it was made for, and spoils it as told."""

    def __init__(self, studies, spoil=lambda labels: labels, confidence=None):
        self.by_volume = {id(study.volume): study for study in studies}
        self.spoil, self.confidence, self.asked = spoil, confidence, []

    def __call__(self, volume, rule):
        study = self.by_volume[id(volume)]
        self.asked.append(study.id)
        labels = self.spoil(study.labels.copy())
        return FakeAssignment(labels, None if self.confidence is None else self.confidence(labels))


@pytest.fixture(scope="session")
def oracle():
    return Oracle


@pytest.fixture(scope="session")
def fake_assignment():
    return FakeAssignment


@pytest.fixture(scope="session")
def study_maker():
    return make_study
