"""Figures for Prometheus: studies and jobs by state, time from last image to score, requests. No patient in them."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from cacseg.service.database import STATES, Database, Job, Study

LATENCY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper edges of the classes of waiting time."""


class Metrics:
    """The figures of one application."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cacseg_requests", "HTTP requests.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "cacseg_request_seconds", "Time to answer an HTTP request.", ("route",), registry=self._registry
        )
        self._registry.register(StudyFigures(database))

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is a template, never a path."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Give everything in the exposition format."""
        return generate_latest(self._registry)


METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class StudyFigures(Collector):
    """Figures read from the database when they are asked for, so that every process gives the same."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Name nothing in advance: the database is not asked before somebody wants to know."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the figures."""
        with self._database.session(write=False) as session:
            by_state = select(Study.state, func.count()).group_by(Study.state)
            states: dict[str, int] = {state: int(count) for state, count in session.execute(by_state)}
            jobs = list(session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)))
            oldest = session.scalar(select(func.min(Study.received_at)).where(Study.state.in_(("waiting", "scoring"))))
            spent = Study.finished_at - Study.last_instance_at
            counts = [session.scalar(select(func.count()).where(spent <= edge)) or 0 for edge in LATENCY_S]
            total, sum_s = session.execute(select(func.count(spent), func.coalesce(func.sum(spent), 0.0))).one()
        studies = GaugeMetricFamily("cacseg_studies", "Studies by state.", labels=["state"])
        for each in STATES:
            studies.add_metric([each], states.get(each, 0))
        yield studies
        queue = GaugeMetricFamily("cacseg_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        for kind, state, count in jobs:
            queue.add_metric([kind, state], count)
        yield queue
        waiting_s = 0.0 if oldest is None else self._clock() - oldest
        yield GaugeMetricFamily("cacseg_oldest_waiting_seconds", "Age of the study that waits longest.", waiting_s)
        latency = HistogramMetricFamily("cacseg_result_seconds", "From the last image to the score.")
        buckets = [(str(edge), float(count)) for edge, count in zip(LATENCY_S, counts, strict=True)]
        latency.add_metric([], [*buckets, ("+Inf", float(total))], sum_s)
        yield latency
