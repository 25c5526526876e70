"""Disease in a patient of the anatomy room, seen by the scanner."""

import numpy as np
import pytest

from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.disease.landmarks import tissue_at
from cacseg.data.phantom.disease.occurrence import OCCURRENCES
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.scanner import Protocol, acquire
from cacseg.data.phantom.tissue import Tissue
from cacseg.scoring import RULES, score
from cacseg.vessels import Label


@pytest.fixture(scope="module")
def anatomy():
    return build_anatomy(draw_patient(31), np.random.default_rng(31))


@pytest.fixture(scope="module")
def everything(anatomy):
    present = dict.fromkeys(OCCURRENCES, True)
    return add_disease(anatomy, np.random.default_rng(1), target_agatston=0, present=present)


def test_the_anatomy_offers_a_place_for_every_finding(everything):
    findings = everything.patient["disease"]["findings"]
    assert set(OCCURRENCES) - set(findings) <= {"breast"}


@pytest.mark.parametrize(
    ("kind", "tissues", "share"),
    [
        ("granuloma", {Tissue.LUNG}, 0.99),
        ("scar", {Tissue.MYOCARDIUM}, 0.9),
        ("pleura", {Tissue.LUNG}, 0.8),
    ],
)
def test_findings_lie_in_their_tissue(everything, kind, tissues, share):
    deposits = [deposit for deposit in everything.deposits if deposit.kind == kind]
    found = np.concatenate([tissue_at(everything, deposit.start_lps_mm) for deposit in deposits])
    seen = found[found != int(Tissue.OUTSIDE)]
    assert np.isin(seen, [int(tissue) for tissue in tissues]).mean() >= share


def test_granulomas_at_the_heart_lie_in_the_lung_as_near_the_heart_as_an_artery(anatomy):
    depth = []
    for seed in range(12):
        patient = add_disease(
            anatomy,
            np.random.default_rng(seed),
            target_agatston=0,
            extracoronary="none",
            present={"granulomas_at_heart": True},
        )
        sac = patient.landmarks_lps_mm["pericardium"]
        assert 1 <= len(patient.deposits) <= 2
        for deposit in patient.deposits:
            assert deposit.label == Label.OTHER
            assert set(tissue_at(patient, deposit.start_lps_mm)) <= {int(Tissue.LUNG), int(Tissue.OUTSIDE)}
            depth.append(np.linalg.norm(sac - deposit.start_lps_mm[0], axis=1).min())
    assert max(depth) < 17.0
    assert np.median(depth) < 10.0


@pytest.mark.parametrize(("seed", "target"), [(3, 60.0), (4, 450.0)])
def test_a_scan_scores_near_the_target(anatomy, seed, target):
    patient = add_disease(anatomy, np.random.default_rng(seed), target_agatston=target, extracoronary="none")
    scores = []
    for offset in (0.0, 1.0, 2.0):
        protocol = Protocol(
            family="gated",
            kvp=120,
            ha_slope_hu=1.25,
            slice_thickness_mm=3.0,
            increment_mm=3.0,
            field_of_view_mm=220.0,
            sigma_mm=0.67,
            noise_sd_hu=5.0,
            noise_cutoff_lpmm=0.42,
            first_slice_offset_mm=offset,
        )
        scan = acquire(patient, protocol, np.random.default_rng(0))
        scores.append(score(scan.volume, scan.labels, rule=RULES["literature"]).total.agatston)
    assert np.mean(scores) == pytest.approx(target, rel=0.15)
