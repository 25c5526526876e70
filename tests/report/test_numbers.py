"""Every number in every form comes from the same result."""

import csv
import html
import io
import json
import re

import pydicom
import pypdf
import pytest

from cacseg.vessels import CORONARY

KINDS = ("zero", "mild", "severe", "non-gated", "poor")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def printed(value):
    return "0" if value == 0 else f"{value:.1f}"


def expected_scores(result):
    scores = {"Total": result.scoring.total}
    return scores | {vessel.name: result.scoring.vessels[vessel] for vessel in CORONARY}


def text_of_html(path):
    content = path.read_text(encoding="utf-8")
    content = re.sub(r"<(style|svg|title).*?</\1>", " ", content, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "\n", content))


def text_of_pdf(path):
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def table_row(text, head, values):
    """The cells of one row, in order, with whatever stands between them."""
    pattern = re.escape(head) + r"[^\d]*" + r"\s+".join(re.escape(value) for value in values) + r"\s"
    return re.search(pattern, text)


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_forms_for_people(form, kind, made, out):
    text = text_of_html(out / kind / "report.html") if form == "html" else text_of_pdf(out / kind / "report.pdf")
    result = made[kind].result
    squeezed = " ".join(text.split())
    heads = {"Total": "Total", "LM": "left main coronary artery", "LAD": "left anterior descending artery"}
    heads |= {"LCX": "left circumflex artery", "RCA": "right coronary artery"}
    for name, score in expected_scores(result).items():
        cells = [printed(score.agatston), f"{score.volume_mm3:.1f}", f"{score.mass_mg:.1f}", str(score.lesions)]
        assert table_row(squeezed, heads[name], cells), (name, cells)
    assert f"{printed(result.scoring.total.agatston)} Agatston score" in squeezed
    low, high = result.interval.agatston
    assert f"{printed(low)} – {printed(high)}" in squeezed
    assert result.risk["cac_drs"] in squeezed
    assert result.risk["agatston_category"].replace("-", "–") in squeezed
    assert f"{result.risk['arterial_age_years']:.0f} arterial age" in squeezed
    for lesion in (*result.scoring.lesions, *result.scoring.extracoronary):
        assert table_row(squeezed, "", [printed(lesion.agatston), f"{lesion.volume_mm3:.1f}", f"{lesion.mass_mg:.1f}"])
    for finding in result.findings:
        assert finding.code in squeezed


def test_json(kind, made, out):
    data = json.loads((out / kind / "result.json").read_text())
    for name, score in expected_scores(made[kind].result).items():
        entry = data["scores"]["total"] if name == "Total" else data["scores"]["vessels"][name]
        assert entry == {
            "agatston": score.agatston,
            "volume_mm3": score.volume_mm3,
            "mass_mg": score.mass_mg,
            "lesions": score.lesions,
        }


def test_lesions_csv(kind, made, out):
    rows = list(csv.DictReader(io.StringIO((out / kind / "lesions.csv").read_text())))
    scoring = made[kind].result.scoring
    assert [int(row["id"]) for row in rows] == [one.id for one in (*scoring.lesions, *scoring.extracoronary)]
    for vessel in CORONARY:
        total = sum(float(row["agatston"]) for row in rows if row["vessel"] == vessel.name)
        assert total == pytest.approx(scoring.vessels[vessel].agatston)
    for row, lesion in zip(rows, (*scoring.lesions, *scoring.extracoronary), strict=True):
        assert float(row["volume_mm3"]) == lesion.volume_mm3
        assert float(row["peak_hu"]) == lesion.peak_hu
        assert [float(row[f"{axis}_lps_mm"]) for axis in "xyz"] == list(lesion.centroid_lps_mm)


def test_row_csv(kind, made, out):
    (row,) = csv.DictReader(io.StringIO((out / kind / "row.csv").read_text()))
    for name, score in expected_scores(made[kind].result).items():
        assert float(row[f"{name.lower()}_agatston"]) == score.agatston
        assert float(row[f"{name.lower()}_mass_mg"]) == score.mass_mg
        assert int(row[f"{name.lower()}_lesions"]) == score.lesions
    assert row["percentile_mesa"] == str(made[kind].result.risk["percentile"]["value"])


