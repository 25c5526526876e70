"""Forgetting: a study's files are overwritten and unlinked, its rows removed; the audit trail tells of it.

A study is first marked as being deleted, so that a deletion cut short by a crash is finished after the next start.
Overwriting reaches the blocks of plain disks; flash and copying file systems keep old blocks, so keep the data
folder on an encrypted volume.
"""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select

from cacseg.service.database import FINISHED, Instance, Job, Review, Study, Version
from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.inbox import study_key
from cacseg.service.services import Services

DAY_S: Final = 86400.0
CHUNK: Final = bytes(1024**2)
STALE_S: Final = DAY_S
"""Age at which a file in the scratch folder is a leftover of a process that was killed."""


class Retention:
    """Deletes studies, by request or by age."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.time) -> None:
        self._services = services
        self._clock = clock

    def run_once(self) -> None:
        """Delete what is due, and what an interrupted deletion left."""
        days = self._services.settings.retention_days
        if days is not None:
            old = select(Study.id).where(Study.state.in_(FINISHED), Study.finished_at < self._clock() - days * DAY_S)
            with self._services.database.session(write=False) as session:
                due = list(session.scalars(old))
            for study_id in due:
                self._mark_if_still_due(study_id, days)
        with self._services.database.session(write=False) as session:
            marked = list(session.scalars(select(Study.id).where(Study.state == "deleting")))
        for study_id in marked:
            self._remove(study_id)
        self._clear_scratch()

    def delete(self, study_id: str, actor: str) -> None:
        """Delete one study now.

        Raises
        ------
        NotFoundError : no such study.
        ConflictError : it is being scored at this moment.
        """
        self._mark(study_id, actor, "by request")
        self._remove(study_id)

    def _mark_if_still_due(self, study_id: str, days: float) -> None:
        try:
            self._mark(study_id, "retention", f"older than {days:g} days")
        except (NotFoundError, ConflictError):
            return

    def _mark(self, study_id: str, actor: str, reason: str) -> None:
        with self._services.database.session() as session:
            study = session.get(Study, study_id, with_for_update=True)
            if study is None:
                raise NotFoundError(f"There is no study {study_id[:64]!r}.")
            busy = select(Job.id).where(Job.study_id == study_id, Job.kind == "score", Job.state == "running")
            if session.scalar(busy) is not None:
                raise ConflictError(f"Study {study_id} is being scored; delete it when that is done.")
            if study.state == "deleting":
                return
            study.state = "deleting"
            detail = {"reason": reason, "study_instance_uid": study.study_instance_uid}
            self._services.audit.record(session, actor, "study.deleting", study_id, detail)

    def _remove(self, study_id: str) -> None:
        settings = self._services.settings
        with self._services.database.session(write=False) as session:
            study = session.get(Study, study_id)
            if study is None:
                return
            folders = (settings.incoming / study_key(study.study_instance_uid), settings.results / study_id)
        files = sum(destroy_folder(folder) for folder in folders)
        with self._services.database.session() as session:
            for table in (Instance, Job, Review, Version):
                session.execute(delete(table).where(table.study_id == study_id))
            gone = session.execute(delete(Study).where(Study.id == study_id, Study.state == "deleting"))
            if gone.rowcount:  # type: ignore[attr-defined]  # else another host, or a request, was faster
                self._services.audit.record(session, "service", "study.deleted", study_id, {"files": files})

    def _clear_scratch(self) -> None:
        for entry in self._services.settings.scratch.iterdir():
            try:
                stale = entry.lstat().st_mtime < self._clock() - STALE_S
            except FileNotFoundError:
                continue
            if stale:
                destroy_folder(entry) if entry.is_dir() else destroy(entry)


def destroy_folder(folder: Path) -> int:
    """Overwrite and unlink every file below a folder, then remove it; give the number of files."""
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    for path in files:
        destroy(path)
    shutil.rmtree(folder, ignore_errors=True)
    return len(files)


def destroy(path: Path) -> None:
    """Overwrite a file with zeros on the disk, and unlink it; a link is only unlinked.

    One that is not there, because somebody else destroyed it meanwhile, is no error.
    """
    if not path.is_symlink():
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return
        with file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(CHUNK[: min(left, len(CHUNK))])
            file.flush()
            os.fsync(file.fileno())
    path.unlink(missing_ok=True)
