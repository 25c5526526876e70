"""What the REST routes answer, as the OpenAPI document shows it. Times are ISO 8601 in UTC."""

from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from cacseg.service.access import SignedIn
from cacseg.service.database import AuditEntry, JobState, State, Study, Token, Version, VersionKind


def moment(at: float) -> str:
    """Spell a time.

    Examples
    --------
    >>> moment(0.0)
    '1970-01-01T00:00:00.000+00:00'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class UploadedStudy(BaseModel):
    """One study of an upload; ``new`` says whether the service had nothing of it before."""

    id: str
    study_instance_uid: str
    new: bool
    instances: int
    state: State


class Uploaded(BaseModel):
    """What became of an upload.

    ``conflicts`` lists instances that are kept with another content; ``skipped`` counts files that are no DICOM.
    """

    studies: list[UploadedStudy]
    conflicts: list[str]
    skipped: int


class FindingAnswer(BaseModel):
    """One finding of a result."""

    code: str
    severity: Literal["info", "warning", "refusal"]
    message: str


SAME: Final = (
    "id",
    "state",
    "study_instance_uid",
    "patient_id",
    "patient_name",
    "study_date",
    "accession",
    "agatston",
    "category",
    "findings",
    "message",
    "source",
)
"""Fields of a study that its row holds under the same name."""


class StudyAnswer(BaseModel):
    """One study as the list shows it."""

    id: str
    state: State
    study_instance_uid: str
    patient_id: str | None
    patient_name: str | None
    study_date: str | None
    accession: str | None
    received_at: str
    finished_at: str | None
    agatston: float | None
    category: str | None
    findings: list[FindingAnswer]
    warnings: int
    version: int
    message: str | None
    source: str

    @classmethod
    def facts(cls, study: Study) -> dict[str, Any]:
        """Gather the fields from a row."""
        return {
            **{name: getattr(study, name) for name in SAME},
            "received_at": moment(study.received_at),
            "finished_at": None if study.finished_at is None else moment(study.finished_at),
            "warnings": sum(finding["severity"] == "warning" for finding in study.findings),
            "version": study.result_version,
        }

    @classmethod
    def of(cls, study: Study) -> Self:
        """Make the answer from a row."""
        return cls(**cls.facts(study))


class VersionAnswer(BaseModel):
    """One version of a result; ``complete`` turns true when every form of it is written."""

    version: int
    kind: VersionKind
    author: str
    at: str
    status: Literal["scored", "refused"]
    agatston: float | None
    category: str | None
    complete: bool

    @classmethod
    def of(cls, row: Version) -> Self:
        """Make the answer from a row."""
        names = ("version", "kind", "author", "status", "agatston", "category", "complete")
        return cls(at=moment(row.at), **{name: getattr(row, name) for name in names})


class StudyDetail(StudyAnswer):
    """One study with its versions and deliveries."""

    instances: int
    versions: list[VersionAnswer]
    deliveries: list["DeliveryAnswer"]


class DeliveryAnswer(BaseModel):
    """Whether a version reached a destination."""

    destination: str
    version: int
    state: JobState
    attempts: int


class Studies(BaseModel):
    """A page of the list of studies."""

    total: int
    studies: list[StudyAnswer]


class ResultFile(BaseModel):
    """One file of a version."""

    name: str
    size: int


class NewToken(BaseModel):
    """What a token is made from."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=128)
    role: str = Field(max_length=64, examples=["read", "send,read"])


class MadeToken(BaseModel):
    """A token, shown this once."""

    token: str


class TokenAnswer(BaseModel):
    """A token without its secret."""

    id: str
    name: str
    role: str
    created_at: str
    revoked_at: str | None

    @classmethod
    def of(cls, row: Token) -> Self:
        """Make the answer from a row."""
        return cls(
            id=row.id,
            name=row.name,
            role=row.role,
            created_at=moment(row.created_at),
            revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
        )


class SignIn(BaseModel):
    """The token that a browser signs in with."""

    model_config = ConfigDict(extra="forbid")
    token: str = Field(max_length=256)


class SessionAnswer(BaseModel):
    """A browser session; ``csrf`` goes into the header X-Cacseg-Csrf of every state-changing request."""

    name: str
    role: str
    rights: list[str]
    csrf: str
    expires_at: str

    @classmethod
    def of(cls, session: SignedIn) -> Self:
        """Make the answer from a session."""
        return cls(
            name=session.actor.name,
            role=session.actor.role,
            rights=sorted(session.actor.rights),
            csrf=session.csrf,
            expires_at=moment(session.expires_at),
        )


class AuditAnswer(BaseModel):
    """One entry of the audit trail."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, row: AuditEntry) -> Self:
        """Make the answer from a row."""
        names = ("seq", "actor", "action", "subject", "detail", "digest")
        return cls(at=moment(row.at), **{name: getattr(row, name) for name in names})


class AuditPage(BaseModel):
    """A page of the audit trail, newest first; whether the chain holds, and its last digest, where that was asked."""

    total: int
    holds: bool | None
    head: str | None
    entries: list[AuditAnswer]


class Problem(BaseModel):
    """Any error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
