import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacseg.errors import UsageError
from cacseg.infer import load_release
from cacseg.train.hardest import CELL_MM3, LEAST_MM3, RANKING, Mistakes, compared, files_of, mistakes_of, take_hardest
from cacseg.train.sample import LM_OR_LAD, METAL, NOT_CORONARY, Sample, load, save
from cacseg.vessels import CORONARY, Label

ROOT = Path(__file__).parents[2]


def says(*labels: Label) -> np.ndarray:
    return np.eye(len(Label), dtype=np.float32)[list(labels)]


@pytest.mark.parametrize(
    ("said", "target", "missed", "false", "swapped"),
    [
        (Label.LAD, Label.LAD, 0, 0, 0),
        (Label.OTHER, Label.LAD, 1, 0, 0),
        (Label.LCX, Label.LAD, 0, 0, 1),
        (Label.LAD, Label.OTHER, 0, 1, 0),
        (Label.LAD, Label.BACKGROUND, 0, 1, 0),
        (Label.AORTA, Label.OTHER, 0, 0, 0),
        (Label.LAD, METAL, 0, 0, 0),
        (Label.LAD, NOT_CORONARY, 0, 1, 0),
        (Label.LAD, LM_OR_LAD, 0, 0, 0),
        (Label.RCA, LM_OR_LAD, 0, 0, 1),
    ],
)
def test_each_mistake_counts_once_and_what_labels_leave_open_does_not(
    said: Label, target: int, missed: int, false: int, swapped: int
) -> None:
    found = compared(says(said), np.array([target], np.uint8), np.array([0.5], np.float32))
    assert (found.missed, found.false, found.swapped) == tuple(n * CELL_MM3 / 2 for n in (missed, false, swapped))


def test_a_small_plaque_that_is_lost_is_harder_than_as_much_of_a_large_one() -> None:
    small, large = (Mistakes(coronary=volume, missed=10.0, false=0.0, swapped=0.0) for volume in (10.0, 1000.0))
    assert small.hardness > 4 * large.hardness
    assert small.hardness == pytest.approx(10.0 / np.sqrt(LEAST_MM3 + 10.0))


def test_a_release_is_asked_about_the_cells_as_it_meets_them(cache_dir: Path) -> None:
    path = sorted(cache_dir.glob("*.npz"))[0]
    release = load_release(ROOT / "models" / "cacseg-unet-1", threads=1)
    found = mistakes_of(path, release)
    certain, ignorant = (
        mistakes_of(path, replace(release, calcium_session=Answers(load(path), release.classes, logit)))
        for logit in (30.0, 0.0)
    )
    assert found.coronary > 0
    assert certain.hardness == pytest.approx(0.0, abs=1e-3)
    background, other = (np.exp(release.decision[f"{name}_bias"]) for name in ("background", "other"))
    coronary = len(CORONARY) / (background + other + len(Label) - 2)
    assert ignorant.missed == pytest.approx(ignorant.coronary * (1 - coronary))
    assert ignorant.swapped == pytest.approx(ignorant.coronary * coronary * (1 - 1 / len(CORONARY)))


class Answers:
    """Stands for a network that knows the labels of the sample, or at a logit of 0 nothing."""

    def __init__(self, sample: Sample, classes: tuple[Label, ...], logit: float) -> None:
        from cacseg.train.augment import example

        made = example(sample, None, np.random.default_rng(0))
        known = np.minimum(made.calcium, Label.OTHER)
        self.logits = np.stack([np.where(known == label, logit, 0.0) for label in classes])[None].astype(np.float32)

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert inputs["cells"].shape[2:] == self.logits.shape[2:]
        return [self.logits, np.zeros(1, np.float32)]


def wrong(volume: float) -> Mistakes:
    return Mistakes(coronary=0.0, missed=0.0, false=volume, swapped=0.0)


def test_the_hardest_are_taken_and_all_are_ranked(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        (tmp_path / f"{name}.npz").write_text(name)
    ranked = [(tmp_path / f"{name}.npz", wrong(volume)) for name, volume in zip(names, (1, 9, 0, 4), strict=True)]
    taken = take_hardest(ranked, tmp_path / "hardest", 0.5)
    assert [path.name for path in taken] == ["b.npz", "d.npz"]
    assert {path.name: path.read_text() for path in (tmp_path / "hardest").glob("*.npz")} == {
        "b.npz": "b",
        "d.npz": "d",
    }
    with (tmp_path / "hardest" / RANKING).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == ["b.npz", "d.npz", "a.npz", "c.npz"]
    assert [float(row["false_mm3"]) for row in rows] == [9, 4, 1, 0]


def test_where_links_cannot_be_made_the_hardest_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("another device")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "a.npz").write_text("a")
    take_hardest([(tmp_path / "a.npz", wrong(1))], tmp_path / "hardest", 1.0)
    assert (tmp_path / "hardest" / "a.npz").read_text() == "a"


def test_a_sample_without_a_mistake_is_not_hard(tmp_path: Path) -> None:
    assert take_hardest([(tmp_path / "a.npz", wrong(0))], tmp_path / "hardest", 1.0) == []


def recipe(*given: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "train" / "hardest.py", *given], capture_output=True, text=True, check=False
    )


def test_the_recipe_chooses_and_says_what_to_mend(cache_dir: Path, tmp_path: Path) -> None:
    count, folder = len(list(cache_dir.glob("*.npz"))), tmp_path / "hardest"
    done = recipe(folder, cache_dir, "--share", "0.5")
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("*.npz"))) == count // 2
    assert f"{count // 2} of {count} samples" in done.stdout
    again = recipe(folder, cache_dir)
    assert again.returncode == UsageError.exit_code
    assert "holds samples; give a new folder" in again.stderr
    none = recipe(tmp_path / "other", cache_dir, "--share", "0")
    assert none.returncode == UsageError.exit_code
    assert "give one above 0" in none.stderr


def test_samples_of_one_name_cannot_lie_side_by_side(tmp_path: Path, cache_dir: Path) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    first = sorted(cache_dir.glob("*.npz"))[0]
    save(load(first), twin / first.name)
    with pytest.raises(UsageError, match="have one name"):
        files_of([cache_dir, twin])
