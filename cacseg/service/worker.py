"""A worker: takes the job of a study, scores it, publishes the score, then writes every form of the report.

The score can be read before pictures, PDF and DICOM objects are written. Whatever moment a worker is killed at, its
lease runs out and another one repeats the job into the same version, which is published once.
"""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from cacseg import pipeline
from cacseg.errors import CacsegError, ReleaseError
from cacseg.infer import Release, load_release
from cacseg.report import ReportInput, write_all
from cacseg.report.folder import replace_folder
from cacseg.service.audit import Audit
from cacseg.service.database import FINISHED, Database, Job, Study
from cacseg.service.errors import LeaseLostError
from cacseg.service.heartbeat import end_process, heartbeat
from cacseg.service.inbox import is_full, study_key
from cacseg.service.queue import Queue
from cacseg.service.settings import Settings
from cacseg.service.versions import complete_version, formats_for, publish_version, reserve_version

log = logging.getLogger("cacseg.service.worker")

FIRST_FORMS: Final = ("json", "nifti")
"""What a reader of scores and the review page need; written before the score is published."""

IDLE_S: Final = 0.05
"""Wait between two looks at an empty queue."""

RETRY_S: Final = (5.0, 30.0, 120.0)
FULL_RETRY_S: Final = 30.0
"""How long after a fault, or a full disk, a study is tried again."""


