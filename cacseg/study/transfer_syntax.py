"""Which pixel encodings can be decoded here, and what to install for those that cannot."""

from typing import Final

from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

NATIVE: Final = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
"""Uncompressed pixels; the deflated syntax packs the whole data set, not the pixels (PS3.5 A.5)."""

_INSTALL: Final = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "python-gdcm",
    "1.2.840.10008.1.2.4.57": "python-gdcm",
    "1.2.840.10008.1.2.4.70": "python-gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pillow",
    "1.2.840.10008.1.2.4.91": "pillow",
    "1.2.840.10008.1.2.4.201": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg pylibjpeg-openjpeg",
}
"""Package with a permissive licence that decodes each syntax (pydicom 3 decoder table)."""


def spoken(uid: str) -> str:
    """Name a transfer syntax for people, with its UID.

    Examples
    --------
    >>> spoken("1.2.840.10008.1.2.4.80")
    'JPEG-LS Lossless Image Compression (1.2.840.10008.1.2.4.80)'
    >>> spoken("1.2.3")
    'unknown transfer syntax (1.2.3)'
    """
    name = UID(uid).name
    return f"{name} ({uid})" if name and name != uid else f"unknown transfer syntax ({uid})"


def decodable(uid: str) -> bool:
    """Say whether the installed packages decode a syntax.

    Examples
    --------
    >>> decodable("1.2.840.10008.1.2.1"), decodable("1.2.840.10008.1.2.4.100")
    (True, False)
    """
    if uid in NATIVE:
        return True
    try:
        return bool(get_decoder(uid).is_available)
    except NotImplementedError:
        return False


def remedy(uid: str) -> str:
    """Say what to do about a syntax that cannot be decoded.

    Examples
    --------
    >>> remedy("1.2.840.10008.1.2.4.100")
    'No decoder for it is known here: export the study again as Explicit VR Little Endian (1.2.840.10008.1.2.1).'
    """
    package = _INSTALL.get(uid)
    if package is None:
        return (
            "No decoder for it is known here: export the study again as Explicit VR Little Endian "
            "(1.2.840.10008.1.2.1)."
        )
    return f"Install a decoder with 'pip install {package}', or export the study again uncompressed."
