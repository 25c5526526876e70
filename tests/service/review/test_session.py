"""Edits against what a plain reading of the labels says, taken back, made again, and replayed from JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cacseg.errors import UsageError
from cacseg.report.contours import lesion_contours
from cacseg.scoring import score
from cacseg.service.review.edit import Edit
from cacseg.service.review.outlines import Outlines
from cacseg.service.review.session import ReviewSession
from cacseg.service.review.state import review_state
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume


def world(scan, voxel):
    return tuple(scan.volume.to_world([voxel])[0].tolist())


def anchors(session):
    """Brightest voxel of every lesion by its number."""
    state = review_state(session, Outlines(session.scan.volume.shape))
    return {one["id"]: tuple(one["anchor"]) for one in state["lesions"]}


def edit(session, kind, number, label=Label.BACKGROUND, **further):
    return session.apply(Edit(kind, world(session.scan, anchors(session)[number]), label, **further))


def lesion_mask(session, number):
    """Voxels of a lesion found without the scorer: all counted voxels of its label that hang together."""
    lesion = next(one for one in (*session.scoring.lesions, *session.scoring.extracoronary) if one.id == number)
    counted = (session.labels == lesion.label) & (session.scan.volume.voxels >= session.scan.rule.threshold_hu)
    parts, _ = ndimage.label(counted, ndimage.generate_binary_structure(3, 1))
    return parts == parts[anchors(session)[number]]


def plain_score(session, labels):
    return score(
        session.scan.volume,
        session.scan.volume.with_voxels(labels),
        session.scan.rule,
        mass_factor=session.scan.mass_factor,
    )


def test_nothing_done_is_the_version_itself(severe):
    session = ReviewSession(severe)
    assert session.scoring is severe.scoring
    assert np.array_equal(session.labels, severe.labels)
    assert session.labels is not severe.labels


@pytest.mark.parametrize("label", [Label.RCA, Label.AORTIC_VALVE, Label.OTHER])
def test_a_lesion_given_to_another_owner_moves_all_its_voxels_and_its_score(severe, label):
    session = ReviewSession(severe)
    lesion = session.scoring.lesions[2]
    mask = lesion_mask(session, lesion.id)
    expected = np.where(mask, label, severe.labels)
    made = edit(session, "assign", lesion.id, label)
    assert np.array_equal(session.labels, expected)
    assert session.scoring.total == plain_score(session, expected).total
    assert made.before == lesion.label.name
    assert made.lesion == lesion.id
    lost = 0 if label in CORONARY else lesion.agatston
    assert session.scoring.total.agatston == pytest.approx(severe.scoring.total.agatston - lost, rel=1e-12)
    moved = session.scoring.vessels | session.scoring.structures
    before = severe.scoring.vessels | severe.scoring.structures
    assert moved[label].agatston == pytest.approx(before[label].agatston + lesion.agatston, rel=1e-12)


def test_an_excluded_lesion_is_gone_from_labels_and_score_and_is_shown_as_excluded(severe):
    session = ReviewSession(severe)
    lesion = session.scoring.lesions[0]
    mask = lesion_mask(session, lesion.id)
    edit(session, "exclude", lesion.id)
    assert not session.labels[mask].any()
    assert session.scoring.total.agatston == pytest.approx(severe.scoring.total.agatston - lesion.agatston, rel=1e-12)
    gone = review_state(session, Outlines(severe.volume.shape))["excluded"]
    assert sorted(one["outlines"][0][0] for one in gone) == list(lesion.slices)
    assert {one["before"] for one in gone} == {int(lesion.label)}


def test_specks_too_small_to_count_follow_the_lesion_they_hang_on(severe):
    volume = severe.volume
    mask = lesion_mask(ReviewSession(severe), 1)
    top = int(mask.sum(axis=(1, 2)).argmax())
    row, column = np.argwhere(mask[top])[0]
    voxels, labels = volume.voxels.copy(), severe.labels.copy()
    voxels[top + 1 :][mask[top + 1 :]], labels[top + 1 :][mask[top + 1 :]] = 0, 0
    speck = (top + 1, row, column)
    voxels[speck], labels[speck] = 140, severe.labels[top, row, column]
    rule = replace(severe.rule, min_area_mm2=2 * volume.pixel_area_mm2)
    scoring = score(volume.with_voxels(voxels), volume.with_voxels(labels), rule)
    scan = replace(
        severe,
        volume=volume.with_voxels(voxels),
        labels=labels,
        result=replace(severe.result, scoring=scoring),
    )
    session = ReviewSession(scan)
    number = session.lesion_at(int(np.ravel_multi_index((top, row, column), volume.shape)))
    assert session.lesion_at(int(np.ravel_multi_index(speck, volume.shape))) is None
    edit(session, "assign", number, Label.RCA)
    assert session.labels[speck] == Label.RCA


def test_a_cut_gives_the_part_right_of_the_line_away(severe):
    session = ReviewSession(severe)
    lesion = max(session.scoring.lesions, key=lambda one: one.area_mm2)
    mask = lesion_mask(session, lesion.id)
    _, row, column = np.round(np.argwhere(mask).mean(axis=0)).astype(int)
    at = next(voxel for voxel in np.argwhere(mask))
    line = (world(severe, (at[0], row, column - 40.5)), world(severe, (at[0], row, column + 40.5)))
    below = mask & (np.arange(severe.volume.shape[1])[:, None] > row)
    session.apply(Edit("cut", world(severe, at), Label.LCX, line))
    expected = np.where(below, Label.LCX, severe.labels)
    assert np.array_equal(session.labels, expected)
    assert session.scoring.vessels == plain_score(session, expected).vessels
    session.undo()
    turned = (line[1], line[0])
    session.apply(Edit("cut", world(severe, at), Label.LCX, turned))
    above = mask & (np.arange(severe.volume.shape[1])[:, None] < row)
    assert np.array_equal(session.labels, np.where(above, Label.LCX, severe.labels))


def test_a_cut_in_one_slice_leaves_the_others(severe):
    session = ReviewSession(severe)
    lesion = max(session.scoring.lesions, key=lambda one: len(one.slices))
    mask = lesion_mask(session, lesion.id)
    index = lesion.slices[1]
    _, row, column = np.round(np.argwhere(mask).mean(axis=0)).astype(int)
    at = np.argwhere(mask & (np.arange(severe.volume.shape[0])[:, None, None] == index))[0]
    line = (world(severe, (index, row - 40.5, column)), world(severe, (index, row + 40.5, column)))
    session.apply(Edit("cut", world(severe, at), Label.RCA, line, one_slice=True))
    changed = np.argwhere(session.labels != severe.labels)
    assert set(changed[:, 0]) == {index}
    assert (changed[:, 2] < column).all()


def test_a_line_beside_the_lesion_cuts_nothing(severe):
    session = ReviewSession(severe)
    voxel = anchors(session)[1]
    line = (world(severe, (voxel[0], 0, 0)), world(severe, (voxel[0], 0, 5)))
    with pytest.raises(UsageError, match="does not divide lesion 1"):
        session.apply(Edit("cut", world(severe, voxel), Label.RCA, line))
    assert not session.done


def unlabelled(scan, number):
    """The same scan with one lesion left out by the version under review."""
    session = ReviewSession(scan)
    mask = lesion_mask(session, number)
    labels = np.where(mask, 0, scan.labels).astype(np.uint8)
    scoring = plain_score(session, labels)
    return replace(scan, labels=labels, result=replace(scan.result, scoring=scoring)), mask


@pytest.mark.parametrize("number", [1, 4, 8])
def test_a_click_adds_the_whole_region_at_the_threshold(severe, number):
    scan, mask = unlabelled(severe, number)
    session = ReviewSession(scan)
    where = np.argwhere(mask)
    session.apply(Edit("add", world(scan, where[len(where) // 2]), Label.LCX))
    assert np.array_equal(session.labels == Label.LCX, (scan.labels == Label.LCX) | mask)
    assert session.scoring.total == plain_score(session, session.labels).total


def test_a_click_near_calcium_means_it_and_one_on_nothing_says_the_hu(severe):
    scan, mask = unlabelled(severe, 1)
    session = ReviewSession(scan)
    index, row, column = np.argwhere(mask)[0]
    last = np.argwhere(mask[index])[:, 1].max()
    beside = (index, row, min(last + 1, column + 1))
    session.apply(Edit("add", world(scan, beside), Label.LM))
    assert session.labels[mask].all()
    with pytest.raises(UsageError, match=r"no calcium within 2 mm .* HU, the rule 'literature' counts from 130 HU"):
        session.apply(Edit("add", world(scan, (5, 80, 80)), Label.LM))


def test_bone_is_not_added(severe):
    session = ReviewSession(severe)
    spine = (20, round(0.84 * 159), 80)
    assert severe.volume.voxels[spine] >= 130
    with pytest.raises(UsageError, match="bone, a device or contrast"):
        session.apply(Edit("add", world(severe, spine), Label.LAD))


def test_labelled_calcium_is_not_added_twice_and_background_is_no_label(severe):
    session = ReviewSession(severe)
    voxel = anchors(session)[1]
    with pytest.raises(UsageError, match="belongs to a lesion already"):
        session.apply(Edit("add", world(severe, voxel), Label.RCA))
    with pytest.raises(UsageError, match="needs a label"):
        session.apply(Edit("add", world(severe, voxel), Label.BACKGROUND))


def test_an_excluded_lesion_comes_back_as_it_was(severe):
    session = ReviewSession(severe)
    voxel = anchors(session)[3]
    label = Label(int(severe.labels[voxel]))
    edit(session, "exclude", 3)
    session.apply(Edit("add", world(severe, voxel), label))
    assert np.array_equal(session.labels, severe.labels)
    assert session.scoring.total == severe.scoring.total


def test_the_same_label_again_is_no_edit(severe):
    session = ReviewSession(severe)
    with pytest.raises(UsageError, match="nothing to change"):
        edit(session, "assign", 1, session.scoring.lesions[0].label)


def test_nothing_to_take_back_and_nothing_to_make_again(severe):
    session = ReviewSession(severe)
    with pytest.raises(UsageError, match="take back"):
        session.undo()
    with pytest.raises(UsageError, match="make again"):
        session.redo()


def test_a_new_edit_ends_what_could_be_made_again(severe):
    session = ReviewSession(severe)
    edit(session, "assign", 1, Label.RCA)
    session.undo()
    edit(session, "exclude", 2)
    assert not session.undone


def test_confidence_is_unknown_exactly_where_a_person_set_the_label(severe):
    lesions = tuple(replace(one, confidence=0.8) for one in severe.scoring.lesions)
    others = tuple(replace(one, confidence=0.6) for one in severe.scoring.extracoronary)
    scoring = replace(severe.scoring, lesions=lesions, extracoronary=others)
    scan = replace(severe, result=replace(severe.result, scoring=scoring))
    session = ReviewSession(scan)
    edit(session, "assign", 2, Label.AORTA)
    state = review_state(session, Outlines(scan.volume.shape))
    by_person = [one for one in state["lesions"] if one["confidence"] is None]
    assert [one["changed"] for one in state["lesions"]].count(True) == len(by_person) == 1
    assert by_person[0]["structure"] == "aorta"
    assert {round(one["confidence"], 6) for one in state["lesions"] if not one["changed"]} == {0.8, 0.6}


def test_outlines_are_those_of_the_reports(severe):
    session = ReviewSession(severe)
    edit(session, "assign", 5, Label.RCA)
    outlines = Outlines(severe.volume.shape)
    state = review_state(session, outlines)
    expected = lesion_contours(severe.volume, session.labels, severe.rule)
    for lesion in state["lesions"]:
        lines = [
            [one.slice_index, [value for vertex in one.vertices for value in vertex]] for one in expected[lesion["id"]]
        ]
        assert sorted(lesion["outlines"]) == sorted(lines)
    assert review_state(session, outlines) == state


def test_edits_follow_the_patient_onto_a_grid_with_another_slice(severe):
    """A late slice at the lower end shifts every index, and no point in the patient."""
    session = ReviewSession(severe)
    edit(session, "assign", 2, Label.RCA)
    edit(session, "exclude", 4)
    affine = severe.volume.affine.copy()
    affine[:3, 3] -= affine[:3, 0]
    pad = ((1, 0), (0, 0), (0, 0))
    later = replace(
        severe,
        volume=Volume(np.pad(severe.volume.voxels, pad, constant_values=-1000), affine),
        labels=np.pad(severe.labels, pad),
    )
    again = ReviewSession(later, session.done)
    assert not again.skipped
    assert np.array_equal(again.labels[1:], session.labels)


def test_an_edit_that_no_longer_fits_is_told_of_and_the_others_are_made(severe):
    session = ReviewSession(severe)
    edit(session, "assign", 2, Label.RCA)
    nowhere = Edit("exclude", world(severe, (0, 0, 0)))
    outside = Edit("exclude", (9999.0, 0.0, 0.0))
    again = ReviewSession(severe, [nowhere, outside, *session.done])
    assert [one.edit for one in again.skipped] == [nowhere, outside]
    assert "outside of the scan" in again.skipped[1].reason
    kept = ReviewSession(severe, again.done, (), again.skipped)
    assert kept.skipped == again.skipped
    assert np.array_equal(again.labels, session.labels)


@settings(max_examples=25)
@given(data=st.data())
def test_any_edits_taken_back_made_again_and_replayed_from_json(severe, data):
    session = ReviewSession(severe)
    for _ in range(data.draw(st.integers(1, 5))):
        ids = [one.id for one in (*session.scoring.lesions, *session.scoring.extracoronary)]
        number = data.draw(st.sampled_from(ids))
        label = data.draw(st.sampled_from(list(Label)))
        try:
            edit(session, "assign" if label else "exclude", number, label)
        except UsageError:
            continue
    wanted, scores = session.labels.copy(), session.scoring
    count = len(session.done)
    replayed = ReviewSession(severe, [Edit.from_dict(json.loads(json.dumps(one.to_dict()))) for one in session.done])
    assert np.array_equal(replayed.labels, wanted)
    assert replayed.scoring == scores
    for _ in range(count):
        session.undo()
    assert np.array_equal(session.labels, severe.labels)
    assert session.scoring is severe.scoring
    for _ in range(count):
        session.redo()
    assert np.array_equal(session.labels, wanted)
    assert session.scoring == scores
    assert session.scoring.total == plain_score(session, wanted).total
