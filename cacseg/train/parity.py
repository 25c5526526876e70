"""Whether another engine or another form of a network answers as the first: logits, classes and final scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cacseg.findings import refused
from cacseg.infer.assign import assign
from cacseg.infer.grid import HEART_GRID, NARROW_GRIDS, SCOUT_GRID
from cacseg.infer.release import Release
from cacseg.scoring import RULES, score
from cacseg.train.augment import example
from cacseg.train.sample import load
from cacseg.train.sources import samples_in
from cacseg.vessels import CORONARY
from cacseg.volume import Volume

FIRST_SEED: Final = 900_901
"""Of the digital patients that are scored; validation seeds lie from 900,000 to 999,999."""

GRIDS: Final = (*NARROW_GRIDS, HEART_GRID)
"""What a release is run on, narrowest first."""

RULE: Final = RULES["literature"]

VesselScores = Mapping[str, float] | None
"""Agatston score of each coronary artery; ``None`` for a scan that is refused."""


class TorchSession:
    """A network in PyTorch, called as the session of an ONNX file is.

    Parameters
    ----------
    net : takes tensors by the names of the inputs, gives one tensor or a tuple of them.
    outputs : their names, in order.
    """

    def __init__(self, net: nn.Module, outputs: Sequence[str]) -> None:
        self.net = net.eval()
        self.outputs = tuple(outputs)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Give the named outputs for the named inputs, float32."""
        with torch.no_grad():
            answer = self.net(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        tensors = answer if isinstance(answer, tuple) else (answer,)
        named = dict(zip(self.outputs, tensors, strict=True))
        return [named[name].numpy() for name in outputs]


def in_torch(release: Release, calcium: nn.Module, heart: nn.Module) -> Release:
    """Give a release that PyTorch runs, everything around the networks as it was.

    Parameters
    ----------
    calcium : (n, 3, slice, row, column) cells to the logits of ``calcium`` and ``territory``.
    heart : (n, 1, slice, row, column) HU to the probability of heart.
    """
    return replace(
        release,
        calcium_session=TorchSession(calcium, ("calcium", "territory")),
        scout_session=TorchSession(heart, ("heart",)),
    )


@dataclass(slots=True)
class Difference:
    """How far two answers of one head lie apart.

    Parameters
    ----------
    largest, relative : largest difference of a logit, as it is and over the largest logit of its volume.
    cells, changed : cells that hold candidates, and those of them whose likeliest class is another.
    """

    largest: float = 0.0
    relative: float = 0.0
    cells: int = 0
    changed: int = 0

    def add(self, expected: NDArray[np.float32], found: NDArray[np.float32], cells: NDArray[np.float32]) -> None:
        """Count one volume.

        Parameters
        ----------
        expected, found : (n, class, slice, row, column) logits, or with half the rows and columns.
        cells : (n, 3, slice, row, column), what the network was given.
        """
        difference = float(np.abs(found - expected).max())
        self.largest = max(self.largest, difference)
        self.relative = max(self.relative, difference / float(np.abs(expected).max()))
        candidate = cells[:, 1] > 0
        n, slices, rows, columns = expected.shape[0], *expected.shape[2:]
        step = candidate.shape[2] // rows
        holding: Any = candidate.reshape(n, slices, rows, step, columns, step).any(axis=(3, 5))
        self.cells += int(holding.sum())
        self.changed += int((found.argmax(axis=1) != expected.argmax(axis=1))[holding].sum())


def described(calcium: Difference, territory: Difference) -> dict[str, float]:
    """Name what was counted of both heads."""
    return {
        "largest_difference": calcium.largest,
        "largest_relative_difference": calcium.relative,
        "candidate_cells": calcium.cells,
        "cells_changed": calcium.changed,
        "largest_territory_difference": territory.largest,
        "largest_relative_territory_difference": territory.relative,
        "territory_cells": territory.cells,
        "arteries_changed": territory.changed,
    }


def compare_logits(expected: Release, found: Release, samples: Path | None, volumes: int) -> dict[str, Any]:
    """Run both on the same cells.

    Parameters
    ----------
    samples : folder of cached samples; random HU where None.
    volumes : how many; the grids of a release take turns.

    Returns
    -------
    ``volumes``, what ``described`` names, the largest difference of the heart probability, and ``on``.
    """
    calcium, territory, heart, count = Difference(), Difference(), 0.0, 0
    for cells, scout_cells in _volumes(samples, volumes):
        for head, mine, theirs in zip((calcium, territory), expected.predict(cells), found.predict(cells), strict=True):
            head.add(mine, theirs, cells)
        apart = np.abs(found.predict_heart(scout_cells) - expected.predict_heart(scout_cells))
        heart, count = max(heart, float(apart.max())), count + 1
    return {
        "volumes": count,
        **described(calcium, territory),
        "largest_heart_difference": heart,
        "on": "random HU" if samples is None else "cached samples",
    }


def _volumes(samples: Path | None, count: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    rng = np.random.default_rng(0)
    if samples is not None:
        for path, grid in zip(samples_in(samples)[:count], cycle(GRIDS), strict=False):
            made = example(load(path), None, rng, grid)
            yield made.cells[None], made.scout[None]
        return
    for _, grid in zip(range(count), cycle(GRIDS), strict=False):
        cells = rng.uniform(-1000, 400, (1, 3, *grid.shape)).astype(np.float32)
        cells[:, 1:] = rng.random((1, 2, *grid.shape), np.float32) * (cells[:, :1] > 130)
        yield cells, rng.uniform(-1000, 400, (1, 1, *SCOUT_GRID.shape)).astype(np.float32)


def digital_patients(count: int) -> Iterator[Volume]:
    """Scan gated digital patients from ``FIRST_SEED`` on, HU."""
    from cacseg.data.phantom import digital_patient

    for seed in range(FIRST_SEED, FIRST_SEED + count):
        yield digital_patient(seed, family="gated").volume


def vessel_scores(scan: Volume, release: Release) -> VesselScores:
    """Assign and score a scan as the product does under its default rule."""
    assignment = assign(scan, release, rule_threshold_hu=RULE.counted_volume_hu)
    if refused(assignment.findings):
        return None
    scoring = score(scan, scan.with_voxels(assignment.labels), RULE)
    return {vessel.name: float(scoring.vessels[vessel].agatston) for vessel in CORONARY}


def score_changes(pairs: Iterable[tuple[VesselScores, VesselScores]]) -> dict[str, Any]:
    """Count the patients whose scores differ.

    Parameters
    ----------
    pairs : expected and found scores of each patient.

    Returns
    -------
    ``patients``; ``patients_scored``, those not refused where the scores are expected; ``scores_changed``, patients
    of whom any artery's score differs at all or only one engine refuses; ``largest_score_change`` of an artery, a
    refusal counting as 0.

    Examples
    --------
    >>> score_changes([({"LM": 1.0}, {"LM": 1.0}), ({"LM": 3.0}, {"LM": 5.5}), (None, None)])
    {'patients': 3, 'patients_scored': 2, 'scores_changed': 1, 'largest_score_change': 2.5}
    """
    patients = list(pairs)
    apart = [
        abs((expected or {}).get(name, 0.0) - (found or {}).get(name, 0.0))
        for expected, found in patients
        for name in {**(expected or {}), **(found or {})}
    ]
    return {
        "patients": len(patients),
        "patients_scored": sum(expected is not None for expected, _ in patients),
        "scores_changed": sum(expected != found for expected, found in patients),
        "largest_score_change": max(apart, default=0.0),
    }


def compare_scores(expected: Release, found: Release, scans: Iterable[Volume]) -> dict[str, Any]:
    """Score the same scans with both; see ``score_changes``."""
    return score_changes((vessel_scores(scan, expected), vessel_scores(scan, found)) for scan in scans)
