"""``report.pdf``: the same content on A4, byte-identical for the same result, without system libraries."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfdoc import PDFZCompress
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, PageBreak, SimpleDocTemplate, Spacer
from reportlab.platypus import Paragraph as FlowingText
from reportlab.platypus import Table as FlowingTable

from cacseg.report.blocks import (
    Block,
    Cell,
    Curve,
    Document,
    Facts,
    Gallery,
    Heading,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    Swatch,
    Table,
)
from cacseg.report.curve_pdf import curve_drawing
from cacseg.report.pdf_picture import PalettePicture
from cacseg.report.pictures import Pictures
from cacseg.vessels import COLOUR_RGB

MARGIN: Final = 42.5
"""15 mm in points."""

WIDTH: Final = 595.276 - 2 * MARGIN
"""Printable width of A4 in points."""

ACCENT: Final = HexColor("#0b5c86")
PRELIMINARY: Final = HexColor("#8a4b00")
VERIFIED: Final = HexColor("#1d6b4c")
INK: Final = HexColor("#1b2733")
QUIET: Final = HexColor("#54616e")
LINE: Final = HexColor("#d5dce3")
SOFT: Final = HexColor("#f4f7f9")
"""Made once: reportlab would read the text of a colour anew for every cell that it draws."""

TONES: Final = {
    "notice": (HexColor("#5b6773"), HexColor("#eef1f4")),
    "info": (ACCENT, SOFT),
    "warning": (HexColor("#c77700"), HexColor("#fff4e0")),
    "refusal": (HexColor("#9b1c1c"), HexColor("#fdecec")),
}
CELL_PICTURE_POINTS: Final = 72.0
OUTSIDE_FONT: Final = "?"
"""Stands for a character that the PDF's standard fonts lack; the HTML form has them all."""


def report_pdf(report: Document, pictures: Pictures, foot: str) -> bytes:
    """Write a report as PDF.

    Parameters
    ----------
    report : what to say.
    pictures : the pictures it names.
    foot : line at the foot of every page, before the page number.
    """
    stream = io.BytesIO()
    template = SimpleDocTemplate(
        stream,
        pagesize=(595.276, 841.890),
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 12,
        title=report.title,
        author="cacseg",
        subject=report.status,
        creator="cacseg",
        lang=report.language,
        invariant=1,
        pageCompression=1,
    )
    flow: list[Any] = [*_banner(report)]
    for block, following in zip(report.blocks, (*report.blocks[1:], None), strict=True):
        if isinstance(block, Heading) and not block.new_page:
            flow += _room_for(following)
        flow += _WRITERS[type(block)](block, pictures)
    template.build(flow, canvasmaker=_numbered(f"{report.title}  ·  {foot}", report.status))
    return stream.getvalue()


def _text(text: str) -> str:
    """Escape a text and keep to the characters that the standard fonts have."""
    if text.isascii():
        return escape(text)
    out = []
    for character in escape(text):
        if character in "≥≤":
            out.append(f'<font name="Symbol">{character}</font>')
            continue
        try:
            character.encode("cp1252")
        except UnicodeEncodeError:
            out.append(OUTSIDE_FONT)
        else:
            out.append(character)
    return "".join(out)


def _paragraph(text: str, size: float = 9.5, colour: Any = INK, *, bold: bool = False, right: bool = False) -> Any:
    return FlowingText(_text(text), _style(size, colour, bold=bold, right=right))


@cache
def _style(size: float, colour: Any, *, bold: bool = False, right: bool = False) -> Any:
    return ParagraphStyle(
        "text",
        fontName="Helvetica-Bold" if bold else "Helvetica",
        fontSize=size,
        leading=size * 1.32,
        textColor=colour,
        alignment=TA_RIGHT if right else TA_LEFT,
        splitLongWords=1,
    )


def _grid(rows: Sequence[Sequence[Any]], widths: Sequence[float], style: Sequence[tuple[Any, ...]], **more: Any) -> Any:
    base = [
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1.7),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.0),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    return FlowingTable(
        [list(row) for row in rows], colWidths=list(widths), style=[*base, *style], hAlign="LEFT", **more
    )


def _gap(points: float) -> Any:
    return Spacer(1, points)


