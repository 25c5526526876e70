"""``report.html``: one file without a network, for screen, paper and phone."""

import base64
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final

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
from cacseg.report.curve_svg import curve_svg
from cacseg.report.markup import Markup, join, tag, void
from cacseg.report.pictures import Pictures
from cacseg.report.png import size_of
from cacseg.vessels import COLOUR_RGB


def report_html(report: Document, pictures: Pictures) -> bytes:
    """Write a report as one self-contained HTML file.

    Parameters
    ----------
    report : what to say.
    pictures : the pictures it names, set into the file.
    """
    head = join(
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", report.title),
        tag("style", Markup(_style())),
    )
    banner = tag(
        "header",
        tag("h1", report.title),
        tag("div", report.status, class_="status verified" if report.verified else "status"),
    )
    body = tag("main", banner, *(_block(block, pictures) for block in report.blocks))
    page = tag("html", tag("head", head), tag("body", body), lang=report.language)
    return f"<!DOCTYPE html>\n{page}\n".encode()


_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Nothing may be fetched and no script may run, whatever the texts hold."""


@cache
def _style() -> str:
    return (resources.files("cacseg.report.tables") / "report.css").read_text(encoding="utf-8")


def _block(block: Block, pictures: Pictures) -> Markup:
    writer: Callable[[Any, Pictures], Markup] = _WRITERS[type(block)]
    return writer(block, pictures)


def _heading(block: Heading, _: Pictures) -> Markup:
    return tag("h2", block.text, class_="page" if block.new_page else None)


def _paragraph(block: Paragraph, _: Pictures) -> Markup:
    return tag("p", block.text, class_="quiet" if block.quiet else None)


def _notice(block: Notice, _: Pictures) -> Markup:
    role = "note" if block.tone in ("notice", "info") else "alert"
    return tag("div", tag("strong", block.title), block.text, class_=f"note {block.tone}", role=role)


def _facts(block: Facts, _: Pictures) -> Markup:
    return tag("dl", *(tag("div", tag("dt", label), tag("dd", value)) for label, value in block.rows))


def _key_figures(block: KeyFigures, _: Pictures) -> Markup:
    main = tag(
        "div",
        tag("div", block.value, class_="big", id="score"),
        tag("div", block.label, class_="name"),
        tag("div", block.detail, class_="detail"),
    )
    others = (
        tag("li", tag("b", value), tag("span", label), tag("small", detail)) for value, label, detail in block.others
    )
    return tag("section", main, tag("ul", *others) if block.others else None, class_="key", aria_label=block.label)


def _table(block: Table, pictures: Pictures) -> Markup:
    header = tag("tr", *(tag("th", text, scope="col", class_=_align(block, i)) for i, text in enumerate(block.header)))
    rows = [
        _row(block, row, pictures, is_total=block.total and position == len(block.rows) - 1)
        for position, row in enumerate(block.rows)
    ]
    content = tag("table", tag("caption", block.caption), tag("thead", header), tag("tbody", *rows))
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=block.caption)


def _row(block: Table, row: tuple[Cell, ...], pictures: Pictures, *, is_total: bool) -> Markup:
    first = tag("th", _cell(row[0], pictures), scope="row", class_=_align(block, 0))
    rest = (tag("td", _cell(cell, pictures), class_=_align(block, i)) for i, cell in enumerate(row[1:], start=1))
    return tag("tr", first, *rest, class_="total" if is_total else None)


def _align(block: Table, column: int) -> str | None:
    return "n" if column in block.numeric else None


def _cell(cell: Cell, pictures: Pictures) -> Markup:
    if cell is None:
        return tag("span", "–", title="not known", aria_label="not known")
    if isinstance(cell, Swatch):
        return _swatch(cell)
    if isinstance(cell, Picture):
        return _picture(cell, pictures)
    return join(cell)


def _swatch(swatch: Swatch) -> Markup:
    colour = "rgb({},{},{})".format(*COLOUR_RGB[swatch.label])
    dot = tag("span", class_="sw", style=f"background:{colour}", aria_hidden="true")
    return join(tag("span", dot, swatch.text, class_="k"), _detail(swatch))


def _detail(swatch: Swatch) -> Markup:
    return tag("span", f" {swatch.detail}", class_="long") if swatch.detail else Markup("")


def _picture(picture: Picture, pictures: Pictures) -> Markup:
    content = pictures.images[picture.name]
    width, height = size_of(content)
    data = base64.b64encode(content).decode()
    return void("img", src=f"data:image/png;base64,{data}", alt=picture.alt, width=str(width), height=str(height))


def _gallery(block: Gallery, pictures: Pictures) -> Markup:
    figures = (
        tag("figure", _picture(picture, pictures), tag("figcaption", caption)) for picture, caption in block.pictures
    )
    legend = tag("ul", *(tag("li", _swatch(swatch)) for swatch in block.legend), class_="legend")
    return join(tag("div", *figures, class_="gallery"), legend)


def _curve(block: Curve, _: Pictures) -> Markup:
    return tag("figure", curve_svg(block))


_WRITERS: Final[dict[type, Callable[[Any, Pictures], Markup]]] = {
    Heading: _heading,
    Paragraph: _paragraph,
    Notice: _notice,
    Facts: _facts,
    KeyFigures: _key_figures,
    Table: _table,
    Gallery: _gallery,
    Curve: _curve,
}
