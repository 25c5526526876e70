"""Every form of a report: its name, its file, what it needs, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cacseg.errors import UsageError
from cacseg.report.blocks import Document
from cacseg.report.content import document
from cacseg.report.identity import Identity
from cacseg.report.inputs import ReportInput, Stamp
from cacseg.report.json_form import json_bytes
from cacseg.report.lesions_csv import lesions_csv
from cacseg.report.nifti import labels_nifti
from cacseg.report.paperwork import Paperwork
from cacseg.report.pictures import Pictures, draw_pictures
from cacseg.report.row import rows_csv
from cacseg.report.seg import SegmentPlan, plan_segments, segmentation
from cacseg.report.slice_sources import slice_sources
from cacseg.report.wording import Wording
from cacseg.volume import Volume

Files = Mapping[str, bytes]


class Material:
    """What several forms of one report share, made once and when first needed.

    Parameters
    ----------
    inputs : result and what is at hand of the study.
    stamp : time and identifiers.
    wording, paperwork : tables of words and of codes.
    with_segmentation : whether a segmentation is written too, so that others may refer to it.
    """

    def __init__(
        self,
        inputs: ReportInput,
        stamp: Stamp,
        wording: Wording,
        paperwork: Paperwork | None,
        *,
        with_segmentation: bool,
    ) -> None:
        self.inputs = inputs
        self.result = inputs.result
        self.sources = inputs.sources
        self.stamp = stamp
        self.wording = wording
        self.paperwork = paperwork
        self.with_segmentation = with_segmentation
        self.identity = Identity.of(inputs.sources)

    @cached_property
    def pictures(self) -> Pictures:
        """Pictures drawn from the voxels, else those of an earlier report."""
        if self.inputs.volume is not None and self.inputs.labels is not None:
            return draw_pictures(self.result, self.inputs.volume, self.inputs.labels)
        return self.inputs.pictures or Pictures()

    @cached_property
    def document(self) -> Document:
        """The content of the forms for people."""
        return document(
            self.result, self.identity, self.pictures, self.wording, self.paperwork, self.inputs.verified_by
        )

    @cached_property
    def pdf(self) -> bytes:
        """The PDF, which also goes into a DICOM object."""
        from cacseg.report.pdf import report_pdf

        foot = "   ".join(part for part in (self.identity.patient_id, self.identity.study_date) if part)
        return report_pdf(self.document, self.pictures, foot)

    @cached_property
    def plan(self) -> SegmentPlan:
        """Segments and frames of the segmentation."""
        return plan_segments(self.grid[1])

    @cached_property
    def slices(self) -> tuple[Dataset, ...]:
        """The source of every slice.

        Raises
        ------
        UsageError : headers and slices do not match.
        """
        found = slice_sources(self.sources, self.grid[0], self.inputs.frame_numbers)
        if found is None:
            raise UsageError(
                f"There are {len(self.sources)} source headers for {self.grid[0].shape[0]} slices; give one for each, "
                "in slice order, or the one of a multi-frame object."
            )
        return found

    @property
    def grid(self) -> tuple[Volume, NDArray[np.uint8]]:
        """Volume and labels, both there.

        Raises
        ------
        UsageError : they are not at hand.
        """
        if self.inputs.volume is None or self.inputs.labels is None:
            raise UsageError("This form needs the volume and its label map; give the study again.")
        return self.inputs.volume, self.inputs.labels


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    Parameters
    ----------
    file : name of its file in the output folder.
    make : gives file names and contents.
    labels, dicom : whether it needs the label map, the DICOM headers.
    refused : whether it is written for a refused study.
    """

    file: str
    make: Callable[[Material], Files]
    labels: bool = False
    dicom: bool = False
    refused: bool = False


def _json(material: Material) -> Files:
    return {"result.json": json_bytes(material.result)}


def _csv(material: Material) -> Files:
    return {"lesions.csv": lesions_csv(material.result)}


def _row(material: Material) -> Files:
    return {"row.csv": rows_csv([material.result])}


def _nifti(material: Material) -> Files:
    volume, labels = material.grid
    return {"labels.nii.gz": labels_nifti(labels, volume)}


def _seg(material: Material) -> Files:
    volume, labels = material.grid
    made = segmentation(
        material.result,
        volume,
        labels,
        material.sources[0],
        material.slices,
        material.stamp,
        material.plan,
        material.inputs.verified_by,
    )
    return {"segmentation.dcm": made}


def _sr(material: Material) -> Files:
    from cacseg.report.contours import lesion_contours
    from cacseg.report.sr import Evidence, structured_report

    volume, labels = material.grid
    scoring = material.result.scoring
    contours = lesion_contours(volume, labels, scoring.rule) if scoring else {}
    evidence = Evidence(
        material.sources[0],
        material.slices,
        contours,
        material.plan if material.with_segmentation else None,
        material.inputs.replaces,
    )
    made = structured_report(material.result, evidence, material.stamp, material.inputs.verified_by)
    return {"structured_report.dcm": made}


def _html(material: Material) -> Files:
    from cacseg.report.html import report_html

    return {"report.html": report_html(material.document, material.pictures)}


def _pdf(material: Material) -> Files:
    return {"report.pdf": material.pdf}


def _fhir(material: Material) -> Files:
    from cacseg.report.fhir import fhir_bundle

    made = fhir_bundle(material.result, material.identity, material.stamp, material.inputs.verified_by)
    return {"report.fhir.json": made}


def _oru(material: Material) -> Files:
    from cacseg.report.oru import oru_message

    made = oru_message(material.result, material.identity, material.stamp, material.inputs.verified_by)
    return {"report.hl7": made}


def _encapsulated(material: Material) -> Files:
    from cacseg.report.encapsulated_pdf import encapsulated_pdf

    made = encapsulated_pdf(
        material.result, material.pdf, material.sources, material.stamp, material.inputs.verified_by
    )
    return {"encapsulated_report.dcm": made}


def _capture(material: Material) -> Files:
    from cacseg.report.secondary_capture import secondary_captures

    pages = secondary_captures(
        material.result,
        material.document,
        material.pictures,
        material.sources,
        material.stamp,
        material.inputs.verified_by,
    )
    return {f"capture-{number}.dcm": page for number, page in enumerate(pages, start=1)}


FORMS: Final[Mapping[str, Form]] = {
    "json": Form("result.json", _json, refused=True),
    "csv": Form("lesions.csv", _csv),
    "nifti": Form("labels.nii.gz", _nifti, labels=True),
    "seg": Form("segmentation.dcm", _seg, labels=True, dicom=True),
    "sr": Form("structured_report.dcm", _sr, labels=True, dicom=True),
    "html": Form("report.html", _html, refused=True),
    "pdf": Form("report.pdf", _pdf, refused=True),
    "fhir": Form("report.fhir.json", _fhir),
    "oru": Form("report.hl7", _oru),
    "row": Form("row.csv", _row, refused=True),
    "encapsulated": Form("encapsulated_report.dcm", _encapsulated, dicom=True),
    "capture": Form("capture-1.dcm", _capture, dicom=True),
}
"""Format by the name that the command line takes."""

DEFAULT_FORMATS: Final = ("json", "csv", "nifti", "seg", "sr", "html", "pdf", "fhir")
"""The files that the contract lists."""

FROM_RESULT: Final = ("json", "csv", "html", "pdf", "fhir")
"""The default forms that ``result.json`` alone is enough for."""
