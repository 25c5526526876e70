"""The command line keeps its contract: files, keys, exit codes, and never a traceback for bad input."""

import csv
import json
import shutil
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.misc import is_dicom

import cacseg
from cacseg.cli import main
from cacseg.data.phantom import write_phantoms
from cacseg.vessels import Label

OUT_FILES = {
    "result.json",
    "report.html",
    "report.pdf",
    "segmentation.dcm",
    "structured_report.dcm",
    "labels.nii.gz",
    "lesions.csv",
    "report.fhir.json",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("phantoms"), seed=7, count=1, family="gated", extras=False)[0]


@pytest.fixture(scope="module")
def scored(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("scored") / "out"
    assert main(["infer", str(study), "-o", str(out), "--age", "60", "--sex", "M", "--race", "white"]) == 0
    return out


def schema():
    from importlib.resources import files

    return json.loads(files(cacseg).joinpath("result.schema.json").read_text())


def test_infer_writes_every_form_and_a_valid_result(scored):
    assert {path.name for path in scored.iterdir()} >= OUT_FILES
    result = json.loads((scored / "result.json").read_text())
    jsonschema.validate(result, schema())
    assert result["status"] == "scored"
    assert result["study"]["patient"] == {"age_years": 60.0, "sex": "M", "race": "white"}
    assert result["scores"]["total"]["agatston"] == pytest.approx(
        sum(score["agatston"] for score in result["scores"]["vessels"].values())
    )
    assert result["provenance"]["threads"] == 2
    assert result["mass"]["factor"] > 0
    assert result["mass"]["source"]
    assert len(result["provenance"]["model"]["sha256"]) == 64


def test_score_of_a_phantom_is_near_its_truth(study, scored):
    truth = json.loads((study / "truth.json").read_text())["noisy"]["total"]["agatston"]
    score = json.loads((scored / "result.json").read_text())["scores"]["total"]["agatston"]
    assert score == pytest.approx(truth, rel=0.1, abs=5)


def test_score_on_the_written_labels_gives_the_same_numbers(study, scored, capsys):
    expected = json.loads((scored / "result.json").read_text())["scores"]
    series = next(path for path in sorted(study.iterdir()) if path.is_dir() and "truth" not in path.name)
    for labels in ("labels.nii.gz", "segmentation.dcm"):
        capsys.readouterr()
        assert main(["score", str(series), str(scored / labels), "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)["scores"]
        assert scores["total"]["agatston"] == expected["total"]["agatston"]
        assert scores["vessels"]["LAD"] == pytest.approx(expected["vessels"]["LAD"])


def test_same_input_gives_the_same_result(study, scored, tmp_path):
    main(["infer", str(study), "-o", str(tmp_path / "again"), "--formats", "json"])
    first, second = (json.loads((folder / "result.json").read_text()) for folder in (scored, tmp_path / "again"))
    for key in ("scores", "lesions", "interval", "findings", "ledger"):
        assert first[key] == second[key]


def test_all_rules_stand_beside_the_default(study, tmp_path, capsys):
    assert main(["infer", str(study), "-o", str(tmp_path / "o"), "--formats", "json", "--rule", "all", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    names = {other["rule"]["name"] for other in result["other_rules"]}
    assert {"ge", "siemens", "siemens-vb60", "philips", "canon", "terarecon"} <= names
    assert result["rule"]["name"] == "literature"


def test_reports_are_written_again_with_patient_facts(scored, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(scored, copy)
    assert main(["report", str(copy), "--age", "70", "--sex", "F"]) == 0
    result = json.loads((copy / "result.json").read_text())
    assert result["study"]["patient"]["age_years"] == 70
    assert result["scores"] == json.loads((scored / "result.json").read_text())["scores"]
    assert (copy / "labels.nii.gz").is_file()


def test_series_lists_the_ledger(study, capsys):
    assert main(["series", str(study), "--json"]) == 0
    ledger = json.loads(capsys.readouterr().out)["ledger"]
    assert sum(entry["chosen"] for entry in ledger) == 1
    assert all(entry["reasons"] for entry in ledger)


def test_real_phantom_without_a_heart_is_refused(shared_dir, tmp_path):
    out = tmp_path / "out"
    assert main(["infer", str(shared_dir / "real/qrm_canon_large_rep1"), "-o", str(out)]) == 3
    result = json.loads((out / "result.json").read_text())
    jsonschema.validate(result, schema())
    assert result["status"] == "refused"
    assert result["scores"] is None
    assert any(finding["severity"] == "refusal" for finding in result["findings"])


def test_an_unknown_voltage_is_said_once(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "study")
    for path in (p for p in copy.rglob("*") if p.is_file() and is_dicom(p)):
        dataset = dcmread(path)
        dataset.KVP = None
        dataset.save_as(path)
    assert main(["infer", str(copy), "-o", str(tmp_path / "out"), "--formats", "json"]) == 0
    codes = [finding["code"] for finding in json.loads((tmp_path / "out" / "result.json").read_text())["findings"]]
    assert codes.count("kvp-unknown") == 1


def qrm_labels(volume, rows):
    labels = np.zeros(volume.shape, np.uint8)
    row, column = np.mgrid[: volume.shape[1], : volume.shape[2]]
    for value, insert in enumerate(rows, start=1):
        disc = np.hypot(row - int(insert["row"]), column - int(insert["col"])) <= int(insert["mask_radius_px"])
        labels[int(insert["slice_min"]) : int(insert["slice_max"]) + 1, disc] = value
    return labels


@pytest.mark.parametrize(("rule", "column"), [("literature", "agatston_4conn"), ("literature-8", "agatston_8conn")])
def test_score_reproduces_the_published_qrm_values(shared_dir, tmp_path, capsys, rule, column):
    import nibabel

    from cacseg.study import read_image

    image = shared_dir / "real/qrm_canon_large_rep1"
    volume = read_image(image).volume
    with (shared_dir / "real/qrm_expected.csv").open() as file:
        inserts = list(csv.DictReader(file))
    for part in (inserts[:4], inserts[4:]):
        path = tmp_path / f"{part[0]['insert']}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(qrm_labels(volume, part).T, volume.ras_affine()), path)
        capsys.readouterr()
        assert main(["score", str(image), str(path), "--rule", rule, "--json"]) == 0
        vessels = json.loads(capsys.readouterr().out)["scores"]["vessels"]
        for value, insert in enumerate(part, start=1):
            scores = vessels[Label(value).name]
            assert scores["agatston"] == pytest.approx(float(insert[column]), abs=6e-4)
            if rule == "literature-8":
                assert scores["agatston"] == pytest.approx(float(insert["published_agatston"]), abs=6e-6)
                assert scores["volume_mm3"] == pytest.approx(float(insert["published_volume_mm3"]), abs=6e-6)


def test_cohort_survives_a_broken_study_and_goes_on(study, tmp_path, capsys):
    root, out = tmp_path / "root", tmp_path / "out"
    shutil.copytree(study, root / "a")
    (root / "b").mkdir()
    (root / "b" / "note.txt").write_text("no images")
    assert main(["batch", str(root), "-o", str(out), "--formats", "json", "--json"]) == 1
    rows = {row["study"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["a"]["status"], rows["b"]["status"]) == ("scored", "failed")
    assert rows["b"]["message"]
    before = (out / "a" / "result.json").stat().st_mtime_ns
    assert main(["batch", str(root), "-o", str(out), "--formats", "json"]) == 1
    assert (out / "a" / "result.json").stat().st_mtime_ns == before
    assert len((out / "cohort.csv").read_text().splitlines()) == 3


def test_compare_says_that_nothing_changed(scored, capsys):
    assert main(["compare", str(scored), str(scored), "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["total"]["real"] is False


def test_conformance_suite_is_written(tmp_path):
    assert main(["conformance", str(tmp_path / "suite")]) == 0
    assert any((tmp_path / "suite").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["infer", "/nonexistent"], 2),
        (["score", "/nonexistent", "/nonexistent"], 2),
        (["conformance"], 2),
        (["batch", "/nonexistent", "-o", "/nonexistent/out"], 2),
        (["report", "/nonexistent"], 2),
    ],
)
def test_wrong_usage_is_said_in_one_line(arguments, code, capsys):
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "cacseg:" in error


def test_unknown_rule_and_unknown_option_are_wrong_usage(study, tmp_path, capsys):
    assert main(["infer", str(study), "-o", str(tmp_path / "o"), "--rule", "nonsense"]) == 2
    assert "literature" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["infer", str(study), "--nonsense"])
    assert stop.value.code == 2


def test_unreadable_input_has_its_own_code(tmp_path):
    (tmp_path / "x.txt").write_text("nothing")
    assert main(["infer", str(tmp_path), "-o", str(tmp_path.with_name("o"))]) == 4


def test_an_output_folder_of_somebody_else_is_left_alone(study, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["infer", str(study), "-o", str(tmp_path), "--formats", "json"]) == 2
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_package_itself_can_be_run():
    command = [sys.executable, "-m", "cacseg", "series", "no-such-folder"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == main(["series", "no-such-folder"]) != 0
    assert "no-such-folder" in done.stderr
