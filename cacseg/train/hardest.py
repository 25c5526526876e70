"""The samples that a release gets most wrong: to be looked at, for labels may be wrong, or trained on more often.

Once a network gets most patients right, a step on one of them teaches little (Shrivastava et al., Training region-based
object detectors with online hard example mining, CVPR 2016). Samples that it has been trained on rank too low.
"""

import csv
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.infer import Release
from cacseg.infer.decide import Decision, biased
from cacseg.infer.grid import HEART_GRID
from cacseg.infer.sampling import softmax
from cacseg.train.augment import example
from cacseg.train.sample import METAL, UNKNOWN, load, possible_classes
from cacseg.train.sources import samples_in
from cacseg.vessels import CORONARY, Label

RANKING: Final = "hardest.csv"
CELL_MM3: Final = float(np.prod(HEART_GRID.spacing_mm))

LEAST_MM3: Final = 20.0
"""Calcium below which an error counts no more for being all there is."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What a release gets wrong in one sample, mm3 of candidates weighted by probability.

    Parameters
    ----------
    coronary : truly coronary.
    missed : coronary that is called something else.
    false : something else that is called coronary, but for metal: in the cells of this network a stent looks as plaque
        does, and the second network tells them apart.
    swapped : coronary that is given to another artery.
    """

    coronary: float
    missed: float
    false: float
    swapped: float

    @property
    def hardness(self) -> float:
        """Rank: volume that is wrong over the root of what there is, the wrong artery half as bad.

        Examples
        --------
        >>> Mistakes(coronary=80.0, missed=5.0, false=0.0, swapped=10.0).hardness
        1.0
        """
        wrong = self.missed + self.false + self.swapped / 2
        return float(wrong / np.sqrt(LEAST_MM3 + self.coronary))


def mistakes_of(path: Path, release: Release) -> Mistakes:
    """Ask the first network of a release about a cached sample, centred and unvaried.

    Parameters
    ----------
    path : of a sample (``cacseg.train.sample``); where its labels leave open whether a cell is coronary, nothing
        is counted, and where they leave the artery open, any that they allow is right.
    release : its first network and the biases of its decision are used.
    """
    made = example(load(path), None, np.random.default_rng(0), HEART_GRID)
    logits, _ = release.predict(made.cells[None])
    at = np.flatnonzero((made.cells[1] > 0) & (made.calcium != UNKNOWN))
    scores = logits[0].reshape(len(Label), -1)[:, at].T
    probability = biased(softmax(scores), Decision(**release.decision))
    return compared(probability, made.calcium.reshape(-1)[at], made.cells[1].reshape(-1)[at])


def compared(probability: NDArray[np.float32], target: NDArray[np.uint8], fraction: NDArray[np.float32]) -> Mistakes:
    """Compare probabilities with targets.

    Parameters
    ----------
    probability : (n, 9) per ``Label``.
    target : (n,) as in ``Sample.calcium``, none ``UNKNOWN``.
    fraction : (n,) share of candidate voxels in each cell.

    Examples
    --------
    >>> says = np.array([[0, 0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1]], np.float32)
    >>> one = compared(says, np.array([Label.LCX, Label.RCA], np.uint8), np.ones(2, np.float32))
    >>> one.coronary / CELL_MM3, one.missed / CELL_MM3, one.false, one.swapped / CELL_MM3
    (2.0, 1.0, 0.0, 1.0)
    """
    allowed = possible_classes()[target]
    arteries = list(CORONARY)
    may_be, surely = allowed[:, arteries].any(axis=1), ~np.delete(allowed, arteries, axis=1).any(axis=1)
    found = probability[:, arteries].sum(axis=1)
    right = (probability[:, arteries] * allowed[:, arteries]).sum(axis=1)
    volume_mm3 = fraction.astype(np.float64) * CELL_MM3
    return Mistakes(
        coronary=float(volume_mm3 @ surely),
        missed=float(volume_mm3 @ (surely * (1.0 - found))),
        false=float(volume_mm3 @ ((~may_be & (target != METAL)) * found)),
        swapped=float(volume_mm3 @ (surely * (found - right))),
    )


def files_of(folders: Sequence[Path]) -> list[Path]:
    """List the samples of several folders.

    Raises
    ------
    UsageError : a folder holds none, or two hold samples of one name, which could not lie side by side.
    """
    files = [file for folder in folders for file in samples_in(folder)]
    first: dict[str, Path] = {}
    for file in files:
        if first.setdefault(file.name, file) != file:
            raise UsageError(f"{first[file.name]} and {file} have one name; give folders whose samples differ.")
    return files


def take_hardest(ranked: Iterable[tuple[Path, Mistakes]], folder: Path, share: float) -> list[Path]:
    """Put the hardest samples into a folder of their own, and beside them ``RANKING``, the list of all.

    Parameters
    ----------
    ranked : samples and what is wrong in each, in any order.
    folder : new or empty; gets links to the samples, or copies where the file system has none.
    share : of the samples that is taken, above 0 to 1; one at least. Samples without a mistake are not taken.

    Returns
    -------
    The samples taken, the hardest first.

    Raises
    ------
    UsageError : the share is not one, or ``folder`` holds samples.
    """
    if not 0.0 < share <= 1.0:
        raise UsageError(f"A share of {share:g} of the samples cannot be taken; give one above 0, at most 1.")
    if any(folder.glob("*.npz")):
        raise UsageError(f"{folder} holds samples; give a new folder, or remove it.")
    order = sorted(ranked, key=lambda each: (-each[1].hardness, each[0].name))
    taken = [path for path, wrong in order[: max(1, round(share * len(order)))] if wrong.hardness > 0]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / RANKING).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["sample", "hardness", *(f"{field.name}_mm3" for field in fields(Mistakes))])
        for path, wrong in order:
            table.writerow([path.name, f"{wrong.hardness:.4f}", *(f"{value:.2f}" for value in asdict(wrong).values())])
    for path in taken:
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copyfile(path, folder / path.name)
    return taken
