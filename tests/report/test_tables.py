from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import yaml

from cacseg.errors import UsageError
from cacseg.report import Tables, write_all
from cacseg.report.blocks import Paragraph, Table
from cacseg.report.paperwork import EVIDENCE, load_paperwork, paperwork_blocks
from cacseg.report.wording import load_wording
from cacseg.scoring.category import AGATSTON_CATEGORIES

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "report"


@pytest.mark.parametrize("name", ["wording.yaml", "paperwork.yaml"])
def test_configs_hold_the_shipped_tables(name):
    assert (CONFIGS / name).read_bytes() == (resources.files("cacseg.report.tables") / name).read_bytes()


def test_every_category_has_words_with_a_source():
    wording = load_wording()
    for category in AGATSTON_CATEGORIES:
        assert wording.severity[category.name]
        for statement in wording.statements[category.name]:
            assert statement.source
            assert statement.confidence in ("verified", "secondary", "memory")


def test_unverified_statements_carry_their_caveat(out):
    page = (out / "mild" / "report.html").read_text()
    assert page.count("read in a digest, not in the guideline itself") >= 1
    assert page.count("not checked against the guideline") >= 1


def test_a_department_brings_its_own_words(made, tmp_path, clock):
    table = yaml.safe_load((CONFIGS / "wording.yaml").read_text())
    table |= {"language": "de", "department": {"name": "Radiologie Musterstadt", "text": "Befund folgt."}}
    table["strings"] = {"Coronary calcium score": "Koronarer Kalkscore", "Score by artery": "Score je Gefäß"}
    path = tmp_path / "wording.yaml"
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    write_all(made["mild"], tmp_path / "out", ("html", "pdf"), clock=clock, tables=Tables.load(wording=path))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in page
    assert "<h1>Koronarer Kalkscore</h1>" in page
    assert "Radiologie Musterstadt" in page
    assert "Befund folgt." in page
    assert "Score je Gefäß" in page


@pytest.mark.parametrize("content", ["", "- 1", "language: en", "a: [", "language: en\nseverity: 3\nstatements: {}"])
def test_a_broken_wording_table_is_wrong_usage(content, tmp_path):
    (tmp_path / "table.yaml").write_text(content)
    with pytest.raises(UsageError):
        load_wording(tmp_path / "table.yaml")


def test_a_missing_table_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="Cannot read"):
        load_paperwork(tmp_path / "none.yaml")


def test_paperwork_with_unknown_evidence(tmp_path):
    table = yaml.safe_load((CONFIGS / "paperwork.yaml").read_text())
    table["procedures"][0]["needs"][0]["evidence"] = "telepathy"
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(table))
    with pytest.raises(UsageError, match="telepathy"):
        load_paperwork(tmp_path / "p.yaml")


def texts(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def rows_of(blocks, caption):
    (table,) = (block for block in blocks if isinstance(block, Table) and block.caption.startswith(caption))
    return {row[0]: row[1:] for row in table.rows}


def test_paperwork_of_a_gated_scan(made):
    blocks = paperwork_blocks(made["mild"].result, load_paperwork(), load_wording())
    needs = rows_of(blocks, "CPT 75571")
    assert needs["No contrast medium was given"] == ("yes", "no contrast medium was seen")
    assert needs["A quantitative calcium score"][0] == "yes"
    assert needs["A written interpretation signed by a physician"][0] == "no"
    assert needs["An order for this examination by the treating practitioner"] == ("no", "not in this report")
    assert "This series was gated" in texts(blocks)
    assert rows_of(blocks, "HCPCS G0680")["The scan was not a dedicated calcium scan"][0] == "no"


def test_paperwork_of_a_chest_scan_points_to_g0680(made):
    blocks = paperwork_blocks(made["non-gated"].result, load_paperwork(), load_wording())
    assert "This series was not gated" in texts(blocks)
    assert rows_of(blocks, "HCPCS G0680")["The scan was not a dedicated calcium scan"][0] == "yes"


def test_paperwork_says_what_is_unsure_and_chooses_nothing(out):
    page = (out / "mild" / "report.html").read_text()
    assert "from digests; check before use" in page
    assert "not checked; look it up before use" in page
    assert "none is chosen" in page
    assert "no coding, billing or legal advice" in page
    for code in ("75571", "G0680", "Z13.6", "I25.84", "R93.1", ">26<", ">TC<"):
        assert code in page


def test_evidence_follows_the_result(made):
    result = made["mild"].result
    unknown = replace(result, series=replace(result.series, contrast="unknown", kvp=None))
    assert EVIDENCE["no_contrast"](unknown)[0] is False
    assert EVIDENCE["technique"](unknown)[0] is False
    assert EVIDENCE["score"](made["refused"].result)[0] is False
