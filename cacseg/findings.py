"""What was noticed about a study: facts a reader of the score must know, each with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: a refusal means that no score may be given."""

    INFO = "info"
    WARNING = "warning"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Finding:
    """One departure from the standard protocol, or one thing done to the input.

    Parameters
    ----------
    code : stable kebab-case identifier, e.g. ``"kvp-not-120"``; documented in ``docs/findings.md``.
    severity : info, warning or refusal.
    message : what was seen, with the value found and the one expected; UIDs, never names.
    action : what the reader should do.
    """

    code: str
    severity: Severity
    message: str
    action: str


def refused(findings: tuple[Finding, ...]) -> bool:
    """Say whether any of the findings forbids a score.

    Examples
    --------
    >>> refused((Finding("kvp-not-120", Severity.INFO, "100 kVp", "none"),))
    False
    """
    return any(finding.severity is Severity.REFUSAL for finding in findings)
