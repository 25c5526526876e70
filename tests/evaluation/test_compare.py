import json

import numpy as np
import pytest

from cacseg.errors import UnreadableError, UsageError
from cacseg.evaluation import ablation_table, compare_evaluations, evaluate
from cacseg.evaluation.compare import markdown_table
from cacseg.vessels import Label


def spoil(label):
    def change(labels):
        labels[labels == label] = Label.OTHER
        return labels

    return change


@pytest.fixture(scope="module")
def files(tmp_path_factory, studies, oracle):
    folder = tmp_path_factory.mktemp("compare")
    evaluate(studies, oracle(studies, spoil(Label.RCA)), folder / "a", provenance={"model": {"name": "a"}})
    evaluate(studies[2:], oracle(studies, spoil(Label.LM)), folder / "b", provenance={"model": {"name": "b"}})
    return folder / "a" / "evaluation.json", folder / "b" / "evaluation.json"


def test_the_difference_is_second_minus_first_on_the_common_cases(files):
    rows = {row.metric: row for row in compare_evaluations(*files)}
    rca, lm = rows["volume F1 RCA"], rows["volume F1 LM"]
    assert (rca.first, rca.second, rca.difference) == (0, 1, 1)
    assert (lm.first, lm.second, lm.difference) == (1, 0, -1)
    assert rca.clear
    assert lm.clear
    assert rows["volume F1 LAD"].difference == 0
    assert not rows["volume F1 LAD"].clear


def test_swapped_files_give_the_opposite(files):
    forward, backward = compare_evaluations(*files), compare_evaluations(*files[::-1])
    for one, other in zip(forward, backward, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert one.lower == pytest.approx(-other.upper)


def test_an_evaluation_differs_from_itself_by_nothing(files):
    for row in compare_evaluations(files[0], files[0]):
        assert row.difference in (0, None)
        assert not row.clear


def test_pairing_narrows_the_interval(files):
    error = next(row for row in compare_evaluations(*files) if row.metric == "mean absolute error")
    first = json.loads(files[0].read_text())["summary"]["agatston"]["mean_absolute_error"]
    assert np.isfinite([error.lower, error.upper]).all()
    assert error.lower <= error.difference <= error.upper
    assert first["upper"] > first["lower"]


def test_prints_a_table(files):
    text = markdown_table(compare_evaluations(*files))
    assert text.count("\n") == 2 + len(compare_evaluations(*files))
    assert "| volume F1 RCA (higher is better) | 0 | 1 | +1 * |" in text


def test_an_ablation_table_has_a_row_for_each_variant(files):
    lines = ablation_table(files[0], {"no RCA trick": files[1], "same": files[0]}, samples=200).splitlines()
    assert len(lines) == 5
    assert lines[3].startswith("| no RCA trick |")
    assert "+1 (+1 to +1) *" in lines[3]
    assert "*" not in lines[4]


def test_nothing_in_common_or_another_truth_is_refused(files, tmp_path):
    data = json.loads(files[0].read_text())
    for case in data["cases"]:
        case["truth"]["total"] += 1
    (tmp_path / "moved.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="true score"):
        compare_evaluations(files[0], tmp_path / "moved.json")
    data["cases"] = []
    (tmp_path / "empty.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="in common"):
        compare_evaluations(files[0], tmp_path / "empty.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UnreadableError, match=r"other\.json"):
        compare_evaluations(files[0], tmp_path / "other.json")
