"""Published tables and coefficients, as data files with their sources, read when first needed."""

import csv
import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """Read a CSV table of this folder; lines that begin with ``#`` give its source.

    Examples
    --------
    >>> rows("hoff_percentiles.csv")[0]["p90"]
    '14'
    """
    text = (resources.files(__name__) / name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(csv.DictReader(lines))


@cache
def document(name: str) -> dict[str, Any]:
    """Read a JSON document of this folder; treat it as read-only.

    Examples
    --------
    >>> document("mesa_chd.json")["ages"]
    [45, 84]
    """
    content: dict[str, Any] = json.loads((resources.files(__name__) / name).read_text(encoding="utf-8"))
    return content
