"""Small and faint plaques, and the truth where they vanish between the slices."""

from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.disease.coronary import CRUMB_AGATSTON, FAINT_MG_CM3, draw_shape, grow_plaques
from cacseg.data.phantom.disease.estimate import agatston, slab
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scanner import acquire
from cacseg.scoring import RULES, score
from cacseg.vessels import CORONARY, Label


def pieces_of(deposit):
    return Pieces(deposit.start_lps_mm, deposit.end_lps_mm, deposit.radius_mm, deposit.density_mg_cm3)


def test_small_plaques_are_often_lightly_mineralised_and_large_ones_seldom():
    def light(size):
        drawn = [draw_shape(size, np.random.default_rng(seed)).density_mg_cm3 for seed in range(400)]
        return np.mean([FAINT_MG_CM3[0] <= each <= FAINT_MG_CM3[1] for each in drawn])

    assert light(5.0) > 0.55
    assert light(200.0) < 0.35
    faint = [draw_shape(200.0, np.random.default_rng(seed), faint=True).density_mg_cm3 for seed in range(50)]
    assert max(faint) <= FAINT_MG_CM3[1]


def test_a_diseased_artery_holds_faint_specks_beside_its_plaques(scene):
    specks = []
    for seed in range(12):
        grown = grow_plaques(scene, {**dict.fromkeys(CORONARY, 0.0), Label.LAD: 90.0}, np.random.default_rng(seed))
        small = [each for each in grown.deposits if agatston(pieces_of(each), scene.hu) < 1.2 * CRUMB_AGATSTON[1]]
        specks += [float(slab(pieces_of(each), scene.hu)[0].max()) for each in small]
        assert grown.agatston[Label.LAD] == pytest.approx(90.0, rel=0.12)
    assert len(specks) >= 12
    assert np.median(specks) < 260


@pytest.mark.parametrize("offset_mm", [0.0, 1.0, 2.0])
def test_truth_is_what_the_scan_shows_wherever_the_slices_lie(scene, gated, offset_mm):
    grown = grow_plaques(scene, {**dict.fromkeys(CORONARY, 0.0), Label.RCA: 2.0}, np.random.default_rng(6))
    patient = replace(scene, deposits=grown.deposits)
    scan = acquire(patient, replace(gated, first_slice_offset_mm=offset_mm), np.random.default_rng(1))
    total = scan.truth["noisy"]["total"]["agatston"]
    assert total == score(scan.volume, scan.labels, RULES["literature"]).total.agatston
    assert (total > 0) <= bool(np.isin(scan.labels.voxels, CORONARY).any())
    assert scan.truth["ha_mass_mg"]["RCA"] > 0


def test_left_main_plaques_run_on_into_either_daughter(scene):
    targets = {Label.LM: 30.0, Label.LAD: 60.0, Label.LCX: 60.0, Label.RCA: 0.0}
    border = scene.landmarks_lps_mm["bifurcation"][0]
    into = {"LAD": 0, "LCX": 0}
    for seed in range(24):
        grown = grow_plaques(scene, targets, np.random.default_rng(seed))
        near = {
            deposit.branch
            for deposit in grown.deposits[:2]
            if np.linalg.norm(deposit.end_lps_mm - border, axis=1).min() < 4.5
        }
        for name in into:
            into[name] += near == {"LM", name}
    assert into["LAD"] >= 3
    assert into["LCX"] >= 2
