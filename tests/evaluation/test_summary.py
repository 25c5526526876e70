import json

import numpy as np
import pytest

from cacseg.evaluation.acceptance import CRITERIA, judge
from cacseg.evaluation.case import CaseMeasures, measure
from cacseg.evaluation.strata import band, bands_of, stratify
from cacseg.evaluation.summary import by_stratum, summarise
from cacseg.scoring import RULES
from cacseg.vessels import Label


def measured(studies, fake_assignment, spoil=lambda labels: labels):
    return [measure(study, fake_assignment(spoil(study.labels.copy())), RULES["literature"]) for study in studies]


def rca_as_aorta(labels):
    labels[labels == Label.RCA] = Label.AORTA
    return labels


def test_perfect_answers_meet_every_requirement(studies, fake_assignment):
    summary = summarise(measured(studies, fake_assignment), samples=200)
    for family in CRITERIA:
        assert all(verdict.passed in (True, None) for verdict in judge(summary, CRITERIA[family]))
    assert summary["agatston"]["icc_2_1"]["value"] == 1
    assert summary["categories"]["kappa_linear"]["value"] == 1
    assert summary["zeros"]["scored_zero"] == summary["zeros"]["cases"] >= 3


def test_a_lost_artery_shows_where_it_should_and_nowhere_else(studies, fake_assignment):
    summary = summarise(measured(studies, fake_assignment, rca_as_aorta), samples=200)
    assert summary["vessels"]["RCA"]["volume"]["sensitivity"] == 0
    assert summary["vessels"]["RCA"]["volume"]["precision"] is None
    assert summary["vessels"]["LAD"]["volume"]["f1"]["value"] == 1
    assert summary["agatston"]["icc_2_1"]["value"] < 0.99
    assert summary["false_score"]["mean"]["value"] == 0
    assert summary["missed_score"]["mean"]["value"] > 0
    verdicts = {verdict.text: verdict for verdict in judge(summary, CRITERIA["gated"])}
    assert verdicts["volume F1 RCA"].passed is False
    assert verdicts["volume F1 LAD"].passed is True


def test_pooled_counts_and_confusion_table_add_up(studies, fake_assignment):
    cases = measured(studies, fake_assignment, rca_as_aorta)
    summary = summarise(cases, samples=50)
    assert np.sum(summary["categories"]["table"]) == len(cases)
    for unit in ("voxel", "volume", "lesion"):
        total = sum(case.counts[unit]["LM"].right for case in cases)
        assert summary["vessels"]["LM"][unit]["right"] == pytest.approx(total)


def test_interval_holds_the_estimate_and_a_seed_repeats_it(studies, fake_assignment):
    cases = measured(studies, fake_assignment, rca_as_aorta)
    one, other = summarise(cases, samples=300), summarise(cases, samples=300)
    f1 = one["coronary"]["volume"]["f1"]
    assert f1["lower"] <= f1["value"] <= f1["upper"]
    assert one == other


def test_refused_and_failed_cases_are_counted_and_left_out(studies, fake_assignment):
    cases = [*measured(studies, fake_assignment), CaseMeasures("r", "refused", "no heart"), CaseMeasures("f", "failed")]
    summary = summarise(cases, samples=50)
    assert (summary["cases"], summary["scored"], summary["refused"], summary["failed"]) == (18, 16, 1, 1)
    assert summarise(cases[-2:])["scored"] == 0
    assert summary["scored_share"] == pytest.approx(16 / 18)
    assert judge(summary, CRITERIA["gated"])[-1].passed is False


def test_one_case_has_no_correlation_but_a_summary(studies, fake_assignment):
    summary = summarise(measured(studies[1:2], fake_assignment), samples=20)
    assert "icc_2_1" not in summary["agatston"]
    assert judge(summary, CRITERIA["gated"])[0].passed is None
    json.dumps(summary, allow_nan=False)


def test_zero_family_is_ready_for_json(study_maker, fake_assignment):
    cases = measured([study_maker(number, zero=True) for number in range(4)], fake_assignment)
    summary = summarise(cases, samples=20)
    json.dumps({"summary": summary, "strata": by_stratum(cases, 20)}, allow_nan=False)
    assert [verdict.passed for verdict in judge(summary, CRITERIA["zeros"])] == [True, True, True]


def test_low_scores_are_found_only_by_their_own_voxels(fake_assignment, study_maker):
    study = next(
        study for number in range(200, 400)
        if 0 < measured([study := study_maker(number)], fake_assignment)[0].truth["total"] <= 10
    )  # fmt: skip

    def elsewhere(labels):
        return np.where(labels > Label.RCA, Label.LAD, 0).astype(np.uint8)

    assert summarise(measured([study], fake_assignment), 20)["low_scores"] == {"cases": 1, "found": 1, "share": 1.0}
    assert summarise(measured([study], fake_assignment, elsewhere), 20)["low_scores"]["found"] == 0


def test_bands_meet_without_a_gap():
    edges = (15.0, 20.0, 25.0)
    assert [band(value, edges) for value in (0, 15, 15.01, 20, 25, 25.01)] == [
        "<=15", "<=15", "15-20", "15-20", "20-25", ">25",
    ]  # fmt: skip


def test_cases_are_sorted_by_what_is_known_of_them(studies, fake_assignment):
    cases = measured(studies, fake_assignment)
    strata = stratify(cases)
    assert {name: len(members) for name, members in strata["kvp"].items()} == {"100": 8, "120": 8}
    assert list(strata["noise_sd_hu"]) == ["<=15", "15-20", "20-25", "25-35"]
    assert sum(len(members) for members in strata["score_band"].values()) == len(cases)
    assert "dominance" not in strata
    assert "score_band" not in bands_of(CaseMeasures("f", "failed"))
    short = by_stratum(cases, 20)["kvp"]["100"]
    assert short["volume_f1"]["value"] == 1


def test_a_stratum_of_refusals_only_has_no_numbers():
    case = CaseMeasures("r", "refused", facts={"kvp": 80})
    assert by_stratum([case])["kvp"]["80"] == {"cases": 1, "scored": 0}
