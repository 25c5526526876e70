"""The parts that a report is made of, without a form: HTML, PDF and pages are drawn from the same list."""

from dataclasses import dataclass
from typing import Literal

from cacseg.vessels import Label


@dataclass(frozen=True, slots=True)
class Swatch:
    """A name with the colour that its calcium has in every picture; ``detail`` only where there is room."""

    label: Label
    text: str
    detail: str = ""

    @property
    def words(self) -> str:
        """Text and detail in one line."""
        return f"{self.text}  {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its name in ``Pictures``, with the words for who cannot see it."""

    name: str
    alt: str


Cell = str | Swatch | Picture | None
"""One cell of a table; ``None`` is printed as a dash with "not known"."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A section begins; ``new_page`` on paper only."""

    text: str
    new_page: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; ``quiet`` for sources and small print."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must be seen."""

    tone: Literal["notice", "info", "warning", "refusal"]
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a label and a value."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column heads its row, ``numeric`` columns are aligned right, the last row may be a total."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    total: bool = False


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """The score, large, and what it means, beside it."""

    value: str
    label: str
    detail: str
    others: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side, each with a caption, and a legend of colours."""

    pictures: tuple[tuple[Picture, str], ...]
    legend: tuple[Swatch, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Reference percentiles over age, with one person.

    Parameters
    ----------
    lines : ``(name, ((age, score), ...))``, lowest first.
    age_years, agatston : the person.
    title, alt : words over it and in place of it.
    """

    lines: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    age_years: float
    agatston: float
    title: str
    alt: str


Block = Heading | Paragraph | Notice | Facts | Table | KeyFigures | Gallery | Curve


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report; ``verified`` says whether a person stands behind it."""

    title: str
    language: str
    status: str
    blocks: tuple[Block, ...]
    verified: bool = False
