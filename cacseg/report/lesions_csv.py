"""``lesions.csv``: one line per lesion, coronary first, then the others."""

import csv
import io
from typing import Final

from cacseg.result import Result
from cacseg.scoring.score import Lesion
from cacseg.vessels import CORONARY, STRUCTURE

COLUMNS: Final = (
    *("id", "vessel", "structure", "agatston", "volume_mm3", "mass_mg", "area_mm2", "peak_hu"),
    *("first_slice", "last_slice", "x_lps_mm", "y_lps_mm", "z_lps_mm", "confidence"),
)


def lesions_csv(result: Result) -> bytes:
    """Write the lesions, unrounded; ``vessel`` is empty for extra-coronary calcium, unknown values too."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    if result.scoring is not None:
        writer.writerows(_row(lesion) for lesion in (*result.scoring.lesions, *result.scoring.extracoronary))
    return text.getvalue().encode()


def _row(lesion: Lesion) -> list[object]:
    coronary = lesion.label in CORONARY
    return [
        lesion.id,
        lesion.label.name if coronary else "",
        "" if coronary else STRUCTURE[lesion.label],
        *(lesion.agatston, lesion.volume_mm3, lesion.mass_mg, lesion.area_mm2, lesion.peak_hu),
        *(lesion.slices[0], lesion.slices[-1]),
        *lesion.centroid_lps_mm,
        lesion.confidence,
    ]
