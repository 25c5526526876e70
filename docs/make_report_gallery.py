"""Make the report gallery: ``python docs/make_report_gallery.py``.

Writes, for every kind of specimen, the HTML report, pictures of its PDF pages and the rendering of its
structured report, and the page that shows them side by side, into ``docs/report-gallery/``. Needs pdftoppm
(poppler-utils) and dsr2html (dcmtk); names what is absent and goes on without it.
"""

import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from cacseg.report import FORMS, write_all
from cacseg.report.figures import score_text
from cacseg.report.markup import Markup, join, tag, void
from cacseg.report.specimen import Kind, specimen

FOLDER = Path(__file__).parent / "report-gallery"
KINDS: dict[Kind, str] = {
    "zero": "A zero: nothing found, and how that is said",
    "mild": "A mild score in two arteries",
    "severe": "A severe score in four arteries, with valve, annulus and aorta",
    "non-gated": "A scan without synchronisation",
    "refused": "A refused study: no score, the reason, what to do",
    "poor": "A poor examination: noise and another tube voltage",
}
DPI = 60
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b2733}
h2{border-bottom:1px solid #d5dce3;margin-top:3rem}.pages{display:flex;flex-wrap:wrap;gap:1rem}
img{border:1px solid #d5dce3;max-width:22rem;height:auto}.small{color:#54616e;font-size:.9rem}"""


def main() -> None:
    """Make every specimen's reports and the page."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    sections = [section(kind, words) for kind, words in KINDS.items()]
    intro = tag(
        "p",
        "Made by docs/make_report_gallery.py from specimens without a patient. Every number on a page comes from one "
        "result.json. Sizes are those of the specimen (40 slices of 160 x 160).",
    )
    head = join(void("meta", charset="utf-8"), tag("title", "Report gallery"), tag("style", Markup(STYLE)))
    page = tag("html", tag("head", head), tag("body", tag("h1", "Report gallery"), intro, *sections), lang="en")
    (FOLDER / "index.html").write_text(f"<!DOCTYPE html>\n{page}\n", encoding="utf-8")


def section(kind: Kind, words: str) -> Markup:
    """Make the reports of one specimen and the part of the page that shows them."""
    inputs = specimen(kind)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        written = write_all(inputs, out, tuple(FORMS), clock=lambda: datetime(2026, 3, 1, 12, 0))
        sizes = ", ".join(
            f"{path.name} {path.stat().st_size / 1000:.0f} kB" for path in written.files if path.suffix != ".png"
        )
        shutil.copy(out / "report.html", FOLDER / f"{kind}.html")
        pages = pdf_pages(out / "report.pdf", kind)
        rendered = structured_report(out / "structured_report.dcm", kind)
    scoring = inputs.result.scoring
    score = "no score" if scoring is None else f"Agatston score {score_text(scoring.total.agatston)}"
    links = [
        tag("a", "HTML report", href=f"{kind}.html"),
        *([tag("a", "SR rendering", href=rendered)] if rendered else []),
    ]
    shown = (
        void("img", src=page, alt=f"{words}, PDF page {number}", loading="lazy")
        for number, page in enumerate(pages, start=1)
    )
    return tag(
        "section",
        tag("h2", words),
        tag("p", f"{score}. ", Markup(" · ".join(links))),
        tag("p", f"Sizes: {sizes}.", class_="small"),
        tag("div", *shown, class_="pages"),
    )


def pdf_pages(pdf: Path, kind: str) -> list[str]:
    """Render the pages of a PDF as PNG."""
    if shutil.which("pdftoppm") is None:
        print("pdftoppm is absent (apt install poppler-utils): no pictures of PDF pages", file=sys.stderr)
        return []
    subprocess.run(["pdftoppm", "-r", str(DPI), "-png", pdf, FOLDER / f"{kind}-page"], check=True)
    for path in FOLDER.glob(f"{kind}-page-*.png"):
        smaller(path)
    return [path.name for path in sorted(FOLDER.glob(f"{kind}-page-*.png"))]


def smaller(path: Path) -> None:
    """Store a page with 64 colours."""
    from PIL import Image

    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def structured_report(report: Path, kind: str) -> str | None:
    """Render a structured report with dcmtk."""
    if not report.is_file() or shutil.which("dsr2html") is None:
        return None
    target = FOLDER / f"{kind}-sr.html"
    subprocess.run(["dsr2html", "-q", report, target], check=True)
    return target.name


if __name__ == "__main__":
    main()
