"""Stents, and calcium beside them."""

import numpy as np

from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.disease.devices import STENT_LENGTH_MM, stents
from cacseg.data.phantom.disease.estimate import slab
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scanner import acquire
from cacseg.vessels import Label


def test_stents_are_tubes_of_8_to_40_mm_in_an_artery_and_some_begin_in_the_left_main(scene):
    root = scene.landmarks_lps_mm["bifurcation"][0]
    reach, from_left_main = [], 0
    for seed in range(60):
        for stent in stents(scene, 0.0, np.random.default_rng(seed)):
            assert stent.label == Label.OTHER
            assert stent.material == "metal"
            ends = np.concatenate([stent.start_lps_mm, stent.end_lps_mm])
            reach.append(np.linalg.norm(np.ptp(ends, axis=0)))
            from_left_main += bool((ends[:, 0] < root[0] - 2).any()) and stent.branch != "RCA"
    assert STENT_LENGTH_MM == (8.0, 40.0)
    assert min(reach) > 5
    assert 25 < max(reach) < 48
    assert from_left_main >= 2


def test_blurred_struts_reach_a_few_hundred_to_over_a_thousand_hu(scene):
    peaks = []
    for seed in range(12):
        for stent in stents(scene, 0.0, np.random.default_rng(seed)):
            density = np.full(len(stent.radius_mm), (stent.metal_hu - 45) / 1.25)
            pieces = Pieces(stent.start_lps_mm, stent.end_lps_mm, stent.radius_mm, density)
            peaks.append(float(slab(pieces, scene.hu)[0].max()))
    assert 200 < min(peaks) < 500
    assert 1000 < max(peaks) < 2500


def test_calcium_beside_a_stent_still_counts(scene, gated):
    targets = {"LM": 0.0, "LAD": 150.0, "LCX": 0.0, "RCA": 0.0}
    held = []
    for present in (False, True):
        patient = add_disease(
            scene,
            np.random.default_rng(3),
            vessel_targets=targets,
            extracoronary="none",
            present={"stents": present},
        )
        scan = acquire(patient, gated, np.random.default_rng(0))
        assert bool((scan.labels.voxels == Label.OTHER).any()) == present
        held.append(scan.truth["noisy"]["vessels"]["LAD"]["agatston"])
    assert held[0] > 80
    assert held[1] > 0.4 * held[0]
