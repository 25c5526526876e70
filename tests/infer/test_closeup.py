from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from cacseg.infer import Release, assign, load_release
from cacseg.infer.closeup import (
    BATCH,
    CHANNELS,
    FACTS,
    OWNERS,
    PATCH,
    PIECE_MM,
    SMOOTH_PIXELS,
    closeups_of,
    looked_again,
    noise_of,
    smoothed,
)
from cacseg.infer.decide import Decision, decide
from cacseg.infer.sampling import Samples
from cacseg.vessels import Label
from cacseg.volume import Volume

CENTRE = np.zeros(3)
PLAIN = Decision(background_bias=0.0, other_bias=0.0)


class Answer:
    """A second network that always says the same, and remembers what it was given."""

    def __init__(self, **change: float) -> None:
        self.change = np.array([change.get(owner, 0.0) for owner in OWNERS], np.float32)
        self.each: np.ndarray | None = None
        self.given: list[dict[str, np.ndarray]] = []

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert outputs == ["change"]
        self.given.append(inputs)
        return [np.tile(self.change, (len(inputs["facts"]), 1)) if self.each is None else self.each]


def scan_with(spots: list[tuple[tuple[slice, slice, slice], int]], shape=(20, 80, 80)) -> Volume:
    voxels = np.full(shape, 40, np.int16)
    for where, hu in spots:
        voxels[where] = hu
    return Volume.axial(voxels, (3.0, 0.6, 0.6), (-24.0, -24.0, -30.0))


def samples_of(view: Volume, probability: Callable[[np.ndarray], np.ndarray]) -> Samples:
    at = np.flatnonzero(view.voxels >= 130)
    calcium = probability(np.stack(np.unravel_index(at, view.shape), axis=1)).astype(np.float32)
    territory = np.tile(np.array([0.4, 0.0, 0.6, 0.0, 0.0], np.float32), (at.size, 1))
    return Samples(at, view.voxels.reshape(-1)[at], calcium, territory, at.size)


def of(**shares: float) -> np.ndarray:
    row = np.zeros(len(Label))
    for name, share in shares.items():
        row[Label[name]] = share
    row[Label.BACKGROUND] += 1 - row.sum()
    return row


TWO = [((slice(8, 11), slice(20, 25), slice(30, 36)), 400), ((slice(15, 16), slice(60, 64), slice(60, 64)), 300)]


def two(index: np.ndarray) -> np.ndarray:
    """The lower component is likely LAD, the upper one certainly bone."""
    return np.where(index[:, :1] < 12, of(LAD=0.7, OTHER=0.2), of(LAD=0.01, OTHER=0.98))


def test_what_may_be_coronary_is_cut_out() -> None:
    view = scan_with(TWO)
    samples = samples_of(view, two)
    found = closeups_of(samples, view, CENTRE, 130.0, PLAIN)
    assert found.patches.shape == (1, len(CHANNELS), *PATCH.shape)
    assert found.facts.shape == (1, len(FACTS))
    assert np.array_equal(found.at, np.flatnonzero(samples.hu == 400))
    assert np.array_equal(found.piece, np.zeros(90))
    assert found.probability[0] == pytest.approx([0.1, 0.7, 0, 0, 0, 0.2], abs=1e-6)
    hu, share, whole = found.patches[0]
    assert np.array_equal(share, whole)
    assert share.sum() == pytest.approx(90, rel=0.01)
    assert np.allclose(hu[share == 1], 400)
    assert np.allclose(hu[share == 0], 40)
    at = np.argwhere(share > 0).mean(axis=0)
    assert np.allclose(at, [6, 31.5, 31.5], atol=0.02)


def test_the_facts_are_what_they_are_named() -> None:
    view = scan_with(TWO)
    found = closeups_of(samples_of(view, two), view, CENTRE, 130.0, PLAIN)
    facts = dict(zip(FACTS, found.facts[0].tolist(), strict=True))
    assert facts["near_artery"] == pytest.approx(0.6)
    assert facts["log_noise"] == pytest.approx(np.log(3.0) - 3.0)
    assert facts["log_volume"] == pytest.approx(np.log(90 * 1.08) - 3.0)
    assert facts["log_component_volume"] == facts["log_volume"]
    assert facts["largest_slice_area"] == pytest.approx(np.sqrt(30 * 0.36) / 5)
    assert facts["slice_increment"] == pytest.approx(0.0, abs=1e-6)
    assert facts["excess_over_noise"] == pytest.approx(3.0)
    assert facts["log_coronary"] == pytest.approx(np.log(0.7) / 5)
    assert facts["log_aorta"] == pytest.approx(np.log(1e-4) / 5)


LONG = [((slice(8, 10), slice(30, 33), slice(10, 70)), 600)]


