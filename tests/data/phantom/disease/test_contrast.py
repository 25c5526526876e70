"""Contrast medium left in veins and the oesophagus."""

from dataclasses import replace

import numpy as np

from cacseg.data.phantom.disease.contrast import contrast_residue
from cacseg.vessels import Label


def kinds(scene, count=30):
    return [contrast_residue(scene, 0.0, np.random.default_rng(seed)) for seed in range(count)]


def test_it_fills_a_vein_with_dense_fluid_that_is_no_calcium(scene):
    found = [deposit for made in kinds(scene) for deposit in made]
    assert {deposit.kind for deposit in found} == {"contrast_cava", "contrast_azygos"}
    for deposit in found:
        assert deposit.label == Label.OTHER
        assert deposit.material == "metal"
        assert 160 <= deposit.metal_hu <= 1500
        assert (deposit.density_mg_cm3 == 0).all()


def test_the_azygos_lies_right_of_the_aorta_and_behind_it(scene):
    aorta = scene.landmarks_lps_mm["descending_aorta_axis"]
    for made in kinds(scene):
        for deposit in made:
            if deposit.kind == "contrast_azygos":
                beside = deposit.start_lps_mm.mean(axis=0) - aorta.mean(axis=0)
                assert beside[0] < -10
                assert beside[1] > 5


def test_the_oesophagus_holds_it_where_the_patient_has_one(scene):
    course = np.stack([np.zeros(40), np.full(40, 60.0), np.linspace(60, -60, 40)], axis=1)
    only = replace(scene, landmarks_lps_mm={"oesophagus_axis": course})
    assert {deposit.kind for made in kinds(only, 5) for deposit in made} == {"contrast_oesophagus"}
    assert contrast_residue(replace(scene, landmarks_lps_mm={}), 0.0, np.random.default_rng(0)) == []
