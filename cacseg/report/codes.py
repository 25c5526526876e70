"""Coded concepts that the DICOM and FHIR forms use (PS3.16; SNOMED CT, DCM, UCUM)."""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from cacseg.vessels import Label


@dataclass(frozen=True, slots=True)
class Code:
    """One concept: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """Give the item of a code sequence (PS3.3 8.8)."""
        item = Dataset()
        item.CodeValue = self.value
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning
        return item


SITE: Final = {
    Label.LM: Code("3227004", "SCT", "Left Main Coronary Artery"),
    Label.LAD: Code("59438005", "SCT", "Left Anterior Descending Coronary Artery"),
    Label.LCX: Code("57396003", "SCT", "Circumflex Coronary Artery"),
    Label.RCA: Code("13647002", "SCT", "Right Coronary Artery"),
    Label.AORTIC_VALVE: Code("34202007", "SCT", "Aortic Valve"),
    Label.MITRAL_ANNULUS: Code("65197004", "SCT", "Mitral Annulus"),
    Label.AORTA: Code("15825003", "SCT", "Aorta"),
    Label.OTHER: Code("51185008", "SCT", "Thoracic structure"),
}
"""Finding sites: CID 3015 and 12305; other calcium lies somewhere in the chest (CID 4)."""

CORONARY_ARTERY: Final = Code("41801008", "SCT", "Coronary artery")
CALCIFICATION: Final = Code("18115005", "SCT", "Pathologic calcification")
ABNORMAL_STRUCTURE: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")

CALCIUM_SCORE: Final = Code("450360000", "SCT", "Coronary artery calcium score")
CALCIUM_VOLUME: Final = Code("122660", "DCM", "Calcium Volume")
CALCIUM_MASS: Final = Code("122661", "DCM", "Calcium Mass")
CALCIFICATIONS: Final = Code("111038", "DCM", "Number of calcifications")
SCORE_THRESHOLD: Final = Code("122657", "DCM", "Agatston Score Threshold")
AGATSTON_METHOD: Final = Code("112055", "DCM", "Agatston scoring method")
VOLUME_METHOD: Final = Code("112056", "DCM", "Volume scoring method")
MASS_METHOD: Final = Code("112057", "DCM", "Mass scoring method")
PERCENTILE: Final = Code("121415", "DCM", "Percentile Ranking of measurement")

NO_UNITS: Final = Code("1", "UCUM", "no units")
MM3: Final = Code("mm3", "UCUM", "cubic millimeter")
MM2: Final = Code("mm2", "UCUM", "square millimeter")
MG: Final = Code("mg", "UCUM", "milligram")
HU: Final = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT: Final = Code("%", "UCUM", "Percent")
YEARS: Final = Code("a", "UCUM", "year")

ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
CT_CALCIUM_SCORING: Final = Code("426005005", "SCT", "Cardiac CT for calcium scoring")

CACSEG_SCHEME: Final = "99CACSEG"
AGATSTON_CATEGORY: Final = Code("CS-CAT", CACSEG_SCHEME, "Agatston score category")
CAC_DRS: Final = Code("CS-DRS", CACSEG_SCHEME, "CAC-DRS category")
ARTERIAL_AGE: Final = Code("CS-AGE", CACSEG_SCHEME, "Arterial age")
INTERVAL_LOW: Final = Code("CS-LOW", CACSEG_SCHEME, "Lower limit of the score on a rescan")
INTERVAL_HIGH: Final = Code("CS-HIGH", CACSEG_SCHEME, "Upper limit of the score on a rescan")
LESION_SCORE: Final = Code("CS-EXT", CACSEG_SCHEME, "Agatston score outside the coronary arteries")
PEAK: Final = Code("CS-PEAK", CACSEG_SCHEME, "Peak attenuation")
AREA: Final = Code("CS-AREA", CACSEG_SCHEME, "Calcified area")
CONFIDENCE: Final = Code("CS-CONF", CACSEG_SCHEME, "Probability that the site is right")
FINDING_TEXT: Final = Code("CS-FIND", CACSEG_SCHEME, "Note on the examination")
NOTICE: Final = Code("CS-NOTE", CACSEG_SCHEME, "Notice")
STATUS: Final = Code("CS-STAT", CACSEG_SCHEME, "Status of the score")
CHD_RISK: Final = Code("CS-CHD", CACSEG_SCHEME, "10-year coronary heart disease risk with calcium score")
"""Concepts without a standard code; the private scheme is identified in every instance."""
