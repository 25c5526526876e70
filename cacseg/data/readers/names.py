"""Which artery or structure a person meant by a name."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Final

from cacseg.vessels import FULL_NAME, STRUCTURE, Label

SPELLINGS: Final[Mapping[str, Label]] = {
    **{name.lower(): label for label, name in FULL_NAME.items()},
    **{structure.replace("_", " "): label for label, structure in STRUCTURE.items()},
    "lm": Label.LM,
    "lca": Label.LM,
    "lms": Label.LM,
    "lmca": Label.LM,
    "left main": Label.LM,
    "left main artery": Label.LM,
    "left main stem": Label.LM,
    "left coronary artery": Label.LM,
    "lad": Label.LAD,
    "left anterior descending": Label.LAD,
    "left anterior descending coronary artery": Label.LAD,
    "anterior descending branch of left coronary artery": Label.LAD,
    "lcx": Label.LCX,
    "lcfx": Label.LCX,
    "cx": Label.LCX,
    "circumflex": Label.LCX,
    "left circumflex": Label.LCX,
    "left circumflex coronary artery": Label.LCX,
    "circumflex branch of left coronary artery": Label.LCX,
    "rca": Label.RCA,
    "right coronary": Label.RCA,
    "mitral valve": Label.MITRAL_ANNULUS,
    "mitral annular calcification": Label.MITRAL_ANNULUS,
    "aortic valve calcification": Label.AORTIC_VALVE,
    "ascending aorta": Label.AORTA,
    "thoracic aorta": Label.AORTA,
    "descending aorta": Label.AORTA,
    "extracoronary calcium": Label.OTHER,
}
"""Names in lower case, words parted by one space. COCA calls the left main "Left Coronary Artery"."""

NAMES_WRITTEN_OUT: Final = 8
"""Shorter names (abbreviations) must match exactly; "LAD" and "LCA" are one letter apart."""

CLOSE: Final = 0.86
CLEARLY_CLOSER: Final = 0.04
"""A misspelt name is read as the nearest known one when it is this similar (Ratcliff and Obershelp's measure),
and nearer to it by this much than to any name of another structure."""


def label_named(name: str) -> tuple[Label | None, str | None]:
    """Read a name; the second value says what had to be repaired, ``None`` if nothing.

    Examples
    --------
    >>> label_named("Left Circumflex Artery")
    (<Label.LCX: 3>, None)
    >>> label_named(" Right  Coronary Artry ")
    (<Label.RCA: 4>, "name ' Right  Coronary Artry ' read as RCA")
    >>> label_named("ROI 3")[0] is None
    True
    """
    plain = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    label = SPELLINGS.get(plain) or _closest(plain)
    if label is None:
        return None, f"name {name!r} is not a known artery or structure"
    untouched = label is SPELLINGS.get(plain) and plain == name.lower()
    return label, None if untouched else f"name {name!r} read as {label.name}"


def _closest(plain: str) -> Label | None:
    if len(plain) < NAMES_WRITTEN_OUT:
        return None
    best: dict[Label, float] = {}
    for spelling, label in SPELLINGS.items():
        if len(spelling) >= NAMES_WRITTEN_OUT:
            similarity = SequenceMatcher(None, plain, spelling, autojunk=False).ratio()
            best[label] = max(best.get(label, 0.0), similarity)
    (label, nearest), (_, next_nearest) = sorted(best.items(), key=lambda pair: -pair[1])[:2]
    return label if nearest >= CLOSE and nearest - next_nearest >= CLEARLY_CLOSER else None