class Worker:
    """One worker; it loads the release once.

    Parameters
    ----------
    owner : name of this worker in the queue, unique.
    release : a release loaded before; the one that the settings name where ``None``.
    clock : gives seconds since 1970 UTC.
    end : ends this process, when a job has taken longer than the settings allow.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        owner: str,
        release: Release | None = None,
        clock: Callable[[], float] = time.time,
        end: Callable[[], None] = end_process,
    ) -> None:
        self._settings = settings
        self._database = database
        self._queue = Queue(database, owner, lease_s=settings.lease_s, clock=clock)
        self._audit = Audit(database, clock)
        self._clock = clock
        self._end = end
        self._release = release or _release_of(settings)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; the study in hand is finished first."""
        while not stop.is_set():
            if not self.run_once():
                stop.wait(IDLE_S)

    def run_once(self) -> bool:
        """Do one job; say whether there was one."""
        job = self._queue.take(["score"])
        if job is None:
            return False
        try:
            with self._heartbeat(job):
                self._score(job)
        except LeaseLostError:
            log.warning("lease lost", extra={"study": job.study_id})
        except CacsegError as error:
            self._give_up(job, str(error), retry=isinstance(error, ReleaseError))
        except Exception as error:
            self._fault(job, error)
        return True

    def _score(self, job: Job) -> None:
        taken = self._take_up(job)
        if taken is None:
            return
        source, folder, number = taken
        begun = time.perf_counter()
        chosen = pipeline.Settings(
            rule=self._settings.rule,
            threads=self._settings.threads,
            engine=self._settings.engine,
            release=self._settings.release,
        )
        outcome = pipeline.score_study(source, chosen, release=self._release)
        inputs = pipeline.report_input(outcome)
        with self._written(inputs, FIRST_FORMS) as (made, result), self._holding(job) as session:
            if self._current(session, job) is None:
                return
            put_in_place(made, folder)
            self._publish(session, job, number, result)
        scored = time.perf_counter()
        others = tuple(name for name in formats_for(self._settings) if name not in FIRST_FORMS)
        with self._written(inputs, others) as (made, _), self._holding(job) as session:
            take_over(folder, made)
            put_in_place(made, folder)
            complete_version(session, self._queue, self._settings, job.study_id, number)
            self._queue.done(job, session)
        seconds = {"score_s": round(scored - begun, 3), "write_s": round(time.perf_counter() - scored, 3)}
        log.info("study done", extra={"study": job.study_id, "status": outcome.result.status, **seconds})

    @contextmanager
    def _written(self, inputs: ReportInput, formats: tuple[str, ...]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Write forms into the scratch folder, where nobody looks before the lease was found to be held still."""
        with tempfile.TemporaryDirectory(dir=self._settings.scratch, ignore_cleanup_errors=True) as name:
            made = Path(name) / "version"
            yield made, write_all(inputs, made, formats).result.to_dict()

    @contextmanager
    def _holding(self, job: Job) -> Iterator[Session]:
        """Open a transaction in which nobody else can take the job."""
        with self._database.session() as session:
            if not self._queue.held(session, job):
                raise LeaseLostError(f"Job {job.key} was taken up elsewhere; its result here is dropped.")
            yield session

    def _take_up(self, job: Job) -> tuple[Path, Path, int] | None:
        """Say which folder to read and which version to write, or nothing where the study has moved on."""
        with self._database.session() as session:
            study = self._current(session, job)
            if study is None:
                return None
            if "version" not in job.payload:
                self._queue.keep(session, job, version=reserve_version(session, study.id))
                self._audit.record(session, "worker", "study.taken-up", study.id, dict(job.payload))
            if study.state not in FINISHED:
                study.state = "scoring"
                study.taken_up_at = study.taken_up_at or self._clock()
            number = job.payload["version"]
            source = self._settings.incoming / study_key(study.study_instance_uid)
        return source, self._settings.version_folder(job.study_id, number), number

    def _current(self, session: Session, job: Job) -> Study | None:
        """Give the study while the job is about its present generation; else the job is finished."""
        study = session.get(Study, job.study_id, with_for_update=True)
        if study is not None and study.state != "deleting" and study.generation == job.payload["generation"]:
            return study
        self._queue.done(job, session)
        return None

    def _publish(self, session: Session, job: Job, number: int, result: dict[str, Any]) -> None:
        publish_version(
            session,
            self._audit,
            job.study_id,
            number,
            kind="automatic",
            author=f"{self._release.name} {self._release.version}",
            generation=job.payload["generation"],
            result=result,
            at=self._clock(),
        )

    def _fault(self, job: Job, error: Exception) -> None:
        """Try again after an unexpected fault; a full disk is waited for without end."""
        full = is_full(error)
        if not full:
            log.error("fault while scoring", extra={"study": job.study_id, "fault": where(error)})
        message = "the disk is full" if full else f"a fault of cacseg ({type(error).__name__}); see the log"
        self._give_up(job, message, retry=True, endless=full)

    def _give_up(self, job: Job, message: str, *, retry: bool, endless: bool = False) -> None:
        """Give the job back, or count the study as failed once it was tried often enough."""
        again = retry and (endless or job.attempts < self._settings.max_attempts)
        wait = FULL_RETRY_S if endless else RETRY_S[min(job.attempts, len(RETRY_S)) - 1]
        try:
            with self._database.session() as session:
                self._queue.failed(job, message, self._clock() + wait if again else None, session)
                study = session.get(Study, job.study_id, with_for_update=True)
                if study is not None and not again:
                    fail_study(session, self._audit, study, message, self._clock())
        except LeaseLostError:
            log.warning("lease lost", extra={"study": job.study_id})

    def _heartbeat(self, job: Job) -> AbstractContextManager[None]:
        """Renew the lease while the block runs, and end this process if it runs for too long."""
        return heartbeat(
            lambda: self._queue.renew(job),
            self._settings.lease_s / 3,
            self._settings.job_limit_s,
            lambda place: self._overran(job, place),
        )

    def _overran(self, job: Job, place: str) -> None:
        """Give back a job that takes too long, then end this process, in which it would go on."""
        limit_s = self._settings.job_limit_s
        log.error("study takes too long, its worker ends", extra={"study": job.study_id, "place": place})
        message = (
            f"scoring took longer than {limit_s:g} s ({job.attempts} of {self._settings.max_attempts} attempts); the "
            "log says where. Raise job_limit_s if studies of this size are to be scored."
        )
        try:
            self._give_up(job, message, retry=True)
        finally:
            self._end()


def _release_of(settings: Settings) -> Release:
    release = load_release(settings.release, threads=settings.threads, engine=settings.engine)
    if settings.triton is None:
        return release
    from cacseg.infer.kserve import serve_elsewhere

    return serve_elsewhere(release, settings.triton)


def take_over(folder: Path, made: Path) -> None:
    """Put files of an earlier step beside those of the next one, but for what that has made anew."""
    for entry in folder.iterdir():
        if not (made / entry.name).exists():
            shutil.copyfile(entry, made / entry.name)


def put_in_place(made: Path, folder: Path) -> None:
    """Let a folder of finished files take the place of a version's folder, as a whole."""

    def move(fresh: Path) -> None:
        for entry in made.iterdir():
            entry.rename(fresh / entry.name)

    replace_folder(folder, move, lambda _name: True)


def fail_study(session: Session, audit: Audit, study: Study, message: str, at: float) -> None:
    """Write down that a study cannot be scored; a score that stands already stays, with the message beside it."""
    study.message = message
    if study.state in ("waiting", "scoring"):
        study.state, study.finished_at = "failed", at
    audit.record(session, "worker", "study.failed", study.id, {"generation": study.generation})


def where(error: BaseException) -> str:
    """Say which fault happened where, without its message, which may quote patient data."""
    steps = []
    trace = error.__traceback__
    while trace is not None:
        steps.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(steps[-6:])}"
