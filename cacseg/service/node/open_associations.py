"""Associations that are open: which studies each began, and how many bytes of the present object came in.

A scanner may pause between slices for longer than the quiet time. While its association stays open, the study that
it is sending is held open too; once it turns to another study, or leaves, the quiet time of the earlier one runs.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

from sqlalchemy import update

from cacseg.service.database import Database, Study


@dataclass(slots=True)
class OpenAssociation:
    """One association.

    Parameters
    ----------
    begun : StudyInstanceUIDs of which it stored something.
    study_id : study that it stored into last.
    received_bytes : since its last complete object.
    cut_off : whether it was aborted for sending too much.
    """

    begun: set[str] = field(default_factory=set)
    study_id: str | None = None
    received_bytes: int = 0
    cut_off: bool = False


class OpenAssociations:
    """All associations of a node, by whatever identifies one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._open: dict[Hashable, OpenAssociation] = {}

    def of(self, key: Hashable) -> OpenAssociation:
        """Give the notes on an association; new ones where it is new."""
        with self._lock:
            return self._open.setdefault(key, OpenAssociation())

    def received_bytes(self) -> int:
        """Give how much of objects not yet whole all associations hold in memory."""
        with self._lock:
            return sum(each.received_bytes for each in self._open.values())

    def close(self, key: Hashable, now: float) -> None:
        """Forget an association; the quiet time of its study runs from now."""
        with self._lock:
            left = self._open.pop(key, None)
        if left is not None and left.study_id is not None:
            self._hold({left.study_id}, now)

    def hold(self, now: float) -> None:
        """Start the quiet time of every study anew that an open association is sending."""
        with self._lock:
            studies = {each.study_id for each in self._open.values() if each.study_id is not None}
        if studies:
            self._hold(studies, now)

    def _hold(self, studies: set[str], now: float) -> None:
        later = (Study.id.in_(studies), Study.state == "receiving", Study.last_instance_at < now)
        with self._database.session() as session:
            session.execute(
                update(Study).where(*later).values(last_instance_at=now).execution_options(synchronize_session=False)
            )
