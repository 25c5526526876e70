import re

import pypdf
import pytest

from cacseg.report.content import document
from cacseg.report.identity import Identity
from cacseg.report.pdf import report_pdf
from cacseg.report.pictures import Pictures
from cacseg.report.wording import load_wording
from cacseg.result import NOT_A_DEVICE

KINDS = ("zero", "severe", "refused", "poor")


@pytest.mark.parametrize("kind", KINDS)
def test_pages_are_numbered_and_carry_status(kind, out):
    reader = pypdf.PdfReader(out / kind / "report.pdf")
    total = len(reader.pages)
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text()
        assert f"{number} / {total}" in text
        assert "SPECIMEN-1" in text
        assert "Preliminary" in text
    assert NOT_A_DEVICE.split(";")[0] in " ".join(reader.pages[0].extract_text().split())
    assert reader.metadata.title == "Coronary calcium score"


def test_pictures_are_stored_once_as_they_are(made, out):
    reader = pypdf.PdfReader(out / "severe" / "report.pdf")
    images = {image.name: image for page in reader.pages for image in page.images}
    pictures = list((out / "severe" / "pictures").iterdir())
    assert len(images) == len(pictures)
    assert {image.image.size for image in images.values()} >= {(132, 132)}
    assert (out / "severe" / "report.pdf").stat().st_size < 400_000


def test_same_content_same_bytes(made):
    result = made["poor"].result
    report = document(result, Identity(), Pictures(), load_wording())
    assert report_pdf(report, Pictures(), "x") == report_pdf(report, Pictures(), "x")


def test_no_date_of_writing(out):
    content = (out / "mild" / "report.pdf").read_bytes()
    assert re.findall(rb"/CreationDate \(D:(\d{8})", content) == [b"20000101"]


def test_characters_outside_the_fonts_do_not_break_it(made):
    report = document(made["mild"].result, Identity(name="山田, 太郎 ≥ Müller"), Pictures(), load_wording())
    content = report_pdf(report, Pictures(), "山田")
    assert content.startswith(b"%PDF")
    import io

    assert "Müller" in pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text()