def along(index: np.ndarray) -> np.ndarray:
    """The right half is likely metal, beyond doubt at its end."""
    return np.where(index[:, 2:] < 40, of(LAD=0.9), np.where(index[:, 2:] < 64, of(LAD=0.4, OTHER=0.6), of(OTHER=1.0)))


def test_a_long_component_is_looked_at_piece_by_piece() -> None:
    view = scan_with(LONG)
    samples = samples_of(view, along)
    found = closeups_of(samples, view, CENTRE, 130.0, PLAIN)
    column = np.unravel_index(samples.voxels[found.at], view.shape)[2]
    ends = [(column[found.piece == piece].min(), column[found.piece == piece].max()) for piece in range(3)]
    assert sorted(ends) == [(10, 29), (30, 49), (50, 69)]
    assert all((last - first + 1) * 0.6 <= PIECE_MM for first, last in ends)
    for piece, (first, last) in enumerate(ends):
        _, share, whole = found.patches[piece]
        assert share.sum() == pytest.approx((last - first + 1) * 6, rel=0.01)
        assert (whole >= share).all()
        assert whole.sum() > 1.4 * share.sum()
    volume = dict(zip(FACTS, found.facts[0], strict=True))
    assert volume["log_component_volume"] - volume["log_volume"] == pytest.approx(np.log(3), abs=0.05)


def test_each_piece_is_changed_by_what_is_said_of_it() -> None:
    view = scan_with(LONG)
    samples = samples_of(view, along)
    found = closeups_of(samples, view, CENTRE, 130.0, PLAIN)
    network = Answer()
    network.each = np.eye(len(OWNERS), dtype=np.float32)[[1, 1, 5]] * 6
    changed = looked_again(samples, view, CENTRE, 130.0, PLAIN, network)
    third = found.at[found.piece == 2]
    others = found.at[found.piece < 2]
    assert (changed.calcium[third, Label.OTHER] >= samples.calcium[third, Label.OTHER]).all()
    assert (changed.calcium[others, Label.LAD] >= samples.calcium[others, Label.LAD]).all()
    assert not np.allclose(changed.calcium[others], samples.calcium[others])
    alike = samples_of(view, lambda index: np.tile(of(LAD=0.5, OTHER=0.5), (len(index), 1)))
    network.each = np.zeros((3, len(OWNERS)), np.float32)
    network.each[:, OWNERS.index("other")] = (-1.0, 2.0, 4.0)
    changed = looked_again(alike, view, CENTRE, 130.0, PLAIN, network)
    odds = np.log(changed.calcium[found.at, Label.OTHER] / changed.calcium[found.at, Label.LAD])
    assert np.allclose(odds, np.array([-1.0, 2.0, 4.0])[found.piece], atol=1e-4)


def test_a_piece_that_cannot_be_coronary_is_passed_over() -> None:
    view = scan_with(LONG)
    samples = samples_of(view, lambda index: np.where(index[:, 2:] < 30, of(LAD=0.9), of(OTHER=1.0)))
    found = closeups_of(samples, view, CENTRE, 130.0, PLAIN)
    column = np.unravel_index(samples.voxels[found.at], view.shape)[2]
    assert (column.min(), column.max()) == (10, 29)
    assert np.array_equal(found.piece, np.zeros(120))
    assert found.patches[0, 2].sum() > 1.4 * found.patches[0, 1].sum()


def test_the_biases_of_the_decision_are_in_what_it_is_told() -> None:
    view = scan_with(TWO)
    samples = samples_of(view, two)
    told = closeups_of(samples, view, CENTRE, 130.0, replace(PLAIN, background_bias=2.0)).probability[0]
    odds = np.array([0.1 * np.exp(2.0), 0.7, 0, 0, 0, 0.2])
    assert told == pytest.approx(odds / odds.sum(), abs=1e-6)


@pytest.mark.parametrize("where", [(0, 0, 0), (19, 79, 79), (0, 79, 0)])
def test_at_the_edge_of_the_scan_its_last_voxels_are_held(where: tuple[int, int, int]) -> None:
    view = scan_with([(tuple(slice(i, i + 1) for i in where), 500)])
    found = closeups_of(samples_of(view, two if where[0] < 12 else lambda i: two(i * 0)), view, CENTRE, 130.0, PLAIN)
    hu = found.patches[0, 0]
    assert hu.max() == 500
    assert hu.min() == 40
    assert found.patches[0, 1, 6, 31, 31] > 0.2


def test_a_scan_of_one_slice_has_patches_too() -> None:
    view = scan_with([((slice(0, 1), slice(20, 25), slice(30, 36)), 400)], shape=(1, 80, 80))
    found = closeups_of(samples_of(view, two), view, CENTRE, 130.0, PLAIN)
    assert np.array_equal(found.patches[0, 0, 0], found.patches[0, 0, -1])


