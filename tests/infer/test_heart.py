from collections.abc import Callable

import numpy as np
import pytest

from cacseg.infer.grid import axial_view
from cacseg.infer.heart import find_heart
from cacseg.volume import Volume


def dense(cells: np.ndarray) -> np.ndarray:
    return (cells > 0).astype(np.float32)


def test_box_of_a_ball(ball_heart: Callable[..., Volume]) -> None:
    scan = ball_heart(50.0)
    box = find_heart(axial_view(scan), dense)
    assert box is not None
    assert np.abs(box.centre_lps_mm).max() < 4
    assert all(84 <= mm <= 108 for mm in box.size_mm)
    assert box.volume_ml == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.1)
    assert box.plausible
    assert box.cut_above == box.cut_below == 0


def test_box_of_a_ball_in_a_long_thin_sliced_scan(ball_heart: Callable[..., Volume]) -> None:
    long = ball_heart(50.0, (500, 60, 60), (1.0, 4.0, 4.0))
    moved = Volume(np.roll(long.voxels, 150, axis=0), long.affine)
    box = find_heart(axial_view(moved), dense)
    assert box is not None
    assert box.centre_lps_mm[2] == pytest.approx(150, abs=6)
    assert box.volume_ml == pytest.approx(524, rel=0.15)


def test_a_heart_cut_by_the_end_of_the_scan_says_so(ball_heart: Callable[..., Volume]) -> None:
    scan = ball_heart(50.0)
    box = find_heart(axial_view(scan.crop((24, 0, 0), scan.shape)), dense)
    assert box is not None
    assert box.cut_below > 0.9
    assert box.cut_above == 0
    box = find_heart(axial_view(scan.crop((0, 0, 0), (24, *scan.shape[1:]))), dense)
    assert box is not None
    assert box.cut_above > 0.9


def test_a_dense_block_is_no_heart(ball_heart: Callable[..., Volume]) -> None:
    scan = ball_heart()
    voxels = np.where(scan.voxels > 0, 100, scan.voxels).astype(np.int16)
    box = find_heart(axial_view(Volume(voxels, scan.affine)), dense)
    assert box is not None
    assert not box.plausible


def test_a_heart_on_a_scanner_that_reads_high_is_still_a_heart(ball_heart: Callable[..., Volume]) -> None:
    scan = ball_heart(50.0)
    voxels = np.where(scan.voxels > 0, 75, scan.voxels).astype(np.int16)
    box = find_heart(axial_view(Volume(voxels, scan.affine)), dense)
    assert box is not None
    assert box.plausible


def test_a_small_thing_is_no_heart(ball_heart: Callable[..., Volume]) -> None:
    box = find_heart(axial_view(ball_heart(20.0)), dense)
    assert box is None or not box.plausible


def test_nothing_marked_is_no_heart(ball_heart: Callable[..., Volume]) -> None:
    assert find_heart(axial_view(ball_heart()), np.zeros_like) is None
