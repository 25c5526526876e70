"""Answers of other software, read from CSV and checked."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cacseg.errors import UnreadableError
from cacseg.scoring.conformance import Answer, Verdict, cases, check_answers

COLUMNS: Final = ("case", "rule", "agatston", "volume_mm3", "lesions")
"""Columns of an answers file; the last three may be left out or empty."""


@dataclass(frozen=True, slots=True)
class Report:
    """Every expected number beside the one given."""

    verdicts: tuple[Verdict, ...]

    @property
    def disagreements(self) -> tuple[Verdict, ...]:
        """Numbers that differ."""
        return tuple(verdict for verdict in self.verdicts if verdict.agrees is False)

    @property
    def unanswered(self) -> int:
        """Numbers that were not given."""
        return sum(verdict.agrees is None for verdict in self.verdicts)

    @property
    def agreeing(self) -> int:
        """Numbers that agree."""
        return sum(verdict.agrees is True for verdict in self.verdicts)

    @property
    def conforms(self) -> bool:
        """Whether something was answered and nothing differs."""
        return self.agreeing > 0 and not self.disagreements

    def lines(self) -> list[str]:
        """Print it: each disagreement, then the counts."""
        table = [
            f"{one.case:28} {one.rule:20} {one.quantity:11} expected {one.expected:<10.6g} got {one.given:<10} "
            f"({one.isolates})"
            for one in self.disagreements
        ]
        counts = f"{self.agreeing} agree, {len(self.disagreements)} differ, {self.unanswered} not answered"
        return [*table, counts]

    def table(self) -> str:
        """Print it as one text."""
        return "\n".join(self.lines())

    def to_dict(self) -> dict[str, Any]:
        """Give the form for JSON."""
        return {
            "conforms": self.conforms,
            "agree": self.agreeing,
            "differ": len(self.disagreements),
            "unanswered": self.unanswered,
            "disagreements": [asdict(verdict) for verdict in self.disagreements],
        }


def read_answers(path: Path | str) -> tuple[Answer, ...]:
    """Read an answers file.

    Raises
    ------
    UnreadableError : absent, not text, without the columns ``case`` and ``rule``, or with unknown ones.
    """
    file = Path(path)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            found = set(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"The answers in {file.name} cannot be read: {error}. Expected a CSV file.") from error
    if not {"case", "rule"} <= found or found - set(COLUMNS):
        raise UnreadableError(
            f"{file.name} has columns {', '.join(sorted(map(str, found))) or 'none'}; expected {', '.join(COLUMNS)}. "
            "Start from answers.csv of the suite."
        )
    return tuple(Answer(**{key: (row.get(key) or "").strip() for key in COLUMNS}) for row in rows)


def check(path: Path | str) -> Report:
    """Check the answers in a CSV file against every case, for the rules that it answers.

    Parameters
    ----------
    path : CSV with columns ``case, rule, agatston, volume_mm3, lesions``; numbers with a point agree when they
        are the expected ones to the digits given, whole numbers only when they are exact.

    Raises
    ------
    UnreadableError : the file cannot be read as such.
    """
    return Report(check_answers(read_answers(path), cases()))
