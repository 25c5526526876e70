import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cacseg.evaluation import evaluate

SCRIPT = Path(__file__).parents[2] / "train" / "card_tables.py"


@pytest.fixture(scope="module")
def card_tables():
    spec = importlib.util.spec_from_file_location("card_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_tell_what_was_measured(card_tables, studies, oracle, tmp_path, capsys):
    sure = oracle(studies, confidence=lambda labels: np.full(labels.shape, 0.8, np.float32))
    evaluation = evaluate(studies, sure, tmp_path / "gated", name="gated")
    assert card_tables.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    zeros = evaluation.summary["zeros"]["cases"]
    (family,) = (line for line in lines if line.startswith("| gated (16 of 400) |"))
    assert "| 1.000 (1.000-1.000) | 1.000 (1.000-1.000) | 100 % |" in family
    assert f"| {zeros} of {zeros} |" in family
    (score,) = (line for line in lines if line.startswith("| gated | 0.0"))
    assert "| 100 % | 100, 100, 100, 100 % |" in score
    banded = [line.split(" | ")[:2] for line in lines if line.startswith("| kVp ")]
    assert banded == []  # eight patients of each voltage are fewer than ten
    assert any(line.startswith("| gated | 0 | 0 % | 0 % | 0.0 |") for line in lines)


def test_bands_of_ten_patients_are_shown(card_tables, evaluated_bands):
    rows = list(card_tables.band_rows({"strata": evaluated_bands}))
    assert [row[:2] for row in rows] == [("score 0", "12"), ("kVp 120", "10")]
    assert rows[0][5:] == ("", "", "", "", "")
    assert rows[1][2:] == (".912", "90 %", "4.5", ".950", ".800", "-", "1.000", ".500")


@pytest.fixture
def evaluated_bands():
    def band(cases):
        return {
            "cases": cases,
            "icc_2_1": {"value": 0.912},
            "category_accuracy": 0.9,
            "mean_absolute_error": 4.5,
            "volume_f1": {"value": 0.95},
            "vessel_volume_f1": {"LM": 0.8, "LAD": None, "LCX": 1.0, "RCA": 0.5},
        }

    return {"score_band": {"0": band(12), "1-10": band(9)}, "kvp": {"100": band(3), "120": band(10)}}


def test_a_folder_without_evaluations_is_refused(card_tables, tmp_path, capsys):
    with pytest.raises(SystemExit):
        card_tables.main([str(tmp_path)])
    assert "run cacseg evaluate first" in capsys.readouterr().err
