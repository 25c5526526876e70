"""A study that was scored once for the session; every test gets a copy of the whole service folder."""

import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from cacseg.acquisition import Acquisition
from cacseg.report.specimen import specimen
from cacseg.service.app import make_app
from cacseg.service.review.scan import Scan
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.worker import Worker

from fastapi.testclient import TestClient  # isort: skip


def opened(data, **further):
    """Settings of a service on a folder, without workers."""
    return Settings(data=data, workers=0, min_free_bytes=0, rate_per_minute=100_000, **further)


@pytest.fixture(scope="session")
def template(small_study, tmp_path_factory):
    """A service folder with one study, scored by the release."""
    data = tmp_path_factory.mktemp("template") / "service"
    services = Services.of(opened(data, threads=1))
    files = [path for path in sorted(small_study.rglob("*")) if path.is_file() and path.suffix != ".json"]
    receipt = services.inbox.put_all(files, "test", "test")
    study_id = receipt.stored[0].study_id
    services.inbox.complete(study_id)
    assert Worker(services.settings, services.database, "worker").run_once()
    services.database.close()
    return SimpleNamespace(data=data, study_id=study_id)


@contextmanager
def running(template, data):
    """A service on a copy of the scored study: clients of two reviewers and a reader, and a way to start another."""
    shutil.copytree(template.data, data)
    apps = []

    def start(**further):
        app = make_app(opened(data, **further))
        apps.append(app)
        return app

    app = start(deliveries={"fhir": str(data.parent / "fhir"), "oru": str(data.parent / "oru")})
    house = app.state.services
    tokens = {name: house.access.add(name, role, "test") for name, role in ROLES.items()}

    def client(name, of=app):
        return TestClient(of, headers={"Authorization": f"Bearer {tokens[name]}"}, raise_server_exceptions=False)

    at = f"/api/studies/{template.study_id}"
    yield SimpleNamespace(
        data=data, house=house, app=app, tokens=tokens, start=start, client=client, study_id=template.study_id, at=at
    )
    for one in apps:
        one.state.services.database.close()


@pytest.fixture
def reading(template, tmp_path):
    """A service of the test's own."""
    with running(template, tmp_path / "service") as made:
        yield made


@pytest.fixture(scope="module")
def kept_reading(template, tmp_path_factory):
    """A service that the tests of a module share and only read from."""
    with running(template, tmp_path_factory.mktemp("kept") / "service") as made:
        yield made


@pytest.fixture(scope="module")
def untouched(template, tmp_path_factory):
    """A service whose study stays as it was scored."""
    with running(template, tmp_path_factory.mktemp("untouched") / "service") as made:
        yield made


ROLES = {"Jane": "review", "Ben": "review", "Rita": "read"}


@pytest.fixture(scope="session")
def severe():
    """A scan with calcium under every label."""
    inputs = specimen("severe")
    confident = inputs.result
    return Scan(inputs.volume, inputs.labels, confident, Acquisition(noise_sd_hu=14.0), inputs.sources)
