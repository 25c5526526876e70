import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cacseg.errors import UsageError
from cacseg.scoring import RULES, candidates, score, score_all
from cacseg.vessels import CORONARY, EXTRACORONARY, Label
from cacseg.volume import Volume

SPACING = (3.0, 0.5, 0.5)


def blobs(seed, shape=(5, 24, 24), spacing=SPACING):
    """Boxes of calcium with labels of their own."""
    rng = np.random.default_rng(seed)
    hu = rng.integers(-100, 129, shape).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    for _ in range(8):
        first = [int(rng.integers(0, size - 3)) for size in shape]
        box = tuple(slice(one, one + int(rng.integers(1, 4))) for one in first)
        hu[box] = rng.integers(100, 900, hu[box].shape)
        labels[box] = rng.integers(1, 9)
    return Volume.axial(hu, spacing), Volume.axial(labels, spacing)


def one_lesion(hu, rows=3, columns=3, spacing=SPACING, label=Label.LAD, slices=(2, 3)):
    voxels = np.zeros((5, 12, 12), np.int16)
    voxels[slices[0] : slices[1], 4 : 4 + rows, 4 : 4 + columns] = hu
    labels = np.where(voxels != 0, int(label), 0).astype(np.uint8)
    return Volume.axial(voxels, spacing), Volume.axial(labels, spacing)


def test_seven_inserts_to_the_printed_digits(qrm, qrm_inserts, insert_labels):
    assert len(qrm_inserts) == 7
    for insert in qrm_inserts:
        labels = insert_labels(insert)
        eight = score(qrm, labels, RULES["literature-8"]).total
        assert f"{eight.agatston:.5f}" == f"{insert['published_agatston']:.5f}"
        assert f"{eight.volume_mm3:.5f}" == f"{insert['published_volume_mm3']:.5f}"
        assert f"{eight.agatston:.3f}" == f"{insert['agatston_8conn']:.3f}"
        four = score(qrm, labels).total
        assert f"{four.agatston:.3f}" == f"{insert['agatston_4conn']:.3f}"


def test_published_mass_follows_from_one_factor(qrm, qrm_inserts, insert_labels):
    """All seven published masses are volume x mean HU x one factor, which the rods of that scan give."""
    ratios = [
        insert["published_mass_mg"]
        / score(qrm, insert_labels(insert), RULES["literature-8"], mass_factor=1.0).total.mass_mg
        for insert in qrm_inserts
    ]
    assert np.ptp(ratios) < 5e-6
    assert ratios[0] == pytest.approx(0.7220, abs=1e-3)


def test_all_inserts_at_once_are_seven_lesions(qrm, qrm_inserts, insert_labels):
    labels = sum(insert_labels(insert).voxels for insert in qrm_inserts)
    scoring = score(qrm, qrm.with_voxels(labels))
    assert scoring.total.lesions == 7
    assert scoring.total.agatston == pytest.approx(sum(insert["agatston_4conn"] for insert in qrm_inserts), abs=0.01)


@given(seed=st.integers(0, 10_000), order=st.permutations([int(label) for label in CORONARY]))
@settings(max_examples=40, deadline=None)
def test_permuting_the_arteries_permutes_their_scores(seed, order):
    volume, labels = blobs(seed)
    renamed = np.array([0, *order, 5, 6, 7, 8], np.uint8)[labels.voxels]
    before, after = score(volume, labels), score(volume, volume.with_voxels(renamed))
    for old, new in zip(CORONARY, order, strict=True):
        assert before.vessels[old] == after.vessels[Label(new)]
    assert before.total.agatston == pytest.approx(after.total.agatston, rel=1e-12)


@given(seed=st.integers(0, 10_000), axis=st.integers(0, 2), rule=st.sampled_from(sorted(set(RULES) - {"philips"})))
@settings(max_examples=60, deadline=None)
def test_flipping_the_volume_changes_nothing(seed, axis, rule):
    # Interpolated halfway between two lesions, a voxel goes to the lower slice: no flip keeps that.
    assume(axis > 0 or RULES[rule].volume_method == "voxels")
    volume, labels = blobs(seed, spacing=(1.0, 0.5, 0.5))
    there = score(volume, labels, RULES[rule]).total
    flipped = (Volume.axial(np.flip(each.voxels, axis).copy(), (1.0, 0.5, 0.5)) for each in (volume, labels))
    back = score(*flipped, RULES[rule]).total
    assert back.agatston == pytest.approx(there.agatston, rel=1e-12)
    assert back.volume_mm3 == pytest.approx(there.volume_mm3, rel=1e-12)
    assert back.lesions == there.lesions


