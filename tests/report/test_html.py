import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cacseg.findings import Finding, Severity
from cacseg.report import write_all
from cacseg.report.markup import Markup, join, tag
from cacseg.result import NOT_A_DEVICE
from cacseg.vessels import COLOUR_RGB, Label

KINDS = ("zero", "mild", "severe", "non-gated", "refused", "poor")
VOID = {"meta", "img"}


class Checker(HTMLParser):
    """Collects what an accessible page must have."""

    def __init__(self):
        super().__init__()
        self.open, self.elements = [], []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name


@pytest.fixture(params=KINDS)
def page(request, out):
    return (out / request.param / "report.html").read_text(encoding="utf-8")


def test_well_formed_and_accessible(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    names = [name for name, _ in checker.elements]
    assert dict(checker.elements)["html"]["lang"] == "en"
    assert names.count("h1") == 1
    assert names.count("table") == names.count("caption")
    for name, attributes in checker.elements:
        if name == "th":
            assert attributes["scope"] in ("row", "col")
        if name == "img":
            assert len(attributes["alt"]) > 5
            assert int(attributes["width"]) > 0
        if name == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]


def test_nothing_is_fetched_and_no_script_runs(page):
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:image/png;base64,)""", page) == []
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#x27;none&#x27;" in page


def test_the_notice_stands_in_every_report(page):
    assert NOT_A_DEVICE in page
    assert "Preliminary" in page


def test_hostile_texts_stay_text(made, tmp_path, clock):
    hostile = '<img src=x onerror="alert(1)">&"'
    finding = Finding("odd", Severity.WARNING, hostile, hostile)
    series = replace(made["mild"].result.series, description=hostile, kernel=hostile)
    result = replace(made["mild"].result, findings=(finding,), series=series)
    write_all(replace(made["mild"], result=result), tmp_path / "out", ("html", "pdf", "fhir", "oru"), clock=clock)
    text = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;&quot;" in text


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_contrast_reaches_wcag_aa():
    from importlib import resources

    css = (resources.files("cacseg.report.tables") / "report.css").read_text()
    colours = {name: tuple(bytes.fromhex(code)) for name, code in re.findall(r"--(\w+):#([0-9a-f]{6})", css)}
    white = (255, 255, 255)
    for ink in ("ink", "quiet", "accent", "warn", "stop"):
        assert contrast(colours[ink], white) >= 4.5, ink
    assert contrast(colours["quiet"], colours["soft"]) >= 4.5
    assert contrast(colours["warn"], colours["warnbg"]) >= 4.5
    assert contrast(colours["stop"], colours["stopbg"]) >= 4.5


def test_vessel_colours_are_used_and_named(out):
    page = (out / "severe" / "report.html").read_text()
    for label in Label:
        if label:
            assert "background:rgb({},{},{})".format(*COLOUR_RGB[label]) in page
    assert re.search(r"LAD</span><span[^>]*> left anterior descending artery</span>", page)


def test_curve_marks_the_patient(out):
    page = (out / "severe" / "report.html").read_text()
    (svg,) = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert svg.count("<polyline") == 4
    assert ">1832.8</text>" in svg
    assert "58 years, 1832.8" in svg


def test_markup_escapes_what_is_not_markup():
    assert tag("p", "<", Markup("<b>x</b>"), data_x='"') == '<p data-x="&quot;">&lt;<b>x</b></p>'
    assert join("a", None, "&") == "a&amp;"
