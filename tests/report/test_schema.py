import copy
import json
from importlib import resources

import jsonschema
import pytest

KINDS = ("zero", "mild", "severe", "non-gated", "refused", "poor")


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((resources.files("cacseg") / "result.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_results_follow_the_schema(kind, out, validator):
    data = json.loads((out / kind / "result.json").read_text())
    assert [error.message for error in validator.iter_errors(data)] == []


def broken(data, path, value):
    data = copy.deepcopy(data)
    node = data
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["scores"], None),
        (["status"], "ok"),
        (["status"], "refused"),
        (["lesions", 0, "vessel"], "D1"),
        (["lesions", 0, "confidence"], 1.2),
        (["scores", "vessels", "LM", "agatston"], -1),
        (["scores", "total", "lesions"], 2.5),
        (["risk", "cac_drs"], "A4/N2"),
        (["risk", "percentile", "value"], 100),
        (["series", "gated"], "maybe"),
        (["study", "patient", "sex"], "x"),
        (["schema_version"], "2.0"),
    ],
)
def test_the_schema_refuses_what_is_wrong(path, value, out, validator):
    data = json.loads((out / "severe" / "result.json").read_text())
    assert list(validator.iter_errors(broken(data, path, value)))


def test_a_missing_key_is_refused(out, validator):
    data = json.loads((out / "severe" / "result.json").read_text())
    for key in [key for key in data if key not in ("mass", "other_rules")]:
        assert list(validator.iter_errors({k: v for k, v in data.items() if k != key})), key


def test_a_refused_result_with_a_score_is_refused(out, validator):
    refused = json.loads((out / "refused" / "result.json").read_text())
    scored = json.loads((out / "mild" / "result.json").read_text())
    assert list(validator.iter_errors({**refused, "scores": scored["scores"]}))
    assert list(validator.iter_errors({**refused, "findings": []}))
