"""The DICOM objects that were made of a study: those of its newest complete version, older ones by their UID."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from sqlalchemy import select

from cacseg.service.database import Study, Version
from cacseg.service.dicomweb.negotiation import Address
from cacseg.service.errors import NotFoundError
from cacseg.service.sending.archive import DicomForm, dicom_forms
from cacseg.service.services import Services


@dataclass(frozen=True, slots=True)
class MadeObject:
    """One object: its file and its header, or as much of it as was asked for."""

    form: DicomForm
    header: Dataset


def study_of(house: Services, study_instance_uid: str) -> Study:
    """Find a study.

    Raises
    ------
    NotFoundError : there is none of this UID.
    """
    with house.database.session(write=False) as session:
        study = session.scalars(select(Study).where(Study.study_instance_uid == study_instance_uid)).first()
    if study is None or study.state == "deleting":
        raise NotFoundError(f"There is no study {study_instance_uid} here.")
    return study


def newest_objects(house: Services, study: Study, tags: Sequence[str] | None = None) -> list[MadeObject]:
    """Give the objects of the newest complete version, none where there is none.

    Parameters
    ----------
    tags : keywords to read; everything but pixels where ``None``.
    """
    folders = version_folders(house, study)
    return objects_in(folders[0], tags) if folders else []


def objects_in(folder: Path, tags: Sequence[str] | None = None) -> list[MadeObject]:
    """Read the objects of a version; none where it is being deleted."""
    wanted = None if tags is None else list(tags)
    try:
        return [
            MadeObject(form, dcmread(form.path, stop_before_pixels=True, specific_tags=wanted))
            for form in dicom_forms(folder)
        ]
    except FileNotFoundError:
        return []


def version_folders(house: Services, study: Study) -> list[Path]:
    """List the folders of complete versions, the newest first."""
    complete = (Version.study_id == study.id, Version.complete.is_(True))
    with house.database.session(write=False) as session:
        numbers = session.scalars(select(Version.version).where(*complete).order_by(Version.version.desc())).all()
    return [house.settings.version_folder(study.id, number) for number in numbers]


def instance_of(house: Services, at: Address) -> MadeObject:
    """Find one object by its UIDs, in whatever version it is.

    Raises
    ------
    NotFoundError : there is none.
    """
    study = study_of(house, at.study)
    for folder in version_folders(house, study):
        for made in objects_in(folder):
            if made.form.sop_instance == at.instance and made.header.SeriesInstanceUID == at.series:
                return made
    raise NotFoundError(f"There is no object {at.instance} in series {at.series} of study {at.study} here.")
