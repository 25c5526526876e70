import json
from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.scanner import acquire
from cacseg.data.phantom.scanner.scan import MATERIAL_HU, THRESHOLD_HU
from cacseg.errors import UsageError
from cacseg.vessels import Label
from cacseg.volume import Volume


def scan_of(scene, protocol, seed=0, **rest):
    return acquire(scene, protocol, np.random.default_rng(seed), **rest)


def added_integral(with_deposit, without):
    """HU x mm3 that a deposit adds to a scan."""
    difference = with_deposit.noise_free.voxels - without.noise_free.voxels
    return float(difference.sum(dtype=np.float64) * with_deposit.volume.voxel_volume_mm3)


def test_the_same_state_gives_the_same_bits(scene, protocol):
    one, two = (scan_of(scene, replace(protocol, motion_mm=1.0, step_mm=1.0, hardening=1.0), 7) for _ in range(2))
    assert np.array_equal(one.volume.voxels, two.volume.voxels)
    assert np.array_equal(one.labels.voxels, two.labels.voxels)
    assert one.truth == two.truth
    assert not np.array_equal(one.volume.voxels, scan_of(scene, protocol, 8).volume.voxels)


def test_tissue_keeps_its_hu_and_its_place(scene, quiet):
    scan = scan_of(scene, quiet)
    index = np.rint(scan.volume.to_index([[-20.0, 0.0, 0.0], [55.0, 0.0, 0.0], [0.0, 60.0, 6.0]])).astype(int)
    blood, lung, bone = (scan.volume.voxels[tuple(each)] for each in index)
    assert blood == 42
    assert lung == -850
    assert 500 < bone <= 700


@pytest.mark.parametrize(
    ("matrix", "width_mm", "thickness_mm", "slices"),
    [(512, 160.0, 5.0, 5), (1024, 500.0, 0.5, 40), (768, 320.0, 1.0, 20)],
)
def test_the_whole_range_of_grids_shows_the_same_calcium(
    make_scene, make_deposit, quiet, matrix, width_mm, thickness_mm, slices
):
    protocol = replace(
        quiet,
        matrix=matrix,
        field_of_view_mm=width_mm,
        slice_thickness_mm=thickness_mm,
        increment_mm=thickness_mm,
        slices=slices,
        z_start_mm=-(slices - 1) / 2 * thickness_mm,
    )
    plaque = make_deposit()
    with_it, without = (scan_of(made, protocol, keep_noise_free=True) for made in (make_scene(plaque), make_scene()))
    assert with_it.volume.shape == (slices, matrix, matrix)
    assert with_it.volume.spacing_mm == pytest.approx((thickness_mm, width_mm / matrix, width_mm / matrix))
    expected = (600.0 * quiet.ha_slope_hu) * 4 / 3 * np.pi * plaque.radius_mm[0] ** 3
    assert added_integral(with_it, without) == pytest.approx(expected, rel=0.08)


def test_labels_lie_on_dense_voxels_of_deposits_and_nowhere_else(scene, protocol):
    scan = scan_of(scene, protocol)
    labels, hu = scan.labels.voxels, scan.volume.voxels
    assert set(np.unique(labels)) == {0, Label.LAD, Label.RCA}
    assert hu[labels > 0].min() >= THRESHOLD_HU
    assert np.array_equal(labels > 0, (scan.owners.voxels > 0) & (hu >= THRESHOLD_HU))
    bone = np.rint(scan.volume.to_index([[0.0, 60.0, 0.0]])[0]).astype(int)
    assert hu[tuple(bone)] > 500
    assert labels[tuple(bone)] == 0
    at = scan.labels.to_world(np.argwhere(labels == Label.RCA))
    assert np.linalg.norm(at - [-30.0, 5.0, 8.0], axis=1).max() < 5.5


def test_what_a_voxel_owes_to_a_deposit_decides_whose_it_is(make_scene, make_deposit, quiet):
    near, far = (
        make_deposit(Label.LM, (-2.2, 0.0, 0.0), 1.5, 900.0),
        make_deposit(Label.LCX, (2.2, 0.0, 0.0), 1.5, 900.0),
    )
    owners = scan_of(make_scene(near, far), quiet).owners
    x = owners.to_world(np.argwhere(owners.voxels == Label.LM))[:, 0]
    assert x.max() < 0.6
    assert owners.to_world(np.argwhere(owners.voxels == Label.LCX))[:, 0].min() > -0.6


