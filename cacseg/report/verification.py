"""Who stands behind a report: nobody yet, or the person who read and signed it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cacseg.errors import UsageError
from cacseg.result import Result

PRELIMINARY: Final = "Preliminary: automatic, not verified by a physician"
PRELIMINARY_CORRECTED: Final = "Preliminary: corrected by a reader; this copy is not verified"
REVIEW: Final = "review"
"""Key under ``provenance`` in ``result.json`` that tells of corrections and of who signed them."""

LONGEST_NAME: Final = 64
"""Characters of one component group of a person name (PS3.5 table 6.2-1)."""

NOT_IN_NAMES: Final = frozenset("\\=")
"""Delimiters of values and of component groups."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A person who verified a report.

    Parameters
    ----------
    name : as a DICOM person name, "Family^Given" (see ``person_name``).
    role : what the person is, in words: "Radiologist".
    signed_at : when, with its time zone.
    organisation : where the person signs for; ``None`` where not given.
    amends : whether a signed report is replaced by this one.
    """

    name: str
    role: str
    signed_at: datetime
    organisation: str | None = None
    amends: bool = False

    @property
    def shown(self) -> str:
        """The name as people write it.

        Examples
        --------
        >>> Observer("Roe^Jane", "Radiologist", datetime(2026, 1, 2)).shown
        'Jane Roe'
        """
        family, _, given = self.name.partition("^")
        return " ".join(part for part in (given.replace("^", " ").strip(), family) if part)


def person_name(written: str) -> str:
    """Make a DICOM person name of a name as people write it.

    Parameters
    ----------
    written : "Given Family", "Family, Given", or a DICOM name already.

    Raises
    ------
    UsageError : empty, longer than 64 characters, or with a backslash, an equals sign or a control character.

    Examples
    --------
    >>> person_name("Jane M Roe"), person_name("van Roe, Jane"), person_name("Roe^Jane")
    ('Roe^Jane M', 'van Roe^Jane', 'Roe^Jane')
    """
    text = " ".join(written.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable() or NOT_IN_NAMES & set(text):
        raise UsageError(
            f"The signer's name has {len(text)} characters; expected 1 to {LONGEST_NAME} printable ones without "
            "backslash and equals sign. Write it as 'Given Family' or 'Family, Given'."
        )
    if "^" in text:
        return text
    if "," in text:
        family, _, given = text.partition(",")
        return "^".join(part for part in (family.strip(), given.strip()) if part)
    given, _, family = text.rpartition(" ")
    return f"{family}^{given}" if given else family


def corrected(result: Result) -> bool:
    """Say whether a person changed labels of this result."""
    return bool((result.provenance.get(REVIEW) or {}).get("changes"))


def reader_comment(result: Result) -> str:
    """Give what the signer wrote beside the score; empty where nothing."""
    return str((result.provenance.get(REVIEW) or {}).get("comment") or "").strip()


def status_text(result: Result, verified_by: Observer | None) -> str:
    """Say in a line who stands behind the report."""
    if verified_by is None:
        return PRELIMINARY_CORRECTED if corrected(result) else PRELIMINARY
    how = "corrected and verified" if corrected(result) else "verified"
    what = "Amended" if verified_by.amends else "Final"
    return (
        f"{what}: {how} by {verified_by.shown}, {verified_by.role}, {verified_by.signed_at:%Y-%m-%d %H:%M %Z}".strip()
    )


def series_suffix(verified_by: Observer | None) -> str:
    """Give the word that a series description ends with."""
    return "preliminary" if verified_by is None else "verified"
