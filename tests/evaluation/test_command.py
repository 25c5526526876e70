import argparse
import json
from typing import ClassVar

import nibabel
import numpy as np
import pytest

from cacseg.errors import RefusedError, UsageError
from cacseg.evaluation import command, families, product
from cacseg.findings import Finding, Severity
from cacseg.scoring import RULES, adapt
from cacseg.vessels import Label


@pytest.fixture
def parser():
    made = argparse.ArgumentParser()
    command.add_arguments(made)
    return made


class Lines(list):
    def __call__(self, text):
        self.append(text)


@pytest.fixture
def no_model(monkeypatch, fake_assignment):
    """A path under test that calls every bright voxel LAD."""

    def path(name, threads, engine):
        def assign(volume, rule):
            return fake_assignment(np.where(volume.voxels >= rule.threshold_hu, Label.LAD, 0).astype(np.uint8))

        return assign, {"model": {"name": name or "default", "sha256": "0"}, "threads": threads, "engine": engine}

    monkeypatch.setattr(command, "product_path", path)


@pytest.fixture
def pairs(tmp_path, studies):
    for study in studies[:6]:
        for folder, voxels in (("images", study.volume.voxels), ("labels", study.labels)):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
            image = nibabel.Nifti1Image(voxels.T, study.volume.ras_affine())
            nibabel.save(image, tmp_path / "set" / folder / f"{study.id}.nii")
    return tmp_path / "set"


def test_a_dataset_gives_the_table_in_one_command(parser, no_model, pairs, tmp_path):
    out, said = Lines(), Lines()
    args = parser.parse_args(["--dataset", "nifti", str(pairs), "-o", str(tmp_path / "out")])
    assert command.run(args, out, said) == 0
    assert "Agatston ICC(2,1)" in out[0]
    assert "LAD" in out[0]
    assert said[-1] == f"Report: {tmp_path / 'out' / 'report.html'}"
    assert (tmp_path / "out" / "cases.csv").is_file()


def test_json_on_standard_output_only(parser, no_model, pairs, tmp_path):
    out = Lines()
    args = parser.parse_args(["--dataset", "nifti", str(pairs), "-o", str(tmp_path / "o"), "--json", "--count", "3"])
    command.run(args, out, Lines())
    assert json.loads("\n".join(out))["summary"]["cases"] == 3


def test_a_second_run_goes_on_and_says_so(parser, no_model, pairs, tmp_path):
    base = ["--dataset", "nifti", str(pairs), "-o", str(tmp_path / "o")]
    command.run(parser.parse_args([*base, "--count", "2"]), Lines(), Lines())
    said = Lines()
    command.run(parser.parse_args(base), Lines(), said)
    assert said[0].startswith("2 cases were measured before")


@pytest.mark.parametrize("other", [["--engine", "openvino"], ["--threads", "1"]])
def test_a_run_with_another_engine_or_other_threads_begins_anew(parser, no_model, pairs, tmp_path, other):
    base = ["--dataset", "nifti", str(pairs), "-o", str(tmp_path / "o"), "--count", "2"]
    command.run(parser.parse_args(base), Lines(), Lines())
    said = Lines()
    command.run(parser.parse_args([*base, *other]), Lines(), said)
    assert not any("measured before" in line for line in said)


def test_a_family_is_judged_and_check_fails_the_command(parser, no_model, tmp_path, study_maker, monkeypatch):
    monkeypatch.setattr(
        command,
        "family_cases",
        lambda family, count, **_: families.family_cases(
            family, count, processes=0, make=lambda _, seed: study_maker(seed % 1000, zero=True)
        ),
    )
    base = ["--family", "zeros", "--count", "12", "-o", str(tmp_path / "o")]
    out, said = Lines(), Lines()
    assert command.run(parser.parse_args(base), out, said) == 0
    assert "NOT met" in out[0]
    assert "zeros: 10 of 12 cases" in " ".join(said)
    assert command.run(parser.parse_args([*base, "--check"]), Lines(), Lines()) == 1


def test_two_evaluations_are_compared(parser, no_model, pairs, tmp_path):
    command.run(parser.parse_args(["--dataset", "nifti", str(pairs), "-o", str(tmp_path / "o")]), Lines(), Lines())
    file = str(tmp_path / "o" / "evaluation.json")
    out = Lines()
    assert command.run(parser.parse_args(["--compare", file, file]), out, Lines()) == 0
    assert out[0].startswith("| metric |")
    command.run(parser.parse_args(["--compare", file, file, "--json"]), out, Lines())
    assert json.loads(out[1])[file][0]["difference"] == 0
    command.run(parser.parse_args(["--compare", file, file, file]), out, Lines())
    assert out[2].startswith("| variant |")
    with pytest.raises(UsageError, match="at least two"):
        command.run(parser.parse_args(["--compare", file]), out, Lines())


def test_wrong_usage_is_said(parser, no_model, tmp_path):
    with pytest.raises(UsageError, match="-o OUT"):
        command.run(parser.parse_args(["--family", "gated"]), Lines(), Lines())
    args = parser.parse_args(["--dataset", "spam", str(tmp_path), "-o", str(tmp_path / "o")])
    with pytest.raises(UsageError, match="Unknown dataset"):
        command.run(args, Lines(), Lines())
    with pytest.raises(SystemExit):
        parser.parse_args([])


def test_the_product_path_refuses_what_the_product_refuses(monkeypatch, studies, fake_assignment):
    import cacseg.infer

    class Release:
        threads, engine = 2, "onnxruntime"
        decision: ClassVar = {"keep_probability": 0.3}

        @staticmethod
        def describe():
            return {"name": "r", "sha256": "ab", "networks": {"calcium": "ab", "closeup": "cd"}}

    class Assigned:
        labels, confidence = studies[0].labels, None
        findings = ()

    asked = {}

    def assign(volume, release, *, rule_threshold_hu):
        asked["threshold"] = rule_threshold_hu
        return Assigned

    monkeypatch.setattr(cacseg.infer, "load_release", lambda *_, **__: Release, raising=False)
    monkeypatch.setattr(cacseg.infer, "assign", assign, raising=False)
    run, identity = product.product_path()
    assert run(studies[0].volume, adapt(RULES["literature"], 100.0)[0]) is Assigned
    assert asked == {"threshold": 145}
    assert identity == {
        "model": {**Release.describe(), "decision": {"keep_probability": 0.3}},
        "threads": 2,
        "engine": "onnxruntime",
    }
    Assigned.findings = (Finding("heart-cut", Severity.REFUSAL, "the heart is cut off", "rescan"),)
    with pytest.raises(RefusedError, match="heart-cut: the heart is cut off"):
        run(studies[0].volume, RULES["literature"])
