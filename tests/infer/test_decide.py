import numpy as np
import pytest

from cacseg.infer.decide import Decision, decide
from cacseg.infer.sampling import Samples
from cacseg.vessels import Label
from cacseg.volume import Volume

PLAIN = Decision(background_bias=0.0)
VIEW = Volume.axial(np.zeros((6, 40, 40), np.int16), (3.0, 0.5, 0.5))


def samples(parts: list[tuple[np.ndarray, dict[Label, float], int]]) -> Samples:
    """Voxels (n, 3), their class probabilities (the rest is background), their HU."""
    flat, rows, hu = [], [], []
    for voxels, given, value in parts:
        row = np.zeros(9, np.float32)
        for label, share in given.items():
            row[label] = share
        row[0] = 1 - row[1:].sum()
        flat.append(np.ravel_multi_index(voxels.T, VIEW.shape))
        rows.append(np.tile(row, (len(voxels), 1)))
        hu.append(np.full(len(voxels), value, np.int16))
    order = np.argsort(np.concatenate(flat))
    return Samples(
        np.concatenate(flat)[order],
        np.concatenate(hu)[order],
        np.concatenate(rows)[order],
        np.full((len(order), 5), 0.2, np.float32),
        len(order),
    )


def block(slices: range, rows: range, columns: range) -> np.ndarray:
    return np.stack(np.meshgrid(slices, rows, columns, indexing="ij"), axis=-1).reshape(-1, 3)


def labelled(made: Samples, **settings: float) -> np.ndarray:
    result = np.zeros(VIEW.shape, np.uint8)
    result.reshape(-1)[made.voxels] = decide(made, VIEW, Decision(**{"background_bias": 0.0, **settings}))[0]
    return result


def test_a_clear_plaque_keeps_its_artery_and_its_confidence() -> None:
    made = samples([(block(range(2), range(5, 9), range(5, 9)), {Label.LCX: 0.9}, 400)])
    labels, confidence = decide(made, VIEW, PLAIN)
    assert set(labels.tolist()) == {Label.LCX}
    assert confidence == pytest.approx(0.9, abs=0.02)


def test_confidence_tells_how_surely_it_is_calcium_at_all() -> None:
    """A speck that is kept with .55 against background is not confident because its artery is clear."""
    speck = samples([(block(range(1), range(5, 7), range(5, 7)), {Label.RCA: 0.55}, 150)])
    labels, confidence = decide(speck, VIEW, PLAIN)
    assert set(labels.tolist()) == {Label.RCA}
    assert confidence == pytest.approx(0.55, abs=0.02)
    other = samples([(block(range(1), range(5, 7), range(5, 7)), {Label.OTHER: 0.6}, 150)])
    assert decide(other, VIEW, PLAIN)[1] == pytest.approx(0.6, abs=0.02)


def test_noise_is_background() -> None:
    made = samples([(block(range(1), range(5, 6), range(5, 7)), {Label.LAD: 0.3}, 140)])
    labels, confidence = decide(made, VIEW, PLAIN)
    assert not labels.any()
    assert not confidence.any()


def test_the_faint_rim_of_a_plaque_goes_with_its_core() -> None:
    rim = (block(range(1), range(5, 9), range(9, 10)), {Label.LAD: 0.35}, 135)
    core = (block(range(1), range(5, 9), range(5, 9)), {Label.LAD: 0.95}, 500)
    assert (labelled(samples([core, rim])) == Label.LAD).sum() == 20


def test_a_component_mostly_valve_is_valve_throughout() -> None:
    valve = (block(range(2), range(5, 12), range(5, 12)), {Label.AORTIC_VALVE: 0.8, Label.LM: 0.15}, 600)
    corner = (block(range(1), range(5, 7), range(12, 13)), {Label.AORTIC_VALVE: 0.4, Label.LM: 0.55}, 300)
    result = labelled(samples([valve, corner]))
    assert set(np.unique(result)) == {0, Label.AORTIC_VALVE}


def test_two_large_owners_share_a_component() -> None:
    aorta = (block(range(2), range(5, 13), range(4, 14)), {Label.AORTA: 0.9}, 500)
    artery = (block(range(2), range(5, 13), range(14, 24)), {Label.LAD: 0.9}, 500)
    result = labelled(samples([aorta, artery]))
    assert (result == Label.AORTA).sum() == (result == Label.LAD).sum() == 160


def test_left_main_runs_into_the_lad_within_one_slice() -> None:
    left_main = (block(range(1), range(5, 10), range(4, 14)), {Label.LM: 0.8, Label.LAD: 0.15}, 400)
    lad = (block(range(1), range(5, 10), range(14, 26)), {Label.LAD: 0.8, Label.LM: 0.15}, 400)
    result = labelled(samples([left_main, lad]))
    assert (result == Label.LM).sum() == 50
    assert (result == Label.LAD).sum() == 60


