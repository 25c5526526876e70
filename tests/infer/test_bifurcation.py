from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacseg.infer import assign, load_release
from cacseg.infer.bifurcation import BLOCK, LEAST_LEFT_MAIN, PRIOR, FirstLook, left_main, prior_of, shared_out
from cacseg.infer.grid import GridSpec, model_input
from cacseg.infer.sampling import Samples
from cacseg.vessels import Label
from cacseg.volume import Volume

GRID = GridSpec((32, 64, 64), (3.0, 1.5, 1.5))
VIEW = Volume.axial(np.full((60, 200, 200), 40, np.int16), (2.0, 0.5, 0.5), (-50.0, -50.0, -60.0))


def look_at(
    centre_lps_mm: tuple[float, float, float], left_main_lps_mm: tuple[float, float, float] | None
) -> FirstLook:
    """The first network of a grid; sure of a left main artery around one place, of nothing else."""
    grid = model_input(VIEW, np.array(centre_lps_mm), GRID)
    territory = np.zeros((5, GRID.shape[0], GRID.shape[1] // 2, GRID.shape[2] // 2), np.float32)
    territory[0] = 8.0
    look = FirstLook(grid, np.zeros((9, *GRID.shape), np.float32), territory)
    return look if left_main_lps_mm is None else seen_at(look, Label.LM, left_main_lps_mm, 8.0)


def seen_at(look: FirstLook, label: Label, place_lps_mm: tuple[float, float, float], reach_mm: float) -> FirstLook:
    """Add an artery that the first network is sure of around one more place."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in look.territory.shape[1:]], indexing="ij"), -1).astype(float)
    index[..., 1:] = 2 * index[..., 1:] + 0.5
    world = index.reshape(-1, 3) @ look.grid.affine[:3, :3].T + look.grid.affine[:3, 3]
    apart = np.linalg.norm(world - place_lps_mm, axis=1).reshape(look.territory.shape[1:])
    territory = look.territory.copy()
    territory[label] = np.maximum(territory[label], 16.0 * np.exp(-((apart / reach_mm) ** 2)))
    return replace(look, territory=territory)


def samples_at(index: np.ndarray) -> Samples:
    """Half LM and LAD, some RCA and other calcium, wherever asked."""
    voxels = np.ravel_multi_index(tuple(index.T), VIEW.shape)
    calcium = np.tile(np.array([0.1, 0.3, 0.2, 0.1, 0.1, 0, 0, 0, 0.2], np.float32), (len(index), 1))
    territory = np.tile(np.array([0.2, 0.4, 0.2, 0.0, 0.2], np.float32), (len(index), 1))
    return Samples(voxels, np.full(len(index), 300, np.int16), calcium, territory, len(index))


class Answer:
    """A third network that says LCX in the upper half of its block and LM in the lower one."""

    def __init__(self) -> None:
        self.given: list[dict[str, np.ndarray]] = []

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert outputs == ["artery"]
        self.given.append(inputs)
        artery = np.zeros((1, 3, *BLOCK.shape), np.float32)
        artery[0, 0, :8] = artery[0, 2, 8:] = 20.0
        return [artery]


def test_of_two_left_main_arteries_the_one_with_branches_is_meant() -> None:
    """As large a one beside the pulmonary artery, with a branch but not with two, moves the block by no millimetre."""
    true, false = (4.0, -6.0, -15.0), (0.0, 8.0, 18.0)
    look = seen_at(look_at((0, 0, 0), true), Label.LM, false, 10.0)
    look = seen_at(look, Label.LAD, (false[0] + 10.0, false[1], false[2]), 8.0)
    for label, aside in ((Label.LAD, -10.0), (Label.LCX, 10.0)):
        look = seen_at(look, label, (true[0] + 10.0, true[1] + aside, true[2]), 8.0)
    found = left_main(VIEW, [look])
    assert found is not None
    np.testing.assert_allclose(found[1], true, atol=1.0)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (7.0, -11.0, 9.0)])
def test_the_left_main_artery_is_found_where_the_first_network_sees_it(place: tuple[float, float, float]) -> None:
    found = left_main(VIEW, [look_at((0, 0, 0), place)])
    assert found is not None
    assert np.linalg.norm(found[1] - place) < 1.0


def test_the_window_that_shows_most_of_it_is_taken() -> None:
    upper, lower = look_at((0, 0, 40), (2.0, 1.0, -10.0)), look_at((0, 0, -20), (2.0, 1.0, -10.0))
    found = left_main(VIEW, [upper, lower])
    assert found is not None
    assert found[0] is lower
    assert np.linalg.norm(found[1] - (2.0, 1.0, -10.0)) < 1.0


def test_without_a_left_main_artery_nothing_is_asked_and_nothing_changes() -> None:
    faint = look_at((0, 0, 0), None)
    faint.territory[0] = 0.0
    faint.territory[Label.LM] = -0.01  # a fifth for each of five classes, but for this
    assert left_main(VIEW, [faint]) is None
    samples, network = samples_at(np.array([[30, 100, 100]])), Answer()
    assert shared_out(samples, VIEW, [faint], network) is samples
    assert network.given == []
    faint.territory[Label.LM] = 0.01
    assert pytest.approx(0.2) == LEAST_LEFT_MAIN
    assert left_main(VIEW, [faint]) is not None


def test_what_lm_lad_and_lcx_have_together_is_shared_out_anew_within_the_block() -> None:
    look = look_at((0, 0, 0), (0.0, 0.0, 0.0))
    columns = np.arange(0, 200, 7)
    index = np.array([[z, 100, column] for z in (3, 24, 36, 57) for column in columns])
    samples, network = samples_at(index), Answer()
    changed = shared_out(samples, VIEW, [look], network)
    lps = VIEW.to_world(index)
    inside = (np.abs(lps[:, 0]) < 31.5) & (np.abs(lps[:, 2]) < 23.0)
    outside = (np.abs(lps[:, 0]) > 33.0) | (np.abs(lps[:, 2]) > 26.0)
    assert inside.sum() > 20
    assert outside.sum() > 20
    for before, after in ((samples.calcium, changed.calcium), (samples.territory, changed.territory)):
        assert np.array_equal(after[outside], before[outside])
        rest = [0, *range(4, before.shape[1])]
        assert np.array_equal(after[:, rest], before[:, rest])
        assert np.allclose(after[:, 1:4].sum(axis=1), before[:, 1:4].sum(axis=1), atol=1e-6)
        upper, lower = inside & (lps[:, 2] > 2), inside & (lps[:, 2] < -2)
        assert np.allclose(after[upper, Label.LCX], before[upper, 1:4].sum(axis=1), atol=1e-5)
        assert np.allclose(after[lower, Label.LM], before[lower, 1:4].sum(axis=1), atol=1e-5)
    assert np.array_equal(changed.voxels, samples.voxels)
    (given,) = network.given
    assert given["cells"].shape == (1, 3, *BLOCK.shape)
    assert given["prior"].shape == (1, len(PRIOR), BLOCK.shape[0], BLOCK.shape[1] // 2, BLOCK.shape[2] // 2)
    assert {array.dtype for array in given.values()} == {np.dtype(np.float32)}


def test_where_nothing_may_be_of_the_three_the_network_is_not_asked() -> None:
    samples, network = samples_at(np.array([[30, 100, 100], [31, 100, 100]])), Answer()
    samples.calcium[:] = (0.3, 0.004, 0.003, 0.002, 0.191, 0, 0, 0, 0.5)
    assert shared_out(samples, VIEW, [look_at((0, 0, 0), (0, 0, 0))], network) is samples
    samples.calcium[1, Label.LAD] = 0.1
    changed = shared_out(samples, VIEW, [look_at((0, 0, 0), (0, 0, 0))], network)
    assert len(network.given) == 1
    assert np.array_equal(changed.calcium[0], samples.calcium[0])
    assert not np.array_equal(changed.calcium[1], samples.calcium[1])


def test_the_network_is_told_what_the_first_one_says_at_the_same_place() -> None:
    look = look_at((1.0, 2.0, 3.0), (4.0, -3.0, 5.0))
    look.calcium[Label.LAD] = 3.0
    look.calcium[Label.AORTIC_VALVE] = look.calcium[Label.OTHER] = 2.0
    block = model_input(VIEW, np.array([4.0, -3.0, 5.0]), BLOCK)
    prior = dict(zip(PRIOR, prior_of(look, block), strict=True))
    territory = np.stack([prior[name] for name in PRIOR[:5]])
    assert np.allclose(territory.sum(axis=0), 1.0, atol=1e-5)
    calcium = np.exp([0, 0, 3, 0, 0, 2, 0, 0, 2])
    calcium /= calcium.sum()
    assert np.allclose(prior["LAD"], calcium[Label.LAD], atol=1e-5)
    assert np.allclose(prior["calcium that is not coronary"], calcium[5:].sum(), atol=1e-5)
    top = np.array(np.unravel_index(prior["near LM"].argmax(), prior["near LM"].shape), float)
    top[1:] = 2 * top[1:] + 0.5
    assert np.linalg.norm((block.affine @ [*top, 1.0])[:3] - [4.0, -3.0, 5.0]) < 2.5


@pytest.mark.parametrize("place", [(-49.0, -49.0, -59.0), (49.0, 49.0, 57.0)])
def test_at_a_corner_of_the_scan_the_block_reaches_beyond_it(place: tuple[float, float, float]) -> None:
    look = look_at(place, place)
    index = np.rint(VIEW.to_index([place])).astype(int)
    changed = shared_out(samples_at(np.clip(index, 0, 199)), VIEW, [look], Answer())
    assert np.isfinite(changed.calcium).all()
    assert changed.calcium[0, 1:4].sum() == pytest.approx(0.6, abs=1e-5)


def test_a_release_with_a_third_network_uses_it(tiny_release: Path, ball_heart: Callable[..., Volume]) -> None:
    heart = ball_heart()
    voxels = heart.voxels.copy()
    voxels[20:22, 60:64, 60:64] = 400
    scan = Volume(voxels, heart.affine)
    release = load_release(tiny_release)  # its territories are even, and so is what is near the left main artery
    assert set(np.unique(assign(scan, release).labels)) == {0, Label.LAD}
    network = Answer()
    again = assign(scan, replace(release, bifurcation_session=network))
    assert len(network.given) == 1
    assert set(np.unique(again.labels)) <= {0, Label.LM, Label.LCX}
    assert (again.labels > 0).any()
    assert again.timings_s["bifurcation"] > 0
