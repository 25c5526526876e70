"""Two service hosts on one PostgreSQL and one shared folder: each takes in, scores and shows what the other has."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from contextlib import closing, suppress

import httpx
import pydicom
import pytest
from sqlalchemy import select

from cacseg.service.database import AuditEntry, Instance, Job, Study, Version
from cacseg.service.services import Services
from cacseg.service.settings import Settings

pytestmark = [pytest.mark.system("postgres", "psql"), pytest.mark.slow]

LAUNCH = "import sys; from cacseg.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"
SCORED = 4
REFUSED = 6


class Host:
    """``cacseg serve`` in a process of its own, with one worker."""

    def __init__(self, name, folder, database):
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.path = folder / f"{name}.log"
        self.log = self.path.open("wb")
        environment = {"CACSEG_DATABASE": database, "CACSEG_LEASE_S": "3", "CACSEG_QUIET_S": "3600"}
        words = ["--data", str(folder / "shared"), "--port", str(port), "--threads", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, **environment},
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)

    def lines(self, message):
        """What its log says under a message."""
        lines = [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("message") == message]

    def ready(self):
        with suppress(httpx.TransportError):
            return self.client.get("/healthz").status_code == 200 and self.lines("worker ready")

    def kill(self):
        """Let the host be gone at once: server and worker."""
        workers = [int(line["worker"].split(":")[1]) for line in self.lines("worker ready")]
        for pid in (self.process.pid, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self):
        self.kill()
        self.process.wait()
        self.process.stdout.close()
        self.client.close()
        self.log.close()


@pytest.fixture
def hosts(tmp_path, postgresql_url):
    """Two hosts that are started at the same moment on an empty folder and an empty database."""
    services, made = None, [Host(name, tmp_path, postgresql_url) for name in ("first", "second")]
    try:
        until(lambda: all(host.ready() for host in made), made)
        services = Services.of(Settings(data=tmp_path / "shared", database=postgresql_url, workers=0))
        token = services.access.add("tester", "admin", "test")
        for host in made:
            host.client.headers["Authorization"] = f"Bearer {token}"
        yield services, made
    finally:
        for host in made:
            host.close()
        if services is not None:
            services.database.close()


def until(true, hosts, seconds=240):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, [host.path.read_text()[-2000:] for host in hosts]
        time.sleep(0.1)
    return found


def renamed(paths, study):
    """The same images as another study, in two zips of every second one."""
    packed = [io.BytesIO(), io.BytesIO()]
    for half, content in enumerate(packed):
        with zipfile.ZipFile(content, "w") as archive:
            for number, path in enumerate(paths[half::2]):
                image = pydicom.dcmread(path)
                image.StudyInstanceUID, image.SeriesInstanceUID = study, f"{study}.1"
                image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{study}.1.{half}.{number}"
                file = io.BytesIO()
                image.save_as(file)
                archive.writestr(str(number), file.getvalue())
    return [content.getvalue() for content in packed]


def send(host, content, complete):
    answer = host.client.post(
        f"/api/studies?complete={complete}", content=content, headers={"Content-Type": "application/zip"}
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["studies"][0]["id"]


def test_two_hosts_share_everything_and_one_outlives_the_other(hosts, small_study, dicom_files):
    services, (first, second) = hosts
    paths = sorted((small_study / "SE003").iterdir())
    contents = [renamed(paths, f"1.2.826.0.1.3680043.10.999.8.{number}") for number in range(SCORED)]
    contents += [renamed(dicom_files(), f"1.2.826.0.1.3680043.10.999.9.{number}") for number in range(REFUSED)]
    studies = []
    for one, other in contents:  # one half by each host, so that no host alone has a whole study
        study = send(first, one, False)
        assert send(second, other, True) == study
        studies.append(study)

    def rows(table):
        with services.database.session(write=False) as session:
            return session.scalars(select(table)).all()

    until(lambda: first.lines("study done"), (first, second))
    first.kill()
    until(lambda: sum(version.complete for version in rows(Version)) == len(studies), (second,))

    found = {study.id: study for study in rows(Study)}
    assert sorted(found) == sorted(studies)
    assert [found[study].state for study in studies] == ["scored"] * SCORED + ["refused"] * REFUSED
    assert len({found[study].agatston for study in studies[:SCORED]}) == 1
    assert found[studies[0]].agatston > 0
    assert [(version.version, version.complete) for version in rows(Version)] == [(1, True)] * len(studies)
    assert {job.state for job in rows(Job)} == {"done"}
    assert len(rows(Instance)) == SCORED * len(paths) + REFUSED * 3
    actions = [entry.action for entry in rows(AuditEntry)]
    assert actions.count("version.automatic") == actions.count("study.received") == len(studies)
    assert services.audit.verify().holds
    assert second.lines("study done")
    for study in studies:
        answer = second.client.get(f"/api/studies/{study}/result")
        assert answer.content == (services.settings.version_folder(study, 1) / "result.json").read_bytes()
    assert second.client.get(f"/api/studies/{studies[0]}/files/report.pdf").content.startswith(b"%PDF")
    assert not list(services.settings.results.glob("*/.v*"))
    assert second.client.delete(f"/api/studies/{studies[0]}").status_code == 204
    for host in (first, second):
        assert "Phantom" not in host.path.read_text()
