"""The durable queue: jobs in the database, handed out under a lease that runs out when its owner falls silent."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from cacseg.service.database import Database, Job, insert_if_new, new_id
from cacseg.service.errors import LeaseLostError

LEASE_S: Final = 120.0
MAX_ATTEMPTS: Final = 3


class Queue:
    """Jobs of one database, as one owner sees them.

    Parameters
    ----------
    owner : who takes the jobs; unique among processes and threads.
    lease_s : seconds a job is kept for this owner without a ``renew``.
    clock : gives seconds since 1970 UTC.
    """

    def __init__(
        self, database: Database, owner: str, *, lease_s: float = LEASE_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self.owner = owner
        self.lease_s = lease_s
        self._clock = clock

    def enqueue(
        self,
        kind: str,
        study_id: str,
        key: str,
        payload: Mapping[str, Any] | None = None,
        not_before: float | None = None,
        session: Session | None = None,
    ) -> bool:
        """Add a job unless one of this key was ever added; say whether it is new.

        Parameters
        ----------
        kind : ``score`` or ``send``.
        key : what makes the job the same job, such as ``score:<study>:<generation>``.
        not_before : earliest time to take it; now where ``None``.
        session : transaction to be part of; one of its own where ``None``.
        """
        values = {
            "id": new_id(),
            "kind": kind,
            "study_id": study_id,
            "key": key,
            "payload": dict(payload or {}),
            "state": "ready",
            "attempts": 0,
            "not_before": self._clock() if not_before is None else not_before,
        }
        with self._transaction(session) as active:
            return insert_if_new(active, Job, values)

    def take(self, kinds: Sequence[str]) -> Job | None:
        """Take the job that waits longest, or one whose owner fell silent; ``None`` where nothing is due."""
        now = self._clock()
        due = and_(Job.kind.in_(kinds), _due(now))
        with self._database.session(write=False) as session:
            if session.scalar(select(Job.id).where(due).limit(1)) is None:
                return None
        with self._database.session() as session:
            job = session.scalars(
                select(Job).where(due).order_by(Job.not_before, Job.id).limit(1).with_for_update(skip_locked=True)
            ).first()
            if job is None:
                return None
            job.state, job.attempts = "running", job.attempts + 1
            job.lease_owner, job.lease_until = self.owner, now + self.lease_s
        return job

    def renew(self, job: Job) -> None:
        """Keep a job for another lease.

        Raises
        ------
        LeaseLostError : it was given to somebody else.
        """
        with self._database.session() as session:
            self._change(session, job, lease_until=self._clock() + self.lease_s)

    def done(self, job: Job, session: Session | None = None) -> None:
        """Finish a job, in the transaction that holds what it made.

        Raises
        ------
        LeaseLostError : it was given to somebody else; the transaction must not stand.
        """
        with self._transaction(session) as active:
            self._change(active, job, state="done", lease_owner=None, lease_until=None, error=None)

    def failed(self, job: Job, error: str, retry_at: float | None, session: Session | None = None) -> None:
        """Give a job back, to be tried again at a time, or never where ``None``.

        Raises
        ------
        LeaseLostError : it was given to somebody else.
        """
        state = "failed" if retry_at is None else "ready"
        later = job.not_before if retry_at is None else retry_at
        with self._transaction(session) as active:
            self._change(active, job, state=state, not_before=later, error=error, lease_owner=None, lease_until=None)

    def keep(self, session: Session, job: Job, **payload: Any) -> None:
        """Note something in the payload of a job that this owner holds.

        Raises
        ------
        LeaseLostError : it was given to somebody else.
        """
        job.payload = {**job.payload, **payload}
        self._change(session, job, payload=job.payload)

    def held(self, session: Session, job: Job) -> bool:
        """Say whether this owner still holds a job; nobody else can take it while the transaction lasts."""
        return session.scalar(select(Job.id).where(self._mine(job)).with_for_update()) is not None

    def abandon(self, kind: str, max_attempts: int = MAX_ATTEMPTS) -> tuple[Job, ...]:
        """Give up jobs whose owners fell silent as often as a job may be tried; what they were is returned."""
        silent = and_(
            Job.kind == kind,
            Job.state == "running",
            Job.lease_until < self._clock(),
            Job.attempts >= max_attempts,
        )
        with self._database.session(write=False) as session:
            if session.scalar(select(Job.id).where(silent).limit(1)) is None:
                return ()
        with self._database.session() as session:
            jobs = tuple(session.scalars(select(Job).where(silent).with_for_update(skip_locked=True)))
            for job in jobs:
                job.state, job.lease_owner, job.lease_until = "failed", None, None
                job.error = f"its worker fell silent {job.attempts} times"
        return jobs

    def _transaction(self, session: Session | None) -> AbstractContextManager[Session]:
        return self._database.session() if session is None else nullcontext(session)

    def _mine(self, job: Job) -> ColumnElement[bool]:
        return and_(
            Job.id == job.id, Job.state == "running", Job.lease_owner == self.owner, Job.attempts == job.attempts
        )

    def _change(self, session: Session, job: Job, **values: Any) -> None:
        statement = update(Job).where(self._mine(job)).values(**values).execution_options(synchronize_session=False)
        if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
            raise LeaseLostError(
                f"Job {job.key} is no longer held by {self.owner}: its lease ran out and it was taken up elsewhere. "
                "What was made of it here is dropped."
            )


def _due(now: float) -> ColumnElement[bool]:
    waiting = and_(Job.state == "ready", Job.not_before <= now)
    silent = and_(Job.state == "running", Job.lease_until < now)
    return or_(waiting, silent)