def test_the_second_look_changes_its_component_and_no_other() -> None:
    view = scan_with(TWO)
    samples = samples_of(view, two)
    changed = looked_again(samples, view, CENTRE, 130.0, PLAIN, Answer(other=3.0, coronary=-1.0))
    first = samples.hu == 400
    assert np.array_equal(changed.calcium[~first], samples.calcium[~first])
    odds = np.array([0.1, 0.7 * np.exp(-1), 0.2 * np.exp(3)])
    odds /= odds.sum()
    assert np.allclose(changed.calcium[first][:, [Label.BACKGROUND, Label.LAD, Label.OTHER]], odds, atol=1e-5)
    assert np.array_equal(changed.territory, samples.territory)
    assert np.array_equal(changed.voxels, samples.voxels)
    before, _ = decide(samples, view, PLAIN)
    after, _ = decide(changed, view, PLAIN)
    assert set(before[first]) == {Label.LAD}
    assert set(after[first]) == {Label.OTHER}


def test_what_the_first_network_leaves_out_stays_out() -> None:
    view = scan_with(TWO[:1])
    samples = samples_of(view, lambda index: np.tile(of(LAD=0.4), (len(index), 1)))
    changed = looked_again(samples, view, CENTRE, 130.0, PLAIN, Answer(background=-4.0, coronary=2.0))
    assert np.allclose(changed.calcium[:, Label.LAD], 0.4)
    fewer = looked_again(samples, view, CENTRE, 130.0, PLAIN, Answer(background=2.0))
    assert np.allclose(fewer.calcium[:, Label.LAD], 0.4 / (0.4 + 0.6 * np.exp(2.0)))


@pytest.mark.parametrize("owner", ["aortic_valve", "mitral_annulus", "aorta"])
def test_the_second_network_makes_no_artery_of_a_ring_or_a_wall(owner: str) -> None:
    view = scan_with(TWO[:1])
    label = Label[owner.upper()]
    samples = samples_of(view, lambda index: np.tile(of(**{"LCX": 0.4, label.name: 0.6}), (len(index), 1)))

    def odds(**change: float) -> float:
        one = looked_again(samples, view, CENTRE, 130.0, PLAIN, Answer(**change)).calcium[0]
        return float(np.log(one[label] / one[Label.LCX]))

    assert odds(**{owner: -4.0}, coronary=2.0) == pytest.approx(np.log(1.5), abs=1e-4)
    assert odds(**{owner: 3.0}, coronary=1.0) == pytest.approx(np.log(1.5) + 2.0, abs=1e-4)


def test_other_calcium_is_doubted_where_it_was_looked_at_again() -> None:
    view = scan_with(TWO[:1])
    samples = samples_of(view, lambda index: np.tile(of(LAD=0.5, OTHER=0.5), (len(index), 1)))

    def odds(doubt: float, **change: float) -> float:
        decision = replace(PLAIN, other_doubt=doubt)
        one = looked_again(samples, view, CENTRE, 130.0, decision, Answer(**change)).calcium[0]
        return float(np.log(one[Label.OTHER] / one[Label.LAD]))

    assert odds(0.0, other=3.0) == pytest.approx(3.0, abs=1e-4)
    assert odds(2.0, other=3.0) == pytest.approx(1.0, abs=1e-4)
    assert odds(2.0, coronary=3.0) == pytest.approx(-5.0, abs=1e-4)


def odds_beside(plaques: int, what: Label, sure: float = 0.95, column: int = 76, **settings: float) -> float:
    """Log-odds of LAD against a label, both as likely by both networks, in a scan with so many other plaques.

    They lie in columns 4 to 6, 0.6 mm each.
    """
    spots = [((slice(4 + 2 * z, 5 + 2 * z), slice(12 * k, 12 * k + 2), slice(4, 7)), 300) for z, k in np.ndindex(2, 3)]
    view = scan_with([((slice(4, 5), slice(1, 3), slice(column, column + 3)), 500), *spots[:plaques]])

    def seen(index: np.ndarray) -> np.ndarray:
        plaque, doubtful = of(LAD=sure, OTHER=0.99 - sure), of(**{"LAD": 0.5, what.name: 0.5})
        return np.where((index[:, 2] < 20)[:, None], plaque, doubtful)

    after = looked_again(samples_of(view, seen), view, CENTRE, 130.0, replace(PLAIN, **settings), Answer())
    one = after.calcium[after.hu == 500][0]
    return float(np.log(one[Label.LAD] / one[what]))


