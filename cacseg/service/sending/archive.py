"""The DICOM forms of a version to an archive, each object once."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydicom import dcmread

from cacseg.service.settings import ArchiveSettings

log = logging.getLogger("cacseg.service.sending")

ORDER: Final = ("segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm")
"""What others refer to goes first; captures follow."""


@dataclass(frozen=True, slots=True)
class DicomForm:
    """One file to be sent, and what its header says."""

    path: Path
    sop_class: str
    sop_instance: str
    syntax: str


class Sender(Protocol):
    """An open way to an archive."""

    def store(self, form: DicomForm) -> None:
        """Hand over one object.

        Raises
        ------
        DeliveryError : the archive did not take it.
        """


def send_to_archive(
    folder: Path, archive: ArchiveSettings, calling: str, sent: frozenset[str], note: Callable[[str], None]
) -> None:
    """Send what was not sent before.

    Parameters
    ----------
    folder : of a version; one without DICOM forms, as of a refused study, needs no sending.
    calling : AE title of this service.
    sent : SOPInstanceUIDs that were taken earlier.
    note : called with each that is taken now.

    Raises
    ------
    DeliveryError : the archive is away or did not take an object.
    """
    waiting = [form for form in dicom_forms(folder) if form.sop_instance not in sent]
    if not waiting:
        return
    with _sender(archive, calling, waiting) as sender:
        for form in waiting:
            sender.store(form)
            note(form.sop_instance)


def dicom_forms(folder: Path) -> list[DicomForm]:
    """List the DICOM files of a version, in the order in which they are sent."""
    found = sorted(folder.glob("*.dcm"), key=lambda path: (path.name not in ORDER, _place(path), path.name))
    return [_form(path) for path in found]


def _place(path: Path) -> int:
    return ORDER.index(path.name) if path.name in ORDER else 0


def _form(path: Path) -> DicomForm:
    meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    return DicomForm(
        path, str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID)
    )


def _sender(archive: ArchiveSettings, calling: str, forms: list[DicomForm]) -> AbstractContextManager[Sender]:
    if archive.kind == "stow":
        from cacseg.service.sending.stow import stow_sender

        return stow_sender(archive)
    from cacseg.service.sending.dimse import dimse_sender

    return dimse_sender(archive, calling, forms)
