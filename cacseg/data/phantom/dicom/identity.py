"""Who and when: an identity that nobody can take for a person's, and identifiers that follow from the pixels."""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from cacseg.data.phantom.scanner.scan import Scan

PATIENT_NAME: Final = "Phantom^Digital"
INSTITUTION: Final = "cacseg digital phantom"
FIRST_DAY: Final = date(2020, 1, 1)
CLOCK: Final = "080000"


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that names one synthetic study.

    Parameters
    ----------
    key : text from which every UID is derived; it holds a checksum of the pixels, so that other pixels never
        carry the same UIDs.
    patient_id, study_date, sex, age, height_m, weight_kg : as written into the headers.
    """

    key: str
    patient_id: str
    study_date: str
    sex: str
    age: str
    height_m: float | None
    weight_kg: float | None

    @classmethod
    def of(cls, scan: Scan) -> "Identity":
        """Make the identity of a scan's study."""
        patient = scan.scene.patient
        seed = 0 if scan.seed is None else scan.seed
        age, height = patient.get("age_years"), patient.get("height_cm")
        return cls(
            key=f"{seed}/{scan.protocol.family}/{zlib.crc32(scan.volume.voxels.tobytes()):08x}",
            patient_id=f"CACSEG-{seed}",
            study_date=(FIRST_DAY + timedelta(days=seed % 1500)).strftime("%Y%m%d"),
            sex=str(patient.get("sex") or ""),
            age="" if age is None else f"{round(float(age)):03d}Y",
            height_m=None if height is None else float(height) / 100.0,
            weight_kg=patient.get("weight_kg"),
        )

    def uid(self, *parts: object) -> str:
        """Derive a UID: the same parts of the same study give the same one (root 2.25, PS3.5 B.2).

        Examples
        --------
        >>> one = Identity("7/gated/0", "CACSEG-7", "20200101", "F", "060Y", None, None)
        >>> one.uid("series", 3) == one.uid("series", 3) != one.uid("series", 4)
        True
        """
        text = "/".join(["cacseg phantom", self.key, *map(str, parts)])
        return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"
