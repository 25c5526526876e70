from types import SimpleNamespace

import numpy as np
import pytest

from cacseg.data.phantom.population import draw_patient
from cacseg.errors import UsageError
from cacseg.evaluation import families
from cacseg.evaluation.families import (
    FAMILIES,
    FIRST_TEST_SEED,
    cached_case,
    case_version,
    family_cases,
    family_named,
    make_case,
    read_case,
    write_case,
)
from cacseg.evaluation.scan_facts import study_of_scan
from cacseg.evaluation.shift import BEYOND, shift_overrides
from cacseg.vessels import CORONARY
from cacseg.volume import Volume


def test_families_are_as_large_as_promised_and_share_no_seed():
    assert {name: family.count for name, family in FAMILIES.items()} == {
        "gated": 400, "shifted": 200, "chest": 200, "zeros": 200,
    }  # fmt: skip
    seeds = [seed for family in FAMILIES.values() for seed in family.seeds()]
    assert len(set(seeds)) == len(seeds) == 1000
    assert min(seeds) >= FIRST_TEST_SEED == 10_000_000


def test_counts_beyond_the_family_and_unknown_names_are_refused():
    assert list(family_named("chest").seeds(2)) == [10_200_000, 10_200_001]
    for count in (0, 201):
        with pytest.raises(UsageError, match="200 patients"):
            family_named("chest").seeds(count)
    with pytest.raises(UsageError, match="gated, shifted, chest, zeros"):
        family_named("thorax")


def test_shifted_facts_lie_outside_what_training_draws():
    drawn = [draw_patient(seed) for seed in range(400)]
    for name, ranges in BEYOND.items():
        values = np.array([getattr(facts, name) for facts in drawn])
        for low, high in ranges:
            assert not ((values > low) & (values < high)).any(), name
    for seed in FAMILIES["shifted"].seeds():
        overrides = shift_overrides(seed)
        assert 2 <= len(overrides.keys() - {"margin_mm"}) <= 6
        for name, value in overrides.items():
            assert name == "margin_mm" or any(low <= value <= high for low, high in BEYOND[name])


def test_a_scan_is_labelled_down_to_what_its_voltage_counts():
    hu = np.array([[[91, 92, 129, 130, 144, 145, 400]]], np.int16)
    owners = np.array([[[1, 2, 2, 2, 2, 2, 0]]], np.uint8)
    volume = Volume.axial(hu, (3.0, 0.5, 0.5))

    def labels(kvp, tin_filter):
        protocol = SimpleNamespace(
            kvp=kvp, tin_filter=tin_filter, to_dict=lambda: {"kvp": kvp, "tin_filter": tin_filter}
        )
        scan = SimpleNamespace(
            volume=volume, owners=volume.with_voxels(owners), protocol=protocol, scene=SimpleNamespace(patient={})
        )
        study = study_of_scan(scan, "one")
        assert study.facts == {"kvp": kvp, "tin_filter": tin_filter}
        return study.labels.ravel().tolist()

    assert labels(120, False) == labels(100, False) == [0, 0, 0, 2, 2, 2, 0]
    assert labels(150, True) == [0, 2, 2, 2, 2, 2, 0]


def test_about_a_quarter_of_the_shifted_scans_is_cut_off():
    cut = sum("margin_mm" in shift_overrides(seed) for seed in FAMILIES["shifted"].seeds())
    assert 35 <= cut <= 65


def fake_maker(study_maker, made):
    def make(family, seed):
        made.append(seed)
        return study_maker(seed - family.first_seed)

    return make


def test_cases_come_in_order_without_those_that_are_done(study_maker):
    made = []
    family = family_named("gated")
    cases = family_cases(family, 4, skip={family.case_id(10_000_001)}, processes=0, make=fake_maker(study_maker, made))
    assert made == []
    assert next(cases).id == "case-000"
    assert made == [10_000_000]
    assert [case.id for case in cases] == ["case-002", "case-003"]


def test_a_cached_patient_is_not_made_again(tmp_path, study_maker):
    made = []
    make = fake_maker(study_maker, made)
    family = family_named("zeros")
    first = cached_case(family, 10_300_003, tmp_path, make)
    again = cached_case(family, 10_300_003, tmp_path, make)
    assert made == [10_300_003]
    assert np.array_equal(first.volume.voxels, again.volume.voxels)
    assert np.array_equal(first.labels, again.labels)
    assert first.volume.same_grid(again.volume)
    assert (again.id, again.facts, again.label_scope) == (first.id, first.facts, first.label_scope)


def test_a_patient_of_another_phantom_is_made_anew(tmp_path, study_maker, monkeypatch):
    made = []
    make = fake_maker(study_maker, made)
    family = family_named("zeros")
    monkeypatch.setattr(families, "phantom_version", lambda: "of before")
    cached_case(family, 10_300_003, tmp_path, make)
    monkeypatch.undo()
    cached_case(family, 10_300_003, tmp_path, make)
    cached_case(family, 10_300_003, tmp_path, make)
    assert made == [10_300_003, 10_300_003]


def test_a_damaged_cache_file_is_named(tmp_path):
    path = tmp_path / "1.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(UsageError, match=r"1\.npz"):
        case_version(path)
    with pytest.raises(UsageError, match=r"1\.npz"):
        read_case(path)


def test_other_processes_give_the_same_cases_in_order(tmp_path, study_maker):
    family = family_named("gated")
    for number, seed in enumerate(family.seeds(6)):
        write_case(study_maker(number), tmp_path / "gated" / f"{seed}.npz")
    cases = list(family_cases(family, 6, cache=tmp_path, processes=2))
    assert [case.id for case in cases] == [f"case-{number:03d}" for number in range(6)]
    assert np.array_equal(cases[5].labels, study_maker(5).labels)


def test_a_consumer_that_stops_early_stops_the_processes(tmp_path, study_maker):
    family = family_named("gated")
    for number, seed in enumerate(family.seeds(8)):
        write_case(study_maker(number), tmp_path / "gated" / f"{seed}.npz")
    cases = family_cases(family, 8, cache=tmp_path, processes=1)
    assert next(cases).id == "case-000"
    cases.close()


@pytest.mark.slow
def test_a_real_zero_has_distractors_and_no_coronary_calcium():
    family = family_named("zeros")
    for seed in family.seeds(3):
        study = make_case(family, seed)
        assert not np.isin(study.labels, CORONARY).any()
        if study.labels.any():
            break
    else:
        pytest.fail("three patients of the zero family have no distractor between them")
    assert study.id == family.case_id(seed)
    assert {"noise_sd_hu", "kvp", "gated", "dominance", "bmi", "kernel"} <= study.facts.keys()
