from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacseg.findings import Severity, refused
from cacseg.infer import Release, assign, load_release
from cacseg.infer.assign import left_out_findings, sampled
from cacseg.infer.heart import find_heart
from cacseg.infer.sampling import Samples
from cacseg.vessels import Label
from cacseg.volume import Volume


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return load_release(tiny_release)


def with_spots(heart: Volume) -> Volume:
    voxels = heart.voxels.copy()
    voxels[20:22, 60:64, 60:64] = 400
    voxels[30, 70:75, 50:55] = 900
    voxels[26, 50, 50] = 129
    return Volume(voxels, heart.affine)


def test_spots_are_labelled_and_nothing_else(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    made = assign(scan, release)
    assert np.array_equal(made.labels > 0, scan.voxels >= 130)
    assert set(np.unique(made.labels[20:22])) == {0, Label.LAD}
    assert set(np.unique(made.labels[30])) == {0, Label.RCA}
    assert np.array_equal(made.confidence > 0, made.labels > 0)
    assert made.labels.dtype == np.uint8
    assert made.findings == ()
    assert set(made.timings_s) == {"find_heart", "resample", "network", "sample", "decide"}


def test_the_input_is_left_alone(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    before = scan.voxels.copy()
    scan.voxels.flags.writeable = False
    assign(scan, release)
    assert np.array_equal(scan.voxels, before)


def test_labels_follow_the_scan_in_any_orientation(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    expected = assign(scan, release).labels
    flipped = Volume(scan.voxels[::-1, :, ::-1], scan.affine @ _flip(scan.shape, (0, 2)))
    assert np.array_equal(assign(flipped, release).labels, expected[::-1, :, ::-1])
    swap = np.eye(4)[[2, 0, 1, 3]].T
    turned = Volume(scan.voxels.transpose(2, 0, 1), scan.affine @ swap)
    assert np.allclose(turned.to_world([[3, 1, 2]]), scan.to_world([[1, 2, 3]]))
    assert np.array_equal(assign(turned, release).labels, expected.transpose(2, 0, 1))


def _flip(shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    matrix = np.eye(4)
    for axis in axes:
        matrix[axis, axis], matrix[axis, 3] = -1, shape[axis] - 1
    return matrix


def test_the_threshold_of_the_rule_decides(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    made = assign(scan, release, rule_threshold_hu=500)
    assert np.array_equal(made.labels > 0, scan.voxels >= 500)


def test_a_heart_without_candidates_ends_early_and_says_so(release: Release, ball_heart: Callable[..., Volume]) -> None:
    made = assign(ball_heart(), release)
    assert not made.labels.any()
    assert [finding.code for finding in made.findings] == ["no-candidates"]
    assert not refused(made.findings)


def test_no_heart_is_refused(release: Release, ball_heart: Callable[..., Volume]) -> None:
    air = ball_heart(1.0, fat_hu=-1000.0)
    made = assign(air, release)
    assert refused(made.findings)
    assert made.findings[0].code == "no-heart"
    assert not made.labels.any()


def test_half_a_heart_is_refused_and_a_little_cut_is_told(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = ball_heart()
    half = assign(scan.crop((24, 0, 0), scan.shape), release)
    assert "heart-cut-lower" in [f.code for f in half.findings if f.severity is Severity.REFUSAL]
    less = assign(scan.crop((12, 0, 0), scan.shape), release)
    assert "heart-cut-lower" in [f.code for f in less.findings if f.severity is Severity.WARNING]


def test_metal_is_told(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    scan.voxels[20, 61:63, 61:63] = 2800
    assert [f.code for f in assign(scan, release).findings] == ["metal-in-coronary"]


def test_other_calcium_where_an_artery_runs_is_told() -> None:
    view = Volume.axial(np.zeros((4, 40, 40), np.int16), (3.0, 0.5, 0.5))
    spots = {  # row of the spot: how likely an LAD and an LCX are near, voxels, label
        2: (0.9, 0.05, 40, Label.OTHER),
        6: (0.3, 0.1, 40, Label.OTHER),  # away from any artery
        10: (0.1, 0.8, 8, Label.OTHER),  # small
        14: (0.9, 0.0, 40, Label.LAD),
        18: (0.2, 0.5, 39, Label.OTHER),
    }
    voxels, territory, labels = [], [], []
    for row, (lad, lcx, count, label) in spots.items():
        for place in range(count):
            voxels.append(np.ravel_multi_index((1, row + place // 20, place % 20), view.shape))
            territory.append((1 - lad - lcx, 0.0, lad, lcx, 0.0))
            labels.append(label)
    samples = Samples(
        voxels=np.array(voxels),
        hu=np.full(len(voxels), 700, np.int16),
        calcium=np.zeros((len(voxels), 9), np.float32),
        territory=np.array(territory, np.float32),
        candidates=len(voxels),
    )
    (finding,) = left_out_findings(samples, np.array(labels, np.uint8), view)
    assert finding.code == "other-near-artery"
    assert finding.message.endswith("coronary: 30 mm3 of up to 700 HU (LAD), 29 mm3 of up to 700 HU (LCX).")
    assert left_out_findings(samples, np.full(len(voxels), Label.LAD, np.uint8), view) == ()


def test_a_heart_taller_than_the_grid_is_read_in_windows(release: Release, ball_heart: Callable[..., Volume]) -> None:
    tall = ball_heart(100.0, (80, 96, 96), (3.0, 2.4, 2.4))
    voxels = tall.voxels.copy()
    for slice_ in range(10, 70, 5):
        voxels[slice_, 40:44, 40:44] = 400
    scan = Volume(voxels, tall.affine)
    assert np.array_equal(assign(scan, release).labels > 0, voxels >= 130)


@pytest.mark.parametrize(("radius_mm", "width"), [(50.0, 112), (80.0, 128), (95.0, 144)])
def test_the_grid_is_as_wide_as_the_heart_needs(
    release: Release, ball_heart: Callable[..., Volume], radius_mm: float, width: int
) -> None:
    seen = []

    class Spy:
        def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.append(inputs["cells"].shape)
            return release.calcium_session.run(outputs, inputs)

    scan = with_spots(ball_heart(radius_mm, (60, 150, 150)))
    made = assign(scan, replace(release, calcium_session=Spy()))
    assert {shape[-1] for shape in seen} == {width}
    assert np.array_equal(made.labels > 0, scan.voxels >= 130)


def test_passes_over_shifted_grids_are_averaged(release: Release, ball_heart: Callable[..., Volume]) -> None:
    """A network that knows calcium only in the upper half of its grid: of two passes one sees the spot, half sure."""

    class UpperHalf:
        def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            calcium, territory = release.calcium_session.run(outputs, inputs)
            calcium[:, 1:, :24] = -20.0
            return [calcium, territory]

    heart = ball_heart()
    voxels = heart.voxels.copy()
    voxels[22, 60:64, 60:64] = 400
    halved = replace(release, calcium_session=UpperHalf())
    certain = {}
    for name, shifts in (("low", ((0, 0, 0),)), ("high", ((-12.0, 0, 0),)), ("both", ((0, 0, 0), (-12.0, 0, 0)))):
        view = Volume(voxels, heart.affine)
        box = find_heart(view, release.predict_heart)
        samples = sampled(view, box, replace(halved, shifts_mm=shifts), 130.0, {})
        certain[name] = float(samples.calcium[:, Label.LAD].mean()) if samples.voxels.size else 0.0
    assert certain["low"] < 0.01
    assert certain["high"] > 0.9
    assert certain["both"] == pytest.approx(certain["high"] / 2, abs=0.01)


def test_very_oblique_slices_are_told(release: Release, ball_heart: Callable[..., Volume]) -> None:
    angle = np.radians(25)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = with_spots(ball_heart())
    made = assign(Volume(scan.voxels, turn @ scan.affine), release)
    assert "oblique-slices" in [finding.code for finding in made.findings]
    assert np.array_equal(made.labels > 0, scan.voxels >= 130)


def test_two_runs_give_equal_bits(release: Release, ball_heart: Callable[..., Volume]) -> None:
    scan = with_spots(ball_heart())
    first, second = assign(scan, release), assign(scan, release)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.confidence, second.confidence)
