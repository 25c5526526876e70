"""What a patient with disease looks like: places, labels, determinism, settings."""

from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.disease.curve import branch_curve
from cacseg.data.phantom.disease.occurrence import HARD, OCCURRENCES, draw_present
from cacseg.data.phantom.disease.plaque import THICKNESS_MM
from cacseg.errors import UsageError
from cacseg.vessels import CORONARY, Label

LABELS = {
    "aortic_valve": Label.AORTIC_VALVE,
    "mitral_annulus": Label.MITRAL_ANNULUS,
    "aortic_root": Label.AORTA,
    "ascending_aorta": Label.AORTA,
    "aortic_arch": Label.AORTA,
    "descending_aorta": Label.AORTA,
}


def _arrays(patient):
    return [array for d in patient.deposits for array in (d.start_lps_mm, d.end_lps_mm, d.radius_mm, d.density_mg_cm3)]


def test_the_same_seed_gives_the_same_bits_and_leaves_the_scene_alone(scene):
    first = add_disease(scene, np.random.default_rng(11))
    second = add_disease(scene, np.random.default_rng(11))
    assert len(scene.deposits) == 0
    assert "disease" not in scene.patient
    assert first.patient == second.patient
    assert all((a == b).all() for a, b in zip(_arrays(first), _arrays(second), strict=True))
    other = add_disease(scene, np.random.default_rng(12))
    assert other.patient != first.patient


def test_findings_elsewhere_do_not_move_the_plaques(scene):
    with_all = add_disease(scene, np.random.default_rng(8), target_agatston=150)
    without = add_disease(scene, np.random.default_rng(8), target_agatston=150, extracoronary="none")
    plaques = [d for d in with_all.deposits if d.label in CORONARY]
    assert len(plaques) == len(without.deposits) > 0
    assert all((a.start_lps_mm == b.start_lps_mm).all() for a, b in zip(plaques, without.deposits, strict=True))


def test_a_zero_has_distractors_but_no_coronary_calcium(scene):
    for seed in range(8):
        patient = add_disease(scene, np.random.default_rng(seed), target_agatston=0, present={"aortic_valve": True})
        assert patient.deposits
        assert not [d for d in patient.deposits if d.label in CORONARY]
        assert patient.patient["disease"]["estimated_agatston"] == 0


@pytest.mark.parametrize("target", [1.0, 2.0, 3.5, 6.0, 10.0])
def test_small_scores_are_met(scene, target):
    for seed in range(6):
        facts = add_disease(scene, np.random.default_rng(seed), target_agatston=target, extracoronary="none").patient[
            "disease"
        ]
        assert facts["estimated_agatston"] == pytest.approx(target, rel=0.25)


def test_plaques_lie_in_the_wall_of_the_branch_they_name(scene):
    patient = add_disease(scene, np.random.default_rng(21), target_agatston=700, extracoronary="none")
    vessel = {branch.name: branch.vessel for branch in scene.branches}
    leaves = [name for name in vessel if name not in {branch.parent for branch in scene.branches}]
    tubes = [branch_curve(scene.branches, name) for name in (*leaves, "LAD", "LCX", "RCA")]
    centres = np.concatenate([tube.points_lps_mm for tube in tubes])
    radii = np.concatenate([tube.radius_mm for tube in tubes])
    for deposit in patient.deposits:
        assert deposit.kind == "plaque"
        assert vessel[deposit.branch] == deposit.label
        middle = (deposit.start_lps_mm + deposit.end_lps_mm) / 2
        gap = np.linalg.norm(middle[:, None] - centres[None], axis=2)
        nearest = gap.argmin(axis=1)
        lumen = radii[nearest]
        distance = gap.min(axis=1)
        assert (distance <= lumen + THICKNESS_MM[1] + 0.3).all()
        assert np.median(distance / lumen) > 0.8
        assert (deposit.radius_mm <= THICKNESS_MM[1] / 2).all()
        assert ((deposit.density_mg_cm3 >= 100) & (deposit.density_mg_cm3 <= 1400)).all()


