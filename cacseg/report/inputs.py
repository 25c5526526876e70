"""What a report is written from, and the stamp that makes its identifiers."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import numpy as np
import pydicom
from numpy.typing import NDArray

from cacseg.report.json_form import json_bytes
from cacseg.report.pictures import Pictures
from cacseg.report.verification import Observer
from cacseg.result import Result
from cacseg.volume import Volume

UID_NAMESPACE: Final = uuid.UUID("5b1cf6a4-6f0e-5d55-9d3a-3a1f6d4f7b10")
"""Namespace of the version 5 UUIDs below the 2.25 root (PS3.5 B.2) that name what cacseg writes."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportInput:
    """One result and what is at hand of the study it came from.

    Parameters
    ----------
    result : the result; alone it is enough for every form without pictures or DICOM.
    volume : HU of the scored series, for pictures and the geometry of DICOM forms.
    labels : (slice, row, column) uint8 label map on the grid of ``volume`` (values of ``Label``).
    sources : DICOM headers of the scored series in slice order, or the one of a multi-frame object; empty for NIfTI.
    pictures : pictures of an earlier report, used where ``volume`` or ``labels`` is absent.
    frame_numbers : 1-based frame of every slice of a multi-frame object, where known.
    verified_by : who read and signed the report; ``None`` while nobody has.
    replaces : the structured reports that this one takes the place of, oldest first.
    """

    result: Result
    volume: Volume | None = None
    labels: NDArray[np.uint8] | None = None
    sources: tuple[pydicom.Dataset, ...] = ()
    pictures: Pictures | None = None
    frame_numbers: tuple[int, ...] | None = None
    verified_by: Observer | None = None
    replaces: tuple[pydicom.Dataset, ...] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a report was written, and unique identifiers that depend on the result and that time alone."""

    time: datetime
    digest: str

    @classmethod
    def of(cls, result: Result, time: datetime) -> Self:
        """Make the stamp of a result at a time."""
        return cls(time, hashlib.sha256(json_bytes(result) + time.isoformat().encode()).hexdigest())

    def uid(self, name: str) -> str:
        """Give a DICOM UID for one named thing of this report; the same stamp gives the same UID.

        Examples
        --------
        >>> Stamp(datetime(2026, 1, 1), "0").uid("seg") == Stamp(datetime(2026, 1, 1), "0").uid("seg")
        True
        """
        return f"2.25.{self.uuid(name).int}"

    def uuid(self, name: str) -> uuid.UUID:
        """Give the same identifier as a UUID."""
        return uuid.uuid5(UID_NAMESPACE, f"{self.digest}/{name}")

    @property
    def date_da(self) -> str:
        """Date as DICOM DA."""
        return f"{self.time:%Y%m%d}"

    @property
    def time_tm(self) -> str:
        """Time as DICOM TM."""
        return f"{self.time:%H%M%S}"
