"""Whether a scan was synchronised to the heart, by its tags; descriptions are not believed either way."""

import re
from typing import Final

from cacseg.acquisition import Known
from cacseg.study.image import Image

_GATED_TECHNIQUES: Final = ("PROSPECTIVE", "RETROSPECTIVE", "REALTIME", "PACED")
"""CardiacSynchronizationTechnique (0018,9037) and CardiacSignal values that mean synchronised."""

_GATED_OPTIONS: Final = re.compile(
    r"ECG|\bEKG|CARDIAC|GATED|TRIGGER|\bTP\d|PROSP|RETRO|SNAPSHOT|SEGMENT|HALFSCAN_GATE|CA(?:RD)?_?SEQ|HEART"
)
"""ScanOptions (0018,0022) of synchronised scans: GE "CARDIAC MODE", "CINE ECG"; Siemens "TP70"; others."""

_UNGATED_OPTIONS: Final = ("HELIX", "HELICAL MODE", "HELICAL_CT", "HELICAL")
"""ScanOptions that name a mode without synchronisation."""


_ECG_NUMBERS: Final = (
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "HeartRate",
    "LowRRValue",
    "HighRRValue",
    "IntervalsAcquired",
)
"""Numbers that only an ECG gives; 0 counts only for a phase or delay."""


def synchronised(image: Image) -> tuple[Known, str]:
    """Judge one plane's tags.

    Returns
    -------
    tuple
        yes, no or unknown, and the evidence in words.
    """
    technique = (image.text("CardiacSynchronizationTechnique") or "").upper()
    if technique in _GATED_TECHNIQUES:
        return "yes", f"CardiacSynchronizationTechnique is {technique}"
    if technique == "NONE":
        return "no", "CardiacSynchronizationTechnique is NONE"
    for keyword in _ECG_NUMBERS:
        value = image.number(keyword)
        if value is not None and (value > 0 or keyword.startswith("Nominal")):
            return "yes", f"{keyword} is {value:g}"
    return _by_options((image.text("ScanOptions") or "").upper())


def _by_options(options: str) -> tuple[Known, str]:
    if _GATED_OPTIONS.search(options):
        return "yes", f"ScanOptions is {options}"
    if any(part.strip() in _UNGATED_OPTIONS for part in options.split("\\")):
        return "no", f"ScanOptions is {options} and no tag speaks of an ECG"
    return "unknown", "no tag says whether the scan was synchronised"
