import json

import pytest

from cacseg.risk.percentile import MESA_RACES, hoff_band, hoff_range, mesa_group, mesa_percentile


@pytest.mark.parametrize(
    ("age", "sex", "race", "agatston", "expected"),
    [
        (55, "M", "white", 0, 0),
        (46, "F", "chinese", 35, 97),
        (62, "F", "black", 120, 91),
        (70, "M", "hispanic", 450, 84),
        (72, "M", "white", 1200, 85),
    ],
)
def test_published_examples(age, sex, race, agatston, expected):
    assert mesa_percentile(agatston, mesa_group(age, sex, race)) == expected


def test_reference_values_of_the_first_example():
    group = mesa_group(55, "M", "white")
    assert group.reference == {25: 0, 50: 6, 75: 68, 90: 234}
    assert group.nonzero_percent == 56


def test_every_group_is_complete_and_ascending():
    groups = [mesa_group(age, sex, race) for age in range(45, 85) for sex in "MF" for race in MESA_RACES]
    assert len(groups) == 320
    for group in groups:
        assert len(group.thresholds) == 99
        assert list(group.thresholds) == sorted(group.thresholds)
        assert group.thresholds[0] >= 1


def test_table_is_the_one_that_was_verified(shared_dir):
    table = json.loads((shared_dir / "facts" / "mesa_percentiles_full.json").read_text())["table"]
    for key, entry in table.items():
        race, sex, age = key.split(":")
        group = mesa_group(int(age), sex[0].upper(), race)
        assert (group.nonzero_percent, list(group.reference.values())) == (entry["p"], entry["r"])
        assert list(group.thresholds) == entry["t"]


@pytest.mark.parametrize("age", [44, 44.99, 85, 90])
def test_no_extrapolation(age):
    assert mesa_group(age, "M", "white") is None


def test_completed_years_count():
    assert mesa_group(84.9, "F", "black") == mesa_group(84, "F", "black")


def test_unknown_race_has_no_group():
    assert mesa_group(60, "M", "asian") is None


def test_a_score_below_one_stands_above_all_zeros():
    group = mesa_group(55, "M", "white")
    assert mesa_percentile(0.2, group) == mesa_percentile(1, group) == 100 - 56 - 1


@pytest.mark.parametrize("agatston", [0, 1, 6, 6.5, 68, 300, 5000])
def test_percentile_never_falls_with_the_score(agatston):
    group = mesa_group(55, "M", "white")
    assert 0 <= mesa_percentile(agatston, group) <= mesa_percentile(agatston + 10, group) <= 99


def test_hoff_bands_and_ends():
    assert hoff_band(29, "M") is None
    assert hoff_band(91, "F") is None
    assert hoff_band(90, "F").reference[90] == 709
    assert hoff_band(30, "F").reference == {25: 0, 50: 0, 75: 1, 90: 3}


@pytest.mark.parametrize(
    ("agatston", "expected"), [(0, (0, 25)), (1, (25, 50)), (15, (50, 75)), (332, (90, 100)), (0.4, (0, 25))]
)
def test_hoff_range(agatston, expected):
    assert hoff_range(agatston, hoff_band(52, "M")) == expected


def test_hoff_range_of_zero_where_most_have_zero():
    assert hoff_range(0, hoff_band(45, "F")) == (0, 75)