@given(seed=st.integers(0, 10_000), factor=st.floats(0.2, 4.0))
@settings(max_examples=40, deadline=None)
def test_the_increment_scales_agatston_volume_and_mass(seed, factor):
    volume, labels = blobs(seed)
    stretched = (3.0 * factor, 0.5, 0.5)
    one = score(volume, labels).total
    other = score(Volume.axial(volume.voxels, stretched), Volume.axial(labels.voxels, stretched)).total
    for quantity in ("agatston", "volume_mm3", "mass_mg"):
        assert getattr(other, quantity) == pytest.approx(factor * getattr(one, quantity), rel=1e-9)
    assert other.lesions == one.lesions


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_cutting_between_slices_keeps_the_sum(seed):
    """Agatston counts slices: two halves of the stack add up to the whole, whatever lesions the cut splits."""
    volume, labels = blobs(seed)
    halves = [(0, 2), (2, 5)]
    parts = [score(volume.crop((a, 0, 0), (b, 24, 24)), labels.crop((a, 0, 0), (b, 24, 24))).total for a, b in halves]
    whole = score(volume, labels).total
    assert sum(part.agatston for part in parts) == pytest.approx(whole.agatston, rel=1e-12)
    assert sum(part.volume_mm3 for part in parts) == pytest.approx(whole.volume_mm3, rel=1e-12)
    assert sum(part.lesions for part in parts) >= whole.lesions


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_vessels_lesions_and_total_agree(seed):
    volume, labels = blobs(seed)
    scoring = score(volume, labels)
    for label in CORONARY:
        mine = [lesion for lesion in scoring.lesions if lesion.label is label]
        assert scoring.vessels[label].agatston == math.fsum(lesion.agatston for lesion in mine)
        assert scoring.vessels[label].lesions == len(mine)
    assert scoring.total.agatston == math.fsum(part.agatston for part in scoring.vessels.values())
    assert scoring.total.mass_mg == math.fsum(part.mass_mg for part in scoring.vessels.values())
    ids = [lesion.id for lesion in (*scoring.lesions, *scoring.extracoronary)]
    assert ids == list(range(1, len(ids) + 1))
    assert set(scoring.structures) == set(EXTRACORONARY)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_joining_corners_never_loses_volume(seed):
    volume, labels = blobs(seed)
    four, eight = (score(volume, labels, RULES[name]).total for name in ("literature", "literature-8"))
    assert eight.volume_mm3 >= four.volume_mm3
    assert eight.agatston >= four.agatston


def test_padding_and_unlabelled_voxels_do_not_matter():
    volume, labels = blobs(3)
    voxels = volume.voxels.copy()
    voxels[labels.voxels == 0] = -2048
    assert score(volume.with_voxels(voxels), labels).total == score(volume, labels).total


def test_non_integer_hu_are_not_rounded():
    volume, labels = one_lesion(130)
    for hu, counted in ((129.99, False), (130.0, True), (199.9999, True)):
        total = score(volume.with_voxels(np.where(volume.voxels > 0, hu, 0.0).astype(np.float32)), labels).total
        assert total.agatston == (2.25 if counted else 0.0)


def test_arrays_that_are_not_contiguous_score_the_same():
    volume, labels = blobs(5)
    wide = np.zeros((5, 24, 48), np.int16)
    wide[:, :, ::2] = volume.voxels
    views = Volume.axial(wide[:, :, ::2], SPACING), labels.with_voxels(np.asfortranarray(labels.voxels))
    assert score(*views) == score(volume, labels)


