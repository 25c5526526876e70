"""What beats beside a job: its lease is renewed, and a job that takes too long ends its worker.

A thread cannot be ended from outside, so the process is. Where the job hangs without letting any other thread run, a
timer outside of Python ends the process a little later: no word goes to the queue, where the lease then runs out, and
the functions that it hung in are named on standard error.
"""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cacseg.service.errors import LeaseLostError

log = logging.getLogger("cacseg.service.heartbeat")

GRACE_S: Final = 5.0
"""How long after its limit a process that lets no thread run is ended."""

EXIT_CODE: Final = 1
STANDARD_ERROR: Final = 2
STEPS: Final = 6
"""Frames of a place that the log tells."""


def end_process() -> None:
    """End this process at once; unlike a signal, this works for the first process of a container too."""
    os._exit(EXIT_CODE)


@contextmanager
def heartbeat(
    renew: Callable[[], None], every_s: float, limit_s: float, overran: Callable[[str], None]
) -> Iterator[None]:
    """Renew a lease while the block runs, one block at a time in a process.

    Parameters
    ----------
    renew : renews it; a ``LeaseLostError`` ends the beating.
    every_s : seconds between two renewals.
    limit_s : seconds that the block may take.
    overran : called with the place that the block hangs at, in another thread, once the limit is over.
    """
    over, working = threading.Event(), threading.get_ident()
    until = time.monotonic() + limit_s

    def beat() -> None:
        while not over.wait(min(every_s, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                overran(place_of(working))
                return
            try:
                renew()
            except LeaseLostError:
                return
            except Exception as error:
                log.warning("lease not renewed", extra={"fault": type(error).__name__})

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=STANDARD_ERROR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        over.set()
        thread.join()


def place_of(thread: int) -> str:
    """Say where a thread is, by file and line.

    Examples
    --------
    >>> "heartbeat.py:" in place_of(threading.get_ident())
    True
    """
    frame = sys._current_frames().get(thread)
    steps: list[str] = []
    while frame is not None and len(steps) < STEPS:
        steps.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(steps)
