"""Drafts in the database: what every edit leaves behind, so that a restart or a second browser finds it again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cacseg.service.audit import Audit
from cacseg.service.database import Database, Review, Study, Version, new_id
from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.review.edit import Edit, Skipped

MOST_EDITS: Final = 2000
"""Edits that one draft may hold."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A review as it stands in the database.

    Parameters
    ----------
    study_id, study_instance_uid : of the study.
    review_id : of the draft; ``None`` while nobody has begun one.
    revision : grows by one with every change; 0 without a draft.
    base_version : the version under review.
    newest_version : newest version of the study; a later one than ``base_version`` came in meanwhile.
    kind : ``automatic`` or ``signed``, of the version under review.
    generation : the study's generation that the version under review was made from.
    done, undone, skipped : edits, as ``ReviewSession`` takes them.
    comment : free text of the reader.
    authors : who has changed the draft, in order.
    signed_before : whether any version of the study is signed.
    """

    study_id: str
    study_instance_uid: str
    review_id: str | None
    revision: int
    base_version: int
    newest_version: int
    kind: str
    generation: int
    done: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    comment: str = ""
    authors: tuple[str, ...] = ()
    signed_before: bool = False

    @property
    def key(self) -> tuple[str | None, int, int]:
        """What changes exactly when the draft does."""
        return self.review_id, self.revision, self.base_version


class Drafts:
    """The drafts of one database."""

    def __init__(self, database: Database, audit: Audit, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def read(self, study_id: str) -> Draft:
        """Give the draft of a study, or what one would begin from.

        Raises
        ------
        NotFoundError : no such study.
        ConflictError : it has no result yet.
        """
        with self._database.session(write=False) as session:
            return read_draft(session, study_id)

    def check_version(self, study_id: str, version: int) -> None:
        """Make sure that a study has a version.

        Raises
        ------
        NotFoundError : it has not.
        """
        with self._database.session(write=False) as session:
            if session.get(Version, (study_id, version)) is None:
                raise NotFoundError(f"There is no version {version} of study {study_id}.")

    def change(
        self,
        known: Draft,
        actor: str,
        *,
        done: Sequence[Edit] | None = None,
        undone: Sequence[Edit] = (),
        skipped: Sequence[Skipped] = (),
        comment: str | None = None,
        base_version: int | None = None,
        action: str = "review.edited",
    ) -> Draft:
        """Write a change of a draft, beginning one where there is none; all or nothing.

        Parameters
        ----------
        known : the draft that the change was made on.
        done, undone, skipped : all edits from now on; as they were where ``done`` is ``None``.
        comment, base_version : new values, where given.
        action : for the audit trail.

        Raises
        ------
        ConflictError : the draft has changed meanwhile, or holds too many edits.
        """
        if done is not None and len(done) > MOST_EDITS:
            raise ConflictError(
                f"This draft of study {known.study_id} holds {MOST_EDITS} edits already; sign it first."
            )
        with self._database.session() as session:
            lock_study(session, known.study_id)
            now = read_draft(session, known.study_id)
            if now.key != known.key:
                raise changed_meanwhile(now)
            values: dict[str, Any] = {"revision": now.revision + 1, "author": _joined(now.authors, actor)}
            if done is not None:
                values["changes"] = [
                    *(_entry(one, "done") for one in done),
                    *(_entry(one, "undone") for one in undone),
                    *(_entry(one.edit, "skipped", one.reason) for one in skipped),
                ]
            if comment is not None:
                values["comment"] = comment
            if base_version is not None:
                values["base_version"] = base_version
            if now.review_id is None:
                fresh = {"base_version": now.base_version, "changes": [], **values}
                session.add(
                    Review(id=new_id(), study_id=now.study_id, created_at=self._clock(), state="draft", **fresh)
                )
            else:
                session.execute(update(Review).where(Review.id == now.review_id).values(**values))
            session.flush()
            self._audit.record(session, actor, action, now.study_id, {"revision": now.revision + 1})
            return read_draft(session, known.study_id)

    def discard(self, known: Draft, actor: str) -> Draft:
        """Lay a draft aside; its row stays, marked as discarded.

        Raises
        ------
        ConflictError : the draft has changed meanwhile.
        """
        with self._database.session() as session:
            lock_study(session, known.study_id)
            now = read_draft(session, known.study_id)
            if now.key != known.key:
                raise changed_meanwhile(now)
            if now.review_id is not None:
                session.execute(update(Review).where(Review.id == now.review_id).values(state="discarded"))
                self._audit.record(session, actor, "review.discarded", now.study_id, {"revision": now.revision})
            return read_draft(session, known.study_id)


def lock_study(session: Session, study_id: str) -> None:
    """Let one writer at a time pass for a study."""
    session.get(Study, study_id, with_for_update=True)


def changed_meanwhile(now: Draft) -> ConflictError:
    """Make the error for a change that was made on an older draft."""
    who = f" by {now.authors[-1]}" if now.authors else ""
    return ConflictError(
        f"The review of study {now.study_id} was changed{who} meanwhile: it is at revision {now.revision} of version "
        f"{now.base_version}. Look at it, then make the change again."
    )


def read_draft(session: Session, study_id: str) -> Draft:
    """Read within a transaction; see ``Drafts.read``."""
    study = session.get(Study, study_id, populate_existing=True)
    if study is None or study.state == "deleting":
        raise NotFoundError(f"There is no study {study_id[:64]!r}.")
    if study.result_version == 0:
        raise ConflictError(
            f"Study {study_id} has no result yet (state {study.state}); it can be reviewed when scored."
        )
    of_study = select(Review).where(Review.study_id == study_id, Review.state == "draft")
    row = session.scalars(of_study.execution_options(populate_existing=True)).one_or_none()
    base = study.result_version if row is None else row.base_version
    version = session.get(Version, (study_id, base))
    if version is None:
        raise NotFoundError(f"There is no version {base} of study {study_id}.")
    signed = select(func.count()).where(Version.study_id == study_id, Version.kind == "signed")
    entries = [] if row is None else row.changes
    return Draft(
        study_id=study_id,
        study_instance_uid=study.study_instance_uid,
        review_id=None if row is None else row.id,
        revision=0 if row is None else row.revision,
        base_version=base,
        newest_version=study.result_version,
        kind=version.kind,
        generation=version.generation,
        done=_edits(entries, "done"),
        undone=_edits(entries, "undone"),
        skipped=tuple(
            Skipped(Edit.from_dict(one["edit"]), one["reason"]) for one in entries if one["state"] == "skipped"
        ),
        comment="" if row is None else row.comment or "",
        authors=() if row is None else tuple(row.author.split(SEPARATOR)),
        signed_before=bool(session.scalar(signed)),
    )


SEPARATOR: Final = "\n"
"""Between the names of those who changed a draft."""


def _joined(authors: tuple[str, ...], actor: str) -> str:
    return SEPARATOR.join(dict.fromkeys((*(one for one in authors if one != actor), actor)))


def _entry(edit: Edit, state: str, reason: str = "") -> dict[str, Any]:
    return {"edit": edit.to_dict(), "state": state, "reason": reason}


def _edits(entries: Sequence[dict[str, Any]], state: str) -> tuple[Edit, ...]:
    return tuple(Edit.from_dict(one["edit"]) for one in entries if one["state"] == state)
