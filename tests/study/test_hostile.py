"""No input, however hostile, ends in anything but its documented outcome."""

import re
from pathlib import Path

import pytest
import study_hostile_files
import study_hostile_images
import study_hostile_others
from study_hostile import EXIT

from cacseg.errors import CacsegError, UnreadableError, UsageError
from cacseg.findings import refused
from cacseg.study import read_study

CASES = [*study_hostile_files.CASES, *study_hostile_images.CASES, *study_hostile_others.CASES]
DOC = Path(__file__).resolve().parents[2] / "docs" / "hostile-inputs.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_input_ends_as_documented(case, tmp_path):
    source = case.make(tmp_path)
    if case.outcome in ("usage", "unreadable"):
        with pytest.raises(CacsegError) as caught:
            read_study(source)
        assert type(caught.value) is (UsageError if case.outcome == "usage" else UnreadableError)
        assert caught.value.exit_code == EXIT[case.outcome]
        assert case.code is None or case.code in str(caught.value)
        assert "SECRET" not in str(caught.value)
        return
    reading = read_study(source)
    codes = {finding.code for finding in reading.findings}
    assert refused(reading.findings) is (case.outcome == "refused"), reading.findings
    assert case.code is None or case.code in codes
    assert reading.ledger
    if case.outcome == "read":
        assert reading.chosen is not None
        assert sum(entry.chosen for entry in reading.ledger) == 1
    counts = reading.files
    assert counts.found == counts.read + counts.duplicates + counts.stray + counts.damaged + counts.skipped
    told = " ".join(f"{finding.message} {finding.action}" for finding in reading.findings)
    assert "SECRET" not in told + repr(reading.ledger)


def test_at_least_sixty_cases_with_distinct_names():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


def test_document_lists_exactly_these_cases():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \| (\w+) \| (.*?) \| (\d) \|$", DOC.read_text(), re.MULTILINE)
    assert rows == [
        (case.name, case.what, case.outcome, f"`{case.code}`" if case.code else "", str(EXIT[case.outcome]))
        for case in CASES
    ]
