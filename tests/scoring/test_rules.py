import csv
import math
from dataclasses import replace

import pytest

from cacseg.errors import UnreadableError, UsageError
from cacseg.scoring import RULES, load_rules, rule_named, rules_from_mapping

LITERATURE = RULES["literature"]


def test_the_default_rule_is_that_of_the_contract():
    assert LITERATURE.threshold_hu == 130
    assert LITERATURE.connectivity == 4
    assert LITERATURE.min_area_mm2 == 1.0
    assert LITERATURE.weight_edges_hu == (130, 200, 300, 400)
    assert LITERATURE.reference_increment_mm == 3.0
    assert LITERATURE.volume_method == "voxels"


@pytest.mark.parametrize(
    ("rule", "pixel_mm2", "needed"),
    [
        ("literature", 0.25, 4),
        ("literature", 0.2384, 5),
        ("literature", 0.3, 4),
        ("literature", 1.0, 1),
        ("literature", 1.7, 1),
        ("siemens", 0.25, 1),
        ("siemens-vb60", 0.25, 2),
        ("philips", 0.25, 2),
        ("philips", 0.2384, 3),
        ("canon", 0.25, 3),
        ("canon", 1.0, 3),
    ],
)
def test_pixels_needed(rule, pixel_mm2, needed):
    assert RULES[rule].pixels_needed(pixel_mm2) == needed


def test_the_table_of_conventions_is_carried_over(shared_dir):
    with (shared_dir / "facts" / "vendor_conventions.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    names = {"GE": "ge", "Siemens": "siemens", "Philips": "philips", "Canon": "canon", "TeraRecon": "terarecon"}
    for method, name in names.items():
        assert RULES[name].connectivity == int(rows[method]["connectivity"])
        assert RULES[name].threshold_hu == 130
        assert (RULES[name].volume_method == "isotropic") == ("interpolated" in rows[method]["volume_rule"])
    assert RULES["philips"].volume_threshold_hu == pytest.approx(99 / 0.88)


@pytest.mark.parametrize("decimals", range(2, 9))
def test_rounded_spacings_still_reach_the_minimum_area(decimals):
    """Five pixels of sqrt(0.2) mm are 1 mm2; a spacing printed short must not lose the fifth."""
    spacing = round(math.sqrt(0.2), decimals)
    short = 1 / spacing**2 - 5
    expected = 5 if short <= 1e-6 else 6
    assert LITERATURE.pixels_needed(spacing * spacing) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold_hu", math.nan),
        ("threshold_hu", True),
        ("threshold_hu", "130"),
        ("connectivity", 6),
        ("min_area_mm2", -1.0),
        ("min_area_mm2", math.inf),
        ("weight_edges_hu", (130, 200, 300)),
        ("weight_edges_hu", [130, 200, 300, 400]),
        ("weight_edges_hu", (130, 300, 200, 400)),
        ("reference_increment_mm", 0.0),
        ("min_pixels", 0),
        ("min_pixels", 2.0),
        ("volume_threshold_hu", 140.0),
        ("volume_method", "cubic"),
        ("weight_edges_hu", (140, 200, 300, 400)),
    ],
)
def test_what_cannot_be_a_rule_is_refused(field, value):
    with pytest.raises(UsageError, match=r"literature"):
        replace(LITERATURE, **{field: value})


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(UsageError, match="siemens-vb60"):
        rule_named("simens")


def test_the_rules_of_the_repository_load():
    from pathlib import Path

    rules = load_rules(Path(__file__).parents[2] / "configs" / "scoring" / "rules.yaml")
    assert rules["agatston-1990"].connectivity == 8
    assert rules["fqm-100kvp"].weight_edges_hu == (147, 200, 300, 400)
    assert rules["fqm-100kvp"].min_area_mm2 == 1.0
    assert set(rules) == {"agatston-1990", "fqm-100kvp", "noisy-large-patient"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "top-level key 'rules'"),
        ({"rules": [], "more": 1}, "top-level key 'rules'"),
        ({"rules": {"literature": {}}}, "cannot be redefined"),
        ({"rules": {"ours": 3}}, "expected fields and values"),
        ({"rules": {"ours": {"based_on": "ge", "treshold_hu": 120}}}, "unknown keys treshold_hu"),
        ({"rules": {"ours": {"based_on": 3}}}, "based_on 3"),
        ({"rules": {"ours": {"based_on": "nobody"}}}, "no rule named 'nobody'"),
        ({"rules": {"ours": {"threshold_hu": 130}}}, "lacks connectivity, min_area_mm2"),
        ({"rules": {"ours": {"based_on": "ge", "connectivity": 5}}}, "connectivity is 5"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(data, message):
    with pytest.raises(UsageError, match=message):
        rules_from_mapping(data)


def test_a_rule_may_build_on_one_of_its_own_file():
    rules = rules_from_mapping(
        {"rules": {"a": {"based_on": "canon", "min_pixels": 7}, "b": {"based_on": "a", "connectivity": 8}}}
    )
    assert (rules["b"].min_pixels, rules["b"].connectivity, rules["b"].name) == (7, 8, "b")


@pytest.mark.parametrize("content", [b"rules: [", b"\xff\xfe\x00"])
def test_a_file_that_is_no_yaml_is_unreadable(tmp_path, content):
    (tmp_path / "rules.yaml").write_bytes(content)
    with pytest.raises(UnreadableError, match=r"rules\.yaml"):
        load_rules(tmp_path / "rules.yaml")


def test_an_absent_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableError, match=r"none\.yaml"):
        load_rules(tmp_path / "none.yaml")