def test_a_sliver_of_another_artery_is_not_cut_off() -> None:
    lad = (block(range(1), range(5, 15), range(5, 15)), {Label.LAD: 0.8}, 400)
    sliver = (block(range(1), range(5, 15), range(15, 16)), {Label.LM: 0.6, Label.LAD: 0.3}, 400)
    assert set(np.unique(labelled(samples([lad, sliver])))) == {0, Label.LAD}


def test_arteries_and_owners_are_divided_each_by_a_share_of_its_own() -> None:
    lad = (block(range(1), range(5, 15), range(5, 13)), {Label.LAD: 0.8}, 400)
    fork = (block(range(1), range(5, 15), range(13, 16)), {Label.LM: 0.6, Label.LAD: 0.3}, 400)
    wall = (block(range(1), range(5, 15), range(16, 19)), {Label.AORTA: 0.8}, 400)
    whole = samples([lad, fork, wall])
    size = {"split_volume_mm3": 5.0, "split_area_mm2": 5.0}
    by_artery = labelled(whole, split_share=0.5, artery_split_share=0.2, **size)
    assert [(by_artery == label).sum() for label in (Label.LM, Label.LAD, Label.AORTA)] == [30, 110, 0]
    by_owner = labelled(whole, split_share=0.2, artery_split_share=0.5, **size)
    assert [(by_owner == label).sum() for label in (Label.LM, Label.LAD, Label.AORTA)] == [0, 110, 30]


def test_each_slice_of_a_component_chooses_its_artery() -> None:
    upper = (block(range(3, 4), range(5, 10), range(5, 10)), {Label.LM: 0.85, Label.LAD: 0.1}, 400)
    lower = (block(range(2, 3), range(5, 10), range(5, 10)), {Label.LAD: 0.85, Label.LM: 0.1}, 400)
    result = labelled(samples([upper, lower]))
    assert set(np.unique(result[3])) == {0, Label.LM}
    assert set(np.unique(result[2])) == {0, Label.LAD}


def test_coronary_bias_moves_the_choice_between_artery_and_valve() -> None:
    made = samples([(block(range(1), range(5, 10), range(5, 10)), {Label.AORTIC_VALVE: 0.5, Label.RCA: 0.4}, 400)])
    assert set(np.unique(labelled(made))) == {0, Label.AORTIC_VALVE}
    assert set(np.unique(labelled(made, coronary_bias=0.5))) == {0, Label.RCA}


def test_left_main_bias_moves_the_fork_and_nothing_else() -> None:
    fork = (block(range(1), range(5, 10), range(5, 10)), {Label.LM: 0.5, Label.LAD: 0.4}, 400)
    valve = (block(range(3, 4), range(5, 10), range(5, 10)), {Label.LM: 0.45, Label.AORTIC_VALVE: 0.4}, 400)
    plain, moved = labelled(samples([fork, valve])), labelled(samples([fork, valve]), left_main_bias=-1.0)
    assert set(np.unique(plain[0])) == {0, Label.LM}
    assert set(np.unique(moved[0])) == {0, Label.LAD}
    assert set(np.unique(plain[3])) == set(np.unique(moved[3])) == {0, Label.LM}


def test_territory_breaks_a_tie_between_arteries() -> None:
    made = samples([(block(range(1), range(5, 10), range(5, 10)), {Label.LAD: 0.46, Label.LCX: 0.44}, 400)])
    near_lcx = np.tile(np.array([0.1, 0.05, 0.1, 0.7, 0.05], np.float32), (made.voxels.size, 1))
    moved = Samples(made.voxels, made.hu, made.calcium, near_lcx, made.candidates)
    assert set(decide(moved, VIEW, PLAIN)[0].tolist()) == {Label.LCX}
    assert set(decide(moved, VIEW, Decision(territory_weight=0.0, background_bias=0.0))[0].tolist()) == {Label.LAD}


def test_bone_called_other_is_background() -> None:
    bone = samples([(block(range(6), range(40), range(30)), {Label.OTHER: 0.9}, 500)])
    labels, confidence = decide(bone, VIEW, PLAIN)
    assert not labels.any()
    assert not confidence.any()


def test_background_bias_rejects_doubtful_calcium() -> None:
    made = samples([(block(range(1), range(5, 8), range(5, 8)), {Label.LAD: 0.6}, 200)])
    assert set(decide(made, VIEW, PLAIN)[0].tolist()) == {Label.LAD}
    assert not decide(made, VIEW, Decision(background_bias=1.0))[0].any()


def test_nothing_to_decide() -> None:
    labels, confidence = decide(samples([(np.zeros((0, 3), int), {}, 0)]), VIEW, PLAIN)
    assert labels.size == confidence.size == 0


@pytest.mark.parametrize("label", [label for label in Label if label])
def test_every_class_can_be_given(label: Label) -> None:
    made = samples([(block(range(2), range(5, 9), range(5, 9)), {label: 0.9}, 400)])
    assert set(np.unique(labelled(made))) == {0, label}
