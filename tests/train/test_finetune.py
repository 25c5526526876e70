from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

import cacseg.train.finetune as room
from cacseg.data.readers import LabelledStudy
from cacseg.errors import RefusedError, UsageError
from cacseg.infer import Assignment
from cacseg.infer.grid import SCOUT_GRID
from cacseg.train.finetune import guard
from cacseg.train.labelled import labelled_sample
from cacseg.vessels import Label

ScanOf = Callable[[int], SimpleNamespace]


def found(labels: np.ndarray) -> Assignment:
    return Assignment(labels, np.zeros(labels.shape, np.float32), None)


def test_the_guard_names_what_became_worse(scan_of: ScanOf, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(3)
    study = LabelledStudy("one", scan.volume, scan.labels.voxels, "calcium", facts={"group": "gated"})
    answers = {"good": scan.labels.voxels, "blind": np.zeros_like(scan.labels.voxels)}
    monkeypatch.setattr(room, "assign", lambda volume, release: found(answers[release]))
    worse = guard([study], "good", "blind")
    assert worse["groups"]["gated"]["before"]["f1_coronary"] == 1.0
    assert worse["groups"]["gated"]["after"]["f1_coronary"] == 0.0
    assert worse["lost"] == ["one"]
    assert any("mean_absolute_error" in line for line in worse["worse"])
    better = guard([study], "blind", "good")
    assert better["worse"] == better["lost"] == []


def test_arteries_that_a_dataset_does_not_tell_apart_count_as_one(
    scan_of: ScanOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = scan_of(3)
    labels = np.where(scan.labels.voxels > 0, Label.LAD, 0).astype(np.uint8)
    study = LabelledStudy("one", scan.volume, labels, "coronary", merged={Label.LM: Label.LAD})
    answers = {"lad": labels, "lm": np.where(labels > 0, Label.LM, 0).astype(np.uint8)}
    monkeypatch.setattr(room, "assign", lambda volume, release: found(answers[release]))
    told = guard([study], "lad", "lm")
    assert told["worse"] == told["lost"] == []
    assert told["groups"]["all"]["after"]["f1_lad"] == 1.0


def test_the_guard_needs_a_study() -> None:
    with pytest.raises(UsageError, match="no study"):
        guard([], "before", "after")


def test_a_study_becomes_a_sample_around_its_heart(scan_of: ScanOf) -> None:
    scan = scan_of(3)

    def heart(cells: np.ndarray) -> np.ndarray:
        marked = np.zeros_like(cells)
        marked[..., 20:44, 24:40, 24:40] = 1.0
        return marked

    release = SimpleNamespace(predict_heart=heart, scout_grid=SCOUT_GRID)
    study = LabelledStudy("one", scan.volume, scan.labels.voxels, "calcium", repairs=("turned",))
    sample = labelled_sample(study, release)
    assert sample.facts == {"source": "one", "label_scope": "calcium", "repairs": ["turned"]}
    assert (sample.calcium > 0).any()
    nothing = SimpleNamespace(predict_heart=np.zeros_like, scout_grid=SCOUT_GRID)
    with pytest.raises(RefusedError, match="one: no heart"):
        labelled_sample(study, nothing)
