"""docs/findings.md lists the codes of the source, and the source has no others."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "findings.md").read_text()
SEVERITIES = {"INFO": "info", "WARNING": "warning", "REFUSAL": "refusal"}


def codes_in(folder):
    """Codes and severities of every Finding, Obstacle and Defect written out in the source below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            code = node.args[0]
            if not isinstance(code, ast.Constant) or not isinstance(code.value, str):
                continue
            if node.func.id in ("Obstacle", "Defect"):
                found.setdefault(code.value, set()).add("refusal")
            if node.func.id == "Finding":
                severity = node.args[1]
                known = isinstance(severity, ast.Attribute)
                found.setdefault(code.value, set()).update({SEVERITIES[severity.attr]} if known else set())
    return found


def rows(section):
    text = DOC.split(f"## {section}\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| (`[^|]+`) \| ([a-z, ]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    return {code: set(severity.split(", ")) for names, severity in table for code in re.findall(r"`([^`]+)`", names)}


def test_every_reading_code_is_documented_with_its_severities_and_no_other():
    assert rows("Reading a study") == codes_in(ROOT / "cacseg" / "study")


def test_codes_are_kebab_case():
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes_in(ROOT / "cacseg" / "study"))


def test_codes_of_later_stages_are_documented():
    for room in ("infer", "scoring"):
        missing = codes_in(ROOT / "cacseg" / room).keys() - rows("Finding the heart and scoring").keys()
        assert not missing, f"add to docs/findings.md: {sorted(missing)}"