def test_disease_is_proximal_and_left_main_plaques_may_cross_the_bifurcation(scene):
    along, crossing = [], 0
    for seed in range(25):
        targets = {"LM": 30, "LAD": 120, "LCX": 0, "RCA": 0}
        patient = add_disease(scene, np.random.default_rng(seed), vessel_targets=targets, extracoronary="none")
        lad = next(branch for branch in scene.branches if branch.name == "LAD").points_lps_mm
        ends = [d.end_lps_mm for d in patient.deposits if d.branch == "LAD"]
        for end in ends:
            along.append(np.linalg.norm(lad - end.mean(axis=0), axis=1).argmin())
        left_main = [d.end_lps_mm for d in patient.deposits if d.branch == "LM"]
        crossing += any(np.linalg.norm(a[:, None] - b[None], axis=2).min() < 1.5 for a in left_main for b in ends)
    assert np.median(along) < 35
    assert crossing >= 4


def test_a_finding_may_be_asked_for_more_than_once(scene):
    made = [
        add_disease(
            scene, np.random.default_rng(4), target_agatston=100, extracoronary="none", present={"stents": times}
        )
        for times in (True, 1, 3)
    ]
    once, also_once, thrice = (patient.deposits for patient in made)
    assert len(thrice) > len(once) == len(also_once)
    for one, other in zip(once, thrice, strict=False):
        assert np.array_equal(one.start_lps_mm, other.start_lps_mm)
    added = thrice[len(once) :]
    assert {deposit.kind for deposit in added} == {"stent"}
    assert all(not np.array_equal(deposit.start_lps_mm[:1], once[-1].start_lps_mm[:1]) for deposit in added)


def test_labels_and_materials(scene):
    everything = dict.fromkeys(OCCURRENCES, True)
    patient = add_disease(scene, np.random.default_rng(2), target_agatston=0, present=everything)
    counts = patient.patient["disease"]["findings"]
    assert sum(counts.values()) == len(patient.deposits)
    deposits = list(patient.deposits)
    for name, count in counts.items():
        for deposit in deposits[:count]:
            assert deposit.label == LABELS.get(name, Label.OTHER)
            assert deposit.material == ("metal" if name in _metal() else "calcium")
            assert len(deposit.radius_mm) == len(deposit.density_mg_cm3) == len(deposit.start_lps_mm) > 0
            assert all(np.isfinite(array).all() for array in (deposit.start_lps_mm, deposit.end_lps_mm))
            assert (deposit.radius_mm > 0.1).all()
        deposits = deposits[count:]
    assert set(LABELS) <= set(counts)
    stent = next(d for d in patient.deposits if d.kind == "stent")
    assert stent.branch in {"LAD", "RCA", "LCX"}


def _metal():
    return {"stents", "bypass", "sternal_wires", "pacing_leads", "prosthesis", "port", "contrast_residue"}


def test_mitral_calcium_is_mostly_posterior(scene):
    ring = scene.landmarks_lps_mm["mitral_annulus"]
    half = len(ring) // 2
    posterior, total = 0, 0
    for seed in range(40):
        patient = add_disease(
            scene,
            np.random.default_rng(seed),
            target_agatston=0,
            extracoronary="none",
            present={"mitral_annulus": True},
        )
        (deposit,) = patient.deposits
        nearest = np.linalg.norm(deposit.start_lps_mm[:, None] - ring[None], axis=2)
        assert nearest.min(axis=1).max() < 12
        posterior += int((nearest.argmin(axis=1) < half).sum())
        total += len(deposit.radius_mm)
    assert 0.8 < posterior / total < 0.99


def test_aortic_valve_calcium_lies_within_the_root(scene):
    ring = scene.landmarks_lps_mm["aortic_valve"]
    centre = ring.mean(axis=0)
    for seed in range(20):
        patient = add_disease(
            scene, np.random.default_rng(seed), target_agatston=0, extracoronary="none", present={"aortic_valve": True}
        )
        (deposit,) = patient.deposits
        axis = np.array([-0.3, -0.2, 1]) / np.linalg.norm([-0.3, -0.2, 1])
        relative = deposit.start_lps_mm - centre
        height = relative @ axis
        assert (np.linalg.norm(relative - height[:, None] * axis, axis=1) < 12.5).all()
        assert height.min() > -4
        assert height.max() < 13


def test_root_calcium_keeps_clear_of_the_ostia(scene):
    for seed in range(15):
        patient = add_disease(
            scene, np.random.default_rng(seed), target_agatston=0, extracoronary="none", present={"aortic_root": True}
        )
        for deposit in patient.deposits:
            for ostium in ("left_ostium", "right_ostium"):
                middle = (deposit.start_lps_mm + deposit.end_lps_mm) / 2
                gap = np.linalg.norm(middle - scene.landmarks_lps_mm[ostium], axis=1)
                assert gap.min() > 4