@pytest.mark.parametrize(("thickness", "increment"), [(3.0, 3.0), (3.0, 1.5), (1.0, 1.0), (5.0, 5.0)])
def test_blur_and_slices_keep_the_integral(make_scene, make_deposit, quiet, thickness, increment):
    chosen = replace(
        quiet, slice_thickness_mm=thickness, increment_mm=increment, z_start_mm=-24.0, slices=int(48 / increment) + 1
    )
    body = make_deposit(Label.LAD, (0.3, -0.2, 0.7), 2.0, 600.0)
    with_deposit, without = (scan_of(make_scene(*bodies), chosen, keep_noise_free=True) for bodies in ((body,), ()))
    volume_mm3 = 4 / 3 * np.pi * 2.0**3
    expected = volume_mm3 * (40.0 - 42.0 + quiet.ha_slope_hu * 600.0)
    assert added_integral(with_deposit, without) == pytest.approx(expected, rel=0.02)
    assert with_deposit.ha_mass_mg[0] == pytest.approx(volume_mm3 * 0.6, rel=0.02)


def test_gaps_between_slices_lose_what_lies_in_them(make_scene, make_deposit, quiet):
    gap = replace(quiet, slice_thickness_mm=1.0, increment_mm=6.0, z_start_mm=-24.0, slices=9)
    lost = scan_of(make_scene(make_deposit(centre=(0.0, 0.0, 3.0), radius=1.0)), gap)
    kept = scan_of(make_scene(make_deposit(centre=(0.0, 0.0, 0.0), radius=1.0)), gap)
    assert not lost.labels.voxels.any()
    assert kept.labels.voxels.any()


def test_motion_smears_and_the_right_artery_moves_most(make_scene, make_deposit, quiet):
    peak = {}
    for label in (Label.LM, Label.LAD, Label.LCX, Label.RCA):
        one = make_scene(make_deposit(label, radius=1.2))
        still = scan_of(one, quiet, keep_noise_free=True)
        moved = scan_of(one, replace(quiet, motion_mm=1.2), 3, keep_noise_free=True)
        peak[label] = moved.noise_free.voxels.max(
            where=moved.owners.voxels > 0, initial=0
        ) / still.noise_free.voxels.max(where=still.owners.voxels > 0, initial=0)
        assert moved.ha_mass_mg[0] == pytest.approx(still.ha_mass_mg[0], rel=0.02)
    assert peak[Label.RCA] < peak[Label.LCX] < peak[Label.LAD] < peak[Label.LM] < 1


def test_what_is_fixed_to_the_chest_does_not_beat(make_scene, make_deposit, quiet):
    node = make_scene(make_deposit(Label.OTHER, (50.0, 0.0, 0.0), kind="node"))
    still, moved = (scan_of(node, replace(quiet, motion_mm=motion)) for motion in (0.0, 2.0))
    assert np.array_equal(still.labels.voxels, moved.labels.voxels)


def test_gated_slabs_are_displaced_as_a_whole(scene, quiet):
    stepped = scan_of(scene, replace(quiet, step_mm=2.0, slab_slices=7), 5).volume.voxels.astype(int)
    still = scan_of(scene, quiet).volume.voxels.astype(int)
    differs = [bool((a != b).any()) for a, b in zip(stepped, still, strict=True)]
    assert any(differs)
    edge = [int(np.argmax(plane[128] > -500)) for plane in stepped]
    assert len(set(edge)) <= 4


def test_metal_is_clipped_and_throws_streaks(make_scene, make_deposit, quiet):
    wire = make_deposit(Label.OTHER, (0.0, 0.0, 0.0), 2.5, 0.0, material="metal", metal_hu=12000.0, kind="wire")
    plain, streaky = (scan_of(make_scene(wire), replace(quiet, hardening=strength)) for strength in (0.0, 1.5))
    assert plain.volume.voxels.max() == streaky.volume.voxels.max() == 3071
    assert streaky.ha_mass_mg[0] == 0.0
    ring = np.hypot(*np.meshgrid(*(np.arange(256) - 127.5,) * 2)) * 150 / 256
    near = (ring > 10) & (ring < 25)
    assert plain.volume.voxels[10][near].std() < 1
    assert streaky.volume.voxels[10][near].std() > 5


