"""The manifests that the repository holds, and the script that makes others."""

import csv
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cacseg.data.readers import read_manifest, study_checksum
from cacseg.evaluation.families import FAMILIES

ROOT = Path(__file__).resolve().parents[3]


def test_the_list_of_test_families_is_that_of_the_code():
    rows = {
        row["family"]: row for row in csv.DictReader((ROOT / "data/splits/test-families.csv").read_text().splitlines())
    }
    assert rows.keys() == FAMILIES.keys()
    for name, family in FAMILIES.items():
        seeds = family.seeds()
        assert [int(rows[name][key]) for key in ("patients", "first_seed", "last_seed")] == [
            len(seeds),
            seeds[0],
            seeds[-1],
        ]
        assert rows[name]["protocol"] == family.protocol_family
        assert rows[name]["coronary_calcium"] == ("yes" if family.coronary_calcium else "removed")


def test_the_reference_scans_are_those_of_the_manifest(shared_dir):
    manifest = read_manifest(ROOT / "data/splits/reference-scans.csv")
    for study_id, folder in (("qrm-canon-large-1", "qrm_canon_large_rep1"), ("lidc-0314", "lidc_0314_heart")):
        files = sorted(path for path in (shared_dir / "real" / folder).iterdir() if path.is_file())
        assert study_checksum(files) == manifest[study_id].sha256
        assert manifest[study_id].split == "test"


@pytest.fixture
def pairs(tmp_path, tiny):
    for name, voxels in (("images", tiny.voxels), ("labels", np.full(tiny.shape, 2, np.uint8))):
        (tmp_path / name).mkdir()
        nibabel.save(nibabel.Nifti1Image(voxels.T, tiny.ras_affine()), tmp_path / name / "a.nii")
    return tmp_path


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "data" / "make_manifest.py"), *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


def test_the_script_writes_manifest_and_repairs(pairs):
    done = run("nifti", pairs, "-o", pairs / "m.csv", "--repairs", pairs / "r.csv")
    assert done.returncode == 0, done.stderr
    assert "1 studies" in done.stderr
    assert len(read_manifest(pairs / "m.csv")["a"].sha256) == 64
    assert "labelled voxels below 130 HU cleared" in (pairs / "r.csv").read_text()


def test_the_script_says_what_is_wrong(tmp_path):
    done = run("coca", tmp_path, "-o", tmp_path / "m.csv")
    assert done.returncode == 4
    assert "calcium_xml" in done.stderr
    assert "Traceback" not in done.stderr