def test_a_prosthesis_replaces_the_native_valve(scene):
    for seed in range(30):
        patient = add_disease(scene, np.random.default_rng(seed), target_agatston=0, present={"prosthesis": True})
        assert "aortic_valve" not in patient.patient["disease"]["findings"]


def test_absent_landmarks_only_cost_their_findings(scene):
    bare = replace(scene, landmarks_lps_mm={})
    patient = add_disease(bare, np.random.default_rng(5), target_agatston=50, present=dict.fromkeys(OCCURRENCES, True))
    assert set(patient.patient["disease"]["findings"]) <= {"stents"}
    assert patient.patient["disease"]["estimated_agatston"] == pytest.approx(50, rel=0.15)


def test_valve_and_annulus_are_as_common_as_in_mesa_and_go_with_age_and_coronary_calcium():
    rng = np.random.default_rng(9)
    rows = []
    for _ in range(5000):
        age, propensity = float(rng.uniform(45, 84)), float(rng.standard_normal())
        present = draw_present(age, "M" if rng.uniform() < 0.47 else "F", propensity, rng, "mesa")
        rows.append((age, propensity, "aortic_valve" in present, "mitral_annulus" in present))
    age, propensity, aortic, mitral = np.array(rows).T
    assert aortic.mean() == pytest.approx(0.134, abs=0.025)
    assert mitral.mean() == pytest.approx(0.088, abs=0.025)
    assert aortic[age > 70].mean() > 2 * aortic[age < 60].mean()
    assert aortic[propensity > 0].mean() > 1.5 * aortic[propensity < 0].mean()
    assert mitral[aortic > 0].mean() > 1.8 * mitral[aortic == 0].mean()


@pytest.mark.parametrize(
    ("name", "before_60", "after_70"),
    [
        ("aortic_valve", (0.04, 0.20), (0.25, 0.60)),
        ("mitral_annulus", (0.02, 0.16), (0.15, 0.50)),
        ("aortic_root", (0.08, 0.26), (0.22, 0.45)),
        ("ascending_aorta", (0.03, 0.16), (0.12, 0.36)),
        ("descending_aorta", (0.10, 0.35), (0.38, 0.70)),
        ("stents", (0.005, 0.04), (0.02, 0.08)),
        ("contrast_residue", (0.01, 0.035), (0.01, 0.035)),
    ],
)
def test_training_patients_have_findings_by_age(name, before_60, after_70):
    def share(low, high):
        rng = np.random.default_rng(5)
        drawn = (
            draw_present(rng.uniform(low, high), "MF"[n % 2], rng.standard_normal(), rng, "training")
            for n in range(3000)
        )
        return np.mean([name in present for present in drawn])

    assert before_60[0] < share(45, 60) < before_60[1]
    assert after_70[0] < share(70, 85) < after_70[1]


def test_hard_patients_have_many_rare_findings_and_the_usual_others():
    def shares(mode):
        rng = np.random.default_rng(6)
        drawn = [draw_present(62.0, "MF"[n % 2], rng.standard_normal(), rng, mode) for n in range(1500)]
        return {name: np.mean([name in present for present in drawn]) for name in OCCURRENCES}

    usual, hard = shares("training"), shares("hard")
    for name in ("stents", "bypass", "pericardium", "granulomas_at_heart", "pacing_leads"):
        assert hard[name] > 2.5 * usual[name]
        assert hard[name] > 0.05
    assert {name: share for name, share in hard.items() if name not in HARD} == {
        name: share for name, share in usual.items() if name not in HARD
    }


def test_devices_can_be_kept_out(scene):
    for seed in range(40):
        patient = add_disease(scene, np.random.default_rng(seed), target_agatston=0, devices=False)
        assert all(deposit.material == "calcium" for deposit in patient.deposits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"burdn": "mesa"},
        {"burden": "none"},
        {"target_agatston": -1.0},
        {"extracoronary": "many"},
        {"vessel_targets": {"D1": 4.0}},
        {"present": {"tattoo": True}},
    ],
)
def test_wrong_settings_are_refused(scene, wrong):
    with pytest.raises(UsageError):
        add_disease(scene, np.random.default_rng(0), **wrong)
