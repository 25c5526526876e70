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
