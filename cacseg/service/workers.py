"""Worker processes: started, watched, replaced when they die, told to finish when the service stops."""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
import uuid
from multiprocessing.process import BaseProcess
from typing import Final

from cacseg.errors import CacsegError
from cacseg.service.logs import log_as_json
from cacseg.service.settings import Settings

log = logging.getLogger("cacseg.service.workers")

PATIENCE_S: Final = 30.0
"""How long a worker may take to finish the study in hand when the service stops."""

RESTART_S: Final = 2.0
"""Least time between two starts of one worker, so that a fault at start does not spin."""


class Workers:
    """A fixed number of worker processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess | None] = [None] * settings.workers
        self._started: list[float] = [0.0] * settings.workers

    def tend(self) -> None:
        """Start what is not running; to be called again and again."""
        for place, process in enumerate(self._processes):
            if process is not None and process.is_alive():
                continue
            if time.monotonic() - self._started[place] < RESTART_S:
                continue
            if process is not None:
                log.error("worker died", extra={"worker": place, "exit_code": process.exitcode})
                process.close()
            self._started[place] = time.monotonic()
            fresh = self._context.Process(
                target=run_worker, args=(self._settings, os.getpid()), name=f"worker-{place}", daemon=False
            )
            fresh.start()
            self._processes[place] = fresh

    def stop(self, patience_s: float = PATIENCE_S) -> None:
        """Let every worker finish its study, then end it."""
        running = [process for process in self._processes if process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + patience_s
        for process in running:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                log.error("worker did not finish in time", extra={"worker": process.name})
                process.kill()
                process.join()
        self._processes = [None] * self._settings.workers

    @property
    def pids(self) -> tuple[int, ...]:
        """Process identifiers of the workers that run."""
        return tuple(p.pid for p in self._processes if p is not None and p.is_alive() and p.pid is not None)


def run_worker(settings: Settings, parent: int | None = None) -> None:
    """Be a worker process until SIGTERM, or until the process that started it is gone.

    Parameters
    ----------
    parent : process to watch; nobody where ``None``.
    """
    from cacseg.service.database import Database
    from cacseg.service.worker import Worker

    log_as_json()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent is not None else lambda *_: stop.set())
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, stop), name="parent", daemon=True).start()
    database = Database(settings.database_url)
    owner = f"{socket.gethostname()[:64]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        worker = Worker(settings, database, owner)
    except CacsegError as error:
        log.critical("the worker cannot start", extra={"reason": str(error)})
        raise SystemExit(error.exit_code) from error
    _warm_up()
    log.info("worker ready", extra={"worker": owner})
    worker.run(stop)
    database.close()


def _watch(parent: int, stop: threading.Event) -> None:
    """Stop once the parent is gone, so that no worker outlives a killed service for long."""
    while os.getppid() == parent:
        time.sleep(0.5)
    stop.set()


def _warm_up() -> None:
    """Import what the first study would otherwise wait for, and keep it out of every later search for garbage."""
    import cacseg.report.encapsulated_pdf
    import cacseg.report.fhir
    import cacseg.report.html
    import cacseg.report.pdf
    import cacseg.report.seg
    import cacseg.report.sr
    import cacseg.risk
    import cacseg.scoring
    import cacseg.study  # noqa: F401

    gc.collect()
    gc.freeze()
