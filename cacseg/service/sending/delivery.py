"""One delivery: a version of a result to one destination.

What an archive has taken is noted in the job after each object, so that an attempt after a break goes on where the
last one ended. A version that a newer one has replaced meanwhile is not delivered any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cacseg.service.database import Database, Job, Study, Version
from cacseg.service.errors import DeliveryError
from cacseg.service.queue import Queue
from cacseg.service.sending.archive import send_to_archive
from cacseg.service.sending.document import send_document
from cacseg.service.sending.webhook import announce
from cacseg.service.settings import Settings

SENT: Final = "sent"
"""Key of a job's payload: SOPInstanceUIDs that the archive has taken."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a destination is given.

    Parameters
    ----------
    key : identifier of the delivery, the same in every attempt.
    folder : folder of the version.
    name : name of its files elsewhere, unique for study and version.
    facts : study and version as JSON-ready data, without the patient's name.
    sent : SOPInstanceUIDs that were taken in earlier attempts.
    note : called with each SOPInstanceUID that is taken; keeps the lease of the job too.
    """

    key: str
    folder: Path
    name: str
    facts: Mapping[str, Any]
    sent: frozenset[str] = frozenset()
    note: Callable[[str], None] = field(default=lambda _: None)


def send(job: Job, settings: Settings, database: Database) -> bool:
    """Do one job of kind ``send``; say whether anything was to be done.

    Parameters
    ----------
    job : held by its ``lease_owner``; its payload has ``destination`` and ``version``.

    Returns
    -------
    bool : ``False`` where the version was replaced by a newer one, or its study is gone.

    Raises
    ------
    DeliveryError : the destination did not take it; try again.
    LeaseLostError : the job was given to somebody else.
    """
    number = int(job.payload["version"])
    with database.session(write=False) as session:
        facts = _facts(session, job.study_id, number)
    if facts is None:
        return False
    delivery = Delivery(
        key=job.id,
        folder=settings.version_folder(job.study_id, number),
        name=f"{job.study_id}-v{number}",
        facts=facts,
        sent=frozenset(job.payload.get(SENT, ())),
        note=_note(job, settings, database),
    )
    _deliver(str(job.payload["destination"]), delivery, settings)
    return True


def _deliver(destination: str, delivery: Delivery, settings: Settings) -> None:
    further = settings.deliveries
    if destination == "archive" and settings.archive is not None:
        calling = "CACSEG" if settings.dicom is None else settings.dicom.aet
        send_to_archive(delivery.folder, settings.archive, calling, delivery.sent, delivery.note)
    elif destination == "fhir" and further.fhir is not None:
        send_document(delivery.folder / "report.fhir.json", further.fhir, delivery.name, "application/fhir+json")
    elif destination == "oru" and further.oru is not None:
        send_document(delivery.folder / "report.hl7", further.oru, delivery.name, "application/hl7-v2; charset=utf-8")
    elif destination == "webhook" and further.webhook is not None:
        announce(delivery.facts, delivery.key, further.webhook.url, further.webhook.secret)
    else:
        raise DeliveryError(
            f"The settings name no destination {destination!r} any more; put it back, or this delivery is given up."
        )


def _facts(session: Session, study_id: str, number: int) -> Mapping[str, Any] | None:
    """Describe a version, or nothing where it must not be delivered any more."""
    study, version = session.get(Study, study_id), session.get(Version, (study_id, number))
    if study is None or version is None or study.state == "deleting":
        return None
    newer = (Version.study_id == study_id, Version.version > number, Version.complete.is_(True))
    if session.scalar(select(Version.version).where(*newer).limit(1)) is not None:
        return None
    return {
        "event": "result",
        "study": study_id,
        "study_instance_uid": study.study_instance_uid,
        "accession": study.accession,
        "version": number,
        "kind": version.kind,
        "status": version.status,
        "agatston": version.agatston,
        "category": version.category,
        "at": version.at,
    }


def _note(job: Job, settings: Settings, database: Database) -> Callable[[str], None]:
    queue = Queue(database, job.lease_owner or "", lease_s=settings.lease_s)

    def note(sop_instance_uid: str) -> None:
        with database.session() as session:
            queue.keep(session, job, **{SENT: [*job.payload.get(SENT, ()), sop_instance_uid]})
        queue.renew(job)

    return note
