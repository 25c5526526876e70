"""Taking files in: streamed, checked, on the disk for good before anybody is told so, each instance once.

A study is complete when it has been quiet for a while or its sender says so; then it gets its one scoring job. An
instance that comes later opens the study anew.
"""

import errno
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from cacseg.durable import sync
from cacseg.errors import UnreadableError
from cacseg.service.audit import Audit
from cacseg.service.database import Database, Instance, Study, insert_if_new, new_id
from cacseg.service.errors import BusyError, ConflictError, NotDicomFileError, StorageFullError
from cacseg.service.queue import Queue
from cacseg.service.reception import ReceivedFile, receive
from cacseg.service.settings import Settings
from cacseg.study.archive import is_zip, unpack

RETRY_S: Final = 10
"""When a sender may come back after the queue was found full."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one instance; ``new`` is false for one that was there already."""

    study_id: str
    sop_instance_uid: str
    new: bool
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of many files.

    Parameters
    ----------
    stored : instances kept, now or earlier.
    conflicts : SOPInstanceUIDs that are kept with another content.
    skipped : files that are no DICOM objects of a study.
    """

    stored: tuple[Stored, ...]
    conflicts: tuple[str, ...] = ()
    skipped: int = 0


class Inbox:
    """Where files come in.

    Parameters
    ----------
    settings : folders and limits.
    database : index and queue.
    clock : gives seconds since 1970 UTC.
    """

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)
        self._queue = Queue(database, "inbox", clock=clock)

    def put(self, source: Path | BinaryIO, origin: str, actor: str) -> Stored:
        """Keep one Part-10 file; a path is left where it is, a file of the scratch folder is moved.

        Parameters
        ----------
        source : the file.
        origin : where it came from, such as ``rest`` or ``dicom:SCANNER1``.
        actor : who sent it.

        Raises
        ------
        NotDicomFileError : no DICOM object with study, series and instance UID, or a truncated one.
        ConflictError : the instance is kept with another content, or its study is being deleted.
        TooLargeError, StorageFullError : nothing was kept.
        """
        receipt = self.put_all([source], origin, actor, strict=True)
        if receipt.conflicts:
            raise ConflictError(
                f"Instance {receipt.conflicts[0]} is kept already with another content; the first one stays. Give a "
                "changed image a new SOPInstanceUID.",
                receipt.conflicts,
            )
        return receipt.stored[0]

    def put_all(self, sources: Iterable[Path | BinaryIO], origin: str, actor: str, *, strict: bool = False) -> Receipt:
        """Keep many files in one transaction: all that can be kept, or none.

        Parameters
        ----------
        strict : raise for a file that is no DICOM object of a study, instead of counting it.

        Raises
        ------
        NotDicomFileError : there is nothing to keep, or ``strict``.
        ConflictError : a study is being deleted.
        TooLargeError, StorageFullError : nothing was kept.
        """
        received: list[ReceivedFile] = []
        skipped = 0
        with _storage(), self._scratch() as folder:
            for number, source in enumerate(sources):
                try:
                    received.append(receive(source, folder / f"{number:06d}.part", self._settings))
                except NotDicomFileError:
                    if strict:
                        raise
                    skipped += 1
            if not received:
                raise NotDicomFileError(
                    f"None of {skipped} files is a DICOM object that belongs to a study. Send DICOM Part-10 files or a "
                    "zip of them."
                )
            sync([each.path for each in received])
            return self._store(received, origin, actor, skipped)

    def put_archive(self, archive: Path, origin: str, actor: str) -> Receipt:
        """Keep the files of a zip archive; limits on entries, size and ratio are those of ``cacseg.study.archive``.

        Raises
        ------
        UnreadableError : no zip, damaged, encrypted, or a decompression bomb.
        NotDicomFileError, ConflictError, StorageFullError : as of ``put_all``.
        """
        with _storage(), self._scratch() as folder:
            try:
                listing = unpack(archive, folder)
            except UnreadableError as error:
                if error.__cause__ is not None and is_full(error.__cause__):
                    raise error.__cause__ from error
                raise
            receipt = self.put_all([file.path for file in listing.files], origin, actor)
        return Receipt(receipt.stored, receipt.conflicts, receipt.skipped + len(listing.skipped))

    def backpressure(self) -> int | None:
        """Say in how many seconds a sender should come back; ``None`` where studies are welcome."""
        with self._database.session(write=False) as session:
            waiting = session.scalar(
                select(func.count()).select_from(Study).where(Study.state.in_(("receiving", "waiting", "scoring")))
            )
        if (waiting or 0) >= self._settings.max_waiting:
            return RETRY_S
        if shutil.disk_usage(self._settings.scratch).free < self._settings.min_free_bytes:
            return 6 * RETRY_S
        return None

    def check_room(self) -> None:
        """Turn a sender away where too much waits.

        Raises
        ------
        BusyError : come back later.
        """
        seconds = self.backpressure()
        if seconds is not None:
            raise BusyError(
                f"{self._settings.max_waiting} studies wait already, or the disk is nearly full. Send again in "
                f"{seconds} s.",
                seconds,
            )

    def settled(self, now: float | None = None) -> tuple[str, ...]:
        """Give every study that has been quiet long enough its scoring job; their identifiers are returned."""
        now = self._clock() if now is None else now
        quiet = (Study.state == "receiving", Study.last_instance_at <= now - self._settings.quiet_s)
        with self._database.session(write=False) as session:
            if session.scalar(select(Study.id).where(*quiet).limit(1)) is None:
                return ()
        with self._database.session() as session:
            studies = session.scalars(select(Study).where(*quiet).with_for_update(skip_locked=True)).all()
            for study in studies:
                self._complete(session, study)
        return tuple(study.id for study in studies)

    def complete(self, study_id: str) -> bool:
        """Take a study as complete without waiting, as its sender says; say whether it was still open."""
        with self._database.session() as session:
            study = session.get(Study, study_id, with_for_update=True)
            if study is None or study.state != "receiving":
                return False
            self._complete(session, study)
        return True

    def _complete(self, session: Session, study: Study) -> None:
        study.state = "waiting"
        self._queue.enqueue(
            "score",
            study.id,
            f"score:{study.id}:{study.generation}",
            {"generation": study.generation},
            session=session,
        )
        instances = session.scalar(select(func.count()).select_from(Instance).where(Instance.study_id == study.id))
        detail = {"instances": instances, "generation": study.generation}
        self._audit.record(session, "service", "study.complete", study.id, detail)

    def _store(self, received: Sequence[ReceivedFile], origin: str, actor: str, skipped: int) -> Receipt:
        """Put the files in their places and into the index, in one transaction."""
        stored: list[Stored] = []
        conflicts: list[str] = []
        folders: set[Path] = set()
        with self._database.session() as session:
            for uid in sorted({each.study_instance_uid for each in received}):
                mine = [each for each in received if each.study_instance_uid == uid]
                study = self._study(session, mine[0], origin, actor)
                folder = self._settings.incoming / study_key(uid)
                known = {row.sop_instance_uid: row.sha256 for row in _instances(session, study.id)}
                fresh = 0
                for each in mine:
                    seen = known.get(each.sop_instance_uid)
                    if seen not in (None, each.sha256):
                        conflicts.append(each.sop_instance_uid)
                        continue
                    if seen is None:
                        session.add(_place(each, study.id, folder))
                        known[each.sop_instance_uid] = each.sha256
                        folders.add(folder)
                        fresh += 1
                    stored.append(Stored(study.id, each.sop_instance_uid, seen is None, uid))
                self._note(session, study, actor, fresh, [c for c in conflicts if c in known])
            sync(sorted({*folders, *(folder.parent for folder in folders)}))
        return Receipt(tuple(stored), tuple(conflicts), skipped)

    def _study(self, session: Session, first: ReceivedFile, origin: str, actor: str) -> Study:
        """Find the study or make it, locked for this transaction."""
        now = self._clock()
        values: dict[str, Any] = {
            "id": new_id(),
            "study_instance_uid": first.study_instance_uid,
            **first.patient,
            "state": "receiving",
            "received_at": now,
            "last_instance_at": now,
            "generation": 1,
            "scored_generation": 0,
            "result_version": 0,
            "next_version": 1,
            "findings": [],
            "source": origin,
        }
        new = insert_if_new(session, Study, values)
        study = session.scalars(
            select(Study).where(Study.study_instance_uid == first.study_instance_uid).with_for_update()
        ).one()
        if study.state == "deleting":
            raise ConflictError(f"Study {study.study_instance_uid} is being deleted; send it again in a minute.")
        if new:
            detail = {"origin": origin, "study_instance_uid": study.study_instance_uid}
            self._audit.record(session, actor, "study.received", study.id, detail)
        return study

    def _note(self, session: Session, study: Study, actor: str, fresh: int, conflicts: list[str]) -> None:
        """Move the study's clock, open it anew where it was closed, and write down conflicts."""
        if conflicts:
            self._audit.record(session, actor, "instance.conflict", study.id, {"instances": conflicts})
        if not fresh:
            return
        study.last_instance_at = self._clock()
        if study.state != "receiving":
            study.generation += 1
            study.state = "receiving"
            detail = {"generation": study.generation, "instances": fresh}
            self._audit.record(session, actor, "study.reopened", study.id, detail)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._settings.scratch, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


