"""A service on a folder of its own, small DICOM files, tokens, and a scorer that takes no time."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cacseg import pipeline
from cacseg.report.specimen import specimen
from cacseg.service.app import make_app
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.worker import Worker

with warnings.catch_warnings():  # Starlette would rather have a successor of httpx
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


def _build():
    """The builder of synthetic DICOM objects of the tests of reading (test folders are no packages)."""
    if "study_build" not in sys.modules:
        path = Path(__file__).parents[1] / "study" / "build.py"
        spec = importlib.util.spec_from_file_location("study_build", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["study_build"] = module
        spec.loader.exec_module(module)
    return sys.modules["study_build"]


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "service", workers=0, min_free_bytes=0, rate_per_minute=100_000)


@pytest.fixture
def services(settings):
    made = Services.of(settings)
    yield made
    made.database.close()


@pytest.fixture(scope="session")
def dicom_files(tmp_path_factory):
    """Make the instances of one small study: ``dicom_files(study=1, count=3, **tags)`` gives their paths."""
    build, root, made = _build(), tmp_path_factory.mktemp("instances"), {}

    def files(study=1, count=3, first=0, **tags):
        key = (study, count, first, str(tags))
        if key not in made:
            uid = f"1.2.826.0.1.3680043.10.999.{study}"
            folder = root / str(len(made))
            made[key] = [
                build.save(
                    build.ct(np.full((8, 8), index), index, series=f"{uid}.1", study=uid, **tags),
                    folder / f"IM{index:04d}",
                )
                for index in range(first, first + count)
            ]
        return made[key]

    return files


@pytest.fixture(scope="session")
def small_study(tmp_path_factory):
    """The folder of a digital patient with calcium, small enough to be scored quickly."""
    from cacseg.data.phantom import digital_patient, write_study

    scan = digital_patient(
        7, "gated", slices=40, matrix=256, increment_mm=3.0, slice_thickness_mm=3.0, target_agatston=200.0
    )
    return write_study(scan, tmp_path_factory.mktemp("phantom") / "study", extras=False)


@pytest.fixture
def app(settings):
    made = make_app(settings)
    yield made
    made.state.services.database.close()


@pytest.fixture
def house(app):
    """The services of ``app``."""
    return app.state.services


@pytest.fixture
def client(app, house):
    """A client with the token of an administrator; what runs beside the routes is not started."""
    token = house.access.add("administrator", "admin", "test")
    return TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def specimens():
    """Report inputs by kind, made once."""
    made = {}

    def give(kind):
        if kind not in made:
            made[kind] = specimen(kind, (12, 64, 64))
        return made[kind]

    return give


@pytest.fixture
def scored_at_once(monkeypatch, specimens):
    """Let every study be scored without a network; gives the list of folders that were read, and the kind."""
    state = SimpleNamespace(folders=[], kind="mild")

    def score_study(path, settings, release=None):
        state.folders.append(path)
        inputs = specimens(state.kind)
        result = replace(inputs.result, study_instance_uid=path.name)
        return pipeline.Outcome(result, inputs.volume, inputs.labels, inputs.sources)

    monkeypatch.setattr(pipeline, "score_study", score_study)
    return state


@pytest.fixture
def make_worker():
    """Make a worker whose release is never run."""

    def make(services, owner="worker", **further):
        release = SimpleNamespace(name="none", version="0")
        return Worker(services.settings, services.database, owner, release=release, **further)

    return make


@pytest.fixture
def postgresql_url(postgresql_socket):
    """An empty database on the PostgreSQL server of the tests."""
    name = f"test_{uuid.uuid4().hex}"
    subprocess.run(["createdb", "-h", postgresql_socket, "-U", "cacseg", name], check=True, capture_output=True)
    return f"postgresql+pg8000://cacseg@/{name}?unix_sock={postgresql_socket}/.s.PGSQL.5432"


@pytest.fixture(scope="session")
def postgresql_socket():
    """The folder of the socket of a PostgreSQL server that the tests start."""
    binaries = Path(shutil.which("postgres")).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="cacseg-pg-"))
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    run = lambda *command: subprocess.run([*as_user, *command], check=True, capture_output=True, cwd=folder)  # noqa: E731
    run(binaries / "initdb", "-D", data, "-A", "trust", "-U", "cacseg", "--no-sync")
    run(binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", f"-k {folder} -h '' -F", "start")
    yield folder
    run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)
