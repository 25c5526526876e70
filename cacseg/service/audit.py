"""The audit trail: append-only, each entry chained to the one before.

``digest = sha256(previous digest + canonical JSON of the entry)``. A changed, removed or inserted entry breaks the
chain; cutting entries off the end shows when the last digest was noted elsewhere (``cacseg serve audit`` prints
it, and it stands in the log of every start). No patient's name goes in: subjects are study identifiers.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, event, select, text
from sqlalchemy.orm import Session

from cacseg.service.database import AuditEntry, Database, at_end

BEGINNING: Final = "0" * 64
"""Digest before the first entry."""

LOCK: Final = 0x43414353
"""PostgreSQL advisory lock that orders writers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain holds.

    Parameters
    ----------
    entries : how many there are.
    head : digest of the last one.
    broken_at : number of the first entry that does not fit, ``None`` where all do.
    """

    entries: int
    head: str
    broken_at: int | None

    @property
    def holds(self) -> bool:
        """Say whether nothing was changed."""
        return self.broken_at is None


class Audit:
    """The audit trail of one database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def record(
        self, session: Session, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Append an entry in the caller's transaction, so that it stands exactly when what it tells of does.

        It is written when the transaction ends, so that writers wait for each other only for that moment.

        Parameters
        ----------
        session : from ``Database.session``.
        actor : who: name of a token, AE title of a peer, or part of the service.
        action : what, such as ``study.received``.
        subject : identifier of the study or token.
        detail : JSON-ready facts, never a patient's name.
        """
        entry = AuditEntry(at=self._clock(), actor=actor, action=action, subject=subject, detail=dict(detail or {}))
        at_end(session, lambda: _append(session, entry))

    def verify(self, head: str | None = None) -> Verdict:
        """Check every link.

        Parameters
        ----------
        head : a digest noted earlier, which must still be in the chain.
        """
        previous, number, broken, seen = BEGINNING, 0, None, head is None
        with self._database.session(write=False) as session:
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).yield_per(1000):
                number += 1
                fits = entry.seq == number and entry.previous == previous and entry.digest == digest_of(entry)
                if not fits and broken is None:
                    broken = number
                previous = entry.digest
                seen = seen or previous == head
        if not seen and broken is None:
            broken = number + 1
        return Verdict(number, previous, broken)


def _append(session: Session, entry: AuditEntry) -> None:
    """Chain an entry to the last one; nobody else can do so before this transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    last = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1)).first()
    entry.seq = 1 if last is None else last.seq + 1
    entry.previous = BEGINNING if last is None else last.digest
    entry.digest = digest_of(entry)
    session.add(entry)
    session.flush()


def digest_of(entry: AuditEntry) -> str:
    """Digest of an entry from its content and the digest before it."""
    content = {
        "seq": entry.seq,
        "at": repr(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256((entry.previous + canonical).encode()).hexdigest()


_ONLY_SQLITE: Final = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
)
_ONLY_POSTGRESQL: Final = (
    "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger AS $$ BEGIN "
    "RAISE EXCEPTION 'the audit trail is append-only'; END $$ LANGUAGE plpgsql",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit "
    "FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
)


def _forbid_changes(_table: Table, connection: Connection, **_: Any) -> None:
    """Let the database itself refuse to change or remove an entry."""
    statements = _ONLY_SQLITE if connection.dialect.name == "sqlite" else _ONLY_POSTGRESQL
    for statement in statements:
        connection.exec_driver_sql(statement)


event.listen(AuditEntry.__table__, "after_create", _forbid_changes)
