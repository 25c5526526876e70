"""What the service does beside answering: close quiet studies, tend the workers, deliver, forget."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING, Final

from cacseg.service.audit import Audit
from cacseg.service.database import Job, Study
from cacseg.service.errors import LeaseLostError
from cacseg.service.queue import Queue
from cacseg.service.retention import Retention
from cacseg.service.sending import send
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.versions import destinations
from cacseg.service.worker import fail_study, where
from cacseg.service.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from cacseg.service.node import Node

log = logging.getLogger("cacseg.service.background")

TICK_S: Final = 0.2
DELIVERIES: Final = 4
"""Deliveries at once, so that one destination that does not answer does not hold up the others."""

NO_DELIVERY_S: Final = 5.0
"""Time between two looks for deliveries where the settings name no destination: what earlier settings left."""

WATCH_S: Final = 1.0
RETENTION_S: Final = 60.0
"""Time between two looks for studies to be forgotten."""


class Background:
    """The threads and processes beside the HTTP server: workers, deliveries, watch folder, DICOM node."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.workers = Workers(services.settings)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._node: Node | None = None

    def start(self) -> None:
        """Start everything."""
        delivery_s = TICK_S if destinations(self._services.settings) else NO_DELIVERY_S
        parts: list[tuple[str, Callable[[], object], float]] = [
            ("tick", self._tick, TICK_S),
            ("retention", Retention(self._services).run_once, RETENTION_S),
            *(("delivery", Dispatcher(self._services).run_once, delivery_s) for _ in range(DELIVERIES)),
        ]
        if self._services.settings.watch is not None:
            from cacseg.service.watch import Watch

            parts.append(("watch", Watch(self._services).look, WATCH_S))
        for name, step, pause_s in parts:
            thread = threading.Thread(target=self._repeat, args=(name, step, pause_s), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        if self._services.settings.dicom is not None:
            from cacseg.service.node import Node

            self._node = Node(self._services)
            self._node.start()

    def stop(self) -> None:
        """Stop everything, what takes studies in first; studies in hand are finished."""
        if self._node is not None:
            self._node.stop()
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15.0)
        self.workers.stop()

    def _tick(self) -> None:
        self.workers.tend()
        self._services.inbox.settled()
        settings, database = self._services.settings, self._services.database
        for job in self._services.queue.abandon("score", settings.max_attempts):
            log.error("study given up: its workers died", extra={"study": job.study_id})
            with database.session() as session:
                study = session.get(Study, job.study_id, with_for_update=True)
                if study is not None:
                    fail_study(session, Audit(database), study, str(job.error), time.time())

    def _repeat(self, name: str, step: Callable[[], object], pause_s: float) -> None:
        while not self._stop.is_set():
            try:
                step()
            except Exception as error:
                log.error("fault in the background", extra={"part": name, "fault": where(error)})
                self._stop.wait(1.0)
            self._stop.wait(pause_s)


class Dispatcher:
    """Runs deliveries; one that fails is tried again at growing distances."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.time) -> None:
        self._services = services
        self._clock = clock
        owner = f"dispatcher:{uuid.uuid4().hex[:12]}"
        self._queue = Queue(services.database, owner, lease_s=services.settings.lease_s, clock=clock)

    def run_once(self) -> bool:
        """Do one delivery; say whether one was due."""
        job = self._queue.take(["send"])
        if job is None:
            return False

        detail = {"destination": job.payload["destination"], "version": job.payload["version"]}
        try:
            superseded = send(job, self._services.settings, self._services.database) is False
            action = "result.superseded" if superseded else "result.sent"
            with self._services.database.session() as session:
                self._queue.done(job, session)
                self._services.audit.record(session, "service", action, job.study_id, detail)
        except LeaseLostError:
            log.warning("lease of a delivery lost", extra={"study": job.study_id})
        except Exception as error:
            self._again(job, error)
        return True

    def _again(self, job: Job, error: Exception) -> None:
        waits = retries(self._services.settings, job.payload["destination"])
        retry_at = self._clock() + waits[job.attempts - 1] if job.attempts <= len(waits) else None
        log.warning(
            "delivery failed",
            extra={"study": job.study_id, "destination": job.payload["destination"], "fault": where(error)},
        )
        self._queue.failed(job, f"{type(error).__name__}: {error}"[:1000], retry_at)


def retries(settings: Settings, destination: str) -> tuple[float, ...]:
    """Give the waits between attempts of a destination, in seconds."""
    if destination == "archive" and settings.archive is not None:
        return settings.archive.retry_s
    return settings.deliveries.retry_s
