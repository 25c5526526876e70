from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cacseg.data.phantom.scene import Deposit
from cacseg.train.sample import (
    CACHED_GRID,
    LM_OR_LAD,
    METAL,
    METAL_REACH_MM,
    NOT_CORONARY,
    OTHER_OR_METAL,
    UNKNOWN,
    Sample,
    load,
    nearest_artery,
    sample_from_labels,
    sample_from_scan,
    save,
)
from cacseg.vessels import Label
from cacseg.volume import Volume

ScanOf = Callable[[int], SimpleNamespace]


def test_calcium_of_the_scan_is_found_again_in_the_cells(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    sample = sample_from_scan(scan, {})
    present = set(np.unique(scan.labels.voxels)) - {0}
    assert present
    assert set(np.unique(sample.calcium)) - {0, UNKNOWN} == present
    cells = np.stack(np.unravel_index(sample.at, CACHED_GRID.shape))
    assert cells.shape[1] == sample.fraction.size == sample.excess.size == sample.calcium.size
    per_cell = np.prod(CACHED_GRID.spacing_mm) / np.prod(scan.volume.spacing_mm)
    for label in present:
        expected = (scan.labels.voxels == label).sum()
        found = sample.fraction[sample.calcium == label].sum() * per_cell
        assert found == pytest.approx(expected, rel=0.35)


def test_a_wire_is_metal_and_calcium_away_from_it_is_not(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    labels = np.zeros_like(scan.labels.voxels)
    labels[21:24, 60:64, 60:120] = Label.OTHER
    hu = scan.volume.voxels.copy()
    hu[labels > 0] = 900
    ends = scan.volume.to_world([[22, 62, 60], [22, 62, 90]])
    wire = Deposit(Label.OTHER, "wire", ends[:1], ends[1:], np.ones(1), np.ones(1), material="metal")
    changed = {"volume": scan.volume.with_voxels(hu), "labels": scan.labels.with_voxels(labels)}
    scene = SimpleNamespace(deposits=(wire,))
    sample = sample_from_scan(SimpleNamespace(**{**vars(scan), **changed, "scene": scene}), {})
    columns = np.unravel_index(sample.at, CACHED_GRID.shape)[2]
    metal, other = columns[sample.calcium == METAL], columns[sample.calcium == Label.OTHER]
    assert metal.size > 20
    assert other.size > 20
    assert metal.max() < other.min() + 2
    assert abs((metal.max() - metal.min()) * 1.5 - (30 * 1.2 + METAL_REACH_MM)) < 3.0


def test_metal_laid_as_calcium_is_not_metal(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    ends = scan.volume.to_world([[22, 62, 60], [22, 62, 90]])
    body = Deposit(Label.OTHER, "node", ends[:1], ends[1:], np.ones(1), np.ones(1))
    scene = SimpleNamespace(deposits=(body,))
    sample = sample_from_scan(SimpleNamespace(**{**vars(scan), "scene": scene}), {})
    assert METAL not in sample.calcium


def test_noise_and_bone_are_background(scan_of: ScanOf) -> None:
    scan = scan_of(0)
    bone_only = SimpleNamespace(**{**vars(scan), "labels": scan.labels.with_voxels(np.zeros_like(scan.labels.voxels))})
    assert set(np.unique(sample_from_scan(bone_only, {}).calcium)) <= {0, UNKNOWN}


def test_dense_targets_are_unknown_outside_the_scan(scan_of: ScanOf) -> None:
    scan = scan_of(1)
    cut = scan.volume.crop((0, 40, 0), (48, 140, 180))
    labels = scan.labels.crop((0, 40, 0), (48, 140, 180))
    sample = sample_from_scan(SimpleNamespace(**{**vars(scan), "volume": cut, "labels": labels}), {})
    outside = sample.hu[:, ::2, ::2] <= -1023
    assert outside.any()
    assert (sample.tissue[outside] == UNKNOWN).mean() > 0.999
    assert (sample.territory[outside] == UNKNOWN).mean() > 0.999
    assert (sample.tissue[~outside] != UNKNOWN).all()


def test_territory_belongs_to_the_nearest_artery(scan_of: ScanOf) -> None:
    scan = scan_of(2)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])[[2, 1, 0, 3]].astype(float)
    affine[:3, 3] = -75.0
    found = nearest_artery(scan.branches, affine, (50, 50, 50))
    for branch in scan.branches:
        point = branch.points_lps_mm[40]
        cell = np.rint(np.linalg.inv(affine) @ np.append(point, 1))[:3].astype(int)
        assert found[tuple(cell)] == branch.vessel
    assert found[0, 0, 0] == 0


def test_a_patient_with_calcium_labels_only_has_unknown_dense_targets(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    sample = sample_from_labels(scan.volume, scan.labels, np.zeros(3), {"source": "reader"})
    assert (sample.tissue == UNKNOWN).all()
    assert (sample.territory == UNKNOWN).all()
    assert (sample.heart == UNKNOWN).all()
    assert (sample.calcium == Label.LAD).any() == (scan.labels.voxels == Label.LAD).any()
    assert set(np.unique(sample.calcium)) <= {*np.unique(scan.labels.voxels).tolist(), UNKNOWN}


def test_labels_that_leave_classes_open_say_so(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    labels = scan.labels.voxels.copy()
    candidates = np.argwhere(scan.volume.voxels >= 300)
    for label, part in zip((Label.LM, Label.LAD, Label.OTHER), np.array_split(candidates, 3), strict=True):
        labels[tuple(part.T)] = label
    marked = scan.labels.with_voxels(labels)
    usual, coronary, merged, unusual = (
        sample_from_labels(scan.volume, marked, np.zeros(3), {}, scope=scope, merged=arteries).calcium
        for scope, arteries in (
            ("calcium", None),
            ("coronary", None),
            ("calcium", {Label.LM: Label.LAD}),
            ("calcium", {Label.LCX: Label.RCA}),
        )
    )
    assert {Label.BACKGROUND, Label.LM, Label.LAD, OTHER_OR_METAL} <= set(np.unique(usual).tolist())
    assert np.array_equal(coronary, np.where(usual == Label.BACKGROUND, NOT_CORONARY, usual))
    assert np.array_equal(merged, np.where(np.isin(usual, (Label.LM, Label.LAD)), LM_OR_LAD, usual))
    assert np.array_equal(unusual, np.where(np.isin(usual, (Label.LCX, Label.RCA)), UNKNOWN, usual))


def test_labels_in_another_orientation_are_matched(scan_of: ScanOf) -> None:
    scan = scan_of(3)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = scan.labels.shape[0] - 1
    flipped = Volume(scan.labels.voxels[::-1], scan.labels.affine @ flip)
    first = sample_from_labels(scan.volume, scan.labels, np.zeros(3), {})
    second = sample_from_labels(scan.volume, flipped, np.zeros(3), {})
    assert np.array_equal(first.calcium, second.calcium)


def test_saved_samples_come_back(scan_of: ScanOf, tmp_path: Path) -> None:
    sample = sample_from_scan(scan_of(0), {"seed": 0, "family": "crude"})
    save(sample, tmp_path / "one.npz")
    again = load(tmp_path / "one.npz")
    assert again.facts == sample.facts
    for name in Sample.__slots__:
        if name != "facts":
            assert np.array_equal(getattr(again, name), getattr(sample, name))
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]
