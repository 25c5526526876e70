from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

import cacseg.train.finetune as room
from cacseg.errors import RefusedError
from cacseg.infer import Assignment
from cacseg.infer.grid import SCOUT_GRID
from cacseg.train.finetune import LabelledStudy, guard, labelled_sample

ScanOf = Callable[[int], SimpleNamespace]


def found(labels: np.ndarray) -> Assignment:
    return Assignment(labels, np.zeros(labels.shape, np.float32), None)


def test_the_guard_names_what_became_worse(scan_of: ScanOf, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(3)
    study = LabelledStudy("one", scan.volume, scan.labels, "gated")
    answers = {"good": scan.labels.voxels, "blind": np.zeros_like(scan.labels.voxels)}
    monkeypatch.setattr(room, "assign", lambda volume, release: found(answers[release]))
    worse = guard([study], "good", "blind")
    assert worse["groups"]["gated"]["before"]["f1_coronary"] == 1.0
    assert worse["groups"]["gated"]["after"]["f1_coronary"] == 0.0
    assert worse["lost"] == ["one"]
    assert any("mean_absolute_error" in line for line in worse["worse"])
    better = guard([study], "blind", "good")
    assert better["worse"] == better["lost"] == []


def test_a_study_becomes_a_sample_around_its_heart(scan_of: ScanOf) -> None:
    scan = scan_of(3)

    def heart(cells: np.ndarray) -> np.ndarray:
        marked = np.zeros_like(cells)
        marked[..., 20:44, 24:40, 24:40] = 1.0
        return marked

    release = SimpleNamespace(predict_heart=heart, scout_grid=SCOUT_GRID)
    sample = labelled_sample(LabelledStudy("one", scan.volume, scan.labels), release)
    assert sample.facts == {"source": "one", "group": "all"}
    assert (sample.calcium > 0).any()
    nothing = SimpleNamespace(predict_heart=np.zeros_like, scout_grid=SCOUT_GRID)
    with pytest.raises(RefusedError, match="one: no heart"):
        labelled_sample(LabelledStudy("one", scan.volume, scan.labels), nothing)
