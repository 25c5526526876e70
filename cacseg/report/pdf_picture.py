"""A palette picture set into a PDF as it is, without unpacking it (PDF 1.7, 7.4.4.4 and 8.6.6.3)."""

import hashlib
from typing import Any

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFObject, PDFStream
from reportlab.platypus import Flowable

from cacseg.report.png import chunks, size_of


class PalettePicture(Flowable):  # type: ignore[misc]
    """A picture made by ``palette_png``, at a width in points."""

    def __init__(self, png: bytes, width_points: float) -> None:
        super().__init__()
        self.png = png
        pixels = size_of(png)
        self.width = width_points
        self.height = width_points * pixels[1] / pixels[0]

    def draw(self) -> None:
        """Draw it at the canvas's origin; the same picture is stored once."""
        document = self.canv._doc
        name = hashlib.sha256(self.png).hexdigest()[:24]
        inner = document.getXObjectName(name)
        if document.idToObject.get(inner) is None:
            stored = _IndexedImage(self.png)
            stored.name = name
            document.Reference(stored, inner)
            document.addForm(name, stored)
        self.canv.saveState()
        self.canv.scale(self.width, self.height)
        self.canv._code.append(f"/{inner} Do")
        self.canv.restoreState()
        self.canv._formsinuse.append(name)


class _IndexedImage(PDFObject):  # type: ignore[misc]
    """Image XObject with the PNG's own compressed scan lines and palette."""

    __RefOnly__ = 1

    def __init__(self, png: bytes) -> None:
        self.png = png

    def format(self, document: Any) -> Any:
        """Write the object."""
        width, height = size_of(self.png)
        parts = chunks(self.png)
        palette = parts[b"PLTE"]
        stream = PDFStream(content=parts[b"IDAT"])
        entries = stream.dictionary
        entries["Type"], entries["Subtype"] = PDFName("XObject"), PDFName("Image")
        entries["Width"], entries["Height"], entries["BitsPerComponent"] = width, height, 8
        space = (PDFName("Indexed"), PDFName("DeviceRGB"), len(palette) // 3 - 1, _Hex(palette))
        entries["ColorSpace"] = PDFArray(space)
        entries["Filter"] = PDFName("FlateDecode")
        parameters = {"Predictor": 15, "Colors": 1, "BitsPerComponent": 8, "Columns": width}
        entries["DecodeParms"] = PDFDictionary(parameters)
        return stream.format(document)


class _Hex(PDFObject):  # type: ignore[misc]
    """A hexadecimal string."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def format(self, document: Any) -> bytes:
        """Write the string."""
        return b"<" + self.content.hex().encode() + b">"
