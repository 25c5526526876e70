import json
from dataclasses import replace

import pytest
from fhir.resources.R4B.bundle import Bundle

from cacseg.errors import MissingExtraError
from cacseg.report import Stamp
from cacseg.report.fhir import fhir_bundle
from cacseg.report.identity import Identity
from cacseg.report.oru import oru_message
from cacseg.report.row import cohort_row, rows_csv, write_parquet
from cacseg.result import NOT_A_DEVICE

SCORED = ("zero", "mild", "severe", "non-gated", "poor")


@pytest.mark.parametrize("kind", SCORED)
def test_bundle_is_valid_fhir(kind, out):
    bundle = Bundle.model_validate_json((out / kind / "report.fhir.json").read_bytes())
    report = bundle.entry[0].resource
    assert report.get_resource_type() == "DiagnosticReport"
    assert report.status == "preliminary"
    assert report.code.coding[0].code == "79087-3"
    assert NOT_A_DEVICE in report.conclusion


def test_a_broken_bundle_would_be_found(out):
    data = json.loads((out / "mild" / "report.fhir.json").read_text())
    data["entry"][0]["resource"]["status"] = 7
    with pytest.raises(ValueError, match="status"):
        Bundle.model_validate(data)


def test_every_reference_in_the_bundle_resolves(out):
    text = (out / "severe" / "report.fhir.json").read_text()
    data = json.loads(text)
    addresses = {entry["fullUrl"] for entry in data["entry"]}
    assert len(addresses) == len(data["entry"])

    def references(node):
        if isinstance(node, dict):
            if "reference" in node:
                yield node["reference"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(data))
    assert found
    assert found <= addresses


def test_an_absent_percentile_says_why(made, clock):
    result = made["mild"].result
    risk = {**result.risk, "percentile": {"source": "MESA", "value": None, "absent_because": "race not known"}}
    result = replace(result, risk=risk)
    data = json.loads(fhir_bundle(result, Identity(), Stamp.of(result, clock())))
    (one,) = (
        entry["resource"]
        for entry in data["entry"]
        if entry["resource"].get("code", {}).get("text", "").startswith("Percentile")
    )
    assert one["dataAbsentReason"]["text"] == "race not known"
    Bundle.model_validate(data)


def test_an_unknown_patient_is_valid_too(made, clock):
    result = replace(made["mild"].result, patient=replace(made["mild"].result.patient, sex=None, age_years=None))
    Bundle.model_validate_json(fhir_bundle(result, Identity(), Stamp.of(result, clock())))


def test_message_structure(out):
    message = (out / "severe" / "report.hl7").read_bytes().decode()
    assert message.endswith("\r")
    assert "\n" not in message
    segments = [line.split("|") for line in message.rstrip("\r").split("\r")]
    assert [segment[0] for segment in segments[:3]] == ["MSH", "PID", "OBR"]
    header = segments[0]
    assert header[1] == "^~\\&"
    assert header[8] == "ORU^R01^ORU_R01"
    assert header[11] == "2.5.1"
    assert header[17] == "UNICODE UTF-8"
    patient = segments[1]
    assert patient[3] == "SPECIMEN-1"
    assert patient[5] == "Specimen^Sam"
    assert patient[7:9] == ["19680214", "M"]
    order = segments[2]
    assert order[3] == "ACC-1"
    assert order[4].startswith("79087-3^")
    assert order[7] == "20260301"
    assert order[25] == "P"
    observations = [segment for segment in segments if segment[0] == "OBX"]
    assert [int(one[1]) for one in observations] == list(range(1, len(observations) + 1))
    assert NOT_A_DEVICE in message


def test_delimiters_in_values_are_escaped(made, clock):
    result = made["mild"].result
    identity = Identity(name="A|B, C^D&E", patient_id="1~2\\3\r4")
    message = oru_message(result, identity, Stamp.of(result, clock())).decode()
    patient = message.split("\r")[1].split("|")
    assert patient[3] == "1\\R\\2\\E\\3 4"
    assert patient[5] == "A\\F\\B^C\\S\\D\\T\\E"


def test_rows_of_scored_and_refused_have_the_same_columns(made):
    rows = [cohort_row(one.result) for one in made.values()]
    assert len({tuple(row) for row in rows}) == 1
    refused = cohort_row(made["refused"].result)
    assert refused["total_agatston"] is None
    assert refused["refusals"] == "contrast-present"
    lines = rows_csv([one.result for one in made.values()]).decode().splitlines()
    assert len(lines) == len(made) + 1


def test_parquet(made, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    write_parquet([one.result for one in made.values()], tmp_path / "rows.parquet")
    table = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert table == [cohort_row(one.result) for one in made.values()]


def test_parquet_names_what_it_needs(made, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match="pip install pyarrow"):
        write_parquet([made["mild"].result], tmp_path / "rows.parquet")
