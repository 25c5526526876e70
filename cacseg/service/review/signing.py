"""Signing: a draft becomes the next version of its study, with every form of the report written anew."""

import hashlib
import hmac
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pydicom
from sqlalchemy import update

from cacseg.data.readers.corrections import write_correction
from cacseg.errors import UsageError
from cacseg.report import Observer, ReportInput, person_name, write_all
from cacseg.result import Result
from cacseg.service.database import Review, Study, new_id
from cacseg.service.errors import ConflictError
from cacseg.service.inbox import study_key
from cacseg.service.review.corrected import changes_for_training, corrected_result
from cacseg.service.review.desk import Desk
from cacseg.service.review.drafts import Draft, changed_meanwhile, lock_study, read_draft
from cacseg.service.review.session import ReviewSession
from cacseg.service.services import Services
from cacseg.service.versions import complete_version, formats_for, publish_version, reserve_version

CORRECTIONS_FOLDER: Final = "corrections"
"""Beside the versions of a study, so that it is deleted with them."""

SR_NAME: Final = "structured_report.dcm"
KEY_NAME: Final = "pseudonyms.key"
PSEUDONYM_LENGTH: Final = 20
LONGEST_ROLE: Final = 64


@dataclass(frozen=True, slots=True)
class Signature:
    """What the signer gives.

    Parameters
    ----------
    name : as people write it, or a DICOM person name.
    role_title : what the signer is: "Radiologist".
    organisation : that the signer acts for; the institution in the images where ``None``.
    """

    name: str
    role_title: str
    organisation: str | None = None

    def observer(self, at: datetime, institution: str | None, *, amends: bool) -> Observer:
        """Check the signature and give it the form that reports take.

        Raises
        ------
        UsageError : no name, or no role.
        """
        role = " ".join(self.role_title.split())
        if not 0 < len(role) <= LONGEST_ROLE or not role.isprintable():
            raise UsageError(f"The signer's role has {len(role)} characters; expected 1 to {LONGEST_ROLE}.")
        words = (self.organisation or institution or "").split()
        organisation = (
            "".join(one for one in " ".join(words) if one.isprintable() and one != "\\")[:LONGEST_ROLE] or None
        )
        return Observer(person_name(self.name), role, at, organisation, amends)


def sign(services: Services, desk: Desk, study_id: str, revision: int, signature: Signature, actor: str) -> int:
    """Sign the review of a study as it stands at a revision.

    Returns
    -------
    int : number of the new version, published and complete.

    Raises
    ------
    StaleRevisionError, ConflictError : the review has changed, or a newer version came in.
    UsageError : name or role are missing.
    """
    draft, session = desk.reviewed(study_id, revision)
    if draft.newest_version != draft.base_version:
        raise ConflictError(
            f"Version {draft.newest_version} of study {study_id} came in after this review of version "
            f"{draft.base_version} began. Take the corrections over to it, look at them, then sign."
        )
    if draft.review_id is None and draft.kind == "signed":
        raise ConflictError(f"Version {draft.base_version} of study {study_id} is signed already.")
    institution = str(session.scan.sources[0].get("InstitutionName") or "") if session.scan.sources else None
    signer = signature.observer(datetime.now(UTC), institution, amends=draft.signed_before)
    with services.database.session() as database:
        number = reserve_version(database, study_id)
    folder = services.settings.version_folder(study_id, number)
    training = folder.parent / CORRECTIONS_FOLDER / folder.name
    with _all_or_nothing(folder, training):
        result = _write(services, folder, draft, session, number, signer)
        _export(services, training, draft, session, signer, actor)
        _publish(services, draft, number, signer, actor, result)
    return number


@contextmanager
def _all_or_nothing(*folders: Path) -> Iterator[None]:
    """Remove what was written where the block fails."""
    try:
        yield
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(
    services: Services, folder: Path, draft: Draft, session: ReviewSession, number: int, signer: Observer
) -> Result:
    scan = session.scan
    before = services.settings.version_folder(draft.study_id, draft.base_version) / SR_NAME
    inputs = ReportInput(
        corrected_result(session, draft, number, signer, draft.comment),
        scan.volume,
        session.labels,
        scan.sources,
        frame_numbers=scan.frame_numbers,
        verified_by=signer,
        replaces=(pydicom.dcmread(before, stop_before_pixels=True),) if before.is_file() else (),
    )
    written = write_all(inputs, folder, formats_for(services.settings), clock=lambda: signer.signed_at)
    return written.result


def _publish(services: Services, draft: Draft, number: int, signer: Observer, actor: str, result: Result) -> None:
    """Make the version public, close the draft and queue what is sent, all in one transaction."""
    at = signer.signed_at.timestamp()
    with services.database.session() as session:
        lock_study(session, draft.study_id)
        now = read_draft(session, draft.study_id)
        if now.key != draft.key or now.newest_version != draft.newest_version:
            raise changed_meanwhile(now)
        values = {"state": "signed", "version": number, "role": signer.role, "signed_at": at}
        labels = f"{draft.study_id}/v{number}/labels.nii.gz"
        if draft.review_id is None:
            session.add(
                Review(
                    id=new_id(),
                    study_id=draft.study_id,
                    base_version=draft.base_version,
                    author=actor,
                    created_at=at,
                    labels_path=labels,
                    **values,
                )
            )
        else:
            session.execute(update(Review).where(Review.id == draft.review_id).values(labels_path=labels, **values))
        session.flush()
        publish_version(
            session,
            services.audit,
            draft.study_id,
            number,
            kind="signed",
            author=signer.shown,
            generation=draft.generation,
            result=result.to_dict(),
            at=at,
        )
        complete_version(session, services.queue, services.settings, draft.study_id, number)
        services.audit.record(
            session, actor, "review.signed", draft.study_id, {"version": number, "edits": len(draft.done)}
        )


def _export(
    services: Services, folder: Path, draft: Draft, session: ReviewSession, signer: Observer, actor: str
) -> None:
    """Lay the signed labels down in the form that training reads, beside the versions of the study."""
    with services.database.session(write=False) as database:
        study = database.get(Study, draft.study_id)
        patient = draft.study_instance_uid if study is None else study.patient_id or draft.study_instance_uid
    result = session.scan.result
    key = _key(services.settings.data / KEY_NAME)
    series = result.series.series_instance_uid if result.series is not None else None
    write_correction(
        folder,
        session.scan.volume.with_voxels(session.labels),
        study_path=Path("../../../../incoming") / study_key(draft.study_instance_uid),
        study_instance_uid=draft.study_instance_uid,
        series_instance_uid=series or "",
        reader=_pseudonym(key, actor),
        finished=signer.signed_at.isoformat(timespec="seconds"),
        patient_id=_pseudonym(key, patient),
        model=result.provenance.get("model"),
        changes=changes_for_training(session),
    )


def _pseudonym(key: bytes, name: str) -> str:
    """Stand-in for a name that only this installation can link to it."""
    return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_LENGTH]


def _key(path: Path) -> bytes:
    """Read the installation's key for pseudonyms, made when first needed."""
    if not path.exists():
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        part.touch(mode=0o600)
        part.write_bytes(secrets.token_bytes(32))
        try:
            path.hardlink_to(part)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_bytes()
