"""Everything that can be set, with every default, from one YAML file, the environment and the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from sqlalchemy.engine import make_url

from cacseg.engines import DEFAULT_THREADS, SERVICE_ENGINE, Engine
from cacseg.errors import UsageError
from cacseg.pipeline import ALL_RULES, DEFAULT_RULE
from cacseg.scoring import rule_named

RETRY_S: Final = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)
"""Waits between attempts of a delivery: an archive may be down for a night without anybody's attention."""

FREE_BYTES: Final = 512 * 1024**2
"""Free disk space below which no further study is taken in."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSettings(_Part):
    """Certificate, key and the authority that peers are checked against (PEM files)."""

    certificate: Path
    key: Path
    ca: Path | None = None


class DicomSettings(_Part):
    """The DICOM node.

    Parameters
    ----------
    allowed : calling AE titles that may store, each with the host it must come from, or ``None`` for any.
    """

    aet: str = Field("CACSEG", min_length=1, max_length=16)
    host: str = "127.0.0.1"
    port: int = Field(11112, ge=0, le=65535)
    allowed: dict[str, str | None] = {}
    tls: TlsSettings | None = None
    max_associations: int = Field(32, ge=1)
    max_pdu: int = Field(131072, ge=4096)


class ArchiveSettings(_Part):
    """Where DICOM results go: an archive by C-STORE (``dimse``) or by STOW-RS (``stow``)."""

    kind: Literal["dimse", "stow"]
    aet: str = "ARCHIVE"
    host: str = "127.0.0.1"
    port: int = Field(104, ge=1, le=65535)
    url: str | None = None
    token: SecretStr | None = None
    retry_s: tuple[float, ...] = RETRY_S
    tls: TlsSettings | None = None


class WebhookSettings(_Part):
    """Where a finished study is announced, and the secret that signs the message."""

    url: str
    secret: SecretStr


class DeliverySettings(_Part):
    """Further ways out: FHIR bundle and ORU message to a folder or an address, and a webhook."""

    fhir: str | None = None
    oru: str | None = None
    webhook: WebhookSettings | None = None
    retry_s: tuple[float, ...] = RETRY_S


class Settings(BaseSettings):
    """Settings of one service.

    Precedence: command line, environment (``CACSEG_PORT``, ``CACSEG_DICOM__AET``), YAML file, the defaults here.

    Parameters
    ----------
    data : folder of everything the service keeps.
    host, port : of the HTTP door; loopback unless told otherwise.
    database : SQLAlchemy URL; a SQLite file in ``data`` where ``None``.
    quiet_s : seconds without a new instance after which a study counts as complete.
    workers : scoring processes started beside the server; 0 where they run elsewhere (``cacseg serve worker``).
    threads : threads of the network in each worker.
    engine : what runs the network there, ``onnxruntime`` or ``openvino``.
    rule, release : what studies are scored with.
    max_upload_mb : largest request.
    max_waiting : studies that may wait to be scored before senders are told to come back.
    min_free_bytes : free disk space below which senders are told the same.
    rate_per_minute : requests that one token, or one address without a token, may make.
    retention_days : age after which a finished study is securely deleted; never where ``None``.
    lease_s : seconds after which the job of a silent worker is given to another one.
    job_limit_s : seconds that a worker may take over a study before it is ended and the study tried again.
    max_attempts : times a study is tried before it counts as failed.
    session_hours : life of a browser session.
    tls : certificate and key for HTTPS; plain HTTP where ``None``.
    proxy : address of a reverse proxy whose ``X-Forwarded-*`` headers are believed; nobody's where ``None``.
    dicom : the DICOM node; none where ``None``.
    archive, deliveries : where results are sent.
    watch : folder in which studies appear.
    triton : address of a KServe v2 server that runs the network instead of this process.
    """

    model_config = SettingsConfigDict(
        env_prefix="CACSEG_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    data: Path = Path("cacseg-service")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    database: str | None = None
    quiet_s: float = Field(5.0, ge=0)
    workers: int = Field(1, ge=0, le=256)
    threads: int = Field(DEFAULT_THREADS, ge=1)
    engine: Engine = SERVICE_ENGINE
    rule: str = DEFAULT_RULE
    release: str | None = None
    max_upload_mb: int = Field(2048, ge=1)
    max_waiting: int = Field(500, ge=1)
    min_free_bytes: int = Field(FREE_BYTES, ge=0)
    rate_per_minute: int = Field(600, ge=1)
    retention_days: float | None = Field(None, gt=0)
    lease_s: float = Field(120.0, gt=0)
    job_limit_s: float = Field(600.0, gt=0)
    max_attempts: int = Field(3, ge=1)
    session_hours: float = Field(12.0, gt=0)
    tls: TlsSettings | None = None
    proxy: str | None = None
    dicom: DicomSettings | None = None
    archive: ArchiveSettings | None = None
    deliveries: DeliverySettings = DeliverySettings()
    watch: Path | None = None
    triton: str | None = None
    settings_file: Path | None = Field(None, exclude=True)

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        return name if name == ALL_RULES else rule_named(name).name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; the YAML file is the one that the call names."""
        file = getattr(init_settings, "init_kwargs", {}).get("settings_file")
        if file is None:
            return init_settings, env_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file)

    @classmethod
    def load(cls, file: Path | None = None, **given: Any) -> Self:
        """Gather the settings.

        Parameters
        ----------
        file : YAML file.
        given : settings that override file and environment; ``None`` stands for not given.

        Raises
        ------
        UsageError : the file is missing or no YAML, or a setting is unknown or out of range.
        """
        if file is not None and not file.is_file():
            raise UsageError(f"There is no settings file {file}; give a YAML file or leave --settings out.")
        try:
            return cls(settings_file=file, **{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise UsageError(f"The settings do not hold: {faults}. See docs/service.md for what can be set.") from error
        except (yaml.YAMLError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{file} is no YAML mapping of settings ({type(error).__name__}: {error}).") from error

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the index and the queue."""
        return self.database or f"sqlite:///{self.data.resolve() / 'cacseg.sqlite'}"

    @property
    def incoming(self) -> Path:
        """Received instances: ``<study key>/<sha256 of SOPInstanceUID>.dcm``."""
        return self.data / "incoming"

    @property
    def results(self) -> Path:
        """Results: ``<study id>/v<N>/``."""
        return self.data / "results"

    @property
    def scratch(self) -> Path:
        """Files not yet complete, on the same file system."""
        return self.data / "scratch"

    def make_folders(self) -> None:
        """Make the folders, for this user alone."""
        for folder in (self.data, self.incoming, self.results, self.scratch):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def version_folder(self, study_id: str, version: int) -> Path:
        """Folder of one version of a study's result."""
        return self.results / study_id / f"v{version}"

    def masked(self) -> Mapping[str, Any]:
        """Give the settings as JSON-ready data, without a secret in it."""
        shown = self.model_dump(mode="json")
        if self.database is not None:
            shown["database"] = make_url(self.database).render_as_string(hide_password=True)
        return shown
