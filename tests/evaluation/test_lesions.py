import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.evaluation.counts import Counts
from cacseg.evaluation.lesions import found_lesions, lesion_counts, lesion_map, volume_counts, voxel_counts
from cacseg.scoring import RULES, score
from cacseg.vessels import Label
from cacseg.volume import Volume

RULE = RULES["literature"]


def random_labels(seed, rule_name="literature"):
    rng = np.random.default_rng(seed)
    hu = np.where(rng.random((4, 12, 12)) < 0.45, 200, 40).astype(np.int16)
    labels = rng.integers(0, 5, (4, 6, 6)).repeat(2, axis=1).repeat(2, axis=2).astype(np.uint8)
    return Volume.axial(hu, (3.0, 0.6, 0.6)), labels


@given(st.integers(0, 10**6), st.sampled_from(sorted(RULES)))
def test_lesions_and_volume_are_those_of_the_scorer(seed, rule_name):
    rule = RULES[rule_name]
    volume, labels = random_labels(seed)
    lesions = lesion_map(volume, labels, rule)
    scoring = score(volume, volume.with_voxels(labels), rule)
    if rule.min_pixels == 1 and rule.volume_threshold_hu is None and rule.volume_method == "voxels":
        assert lesions.count == len(scoring.lesions)
        counted = volume_counts(lesions, lesions, Label.LAD, volume.voxel_volume_mm3)
        assert counted.right == pytest.approx(scoring.vessels[Label.LAD].volume_mm3)
        assert (counted.false, counted.missed) == (0, 0)


def boxes(*marks):
    """HU and labels of a 3 x 12 x 12 scan with 1 mm pixels; marks are (index, label)."""
    hu, labels = np.full((3, 12, 12), 40, np.int16), np.zeros((3, 12, 12), np.uint8)
    for index, label in marks:
        hu[index], labels[index] = 300, label
    return Volume.axial(hu, (3.0, 1.0, 1.0)), labels


def test_a_lesion_is_found_from_half_of_its_voxels_on():
    volume, truth = boxes((np.s_[1, 2, 2:6], Label.LAD))
    for kept, found in ((1, False), (2, True), (4, True)):
        called = np.zeros_like(truth)
        called[1, 2, 2 : 2 + kept] = Label.LAD
        assert found_lesions(lesion_map(volume, truth, RULE), called).tolist() == [found]


def test_the_wrong_artery_is_missed_and_false():
    volume, truth = boxes((np.s_[1, 2:4, 2:4], Label.LAD), (np.s_[1, 8:10, 8:10], Label.LCX))
    called = np.where(truth == Label.LAD, Label.LCX, truth).astype(np.uint8)
    maps = lesion_map(volume, truth, RULE), lesion_map(volume, called, RULE)
    assert lesion_counts(*maps, truth, called, Label.LAD) == Counts(0, 0, 1)
    assert lesion_counts(*maps, truth, called, Label.LCX) == Counts(1, 1, 0)
    assert volume_counts(*maps, Label.LCX, 3.0) == Counts(12.0, 12.0, 0.0)


def test_voxels_below_the_threshold_and_specks_do_not_count():
    volume, truth = boxes((np.s_[1, 2, 2], Label.RCA))
    fine = Volume.axial(volume.voxels, (3.0, 0.5, 0.5))
    assert lesion_map(volume, truth, RULE).count == 1
    assert lesion_map(fine, truth, RULE).count == 0
    dim = volume.with_voxels(np.full(volume.shape, 129, np.int16))
    assert lesion_map(dim, truth, RULE).count == 0
    assert voxel_counts(fine, truth, truth, 4, 130)[Label.RCA - 1] == Counts(1, 0, 0)
    assert voxel_counts(dim, truth, truth, 4, 130)[Label.RCA - 1] == Counts(0, 0, 0)


def test_voxel_counts_against_plain_comparison():
    volume, truth = random_labels(3)
    _, called = random_labels(4)
    bright = volume.voxels >= 130
    for label, counts in enumerate(voxel_counts(volume, truth, called, 4, 130), start=1):
        assert counts.right == (bright & (truth == label) & (called == label)).sum()
        assert counts.false == (bright & (truth != label) & (called == label)).sum()
        assert counts.missed == (bright & (truth == label) & (called != label)).sum()
