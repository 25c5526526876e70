"""The desk: reviews that are open now, kept in memory, always brought level with the database before use."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.inbox import study_key
from cacseg.service.review.drafts import Draft, Drafts, changed_meanwhile
from cacseg.service.review.outlines import Outlines
from cacseg.service.review.refused import RefusedImages, load_refused
from cacseg.service.review.scan import Scan, load_scan
from cacseg.service.review.session import ReviewSession
from cacseg.service.review.state import review_state
from cacseg.service.services import Services

MOST_OPEN: Final = 4
"""Versions kept in memory; one of 57 x 512 x 512 voxels takes about 60 MB."""


class StaleRevisionError(ConflictError):
    """A change was made on an older revision.

    Parameters
    ----------
    message : who changed what meanwhile.
    state : the review as it is now, for the page to show.
    """

    def __init__(self, message: str, state: dict[str, Any]) -> None:
        super().__init__(message)
        self.state = state


@dataclass(eq=False)
class Open:
    """One version in memory; whoever uses it holds its lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    scan: Scan | None = None
    refused: RefusedImages | None = None
    session: ReviewSession | None = None
    outlines: Outlines | None = None
    key: tuple[str | None, int, int] | None = None


class Desk:
    """Open reviews of one service.

    Parameters
    ----------
    services : of the application.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, int], Open] = OrderedDict()
        self.drafts = Drafts(services.database, services.audit)

    def read(self, study_id: str) -> Draft:
        """Read the draft of a study; one that was deleted leaves the memory too.

        Raises
        ------
        NotFoundError, ConflictError : as ``Drafts.read``.
        """
        try:
            return self.drafts.read(study_id)
        except NotFoundError:
            with self._lock:
                for key in [key for key in self._open if key[0] == study_id]:
                    del self._open[key]
            raise

    def scan(self, study_id: str, version: int | None = None) -> Scan:
        """Give the voxels and labels of a version, the one under review where ``None``.

        Raises
        ------
        NotFoundError, ConflictError, UsageError, UnreadableError : as ``Drafts.read`` and ``load_scan``.
        """
        draft = self.read(study_id)
        if version is not None:
            self.drafts.check_version(study_id, version)
        opened = self._opened(study_id, version or draft.base_version)
        with opened.lock:
            return self._scan(opened, draft, version or draft.base_version)

    def images(self, study_id: str) -> Scan | RefusedImages:
        """Give the voxels under review; those of a refused study can be looked at too.

        Raises
        ------
        NotFoundError, ConflictError, UsageError, UnreadableError : as ``Drafts.read``, ``load_scan``, ``load_refused``.
        """
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            if opened.scan is None and opened.refused is None:
                incoming, folder = self._folders(draft, draft.base_version)
                opened.refused = load_refused(incoming, folder)
            return opened.refused or self._scan(opened, draft, draft.base_version)

    def state(self, study_id: str) -> dict[str, Any]:
        """Describe the review of a study as it is now."""
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            return self._described(opened, draft)

    def version_state(self, study_id: str, version: int) -> dict[str, Any]:
        """Describe one version as it was published, for looking at only."""
        draft = self.read(study_id)
        scan = self.scan(study_id, version)
        return {
            "study_id": study_id,
            "version": version,
            "newest_version": draft.newest_version,
            "read_only": True,
            **review_state(ReviewSession(scan), Outlines(scan.volume.shape)),
            **_told_by(scan),
        }

    def edit(
        self, study_id: str, revision: int, base_version: int | None, actor: str, change: Callable[[ReviewSession], Any]
    ) -> dict[str, Any]:
        """Change the labels of a draft, in memory and in the database.

        Parameters
        ----------
        revision, base_version : what the change was made on; the version may be left out.
        change : makes it on a session.

        Raises
        ------
        StaleRevisionError : the draft has changed meanwhile.
        ConflictError : the version is signed, so that an amendment has to be begun first.
        UsageError : the change does not fit.
        """
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            self.check(opened, draft, revision, base_version)
            if draft.review_id is None and draft.kind == "signed":
                raise ConflictError(
                    f"Version {draft.base_version} of study {study_id} is signed. Begin an amendment, then change it."
                )
            session = self._session(opened, draft)
            opened.key = None
            change(session)
            return self._written(opened, draft, actor, session)

    def note(self, study_id: str, revision: int, actor: str, **values: Any) -> dict[str, Any]:
        """Change what a draft says beside its labels; ``values`` as for ``Drafts.change``.

        Raises
        ------
        StaleRevisionError : the draft has changed meanwhile.
        """
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            self.check(opened, draft, revision, None)
            after = self.drafts.change(draft, actor, **values)
        return self.state(after.study_id)

    def discard(self, study_id: str, revision: int, actor: str) -> dict[str, Any]:
        """Lay the draft of a study aside.

        Raises
        ------
        StaleRevisionError : the draft has changed meanwhile.
        """
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            self.check(opened, draft, revision, None)
            self.drafts.discard(draft, actor)
        return self.state(study_id)

    def reviewed(self, study_id: str, revision: int) -> tuple[Draft, ReviewSession]:
        """Give the labels of a draft for signing; the session is the caller's own.

        Raises
        ------
        StaleRevisionError : the draft has changed meanwhile.
        """
        draft = self.read(study_id)
        opened = self._opened(study_id, draft.base_version)
        with opened.lock:
            self.check(opened, draft, revision, None)
            scan = self._scan(opened, draft, draft.base_version)
        return draft, ReviewSession(scan, draft.done, draft.undone, draft.skipped)

    def check(self, opened: Open, draft: Draft, revision: int, base_version: int | None) -> None:
        """Refuse a change that was made on another revision, with the state as it is now."""
        if revision != draft.revision or base_version not in (None, draft.base_version):
            raise StaleRevisionError(str(changed_meanwhile(draft)), self._described(opened, draft))

    def _written(self, opened: Open, draft: Draft, actor: str, session: ReviewSession) -> dict[str, Any]:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        session.done[:] = [one if one.time else one.signed_off(actor, stamp) for one in session.done]
        try:
            after = self.drafts.change(draft, actor, done=session.done, undone=session.undone, skipped=session.skipped)
        except ConflictError as error:
            now = self.drafts.read(draft.study_id)
            raise StaleRevisionError(str(error), self._described(opened, now)) from error
        opened.key = after.key
        return self._described(opened, after)

    def _described(self, opened: Open, draft: Draft) -> dict[str, Any]:
        session = self._session(opened, draft)
        opened.outlines = opened.outlines or Outlines(session.scan.volume.shape)
        return {
            "study_id": draft.study_id,
            "version": draft.base_version,
            "newest_version": draft.newest_version,
            "read_only": False,
            **review_state(session, opened.outlines),
            **_told_by(session.scan),
            "revision": draft.revision,
            "draft": draft.review_id is not None,
            "signed": draft.kind == "signed" and draft.review_id is None,
            "comment": draft.comment,
            "authors": list(draft.authors),
        }

    def _session(self, opened: Open, draft: Draft) -> ReviewSession:
        if opened.session is None or opened.key != draft.key:
            scan = self._scan(opened, draft, draft.base_version)
            opened.session = ReviewSession(scan, draft.done, draft.undone, draft.skipped)
            opened.key = draft.key
        return opened.session

    def _scan(self, opened: Open, draft: Draft, version: int) -> Scan:
        if opened.scan is None:
            opened.scan = load_scan(*self._folders(draft, version))
        return opened.scan

    def _folders(self, draft: Draft, version: int) -> tuple[Path, Path]:
        """Give the folders of the instances and of a version."""
        settings = self._services.settings
        incoming = settings.incoming / study_key(draft.study_instance_uid)
        return incoming, settings.version_folder(draft.study_id, version)

    def _opened(self, study_id: str, version: int) -> Open:
        """Give the place of a version in memory; the one used longest ago makes room."""
        with self._lock:
            opened = self._open.setdefault((study_id, version), Open())
            self._open.move_to_end((study_id, version))
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return opened


def _told_by(scan: Scan) -> dict[str, Any]:
    """Say what an earlier signature on this version says, and the scores that the software gave at first."""
    review = scan.result.provenance.get("review")
    if review is None:
        return {"signature": None, "automatic": None}
    signature = {name: review[name] for name in ("verified_by", "signed_at", "comment", "amends")}
    return {"signature": signature, "automatic": review["automatic"]}
