"""Read single attributes of a data set without tripping over malformed values.

Real headers hold empty strings, words where numbers belong and single values where lists belong. Each reader
here gives the value, or ``None`` for absent, empty and malformed alike.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ArithmeticError,
    IndexError,
    NotImplementedError,
    LookupError,
    EOFError,
)
"""What pydicom raises when it converts a malformed element on first access."""


def raw(header: Dataset, keyword: str) -> Any:
    """Give the converted value of an element, or ``None`` if absent or malformed."""
    try:
        return header.get(keyword)
    except MALFORMED:
        return None


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """Give a multi-valued text, stripped, without empty values.

    Examples
    --------
    >>> header = Dataset()
    >>> header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    >>> texts(header, "ImageType")
    ('ORIGINAL', 'PRIMARY', 'AXIAL')
    """
    value = raw(header, keyword)
    if value is None:
        return ()
    values = [value] if isinstance(value, str | bytes | int | float) else _listed(value)
    cleaned = (str(item).replace("\x00", "").strip() for item in values if item is not None)
    return tuple(item for item in cleaned if item)


def text(header: Dataset, keyword: str) -> str | None:
    r"""Give a text, its values joined by a backslash; ``None`` when absent or empty.

    Examples
    --------
    >>> text(Dataset(), "SeriesDescription") is None
    True
    """
    values = texts(header, keyword)
    return "\\".join(values) if values else None


def numbers(header: Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Give exactly ``count`` finite numbers, or ``None``.

    Examples
    --------
    >>> header = Dataset()
    >>> header.PixelSpacing = [0.5, 0.25]
    >>> numbers(header, "PixelSpacing", 2)
    array([0.5 , 0.25])
    """
    value = raw(header, keyword)
    if value is None:
        return None
    try:
        values = np.array([float(item) for item in (_listed(value))], np.float64)
    except MALFORMED:
        return None
    return values if len(values) == count and bool(np.isfinite(values).all()) else None


def number(header: Dataset, keyword: str) -> float | None:
    """Give a number (the first of several), or ``None``.

    Examples
    --------
    >>> header = Dataset()
    >>> header.KVP = "120"
    >>> number(header, "KVP")
    120.0
    """
    value = raw(header, keyword)
    try:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        first = _listed(value)[0]
        parsed = float(first)
    except MALFORMED:
        return None
    return parsed if np.isfinite(parsed) else None


def whole(header: Dataset, keyword: str) -> int | None:
    """Give a whole number, or ``None``."""
    value = number(header, keyword)
    return None if value is None else round(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]
