"""The index and the queue in one database: SQLite by default, PostgreSQL by the same mapping.

Every time is in seconds since 1970-01-01 UTC. A transaction that writes takes SQLite's write lock when it begins,
so that what it has read still holds when it writes.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, get_args

from sqlalchemy import JSON, Connection, Engine, Float, ForeignKey, Index, String, Text, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from cacseg.errors import UsageError

SCHEMA_VERSION: Final = "1"
BUSY_S: Final = 30.0
"""Longest wait for SQLite's write lock."""

CREATING: Final = 0x43414354
"""PostgreSQL advisory lock under which tables are made."""

State = Literal["receiving", "waiting", "scoring", "scored", "refused", "failed", "deleting"]
JobState = Literal["ready", "running", "done", "failed"]
Status = Literal["scored", "refused"]
VersionKind = Literal["automatic", "signed"]
STATES: Final[tuple[State, ...]] = get_args(State)
AT_END: Final = "cacseg_at_end"
FINISHED: Final = ("scored", "refused", "failed")


def new_id() -> str:
    """Make the identifier of a row: a random UUID in hexadecimal."""
    return uuid.uuid4().hex


class Base(DeclarativeBase):
    """Base of every table."""

    type_annotation_map: Final = {dict[str, Any]: JSON, list[Any]: JSON, float: Float(53)}


class Schema(Base):
    """Which version of the tables this database holds."""

    __tablename__ = "cacseg_schema"
    version: Mapped[str] = mapped_column(String(16), primary_key=True)


class Study(Base):
    """One study: who, in which state, and the newest result.

    ``generation`` counts how often the study was opened; ``scored_generation`` is the one the newest automatic
    result was made from. ``next_version`` is the number the next version of a result gets.
    """

    __tablename__ = "study"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    patient_id: Mapped[str | None] = mapped_column(Text)
    patient_name: Mapped[str | None] = mapped_column(Text)
    study_date: Mapped[str | None] = mapped_column(String(64), index=True)
    accession: Mapped[str | None] = mapped_column(Text)
    state: Mapped[State] = mapped_column(String(16), default="receiving", index=True)
    received_at: Mapped[float] = mapped_column(index=True)
    last_instance_at: Mapped[float]
    taken_up_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    generation: Mapped[int] = mapped_column(default=1)
    scored_generation: Mapped[int] = mapped_column(default=0)
    agatston: Mapped[float | None]
    category: Mapped[str | None] = mapped_column(String(32))
    result_version: Mapped[int] = mapped_column(default=0)
    next_version: Mapped[int] = mapped_column(default=1)
    findings: Mapped[list[Any]] = mapped_column(default=list)
    message: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(128))


class Instance(Base):
    """One received DICOM object; ``sha256`` is that of its data set, after the file meta group."""

    __tablename__ = "instance"
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    size: Mapped[int]


class Version(Base):
    """One version of a study's result: made by a worker (``automatic``) or signed by a person (``signed``).

    ``complete`` turns true when every form is written; ``result.json`` and the labels are there before.
    """

    __tablename__ = "version"
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[VersionKind] = mapped_column(String(16))
    generation: Mapped[int]
    author: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    status: Mapped[Status] = mapped_column(String(16))
    agatston: Mapped[float | None]
    category: Mapped[str | None] = mapped_column(String(32))
    complete: Mapped[bool] = mapped_column(default=False)


class Job(Base):
    """One piece of work. ``state`` is ready, running, done or failed."""

    __tablename__ = "job"
    __table_args__ = (Index("job_next", "state", "kind", "not_before"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[JobState] = mapped_column(String(16), default="ready")
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[float]
    lease_owner: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)


class Review(Base):
    """One person's correction of a version, a draft until it is signed."""

    __tablename__ = "review"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    version: Mapped[int | None]
    base_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="draft")
    revision: Mapped[int] = mapped_column(default=0)
    changes: Mapped[list[Any]] = mapped_column(default=list)
    labels_path: Mapped[str | None] = mapped_column(Text)
    comment: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float]
    signed_at: Mapped[float | None]


class Token(Base):
    """One API token; its secret is known only as a digest."""

    __tablename__ = "token"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]


class BrowserSession(Base):
    """One signed-in browser: digest of its cookie, and the value that state-changing requests must repeat."""

    __tablename__ = "browser_session"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("token.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]
    expires_at: Mapped[float]


class AuditEntry(Base):
    """One entry of the audit trail, chained to the one before by its digest."""

    __tablename__ = "audit"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float]
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))


class Database:
    """One database.

    Parameters
    ----------
    url : SQLAlchemy URL, ``sqlite:///...`` or ``postgresql+...://...``.

    Raises
    ------
    UsageError : the URL is of another kind, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writing = sessionmaker(self.engine, expire_on_commit=False)
        self._reading = sessionmaker(self.engine.execution_options(cacseg_reads=True), expire_on_commit=False)

    @contextmanager
    def session(self, *, write: bool = True) -> Iterator[Session]:
        """Open one transaction: committed at the end, rolled back by an exception.

        Parameters
        ----------
        write : take the write lock at once; ``False`` for transactions that only read.
        """
        with (self._writing if write else self._reading).begin() as session:
            yield session
            for step in session.info.pop(AT_END, ()):
                step()

    def create(self) -> None:
        """Make the tables where they are not there yet; several hosts may do so at the same moment.

        Raises
        ------
        UsageError : the tables are of another version of cacseg.
        """
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CREATING})
            Base.metadata.create_all(connection)
        with self.session() as session:
            insert_if_new(session, Schema, {"version": SCHEMA_VERSION})
            found = [row.version for row in session.query(Schema)]
        if found != [SCHEMA_VERSION]:
            raise UsageError(
                f"The database holds tables of version {', '.join(sorted(found))}, expected {SCHEMA_VERSION}. Run the "
                "cacseg that made it, or start with another data folder."
            )

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def at_end(session: Session, step: Callable[[], None]) -> None:
    """Do something as the last part of a transaction of ``Database.session``, if it gets that far."""
    session.info.setdefault(AT_END, []).append(step)


def insert_if_new(session: Session, table: type[Base], values: Mapping[str, Any]) -> bool:
    """Insert a row unless a unique key of it is taken; say whether it was inserted."""
    kind = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    result = session.execute(kind.insert(table).values(**values).on_conflict_do_nothing())
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_size=20, max_overflow=60, pool_pre_ping=not url.startswith("sqlite"))
    except Exception as error:  # SQLAlchemy and the drivers raise unrelated types
        raise UsageError(f"The database URL cannot be used ({type(error).__name__}: {error}).") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name != "postgresql":
        raise UsageError(f"The database is {engine.dialect.name}; expected sqlite or postgresql.")
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={int(BUSY_S * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("cacseg_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
