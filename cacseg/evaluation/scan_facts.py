"""A scanned digital patient as a labelled study, with the facts by which cases are stratified."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.scoring import RULES, adapt

if TYPE_CHECKING:
    from cacseg.data.phantom import Scan

PROTOCOL_FACTS: Final[Mapping[str, str]] = {
    "noise_sd_hu": "noise_sd_hu",
    "slice_thickness_mm": "slice_thickness_mm",
    "increment_mm": "slice_increment_mm",
    "field_of_view_mm": "field_of_view_mm",
    "kernel_name": "kernel",
    "kvp": "kvp",
    "tin_filter": "tin_filter",
    "gated": "gated",
}
"""Field of the scanning protocol -> fact."""

PATIENT_FACTS: Final[Mapping[str, str]] = {
    "dominance": "dominance",
    "epicardial_fat_mm": "epicardial_fat_mm",
    "bmi": "bmi",
    "age_years": "age_years",
    "sex": "sex",
}
"""Fact of the drawn patient -> fact."""


def study_of_scan(scan: "Scan", case_id: str) -> LabelledStudy:
    """Turn a phantom scan into a study with reference labels.

    Parameters
    ----------
    scan : of ``cacseg.data.phantom``.
    case_id : id of the study.

    Returns
    -------
    LabelledStudy, labelled down to the lowest HU that the rules count at 120 kVp or at the voltage of the scan.
    """
    rule, _ = adapt(RULES["literature"], scan.protocol.kvp, scan.protocol.tin_filter)
    counted = scan.volume.voxels >= min(rule.threshold_hu, RULES["literature"].threshold_hu)
    labels = np.where(counted, scan.owners.voxels, np.uint8(0))
    return LabelledStudy(id=case_id, volume=scan.volume, labels=labels, label_scope="dense", facts=scan_facts(scan))


def scan_facts(scan: "Scan") -> dict[str, Any]:
    """Collect the facts of a scan that strata are made of; unknown ones are left out."""
    protocol, patient = scan.protocol.to_dict(), scan.scene.patient
    facts = {name: protocol[key] for key, name in PROTOCOL_FACTS.items() if protocol.get(key) is not None}
    facts |= {name: patient[key] for key, name in PATIENT_FACTS.items() if patient.get(key) is not None}
    if "bmi" not in facts and patient.get("weight_kg") and patient.get("height_cm"):
        facts["bmi"] = patient["weight_kg"] / (patient["height_cm"] / 100.0) ** 2
    return facts