def numbers_of_group(group):
    """Concept name to exact value and unit of every NUM in a measurement group."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            assert float(value.NumericValue) == pytest.approx(value.FloatingPointValue, rel=1e-12)
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found[item.ConceptNameCodeSequence[0].CodeValue] = (value.FloatingPointValue, unit)
    return found


def groups_of(path):
    root = pydicom.dcmread(path)
    (measurements,) = (
        one for one in root.ContentSequence if one.get("ConceptNameCodeSequence", [{}])[0].CodeValue == "126010"
    )
    return {group.ContentSequence[0].TextValue: group for group in measurements.ContentSequence}


def test_structured_report(kind, made, out):
    groups = groups_of(out / kind / "structured_report.dcm")
    result = made[kind].result
    for name, score in expected_scores(result).items():
        numbers = numbers_of_group(groups[name])
        assert numbers["450360000"] == (score.agatston, "1")
        assert numbers["122660"] == (score.volume_mm3, "mm3")
        assert numbers["122661"] == (score.mass_mg, "mg")
        assert numbers["111038"] == (score.lesions, "1")
    for lesion in result.scoring.lesions:
        numbers = numbers_of_group(groups[f"Lesion {lesion.id} {lesion.label.name}"])
        assert numbers["450360000"] == (lesion.agatston, "1")
        assert numbers["CS-PEAK"] == (lesion.peak_hu, "[hnsf'U]")
    total = groups["Total"]
    (score_item,) = (one for one in total.ContentSequence if "450360000" in str(one.get("ConceptNameCodeSequence")))
    children = {one.ConceptNameCodeSequence[0].CodeValue: one for one in score_item.ContentSequence}
    percentile = children["121415"].MeasuredValueSequence[0].FloatingPointValue
    assert percentile == result.risk["percentile"]["value"]
    assert children["CS-LOW"].MeasuredValueSequence[0].FloatingPointValue == result.interval.agatston[0]
    texts = {
        one.ConceptNameCodeSequence[0].CodeValue: one.TextValue for one in total.ContentSequence if "TextValue" in one
    }
    assert texts["CS-CAT"] == result.risk["agatston_category"]
    assert texts["CS-DRS"] == result.risk["cac_drs"]


def test_fhir(kind, made, out):
    bundle = json.loads((out / kind / "report.fhir.json").read_text())
    observations = [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Observation"
    ]
    by_site = {
        one["bodySite"]["coding"][0]["code"]: one
        for one in observations
        if one["code"]["coding"][0]["code"] == "450360000"
    }
    sites = {"Total": "41801008", "LM": "3227004", "LAD": "59438005", "LCX": "57396003", "RCA": "13647002"}
    result = made[kind].result
    for name, score in expected_scores(result).items():
        one = by_site[sites[name]]
        assert one["valueQuantity"]["value"] == score.agatston
        parts = {part["code"]["coding"][0]["code"]: part["valueQuantity"]["value"] for part in one["component"]}
        assert (parts["122660"], parts["122661"], parts["111038"]) == (score.volume_mm3, score.mass_mg, score.lesions)
    by_code = {one["code"]["coding"][0]["code"]: one for one in observations}
    assert by_code["121415"]["valueQuantity"]["value"] == result.risk["percentile"]["value"]
    assert by_code["CS-DRS"]["valueString"] == result.risk["cac_drs"]
    assert by_code["CS-AGE"]["valueQuantity"]["value"] == result.risk["arterial_age_years"]


def test_oru(kind, made, out):
    message = (out / kind / "report.hl7").read_bytes().decode()
    fields = [line.split("|") for line in message.split("\r") if line.startswith("OBX")]
    values = {(field[3].split("^")[0], field[4]): field[5] for field in fields}
    result = made[kind].result
    for name, score in expected_scores(result).items():
        assert float(values["450360000", name.upper()]) == score.agatston
        assert float(values["122661", name.upper()]) == score.mass_mg
        assert int(values["111038", name.upper()]) == score.lesions
    assert values["CS-CAT", "TOTAL"] == result.risk["agatston_category"]
    assert int(values["121415", "TOTAL"]) == result.risk["percentile"]["value"]
    assert all(field[11] == "P" for field in fields)