def _banner(report: Document) -> list[Any]:
    title, status = (
        _paragraph(report.title, 17, INK, bold=True),
        _paragraph(report.status, 8.5, VERIFIED if report.verified else PRELIMINARY, bold=True, right=True),
    )
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 2, ACCENT),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
    ]
    return [_grid([[title, status]], [WIDTH * 0.55, WIDTH * 0.45], style), _gap(6)]


def _room_for(following: Block | None) -> list[Any]:
    """Begin a new page where a heading would stand alone at the foot of this one."""
    points = {Curve: 250.0, Gallery: 330.0, Table: 120.0}.get(type(following), 90.0)
    return [CondPageBreak(points)]


def _heading_flow(block: Heading, _: Pictures) -> list[Any]:
    head = _grid(
        [[_paragraph(block.text, 11.5, ACCENT, bold=True)]],
        [WIDTH],
        [("LINEBELOW", (0, 0), (-1, -1), 0.6, LINE), ("LEFTPADDING", (0, 0), (-1, -1), 0)],
    )
    begin = [PageBreak()] if block.new_page else [_gap(9)]
    return [*begin, head, _gap(4)]


def _paragraph_flow(block: Paragraph, _: Pictures) -> list[Any]:
    return [_paragraph(block.text, 8, QUIET) if block.quiet else _paragraph(block.text), _gap(3)]


def _notice_flow(block: Notice, _: Pictures) -> list[Any]:
    bar, ground = TONES[block.tone]
    content = [[[_paragraph(block.title, 9.5, INK, bold=True), _paragraph(block.text, 9)]]]
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), ground),
        ("LINEBEFORE", (0, 0), (0, -1), 3, bar),
        ("LEFTPADDING", (0, 0), (-1, -1), 9),
    ]
    return [_gap(3), _grid(content, [WIDTH], style), _gap(3)]


def _facts_flow(block: Facts, _: Pictures) -> list[Any]:
    cells = [[_paragraph(label, 7.5, QUIET), _paragraph(value, 9)] for label, value in block.rows]
    cells += [[] for _ in range(-len(cells) % 3)]
    rows = [cells[start : start + 3] for start in range(0, len(cells), 3)]
    return [
        _grid(rows, [WIDTH / 3] * 3, [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]),
        _gap(2),
    ]


def _key_flow(block: KeyFigures, _: Pictures) -> list[Any]:
    big = [
        _paragraph(block.value, 30, ACCENT, bold=True),
        _gap(4),
        _paragraph(block.label, 10, INK, bold=True),
        _paragraph(block.detail, 9),
    ]
    others = [
        [_paragraph(value, 13, INK, bold=True), _paragraph(label, 8.5), _paragraph(detail, 7.5, QUIET)]
        for value, label, detail in block.others
    ]
    others += [[] for _ in range(len(others) % 2)]
    left, right = 0.36 * WIDTH, 0.64 * WIDTH
    pairs = [others[start : start + 2] for start in range(0, len(others), 2)] or [[[]]]
    inner = _grid(pairs, [right / len(pairs[0]) - 4] * len(pairs[0]), [("VALIGN", (0, 0), (-1, -1), "TOP")])
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), SOFT),
        ("BOX", (0, 0), (-1, -1), 0.8, LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 8),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
        ("LEFTPADDING", (0, 0), (0, -1), 12),
    ]
    return [_gap(5), _grid([[big, inner]], [left, right], style), _gap(5)]


