import csv
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cacseg.data.readers import UnreadStudy
from cacseg.errors import RefusedError, UnreadableError, UsageError
from cacseg.evaluation import evaluate, finished_ids
from cacseg.evaluation.evaluate import case_path
from cacseg.scoring import RULES, adapt, score
from cacseg.vessels import Label


def lad_to_valve(labels):
    labels[labels == Label.LAD] = Label.AORTIC_VALVE
    return labels


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, studies, oracle):
    out = tmp_path_factory.mktemp("evaluated")
    spoilt = oracle(studies, lad_to_valve, lambda labels: np.full(labels.shape, 0.8, np.float32))
    return evaluate(studies, spoilt, out, name="gated", provenance={"model": {"name": "m", "sha256": "ab" * 32}}), out


def test_writes_what_programs_read(evaluated, studies):
    evaluation, out = evaluated
    data = json.loads((out / "evaluation.json").read_text())
    assert data["schema_version"] == "1.0"
    assert data["acceptance"]["passed"] is False
    assert evaluation.passed is False
    assert [case["id"] for case in data["cases"]] == [study.id for study in studies]
    assert data["provenance"]["rule"]["name"] == "literature"
    rows = list(csv.DictReader((out / "cases.csv").read_text().splitlines()))
    assert len(rows) == len(studies)
    for row, case in zip(rows, evaluation.cases, strict=True):
        assert float(row["truth_LAD"]) == case.truth["LAD"]
        assert float(row["volume_RCA_right"]) == case.counts["volume"]["RCA"].right
        assert float(row["fact_noise_sd_hu"]) == case.facts["noise_sd_hu"]
    lesions = list(csv.DictReader((out / "lesions.csv").read_text().splitlines()))
    assert len(lesions) == sum(len(case.lesions) for case in evaluation.cases)
    assert {row["confidence"][:3] for row in lesions} == {"0.8"}
    bands = list(csv.DictReader((out / "strata.csv").read_text().splitlines()))
    assert {row["fact"] for row in bands} >= {"score_band", "kvp", "noise_sd_hu"}


def test_the_report_stands_alone_and_is_well_formed(evaluated):
    evaluation, out = evaluated
    html = (out / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "<script" not in html
    svgs = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(svgs) >= 10
    for svg in svgs:
        ET.fromstring(svg)
    assert "not met" in html
    for case in evaluation.worst:
        assert case in html


def test_the_worst_cases_are_pictures_worst_first(evaluated):
    evaluation, out = evaluated
    errors = {case.id: case.error for case in evaluation.cases}
    assert [errors[case] for case in evaluation.worst] == sorted((e for e in errors.values() if e > 0), reverse=True)
    assert {path.stem for path in (out / "pictures").glob("*.png")} == set(evaluation.worst)
    with Image.open(out / "pictures" / f"{evaluation.worst[0]}.png") as picture:
        assert picture.mode == "RGB"
        assert picture.height == 2 * 324
        colours = {colour for _, colour in picture.getcolors(1 << 20)}
    assert {(213, 94, 0), (204, 121, 167)} <= colours


def test_a_run_goes_on_where_it_stopped(tmp_path, studies, oracle):
    first = oracle(studies)
    evaluate(studies[:5], first, tmp_path, name="a")
    (case_path(tmp_path, studies[2].id)).write_text("{broken")
    second = oracle(studies)
    evaluation = evaluate(studies, second, tmp_path, name="a")
    assert second.asked == [studies[2].id, *(study.id for study in studies[5:])]
    assert len(evaluation.cases) == len(studies)
    assert finished_ids(tmp_path, RULES["literature"], {}) == {study.id for study in studies}


def test_another_model_starts_afresh(tmp_path, studies, oracle):
    evaluate(studies[:3], oracle(studies), tmp_path, provenance={"model": {"name": "a"}})
    second = oracle(studies)
    evaluation = evaluate(studies[:2], second, tmp_path, provenance={"model": {"name": "b"}})
    assert second.asked == [studies[0].id, studies[1].id]
    assert len(evaluation.cases) == 2


def test_refusals_faults_and_unread_studies_are_counted_with_their_reason(tmp_path, studies, oracle):
    knowing = oracle(studies)

    def assign(volume, rule):
        assignment = knowing(volume, rule)
        if knowing.asked[-1] == studies[0].id:
            raise RefusedError("heart not covered")
        if knowing.asked[-1] == studies[1].id:
            raise UnreadableError("cannot be")
        return assignment

    evaluation = evaluate([*studies[:4], UnreadStudy("lost", "file 7 is damaged")], assign, tmp_path)
    assert {case.id: (case.status, case.message) for case in evaluation.cases if case.status != "scored"} == {
        studies[0].id: ("refused", "heart not covered"),
        studies[1].id: ("failed", "cannot be"),
        "lost": ("failed", "file 7 is damaged"),
    }
    assert (evaluation.summary["refused"], evaluation.summary["failed"]) == (1, 2)
    assert "file 7 is damaged" in (tmp_path / "report.html").read_text()


def test_both_scores_follow_the_voltage_as_the_product_does(tmp_path, study_maker, fake_assignment):
    facts = {"at-100": {"kvp": 100.0}, "tin": {"kvp": 150, "tin_filter": True}, "at-120": {"kvp": 120}, "untold": {}}
    cases = [replace(study_maker(3, facts=known), id=name) for name, known in facts.items()]
    thresholds = []

    def assign(volume, rule):
        thresholds.append(rule.threshold_hu)
        return fake_assignment(np.where(volume.voxels >= rule.threshold_hu, Label.LAD, 0).astype(np.uint8))

    found = {case.id: case for case in evaluate(cases, assign, tmp_path).cases}
    assert thresholds == [145, 92, 130, 130]
    for study in cases:
        rule, _ = adapt(RULES["literature"], study.facts.get("kvp"), bool(study.facts.get("tin_filter")))
        truth = score(study.volume, study.volume.with_voxels(study.labels), rule)
        assert found[study.id].truth["total"] == truth.total.agatston > 0
    assert found["tin"].truth["total"] > found["at-100"].truth["total"]
    assert found["untold"].truth == found["at-120"].truth


def test_an_unknown_fault_is_not_swallowed(tmp_path, studies):
    def assign(volume, rule):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(studies[:1], assign, tmp_path)


def test_all_refused_still_has_a_report(tmp_path, studies):
    def assign(volume, rule):
        raise RefusedError("no")

    evaluation = evaluate(studies[:2], assign, tmp_path, name="gated")
    assert evaluation.passed is False
    assert "cannot be told" in (tmp_path / "report.html").read_text()


def test_two_cases_of_one_name_and_none_at_all_are_refused(tmp_path, studies, oracle):
    with pytest.raises(UsageError, match="Two cases"):
        evaluate([studies[0], studies[0]], oracle(studies), tmp_path / "a")
    with pytest.raises(UsageError, match="no case"):
        evaluate([], oracle(studies), tmp_path / "b")


def test_ids_become_file_names_without_meeting(tmp_path):
    names = ["a/b", "a_b", "a b", "..", "ä", "x" * 300, "x" * 301]
    paths = [case_path(tmp_path, name) for name in names]
    assert len({path.name for path in paths}) == len(names)
    assert all(path.parent == tmp_path / "cases" and len(path.name) < 120 for path in paths)


def test_progress_hears_of_every_case(tmp_path, studies, oracle):
    heard = []
    evaluate(studies[:3], oracle(studies), tmp_path, progress=lambda case: heard.append(case.id))
    assert heard == [study.id for study in studies[:3]]
