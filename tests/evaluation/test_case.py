import numpy as np
import pytest

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.errors import UsageError
from cacseg.evaluation.case import GROUP_NAMES, UNITS, VESSEL_NAMES, CaseMeasures, measure
from cacseg.scoring import RULES, score
from cacseg.vessels import Label
from cacseg.volume import Volume

RULE = RULES["literature"]


def test_a_perfect_answer_has_no_error(studies, fake_assignment):
    for study in studies:
        case = measure(study, fake_assignment(study.labels), RULE)
        assert case.error == 0
        assert case.truth == case.predicted
        assert case.truth["total"] == pytest.approx(sum(case.truth[name] for name in VESSEL_NAMES))
        assert all(case.counts[unit][name].false == 0 for unit in UNITS for name in GROUP_NAMES)
        assert all(lesion.right for lesion in case.lesions)


def test_scores_are_those_of_the_scorer(studies, fake_assignment):
    study = studies[3]
    expected = score(study.volume, study.volume.with_voxels(study.labels), RULE)
    case = measure(study, fake_assignment(np.zeros_like(study.labels)), RULE)
    assert case.truth["LCX"] == expected.vessels[Label.LCX].agatston
    assert case.predicted["total"] == 0
    assert case.missed_agatston == expected.total.agatston
    assert case.lesions == ()


def test_valve_called_lad_is_a_false_score(studies, fake_assignment):
    study = next(study for study in studies if (study.labels == Label.AORTIC_VALVE).any())
    called = np.where(study.labels == Label.AORTIC_VALVE, Label.LAD, study.labels).astype(np.uint8)
    case = measure(study, fake_assignment(called), RULE)
    assert case.false_agatston == pytest.approx(case.predicted["total"] - case.truth["total"])
    assert case.false_agatston > 0
    wrong = [lesion for lesion in case.lesions if not lesion.right]
    assert wrong
    assert sum(lesion.agatston - lesion.true_agatston for lesion in wrong) == pytest.approx(case.false_agatston)


def test_an_exchange_of_arteries_is_an_error_although_the_total_stands(studies, fake_assignment):
    study = next(study for study in studies if (study.labels == Label.LAD).any())
    called = np.where(study.labels == Label.LAD, Label.LCX, study.labels).astype(np.uint8)
    case = measure(study, fake_assignment(called), RULE)
    assert (case.false_agatston, case.missed_agatston) == (0, 0)
    assert case.error >= case.truth["LAD"] > 0
    assert case.counts["volume"]["coronary"].f1 == 1
    assert case.counts["volume"]["LAD"].right == 0


def test_arteries_that_a_dataset_does_not_tell_apart_are_joined_in_both(fake_assignment):
    hu = np.full((3, 8, 8), 40, np.int16)
    hu[1, 2:4, 2:6] = 300
    truth, called = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.uint8)
    truth[1, 2:4, 2:6] = Label.LAD
    called[1, 2:4, 2:4], called[1, 2:4, 4:6] = Label.LM, Label.LAD
    study = LabelledStudy("a", Volume.axial(hu, (3.0, 1.0, 1.0)), truth, "coronary", merged={Label.LM: Label.LAD})
    case = measure(study, fake_assignment(called), RULE)
    assert case.error == 0
    assert case.predicted["LM"] == 0


def test_extracoronary_calls_are_right_where_the_dataset_marks_coronaries_only(fake_assignment):
    hu = np.full((3, 8, 8), 40, np.int16)
    hu[1, 2:4, 2:4] = hu[1, 5:7, 5:7] = 300
    truth, called = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.uint8)
    truth[1, 5:7, 5:7] = Label.RCA
    called[1, 2:4, 2:4], called[1, 5:7, 5:7] = Label.AORTA, Label.OTHER
    volume = Volume.axial(hu, (3.0, 1.0, 1.0))
    partial = measure(LabelledStudy("a", volume, truth, "coronary"), fake_assignment(called), RULE)
    whole = measure(LabelledStudy("a", volume, truth, "calcium"), fake_assignment(called), RULE)
    assert [lesion.right for lesion in partial.lesions] == [True, False]
    assert [lesion.right for lesion in whole.lesions] == [False, False]


@pytest.mark.parametrize("sparse", [False, True])
def test_confidence_is_averaged_over_a_lesion(fake_assignment, sparse):
    hu = np.full((3, 8, 8), 40, np.int16)
    hu[1, 2:4, 2:4] = 300
    labels = np.where(hu > 130, Label.RCA, 0).astype(np.uint8)
    confidence = np.zeros(hu.shape, np.float32)
    confidence[1, 2:4, 2], confidence[1, 2:4, 3] = 0.5, 1.0
    given = confidence[labels > 0] if sparse else confidence
    study = LabelledStudy("a", Volume.axial(hu, (3.0, 1.0, 1.0)), labels, "calcium")
    (lesion,) = measure(study, fake_assignment(labels, given), RULE).lesions
    assert lesion.confidence == pytest.approx(0.75)


def test_measures_come_back_from_json(studies, fake_assignment):
    study = studies[2]
    spoilt = np.where(study.labels == Label.RCA, 0, study.labels).astype(np.uint8)
    case = measure(study, fake_assignment(spoilt, np.full(spoilt.shape, 0.5, np.float32)), RULE, seconds=1.5)
    assert CaseMeasures.from_dict(case.to_dict()) == case


def test_labels_of_another_grid_are_refused(studies, fake_assignment):
    with pytest.raises(UsageError, match="own grid"):
        measure(studies[0], fake_assignment(np.zeros((2, 2, 2), np.uint8)), RULE)


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (np.zeros((2, 3, 3), np.uint8), "shape"),
        (np.zeros((2, 3, 4), np.int16), "int16"),
        (np.full((2, 3, 4), 9, np.uint8), "value 9"),
    ],
)
def test_a_labelled_study_checks_its_labels(labels, word):
    with pytest.raises(UsageError, match=word):
        LabelledStudy("a", Volume.axial(np.zeros((2, 3, 4), np.int16), (1, 1, 1)), labels, "calcium")