def test_arguments_are_left_alone():
    volume, labels = blobs(6)
    before = volume.voxels.copy(), labels.voxels.copy()
    score_all(volume, labels)
    assert (volume.voxels == before[0]).all()
    assert (labels.voxels == before[1]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
def test_every_integer_type_of_label(dtype):
    volume, labels = blobs(7)
    assert score(volume, labels.with_voxels(labels.voxels.astype(dtype))) == score(volume, labels)


def test_a_scan_without_calcium_scores_zero():
    volume, labels = one_lesion(0)
    for scoring in score_all(volume, labels):
        assert scoring.total == scoring.vessels[Label.LM]
        assert (scoring.total.agatston, scoring.total.mass_mg, scoring.total.lesions) == (0.0, 0.0, 0)
        assert scoring.lesions == scoring.extracoronary == ()


def test_score_all_keeps_the_order_of_the_rules():
    volume, labels = blobs(8)
    assert [scoring.rule.name for scoring in score_all(volume, labels)] == list(RULES)


def test_candidates_reach_down_to_the_volume_threshold():
    volume, _ = one_lesion(120)
    assert candidates(volume, RULES["philips"]).sum() == 9
    assert candidates(volume).sum() == 0


def test_one_philips_component_with_two_lesions_keeps_them_apart():
    voxels = np.full((3, 6, 11), 0, np.int16)
    voxels[1, 2:4, 2:9] = 120
    voxels[1, 2:4, 2:4] = 300
    voxels[1, 2:4, 7:9] = 300
    labels = (voxels > 0).astype(np.uint8)
    first, second = score(Volume.axial(voxels, SPACING), Volume.axial(labels, SPACING), RULES["philips"]).lesions
    assert (first.volume_mm3, second.volume_mm3) == (pytest.approx(10 * 0.75), pytest.approx(4 * 0.75))


def test_confidence_on_the_grid_and_as_a_list_agree():
    volume, labels = blobs(9)
    grid = np.random.default_rng(0).random(volume.shape, np.float32)
    listed = grid.reshape(-1)[np.flatnonzero(labels.voxels)]
    by_grid, by_list = (score(volume, labels, confidence=each) for each in (grid, listed))
    assert by_grid == by_list
    lesion = by_grid.lesions[0]
    assert 0 < lesion.confidence < 1
    assert score(volume, labels).lesions[0].confidence is None


def test_confidence_of_one_lesion_is_the_mean_over_its_voxels():
    volume, labels = one_lesion(250)
    confidence = np.arange(1, 10) / 10
    assert score(volume, labels, confidence=confidence).lesions[0].confidence == pytest.approx(0.5)


def test_facts_of_a_lesion():
    volume, labels = one_lesion(455, slices=(1, 3))
    lesion = score(volume, labels, mass_factor=0.8).lesions[0]
    assert lesion.peak_hu == 455
    assert isinstance(lesion.peak_hu, int)
    assert lesion.slices == (1, 2)
    assert lesion.area_mm2 == 4.5
    assert lesion.centroid_lps_mm == (2.5, 2.5, 4.5)
    assert lesion.mass_mg == pytest.approx(13.5 * 455 * 0.8 / 1000)


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_labels_that_are_not_integers_are_refused(dtype):
    volume, labels = one_lesion(250)
    with pytest.raises(UsageError, match="integers from 0 to 8"):
        score(volume, labels.with_voxels(labels.voxels.astype(dtype)))


@pytest.mark.parametrize("value", [9, -1])
def test_unknown_label_values_are_refused(value):
    volume, labels = one_lesion(250)
    voxels = np.where(labels.voxels > 0, value, 0).astype(np.int16)
    with pytest.raises(UsageError, match="8 OTHER"):
        score(volume, labels.with_voxels(voxels))


def test_labels_on_another_grid_are_refused():
    volume, labels = one_lesion(250)
    with pytest.raises(UsageError, match="matched_to"):
        score(volume, Volume.axial(labels.voxels, SPACING, (1.0, 0.0, 0.0)))


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_mass_factor_is_refused(factor):
    with pytest.raises(UsageError, match="mass factor"):
        score(*one_lesion(250), mass_factor=factor)


def test_confidence_of_another_size_is_refused():
    with pytest.raises(UsageError, match="9 labelled voxels"):
        score(*one_lesion(250), confidence=np.ones(8))
