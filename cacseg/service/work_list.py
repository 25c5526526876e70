"""The list of studies: searched, sorted, paged, and one study with all that belongs to it."""

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from cacseg.service.database import Database, Instance, Job, Study, Version
from cacseg.service.errors import NotFoundError

SortKey = Literal["received_at", "finished_at", "study_date", "patient_name", "patient_id", "agatston", "state"]

SORTED_BY: Final[dict[str, InstrumentedAttribute[object]]] = {
    "received_at": Study.received_at,
    "finished_at": Study.finished_at,
    "study_date": Study.study_date,
    "patient_name": Study.patient_name,
    "patient_id": Study.patient_id,
    "agatston": Study.agatston,
    "state": Study.state,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of studies and how many there are in all."""

    total: int
    studies: tuple[Study, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """One study with the rows that belong to it."""

    study: Study
    instances: int
    versions: tuple[Version, ...]
    deliveries: tuple[Job, ...]


def list_studies(
    database: Database, *, search: str, sort: SortKey, descending: bool, offset: int, limit: int
) -> Listed:
    """List studies, unknown values last.

    Parameters
    ----------
    search : part of a patient's identifier or name, an accession number or a UID; everything where empty.
    """
    column = SORTED_BY[sort]
    order = column.desc() if descending else column.asc()
    wanted = [_matches(search)] if search else []
    with database.session(write=False) as session:
        total = session.scalar(select(func.count()).select_from(Study).where(*wanted)) or 0
        rows = session.scalars(
            select(Study).where(*wanted).order_by(column.is_(None), order, Study.id).offset(offset).limit(limit)
        ).all()
    return Listed(total, tuple(rows))


def whole_study(database: Database, study_id: str) -> Whole:
    """Give one study.

    Raises
    ------
    NotFoundError : there is none of this identifier.
    """
    with database.session(write=False) as session:
        study = session.get(Study, study_id)
        if study is None:
            raise NotFoundError(f"There is no study {study_id[:64]!r}.")
        versions = session.scalars(select(Version).where(Version.study_id == study_id).order_by(Version.version)).all()
        count = session.scalar(select(func.count()).select_from(Instance).where(Instance.study_id == study_id)) or 0
        sends = session.scalars(select(Job).where(Job.study_id == study_id, Job.kind == "send").order_by(Job.key)).all()
    return Whole(study, count, tuple(versions), tuple(sends))


def _matches(search: str) -> ColumnElement[bool]:
    columns = (Study.patient_id, Study.patient_name, Study.accession, Study.study_instance_uid)
    return or_(*(column.icontains(search.replace("\x00", ""), autoescape=True) for column in columns))
