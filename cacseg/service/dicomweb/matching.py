"""Attribute matching of a query (PS3.4 section C.2.2.2, PS3.18 section 8.3.4)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import HTTPException
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.multival import MultiValue

PAGE: Final = 100
LARGEST_PAGE: Final = 1000
"""Results of one answer, where a request asks for none or for more."""

RANGED: Final = ("DA", "TM", "DT")


@dataclass(frozen=True, slots=True)
class Query:
    """One query.

    Parameters
    ----------
    wanted : value to match by keyword; an empty one matches everything.
    fields : keywords to give besides the usual ones; ``None`` for all.
    fuzzy : whether fuzzy matching was asked for, which there is none of.
    """

    wanted: Mapping[str, str] = field(default_factory=dict)
    fields: frozenset[str] | None = frozenset()
    limit: int = PAGE
    offset: int = 0
    fuzzy: bool = False


def parse_query(parameters: Iterable[tuple[str, str]]) -> Query:
    """Read the query parameters of a request.

    Raises
    ------
    HTTPException : 400, an unknown attribute or a number that is none.
    """
    wanted: dict[str, str] = {}
    fields: set[str] = set()
    numbers = {"limit": PAGE, "offset": 0}
    fuzzy = every = False
    for name, value in parameters:
        if name in numbers:
            numbers[name] = _number(name, value)
        elif name == "fuzzymatching":
            fuzzy = value.lower() == "true"
        elif name == "includefield":
            every = every or value == "all"
            fields |= {keyword_of(each) for each in value.split(",") if each and value != "all"}
        else:
            wanted[keyword_of(name)] = value
    included = None if every else frozenset(fields)
    return Query(wanted, included, min(numbers["limit"], LARGEST_PAGE), numbers["offset"], fuzzy)


def keyword_of(name: str) -> str:
    """Give the keyword of an attribute named by keyword or by its eight digits.

    Raises
    ------
    HTTPException : 400, it is not in the dictionary, or within a sequence.

    Examples
    --------
    >>> keyword_of("00100020"), keyword_of("Modality")
    ('PatientID', 'Modality')
    """
    keyword = keyword_for_tag(int(name, 16)) if re.fullmatch(r"[0-9A-Fa-f]{8}", name) else name
    if not keyword or not keyword.isascii() or tag_for_keyword(keyword) is None or dictionary_VR(keyword) == "SQ":
        raise HTTPException(400, f"{name[:64]!r} is no attribute that can be matched; name one by keyword or tag.")
    return keyword


def matches(header: Dataset, wanted: Mapping[str, str]) -> bool:
    """Say whether a header matches every value of a query.

    Examples
    --------
    >>> header = Dataset()
    >>> header.PatientName, header.StudyDate = "Doe^Jane", "20260301"
    >>> matches(header, {"PatientName": "doe*", "StudyDate": "20260101-20261231"})
    True
    >>> matches(header, {"StudyDate": "-20251231"})
    False
    """
    return all(_matches(header.get(keyword), dictionary_VR(keyword), value) for keyword, value in wanted.items())


def _matches(found: Any, vr: str, value: str) -> bool:
    if value in ("", "*"):
        return True
    texts = [str(each) for each in (found if isinstance(found, MultiValue | list) else [found]) if each is not None]
    if vr == "UI":
        return any(text in re.split(r"[,\\]", value) for text in texts)
    if vr in RANGED and "-" in value:
        first, _, last = value.partition("-")
        return any((not first or text >= first) and (not last or text <= last) for text in texts if text)
    pattern = re.escape(value).replace(r"\*", ".*").replace(r"\?", ".")
    flags = re.DOTALL | (re.IGNORECASE if vr == "PN" else 0)
    return any(re.fullmatch(pattern, text, flags) for text in texts)


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise HTTPException(400, f"{name} is {value[:32]!r}; expected a whole number.")
    return int(value)