@contextmanager
def _storage() -> Iterator[None]:
    """Say in our own words that the disk is full."""
    try:
        yield
    except (OSError, OperationalError) as error:
        if not is_full(error):
            raise
        raise StorageFullError("The disk is full; nothing of this was kept. Free space, then send again.") from error


def is_full(error: BaseException) -> bool:
    """Say whether an error means that the disk is full, as the system or a database tells it.

    Examples
    --------
    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(OSError(errno.EACCES, "Permission denied"))
    (True, False)
    """
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or (
        isinstance(error, OperationalError) and "disk is full" in str(error)
    )


def study_key(study_instance_uid: str) -> str:
    """Name of a study's folder of instances; always the same for the same study.

    Examples
    --------
    >>> study_key("1.2.3")
    'c47f5b18b8a430e698b9fe15e51f6119'
    """
    return hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]


def looks_like_zip(path: Path) -> bool:
    """Say whether a file is a zip archive and no DICOM object."""
    with path.open("rb") as stream:
        first = stream.read(132)
    return is_zip(first[:4]) and first[128:] != b"DICM"


def _instances(session: Session, study_id: str) -> Sequence[Instance]:
    return session.scalars(select(Instance).where(Instance.study_id == study_id)).all()


def _place(received: ReceivedFile, study_id: str, folder: Path) -> Instance:
    folder.mkdir(exist_ok=True, mode=0o700)
    target = folder / f"{hashlib.sha256(received.sop_instance_uid.encode()).hexdigest()}.dcm"
    received.path.replace(target)
    return Instance(
        study_id=study_id,
        sop_instance_uid=received.sop_instance_uid,
        series_instance_uid=received.series_instance_uid,
        sha256=received.sha256,
        path=f"{folder.name}/{target.name}",
        size=received.size,
    )