def test_a_piece_is_likelier_plaque_where_the_patient_has_plaque_elsewhere() -> None:
    for plaques, odds in ((0, 1 / 4), (3, 1.0), (6, 7 / 4)):
        assert odds_beside(plaques, Label.OTHER) == pytest.approx(0.0, abs=1e-4)
        assert odds_beside(plaques, Label.OTHER, usual_pieces=4.0) == pytest.approx(np.log(odds), abs=1e-4)
    assert odds_beside(6, Label.OTHER, sure=0.7, usual_pieces=4.0) == pytest.approx(np.log(1 / 4), abs=1e-4)
    assert odds_beside(6, Label.OTHER, column=36, usual_pieces=4.0) == pytest.approx(np.log(1 / 4), abs=1e-4)
    assert odds_beside(0, Label.OTHER, lone_pieces=3.0) == pytest.approx(0.0, abs=1e-4)


def test_a_speck_is_likelier_noise_where_the_patient_has_no_plaque_elsewhere() -> None:
    for plaques, odds in ((0, 1 / 3), (1, 2 / 3), (2, 1.0), (6, 1.0)):
        assert odds_beside(plaques, Label.BACKGROUND) == pytest.approx(0.0, abs=1e-4)
        assert odds_beside(plaques, Label.BACKGROUND, lone_pieces=3.0) == pytest.approx(np.log(odds), abs=1e-4)
    assert odds_beside(0, Label.BACKGROUND, usual_pieces=16.0) == pytest.approx(0.0, abs=1e-4)


def test_the_choice_between_arteries_is_left_to_the_first_network() -> None:
    view = scan_with(TWO[:1])
    samples = samples_of(view, lambda index: np.tile(of(LM=0.3, LAD=0.5, OTHER=0.2), (len(index), 1)))
    changed = looked_again(samples, view, CENTRE, 130.0, PLAIN, Answer(coronary=2.0))
    assert np.allclose(changed.calcium[:, Label.LM] / changed.calcium[:, Label.LAD], 0.6)
    assert np.allclose(changed.calcium.sum(axis=1), 1)


def test_many_components_go_through_in_batches() -> None:
    spots = [((slice(z, z + 1), slice(4 * k, 4 * k + 2), slice(9, 12)), 300) for z in (2, 6) for k in range(BATCH)]
    view = scan_with(spots)
    network = Answer()
    samples = samples_of(view, two)
    changed = looked_again(samples, view, CENTRE, 130.0, PLAIN, network)
    assert [len(given["facts"]) for given in network.given] == [BATCH, BATCH]
    assert np.allclose(changed.calcium, samples.calcium, atol=1e-6)


def test_nothing_that_may_be_coronary_leaves_everything_as_it_was() -> None:
    view = scan_with(TWO[1:])
    samples = samples_of(view, two)
    network = Answer(coronary=6.0)
    assert looked_again(samples, view, CENTRE, 130.0, PLAIN, network) is samples
    assert network.given == []
    bare = scan_with([])
    assert looked_again(samples_of(bare, two), bare, CENTRE, 130.0, PLAIN, network).voxels.size == 0


@pytest.mark.parametrize("shape", [(3, 30, 41), (1, 9, 9), (2, 3, 4)])
def test_smoothing_is_the_mean_over_mirrored_squares(shape: tuple[int, int, int]) -> None:
    hu = np.random.default_rng(3).normal(40, 20, shape).astype(np.float32)
    assert np.allclose(smoothed(hu), uniform_filter(hu, (1, SMOOTH_PIXELS, SMOOTH_PIXELS)), atol=1e-3)


def test_noise_is_measured_in_soft_tissue_alone() -> None:
    rng = np.random.default_rng(1)
    voxels = rng.normal(45, 25, (20, 120, 120))
    voxels[:, :40] = rng.normal(-850, 120, (20, 40, 120))
    view = Volume.axial(np.rint(voxels).astype(np.int16), (3.0, 0.7, 0.7))
    assert noise_of(view, view.to_world([[10, 60, 60]])[0]) == pytest.approx(25, rel=0.05)
    assert noise_of(view, view.to_world([[10, 1000, 60]])[0]) == 3.0


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return load_release(tiny_release)


def test_a_release_with_a_second_network_uses_it(release: Release, ball_heart: Callable[..., Volume]) -> None:
    heart = ball_heart()
    voxels = heart.voxels.copy()
    voxels[20:22, 60:64, 60:64] = 400
    scan = Volume(voxels, heart.affine)
    first = assign(scan, release)
    assert set(np.unique(first.labels)) == {0, Label.LAD}
    assert "closeup" not in first.timings_s
    again = assign(scan, replace(release, closeup_session=Answer(other=60.0)))
    assert set(np.unique(again.labels)) == {0, Label.OTHER}
    assert again.timings_s["closeup"] > 0
