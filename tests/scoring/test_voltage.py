import csv
import math
from itertools import pairwise

import numpy as np
import pytest

from cacseg.findings import Severity
from cacseg.scoring import RULES, adapt, rules_from_mapping, score
from cacseg.scoring.voltage import BEAMS, beam_at
from cacseg.volume import Volume

LITERATURE = RULES["literature"]


def test_120_kvp_is_untouched():
    for rule in RULES.values():
        assert adapt(rule, 120.0) == (rule, ())
        assert adapt(rule, 120) == (rule, ())


def test_every_row_of_the_facts_is_in_the_table(shared_dir):
    """Published rows win over computed ones of the same beam; 147 HU at 100 kVp is a rule of its own."""
    with (shared_dir / "facts" / "kvp_thresholds.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["t_w2"]]
    published = {row["beam"] for row in rows if row["basis"] in ("paper", "reference")}
    for row in rows:
        if row["beam"] in published and row["basis"] not in ("paper", "reference"):
            continue
        beam = beam_at(float(row["beam"].removeprefix("Sn")), row["beam"].startswith("Sn"))
        assert beam.edges_hu == tuple(float(row[key]) for key in ("t_score", "t_w2", "t_w3", "t_w4"))
        assert beam.basis == ("published" if row["beam"] in published else "computed")
    assert len(BEAMS) == len({row["beam"] for row in rows})


@pytest.mark.parametrize(
    ("kvp", "edges"),
    [(70, (207, 318, 477, 636)), (80, (177, 271, 408, 544)), (100, (145, 222, 334, 446)), (135, (119, 183, 274, 364))],
)
def test_published_voltages(kvp, edges):
    rule, (finding,) = adapt(LITERATURE, kvp)
    assert rule.weight_edges_hu == edges
    assert rule.threshold_hu == edges[0]
    assert rule.adapted_to == f"{kvp} kVp"
    assert rule.name == "literature"
    assert finding.severity is Severity.INFO
    assert f"130 -> {edges[0]} HU" in finding.message


@pytest.mark.parametrize(("kvp", "tin", "threshold"), [(140, False, 118), (100, True, 120), (150, True, 92)])
def test_computed_beams_say_that_they_are_not_validated(kvp, tin, threshold):
    rule, (finding,) = adapt(LITERATURE, kvp, tin_filter=tin)
    assert rule.threshold_hu == threshold
    assert finding.severity is Severity.WARNING
    assert "not clinically validated" in finding.message
    assert finding.code == "rule-adapted-to-voltage-computed"


def test_between_two_voltages_the_edges_lie_between():
    rule, (finding,) = adapt(LITERATURE, 105.0)
    assert 138 < rule.threshold_hu < 145
    assert "interpolated between 100 kVp" in finding.message


def test_edges_never_rise_with_voltage():
    for tin in (False, True):
        row = [beam.edges_hu for beam in BEAMS if beam.tin_filter == tin]
        for low, high in pairwise(row):
            assert all(a >= b for a, b in zip(low, high, strict=True))


@pytest.mark.parametrize("kvp", [None, 0.0, -1.0, math.nan, math.inf])
def test_unknown_voltage_is_scored_as_120_with_a_warning(kvp):
    rule, (finding,) = adapt(LITERATURE, kvp)
    assert rule is LITERATURE
    assert (finding.code, finding.severity) == ("kvp-unknown", Severity.WARNING)


@pytest.mark.parametrize(("kvp", "tin"), [(50, False), (200, False), (80, True)])
def test_outside_the_tables_nothing_is_extrapolated(kvp, tin):
    rule, (finding,) = adapt(LITERATURE, kvp, tin)
    assert rule is LITERATURE
    assert (finding.code, finding.severity) == ("kvp-outside-table", Severity.WARNING)


def test_values_that_are_not_the_standard_ones_scale():
    rule, _ = adapt(RULES["philips"], 100)
    assert rule.volume_threshold_hu == pytest.approx(112.5 * 145 / 130)
    ours = rules_from_mapping(
        {"rules": {"ours": {"based_on": "ge", "threshold_hu": 150, "weight_edges_hu": [150, 200, 300, 400]}}}
    )
    rule, _ = adapt(ours["ours"], 100)
    assert rule.weight_edges_hu == (pytest.approx(150 * 145 / 130), 222, 334, 446)


def test_the_same_calcium_scores_alike_at_any_voltage():
    """Calcium that reads 145 x more / 130 at 100 kVp has the same weight and area under the adapted rule."""
    hu = np.zeros((3, 12, 12), np.float32)
    hu[1, 2:8, 2:8] = np.linspace(100, 480, 36).reshape(6, 6)
    labels = Volume.axial((hu > 0).astype(np.uint8), (3.0, 0.5, 0.5))
    at_120 = score(labels.with_voxels(hu), labels)
    at_100 = score(labels.with_voxels(hu * np.float32(145 / 130)), labels, adapt(LITERATURE, 100)[0])
    assert at_100.total.agatston == at_120.total.agatston
    assert at_100.total.volume_mm3 == at_120.total.volume_mm3