def test_noise_has_the_sd_asked_for(scene, protocol):
    scan = scan_of(scene, replace(protocol, noise_sd_hu=25.0), keep_noise_free=True)
    heart = np.abs(scan.noise_free.voxels - 42) < 1
    difference = scan.volume.voxels[heart] - scan.noise_free.voxels[heart]
    assert difference.std() == pytest.approx(25.0, rel=0.05)
    assert abs(difference.mean()) < 1.0


def test_the_centre_of_the_body_is_noisier_and_lower(scene, protocol):
    scan = scan_of(scene, replace(protocol, centre_noise_gain=0.8, cupping_hu=10.0), keep_noise_free=True)
    noise = scan.volume.voxels - scan.noise_free.voxels
    assert noise[:, 120:136, 120:136].std() > 1.3 * noise[:, 120:136, 14:24].std()
    assert scan.noise_free.voxels[10, 128, 128 - 30] == pytest.approx(42 - 5.0, abs=1.5)


def test_corners_are_padded_where_the_vendor_does(scene, protocol):
    scan = scan_of(scene, replace(protocol, padding_hu=-2048))
    assert scan.volume.voxels[0, 0, 0] == -2048
    assert scan.volume.voxels[:, 128, 0].min() >= -1024
    assert scan.volume.voxels.dtype == np.int16


def test_without_a_given_place_the_heart_is_covered(scene, protocol):
    scan = scan_of(scene, replace(protocol, slices=None, z_start_mm=None))
    z = scan.volume.to_world([[0, 0, 0], [scan.volume.shape[0] - 1, 0, 0]])[:, 2]
    assert z[0] <= -30
    assert z[1] >= 30
    centre = scan.volume.to_world([[0, 127.5, 127.5]])[0]
    assert centre[:2].tolist() == pytest.approx([0.0, 0.0], abs=6.0)


def test_a_scene_without_a_heart_needs_a_place(scene, protocol):
    empty = replace(scene, tissue=scene.tissue.with_voxels(np.zeros(scene.tissue.shape, np.uint8)))
    with pytest.raises(UsageError, match="The scene has no heart: give the protocol z_start_mm"):
        scan_of(empty, replace(protocol, slices=None))
    assert scan_of(empty, replace(protocol, centre_lps_mm=(0.0, 0.0))).volume.shape == (21, 256, 256)


def test_an_oblique_scene_is_refused(scene, protocol):
    affine = scene.hu.affine.copy()
    affine[0, 1] = 0.2
    with pytest.raises(UsageError, match="A scene must be axial with ascending axes"):
        scan_of(
            replace(scene, hu=Volume(scene.hu.voxels, affine), tissue=Volume(scene.tissue.voxels, affine)), protocol
        )


def test_truth_keeps_both_scores_and_the_mass(scene, protocol):
    scan = scan_of(scene, protocol)
    truth = json.loads(json.dumps(scan.truth))
    for kind in ("noisy", "noise_free"):
        vessels = truth[kind]["vessels"]
        assert list(vessels) == ["LM", "LAD", "LCX", "RCA"]
        assert truth[kind]["total"]["agatston"] == pytest.approx(sum(each["agatston"] for each in vessels.values()))
        assert vessels["LAD"]["agatston"] > vessels["RCA"]["agatston"] > 0
        assert vessels["LCX"]["agatston"] == 0
    assert truth["noisy"]["total"] != truth["noise_free"]["total"]
    assert truth["ha_mass_mg"]["coronary"] == pytest.approx(4 / 3 * np.pi * (8 * 0.6 + 1.5**3 * 0.5), rel=0.02)
    assert len(truth["deposits"]) == 2
    assert truth["seed"] == 3


def test_the_noise_free_score_is_that_of_the_noise_free_image(scene, protocol):
    from cacseg.scoring import score

    scan = scan_of(scene, protocol, keep_noise_free=True)
    clean = scan.volume.with_voxels(np.rint(scan.noise_free.voxels).astype(np.int16))
    assert score(clean, scan.owners).total == scan.scoring(noise=False).total


def test_owners_are_raised_materially(scene, quiet, make_scene):
    scan, empty = scan_of(scene, quiet, keep_noise_free=True), scan_of(make_scene(), quiet, keep_noise_free=True)
    raised = scan.noise_free.voxels - empty.noise_free.voxels
    assert raised[scan.owners.voxels > 0].min() >= MATERIAL_HU - 0.1
    assert raised[scan.owners.voxels == 0].max() <= MATERIAL_HU + 0.1
    assert np.allclose(scan.owner_hu, scan.noise_free.voxels[scan.owners.voxels > 0])
