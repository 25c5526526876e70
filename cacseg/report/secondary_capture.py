"""``capture-1.dcm``, ...: pages of the report as pictures, for archives that show only images (PS3.3 A.8.1)."""

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import reportlab
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from cacseg.report.blocks import Document, Facts, Gallery, KeyFigures, Notice, Picture, Swatch, Table
from cacseg.report.dicom_header import file_bytes, new_instance, software_versions
from cacseg.report.inputs import Stamp
from cacseg.report.pictures import Pictures
from cacseg.report.verification import Observer, series_suffix
from cacseg.result import Result
from cacseg.vessels import COLOUR_RGB

SIZE: Final = 1024
"""Rows and columns of a page."""

MARGIN: Final = 40
BLACK: Final = (12, 16, 20)
WHITE: Final = (240, 244, 247)
QUIET: Final = (160, 172, 182)
LINE: Final = (58, 68, 78)
WARNING: Final = (255, 196, 92)
VERIFIED: Final = (116, 201, 163)


def secondary_captures(
    result: Result,
    report: Document,
    pictures: Pictures,
    sources: tuple[Dataset, ...],
    stamp: Stamp,
    verified_by: Observer | None = None,
) -> list[bytes]:
    """Draw two pages: the scores in words and numbers, and every picture.

    Parameters
    ----------
    result : a scored result.
    report : what to say; the figures, tables and notices of it are drawn.
    pictures : the pictures.
    sources : headers of the scored series; patient and study are taken from the first.
    stamp : gives time and UIDs.
    verified_by : who signed; ``None`` while nobody has.
    """
    pages = [_summary(report)]
    if pictures.images:
        pages.append(_contact_sheet(report, pictures))
    return [
        _instance(np.asarray(page, np.uint8), number, result, sources, stamp, series_suffix(verified_by))
        for number, page in enumerate(pages, start=1)
    ]


def _instance(
    page: NDArray[np.uint8], number: int, result: Result, sources: tuple[Dataset, ...], stamp: Stamp, standing: str
) -> bytes:
    dataset = new_instance(sources[0], SecondaryCaptureImageStorage, "capture", stamp, number)
    dataset.Modality = "OT"
    dataset.SeriesDescription = f"Calcium score pages ({standing})"
    dataset.SoftwareVersions = software_versions(result)
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.BodyPartExamined = "HEART"
    dataset.BurnedInAnnotation = "YES"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = page.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = page.tobytes()
    dataset["PixelData"].VR = "OB"
    return file_bytes(dataset)


class _Page:
    """A dark page, written from the top."""

    def __init__(self, report: Document) -> None:
        self.image = Image.new("RGB", (SIZE, SIZE), BLACK)
        self.draw = ImageDraw.Draw(self.image)
        self.y = MARGIN
        self.write(report.title, 34, WHITE)
        self.write(report.status, 18, VERIFIED if report.verified else WARNING)
        self.rule()

    def write(self, text: str, size: int, colour: tuple[int, int, int], x: int = MARGIN) -> None:
        """Write a text, broken into lines that fit."""
        font = _font(size)
        for line in _broken(text, font, SIZE - MARGIN - x):
            self.draw.text((x, self.y), line, fill=colour, font=font)
            self.y += round(size * 1.35)

    def rule(self) -> None:
        """Draw a line across."""
        self.y += 6
        self.draw.line((MARGIN, self.y, SIZE - MARGIN, self.y), fill=LINE, width=2)
        self.y += 12

    def row(self, cells: list[tuple[str, int, bool]], size: int, colour: tuple[int, int, int]) -> None:
        """Write cells of ``(text, x, aligned right)`` on one line."""
        font = _font(size)
        for text, x, right in cells:
            at = x - font.getlength(text) if right else x
            self.draw.text((at, self.y), text, fill=colour, font=font)
        self.y += round(size * 1.6)


def _summary(report: Document) -> Any:
    page = _Page(report)
    for block in report.blocks:
        if isinstance(block, Facts):
            page.write("  ·  ".join(value for _, value in block.rows), 18, QUIET)
            break
    for block in report.blocks:
        if isinstance(block, Notice) and block.tone != "info" and page.y < SIZE - 200:
            page.write(f"{block.title}. {block.text}", 17, WARNING if block.tone != "notice" else QUIET)
        if isinstance(block, KeyFigures):
            page.rule()
            page.write(block.value, 84, WHITE)
            page.write(f"{block.label}, {block.detail}", 26, WHITE)
            for value, label, detail in block.others:
                page.write("  ·  ".join(part for part in (value, label, detail) if part), 20, WHITE)
            page.rule()
        if isinstance(block, Table) and block.total:
            _table(page, block)
    return page.image


def _table(page: _Page, table: Table) -> None:
    stops = [MARGIN + 34, *(round(MARGIN + 470 + 155 * number) for number in range(len(table.header) - 1))]
    page.row([(head, stop, i > 0) for i, (head, stop) in enumerate(zip(table.header, stops, strict=True))], 19, QUIET)
    for cells in table.rows:
        first = cells[0]
        if isinstance(first, Swatch):
            page.draw.ellipse((MARGIN, page.y + 4, MARGIN + 18, page.y + 22), fill=COLOUR_RGB[first.label])
        texts = [cell.words if isinstance(cell, Swatch) else str(cell or "–") for cell in cells]
        page.row([(text, stop, i > 0) for i, (text, stop) in enumerate(zip(texts, stops, strict=True))], 22, WHITE)


def _contact_sheet(report: Document, pictures: Pictures) -> Any:
    page = _Page(report)
    sheet: list[tuple[Picture, str]] = []
    for block in report.blocks:
        if isinstance(block, Gallery):
            sheet = [*((picture, picture.alt) for picture, _ in block.pictures), *sheet]
        if isinstance(block, Table):
            sheet += [(cell, cell.alt) for row in block.rows for cell in row if isinstance(cell, Picture)]
    step = 189
    x, y = MARGIN, page.y
    for picture, words in sheet[:20]:
        tile = Image.open(io.BytesIO(pictures.images[picture.name])).convert("RGB")
        tile.thumbnail((step - 14, step - 36))
        page.image.paste(tile, (x, y))
        page.draw.text((x, y + step - 34), words.split(":")[0][:24], fill=QUIET, font=_font(13))
        x += step
        if x + step > SIZE:
            x, y = MARGIN, y + step
    return page.image


def _font(size: int) -> Any:
    """Give the sans serif that ships with reportlab; Pillow's own lacks dashes and powers."""
    return ImageFont.truetype(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf", size)


def _broken(text: str, font: Any, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