def _table_flow(block: Table, pictures: Pictures) -> list[Any]:
    header = [_paragraph(text, 7.5, QUIET, bold=True, right=i in block.numeric) for i, text in enumerate(block.header)]
    body = []
    for position, row in enumerate(block.rows):
        bold = block.total and position == len(block.rows) - 1
        body.append([_cell(cell, pictures, bold=bold, right=i in block.numeric) for i, cell in enumerate(row)])
    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, 0), SOFT),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
        ("FONT", (0, 1), (-1, -1), "Helvetica", 8.5, 11.2),
        ("TEXTCOLOR", (0, 1), (-1, -1), INK),
        *(("ALIGN", (column, 1), (column, -1), "RIGHT") for column in block.numeric),
    ]
    if block.total:
        style.append(("LINEABOVE", (0, -1), (-1, -1), 1.2, INK))
        style.append(("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 8.5, 11.2))
    return [_grid([header, *body], _widths(block), style, repeatRows=1), _gap(4)]


def _widths(block: Table) -> list[float]:
    """Share the width by what the columns hold; no column gets narrower than its longest word."""
    least, wanted = [], []
    for column, head in enumerate(block.header):
        cells = [row[column] for row in block.rows]
        picture = CELL_PICTURE_POINTS + 10 if any(isinstance(cell, Picture) for cell in cells) else 0.0
        words = max(len(word) for text in (head, *(_plain(cell) for cell in cells)) for word in text.split() or [""])
        least.append(max(picture, min(words, 22) * 4.9 + 11))
        wanted.append(max(least[-1], max(_length(cell) for cell in (head, *cells)) * 4.6 + 12))
    spare = WIDTH - sum(least)
    more = [want - low for want, low in zip(wanted, least, strict=True)]
    if spare <= 0:
        return [low * WIDTH / sum(least) for low in least]
    if sum(more) > spare:
        return [low + extra * spare / sum(more) for low, extra in zip(least, more, strict=True)]
    return [want * WIDTH / sum(wanted) for want in wanted]


def _plain(cell: Cell) -> str:
    return cell.words if isinstance(cell, Swatch) else cell if isinstance(cell, str) else ""


def _length(cell: Cell) -> float:
    return len(_plain(cell)) + (3 if isinstance(cell, Swatch) else 0)


def _cell(cell: Cell, pictures: Pictures, *, bold: bool, right: bool) -> Any:
    if isinstance(cell, Picture):
        return PalettePicture(pictures.images[cell.name], CELL_PICTURE_POINTS)
    if isinstance(cell, Swatch):
        return _swatch(cell)
    text = "–" if cell is None else cell
    return text if right and text.isascii() else _paragraph(text, 8.5, bold=bold, right=right)


def _swatch(swatch: Swatch) -> Any:
    colour = "#{:02x}{:02x}{:02x}".format(*COLOUR_RGB[swatch.label])
    dot = f'<font name="ZapfDingbats" color="{colour}">●</font>'
    return FlowingText(f"{dot}&nbsp; {_text(swatch.words)}", _style(8.5, INK))


def _gallery_flow(block: Gallery, pictures: Pictures) -> list[Any]:
    share = WIDTH / max(len(block.pictures), 1)
    cells = [
        [PalettePicture(pictures.images[picture.name], share - 12), _gap(2), _paragraph(caption, 7.5, QUIET)]
        for picture, caption in block.pictures
    ]
    legend = [_swatch(swatch) for swatch in block.legend]
    legend += [_gap(0) for _ in range(-len(legend) % 4)]
    rows = [legend[start : start + 4] for start in range(0, len(legend), 4)]
    return [
        _grid(
            [cells], [share] * len(cells), [("VALIGN", (0, 0), (-1, -1), "BOTTOM"), ("LEFTPADDING", (0, 0), (0, -1), 0)]
        ),
        _grid(rows, [WIDTH / 4] * 4, [("LEFTPADDING", (0, 0), (-1, -1), 0)]),
    ]


def _curve_flow(block: Curve, _: Pictures) -> list[Any]:
    return [curve_drawing(block, 0.86 * WIDTH), _gap(4)]


def _numbered(foot: str, status: str) -> Any:
    """Make a canvas that writes foot and "page x of y" once the number of pages is known."""

    class NumberedCanvas(Canvas):  # type: ignore[misc]
        """Keeps pages back until the last is known."""

        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self._doc.defaultStreamFilters = [PDFZCompress]
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 (reportlab's name)
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            total = len(self._kept)
            for number, page in enumerate(self._kept, start=1):
                self.__dict__.update(page)
                self.setFont("Helvetica", 7.5)
                self.setFillColor(QUIET)
                self.drawString(MARGIN, 30, _latin(foot))
                self.drawString(MARGIN, 20, _latin(status))
                self.drawRightString(MARGIN + WIDTH, 30, f"{number} / {total}")
                super().showPage()
            super().save()

    return NumberedCanvas


def _latin(text: str) -> str:
    return text.encode("cp1252", "replace").decode("cp1252")


_WRITERS: Final[dict[type[Block], Callable[[Any, Pictures], list[Any]]]] = {
    Heading: _heading_flow,
    Paragraph: _paragraph_flow,
    Notice: _notice_flow,
    Facts: _facts_flow,
    KeyFigures: _key_flow,
    Table: _table_flow,
    Gallery: _gallery_flow,
    Curve: _curve_flow,
}
