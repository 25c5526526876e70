"""Five hundred studies in a row through the whole service: everything is scored once, and memory stays flat."""

import io
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import httpx
import pydicom
import pytest

LAUNCH = "import sys; from cacseg.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"
STUDIES = 500
WARM = 60
"""Studies after which every cache and arena has the size that it keeps."""

AHEAD = 6
"""Studies sent before the first of them is done, so that no worker waits."""

GROWTH_MB = 40.0
"""A tenth of a megabyte a study; a small study's voxels alone are 5 MB."""


def renamed(images, number):
    """A zip of the same images as another study."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for place, image in enumerate(images):
            image.StudyInstanceUID = f"1.2.826.0.1.3680043.10.999.7.{number}"
            image.SeriesInstanceUID = f"{image.StudyInstanceUID}.1"
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{image.SeriesInstanceUID}.{place}"
            file = io.BytesIO()
            image.save_as(file)
            archive.writestr(str(place), file.getvalue())
    return packed.getvalue()


def largest_mb(pid):
    """Most memory that a process has had."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def until(true, seconds=240):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_memory_stays_flat_over_many_studies(small_study, tmp_path):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    words = ["--data", str(tmp_path / "data"), "--port", str(port)]
    words += ["--workers", "2", "--threads", "1"]
    with log.open("wb") as told:
        server = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdout=subprocess.PIPE,
            stderr=told,
            env={**os.environ, "CACSEG_RATE_PER_MINUTE": "1000000"},
        )

    try:
        token = server.stdout.readline().decode().strip()
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=120, headers={"Authorization": f"Bearer {token}"}
        )
        until(lambda: log.read_text().count('"worker ready"') == 2)
        workers = sorted(set(re.findall(r'"worker": "[^":]+:(\d+):', log.read_text())))
        processes = {"server": server.pid, **{f"worker {pid}": pid for pid in workers}}
        images = [pydicom.dcmread(path) for path in sorted((small_study / "SE003").iterdir())]
        marks, places = {}, []
        for number in range(STUDIES + AHEAD):
            if number < STUDIES:
                answer = client.post(
                    "/api/studies", content=renamed(images, number), headers={"Content-Type": "application/zip"}
                )
                assert answer.status_code == 202, answer.text
                places.append(f"/api/studies/{answer.json()['studies'][0]['id']}")
            done = number - AHEAD
            if done >= 0:
                place = places[done]
                until(lambda place=place: [each["complete"] for each in client.get(place).json()["versions"]] == [True])
            if done + 1 in (WARM, STUDIES):
                marks[done + 1] = {name: largest_mb(pid) for name, pid in processes.items()}
        listed = client.get("/api/studies?limit=500").json()["studies"]
        client.close()
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()
    assert {study["state"] for study in listed} == {"scored"}
    assert [study["version"] for study in listed] == [1] * STUDIES
    assert len({study["agatston"] for study in listed}) == 1
    assert len(re.findall('"study done"', log.read_text())) == STUDIES
    assert len(workers) == 2
    grown = {name: marks[STUDIES][name] - marks[WARM][name] for name in processes}
    print(f"largest, MB, after {WARM} and {STUDIES} studies: {marks}")
    assert max(grown.values()) < GROWTH_MB, marks
