"""The recipe that shows what features are worth changes one thing at a time, and only what exists."""

import csv
import importlib.util
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("torch")

from cacseg.train.augment import Augmentation
from cacseg.train.loss import LossWeights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ablate():
    spec = importlib.util.spec_from_file_location("ablate", ROOT / "train" / "ablate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folders(ablate):
    roles = {role for shares in ablate.PATIENTS.values() for role in shares} | set(ablate.USUAL) | {"validation"}
    return {role: f"data/cache/{role}" for role in roles}


def test_every_change_changes_one_part_of_the_configuration(ablate, folders, tmp_path):
    def made(change):
        return ablate.configuration(folders, "run", change, 1, 50, tmp_path)

    usual = made("nothing")
    assert usual["data"]["folders"] == {f"data/cache/{role}": share for role, share in ablate.USUAL.items()}
    for change in (*ablate.PATIENTS, *ablate.LOSS, "no variation while training"):
        one = made(change)
        differ = {
            (part, key) for part in one for key in (one[part] if isinstance(one[part], dict) else [])
            if usual[part].get(key) != one[part][key]
        }  # fmt: skip
        assert len(differ) == 1, change


def test_changes_name_what_exists(ablate):
    losses, variation = ({each.name for each in fields(kind)} for kind in (LossWeights, Augmentation))
    assert all(set(change) <= losses for change in ablate.LOSS.values())
    assert set(ablate.NO_VARIATION) | {"warp", "noise_hu", "blur_cells", "sharpen", "uneven_hu"} == variation
    assert len(ablate.LOSS["equal class weights"]["calcium_classes"]) == len(LossWeights().calcium_classes)


def test_a_change_without_its_folder_is_no_run(ablate, folders, tmp_path):
    del folders["calm"]
    with pytest.raises(KeyError):
        ablate.configuration(folders, "run", "no motion, hardening, streaks, uneven noise", 1, 50, tmp_path)


def test_the_last_validation_is_read(ablate, tmp_path):
    table = tmp_path / "metrics.csv"
    assert ablate.results(table) is None
    with table.open("w", newline="") as file:
        rows = csv.DictWriter(file, ["step", *ablate.SHOWN])
        rows.writeheader()
        rows.writerow(dict.fromkeys(ablate.SHOWN, 0.9) | {"step": 10})
        rows.writerow({"step": 15})
    assert ablate.results(table) == dict.fromkeys(ablate.SHOWN, 0.9)


def test_losses_of_other_weights_are_not_compared(ablate):
    one, two = (dict.fromkeys(ablate.SHOWN, value) for value in (0.2, 0.4))
    assert ablate.row("no chest scans", [one, two]).startswith("| no chest scans | 2 | 0.300 | 0.300 |")
    assert ablate.row("no overlap term", [one]).startswith("| no overlap term | 1 | - | 0.200 |")
