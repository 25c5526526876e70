"""Versions of a study's result: a number is reserved, the folder written, then the version is published.

Versions made by workers and versions signed by people share one row of numbers, and what follows from a version
(deliveries) is queued in the transaction that completes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from cacseg.service.audit import Audit
from cacseg.service.database import Study, Version, VersionKind
from cacseg.service.errors import NotFoundError
from cacseg.service.queue import Queue
from cacseg.service.settings import Settings

DICOM_FORMS: Final = ("sr", "seg", "encapsulated", "capture")


def reserve_version(session: Session, study_id: str) -> int:
    """Give the next number of a study's versions to the caller alone.

    Raises
    ------
    NotFoundError : there is no such study.
    """
    study = session.get(Study, study_id, with_for_update=True)
    if study is None:
        raise NotFoundError(f"There is no study {study_id}; it may have been deleted.")
    number = study.next_version
    study.next_version = number + 1
    return number


def publish_version(
    session: Session,
    audit: Audit,
    study_id: str,
    number: int,
    *,
    kind: VersionKind,
    author: str,
    generation: int,
    result: Mapping[str, Any],
    at: float,
) -> None:
    """Make a version the newest of its study; one that is published already stays as it is.

    Parameters
    ----------
    number : from ``reserve_version``; its folder holds ``result.json``.
    kind : ``automatic`` or ``signed``.
    author : name of the release or of the person.
    generation : the study's generation that it was made from.
    result : content of ``result.json``.
    at : seconds since 1970 UTC.

    Raises
    ------
    NotFoundError : the study is gone.
    """
    study = session.get(Study, study_id, with_for_update=True)
    if study is None:
        raise NotFoundError(f"There is no study {study_id}; it may have been deleted.")
    if session.get(Version, (study_id, number)) is not None:
        return
    scores, risk = result["scores"], result["risk"]
    version = Version(
        study_id=study_id,
        version=number,
        kind=kind,
        generation=generation,
        author=author,
        at=at,
        status=result["status"],
        agatston=None if scores is None else scores["total"]["agatston"],
        category=None if risk is None else risk["agatston_category"],
    )
    session.add(version)
    _show(study, version, result["findings"])
    audit.record(session, author, f"version.{kind}", study_id, {"version": number, "status": result["status"]})


def _show(study: Study, version: Version, findings: Sequence[Mapping[str, Any]]) -> None:
    """Let a study show a version, unless a newer one is there."""
    if version.version > study.result_version:
        study.result_version, study.agatston, study.category = version.version, version.agatston, version.category
        study.findings = [{key: each[key] for key in ("code", "severity", "message")} for each in findings]
        study.message = None
    if version.kind == "automatic":
        study.scored_generation, study.finished_at = version.generation, version.at
    if study.generation == version.generation:
        study.state = version.status


def complete_version(session: Session, queue: Queue, settings: Settings, study_id: str, number: int) -> None:
    """Note that every form of a version is written, and queue its deliveries, once each.

    Raises
    ------
    NotFoundError : there is no such version.
    """
    version = session.get(Version, (study_id, number))
    if version is None:
        raise NotFoundError(f"There is no version {number} of study {study_id}; it may have been deleted.")
    version.complete = True
    for destination in destinations(settings):
        queue.enqueue(
            "send",
            study_id,
            f"send:{destination}:{study_id}:{number}",
            {"destination": destination, "version": number},
            session=session,
        )


def destinations(settings: Settings) -> tuple[str, ...]:
    """Name where results are sent, as the settings say.

    Examples
    --------
    >>> destinations(Settings(deliveries={"fhir": "/srv/fhir"}))
    ('fhir',)
    """
    named = {
        "archive": settings.archive,
        "fhir": settings.deliveries.fhir,
        "oru": settings.deliveries.oru,
        "webhook": settings.deliveries.webhook,
    }
    return tuple(name for name, wanted in named.items() if wanted is not None)


def formats_for(settings: Settings) -> tuple[str, ...]:
    """Name the forms that are written: the default ones, and what deliveries need beside them."""
    from cacseg.report import DEFAULT_FORMATS

    further = [*(DICOM_FORMS if settings.archive else ()), *(("oru",) if settings.deliveries.oru else ())]
    return tuple(dict.fromkeys((*DEFAULT_FORMATS, *further)))
