import json
from types import SimpleNamespace

import numpy as np
import pytest

from cacseg.data.phantom.scanner import Protocol, draw_protocol
from cacseg.data.phantom.scanner.calcium import HA_SLOPE_HU, at_beam, ha_slope_hu
from cacseg.errors import UsageError


def many(family, bmi=27.0, count=200):
    return [draw_protocol(family, SimpleNamespace(bmi=bmi), np.random.default_rng(seed)) for seed in range(count)]


def test_gated_protocols_are_those_of_clinical_calcium_scans():
    drawn = many("gated")
    assert {each.slice_thickness_mm for each in drawn} == {2.5, 3.0}
    assert all(each.increment_mm == each.slice_thickness_mm and each.gated and each.matrix == 512 for each in drawn)
    assert np.mean([each.kvp == 120 for each in drawn]) > 0.75
    assert all(8 <= each.noise_sd_hu <= 45 and 170 <= each.field_of_view_mm <= 262 for each in drawn)
    assert {each.vendor for each in drawn} == {"Siemens", "GE", "Philips", "Canon"}


def test_some_gated_scans_are_sharp_or_very_noisy_and_half_of_the_chest_scans_are_sharp():
    gated, chest = many("gated", count=800), many("chest", count=400)
    sharp = [each for each in gated if each.texture == "sharp"]
    assert 0.04 < len(sharp) / 800 < 0.09
    assert min(each.edge_enhancement for each in sharp) >= 0.4
    assert max(each.edge_enhancement for each in gated if each.texture != "sharp") <= 0.2
    assert np.mean([each.texture == "sharp" for each in chest]) == pytest.approx(0.5, abs=0.08)
    assert 0.08 < np.mean([each.noise_sd_hu >= 28 for each in gated]) < 0.25
    assert max(each.noise_sd_hu for each in gated) > 38
    assert 0.5 < np.mean([each.noise_streakiness > 0 for each in gated]) < 0.7


def test_large_patients_are_noisier():
    slim, stout = (np.mean([each.noise_sd_hu for each in many("gated", bmi)]) for bmi in (20.0, 38.0))
    assert stout > 1.5 * slim


def test_chest_protocols_are_wide_ungated_and_moving():
    drawn = many("chest")
    assert all(not each.gated and each.motion_mm > 0.3 for each in drawn)
    width = np.array([each.field_of_view_mm for each in drawn])
    assert width.min() >= 290
    assert 340 < np.median(width) < 400
    assert 440 < width.max() <= 500
    assert {each.texture for each in drawn} == {"sharp", "iterative", "fbp"}


def test_shifted_protocols_leave_the_range_of_gated_ones():
    drawn = many("shifted")
    assert {(each.kvp, each.tin_filter) for each in drawn} >= {(80, False), (140, False), (150, True)}
    assert min(each.slice_thickness_mm for each in drawn) < 1 < 4 < max(each.slice_thickness_mm for each in drawn)
    assert any(each.increment_mm < each.slice_thickness_mm for each in drawn)
    assert any(each.increment_mm > each.slice_thickness_mm for each in drawn)


def test_an_override_leaves_the_rest_as_drawn():
    one, other = (
        draw_protocol("gated", SimpleNamespace(bmi=27.0), np.random.default_rng(4), **rest)
        for rest in ({}, {"noise_sd_hu": 5.0})
    )
    assert other.noise_sd_hu == 5.0
    assert other.field_of_view_mm == one.field_of_view_mm


@pytest.mark.parametrize(("family", "rest"), [("ungated", {}), ("gated", {"voltage": 90})])
def test_unknown_families_and_fields_are_refused(family, rest):
    with pytest.raises(UsageError, match="Unknown protocol family|No such field"):
        draw_protocol(family, SimpleNamespace(bmi=27.0), np.random.default_rng(0), **rest)


def test_impossible_numbers_are_refused(protocol):
    from dataclasses import replace

    with pytest.raises(UsageError, match="increment_mm must be above 0"):
        replace(protocol, increment_mm=0.0)
    with pytest.raises(UsageError, match="noise_sd_hu must not be negative"):
        replace(protocol, noise_sd_hu=-1.0)


def test_a_protocol_is_json_ready(protocol):
    read = json.loads(json.dumps(protocol.to_dict()))
    assert (
        Protocol(**{key: tuple(value) if isinstance(value, list) else value for key, value in read.items()}) == protocol
    )


def test_calcium_gains_and_fat_loses_at_low_voltage():
    tissue = np.array([-1000.0, -100.0, 40.0, 500.0], np.float32)
    low = at_beam(tissue, 80, False)
    assert low[0] == -1000.0
    assert low[2] == 40.0
    assert low[1] < -100.0
    assert low[3] == pytest.approx(70 + 430 * HA_SLOPE_HU[80, False] / HA_SLOPE_HU[120, False], rel=1e-5)
    assert at_beam(tissue, 120, False) is tissue


def test_a_beam_without_calibration_is_refused():
    with pytest.raises(UsageError, match="No calcium calibration for Sn120 kVp; known beams are 70, 80"):
        ha_slope_hu(120, tin_filter=True)
    assert 1.1 <= ha_slope_hu(120, vendor="GE") < ha_slope_hu(120, vendor="Canon") <= 1.4
