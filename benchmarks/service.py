"""Load on ``cacseg serve``: time from the last byte to the score, studies an hour, memory over many studies.

Run: ``.venv-dev/bin/python benchmarks/service.py [--studies 30] [--workers 1] [--threads 2] [--small]``. Studies are
gated, 57 x 512 x 512, uploaded as zip over loopback; with ``--small`` 40 x 256 x 256, for long runs that watch memory
(``--small --studies 500``). One worker of two threads answers soonest, two of one thread get most done.
One patient is made and sent again under new UIDs, which the service cannot know.
"""

import argparse
import http.client
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import closing
from pathlib import Path

import httpx
from pydicom import dcmread
from pydicom.uid import generate_uid

from cacseg.engines import ENGINES, SERVICE_ENGINE, Engine

LAUNCH = "from cacseg.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
TICKS = os.sysconf("SC_CLK_TCK")
MB = 1024**2


class Server:
    """The service in a process of its own."""

    def __init__(self, folder: Path, workers: int, threads: int, engine: Engine) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = ["serve", "--data", str(folder / "data"), "--port", str(port)]
        words += ["--workers", str(workers), "--threads", str(threads), "--engine", engine]
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            env={**os.environ, "CACSEG_RATE_PER_MINUTE": "10000000", "CACSEG_MAX_WAITING": "100000"},
        )
        token = self.process.stdout.readline().decode().strip()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=120
        )
        while self.log.read_text().count("worker ready") < workers:
            time.sleep(0.1)

    def send(self, archive: bytes) -> str:
        """Upload one study; give its identifier once the service has answered."""
        answer = self.client.post("/api/studies", content=archive, headers={"Content-Type": "application/zip"})
        answer.raise_for_status()
        return answer.json()["studies"][0]["id"]

    def send_file(self, path: Path) -> str:
        """Upload one study with as little work of this process as possible, for it has the service's cores."""
        where = self.client.base_url
        with (
            closing(http.client.HTTPConnection(where.host, where.port, timeout=120)) as connection,
            path.open("rb") as file,
        ):
            connection.putrequest("POST", "/api/studies")
            fields = {"Content-Type": "application/zip", "Content-Length": str(path.stat().st_size)}
            for name, value in {**fields, "Authorization": self.client.headers["Authorization"]}.items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.sock.sendfile(file)
            return json.load(connection.getresponse())["studies"][0]["id"]

    def wait(self, study: str, complete: bool = False, every_s: float = 0.05) -> dict:
        """Wait for the score, or for every form; asking costs the service a few milliseconds each time."""
        while True:
            found = self.client.get(f"/api/studies/{study}").json()
            if found["state"] == "failed":
                raise RuntimeError(found["message"])
            if found["versions"] and (found["versions"][-1]["complete"] or not complete):
                return found
            time.sleep(every_s)

    def usage(self) -> dict[str, tuple[float, float]]:
        """CPU seconds and memory in MB of the server and of each worker."""
        used = {}
        for name, pid in {"server": self.process.pid, **self.workers()}.items():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
            used[name] = cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / MB
        return used

    def workers(self) -> dict[str, int]:
        """Process identifiers of the workers, from the log."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if '"worker ready"' in line]
        return {f"worker {n}": int(line["worker"].split(":")[1]) for n, line in enumerate(lines)}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def make_objects(folder: Path, small: bool) -> list:
    """The instances of one digital patient, as data sets."""
    from cacseg.data.phantom import digital_patient, write_study

    shape = {"slices": 40, "matrix": 256} if small else {"slices": 57}
    scan = digital_patient(
        11_000_007, "gated", increment_mm=3.0, slice_thickness_mm=3.0, target_agatston=350.0, **shape
    )
    study = write_study(scan, folder / "study", extras=False)
    return [dcmread(path) for path in sorted(study.glob("SE003/*"))]


def renamed(objects: list) -> bytes:
    """A zip of the same images as another study."""
    study, series = generate_uid(), generate_uid()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number, each in enumerate(objects):
            each.StudyInstanceUID, each.SeriesInstanceUID = study, series
            each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = f"{series[:58]}.{number}"
            content = io.BytesIO()
            each.save_as(content)
            archive.writestr(f"{number}", content.getvalue())
    return packed.getvalue()


def one_by_one(server: Server, objects: list, count: int) -> None:
    """Latency of studies that meet an idle service."""
    uploads, scores, forms = [], [], []
    for _ in range(count):
        archive = renamed(objects)
        begun = time.perf_counter()
        study = server.send(archive)
        uploads.append(time.perf_counter() - begun)
        found = server.wait(study)
        scores.append(time.perf_counter() - begun - uploads[-1])
        server.wait(study, complete=True)
        forms.append(time.perf_counter() - begun - uploads[-1])
    print(f"one study at a time, {len(archive) / MB:.0f} MB each, Agatston {found['agatston']:.1f}")
    for name, values in (("upload", uploads), ("last byte to score", scores), ("last byte to every form", forms)):
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
        print(f"  {name:24} s: p50 {statistics.median(values):.2f}  p95 {p95:.2f}  max {ordered[-1]:.2f}")


def all_at_once(server: Server, objects: list, count: int, folder: Path) -> None:
    """Throughput of a queue that never runs dry, and memory on the way."""
    archives = []
    for number in range(count):
        archives.append(folder / f"{number}.zip")
        archives[-1].write_bytes(renamed(objects))
    before = server.usage()
    begun = time.perf_counter()
    studies: list[str] = []

    def send() -> None:
        studies.extend(server.send_file(archive) for archive in archives)

    sender = threading.Thread(target=send)
    sender.start()
    done, marks = 0, []
    while done < count:
        if done < len(studies):
            server.wait(studies[done], complete=True, every_s=0.25)
            done += 1
            if done % max(1, count // 10) == 0:
                marks.append(server.usage())
        else:
            time.sleep(0.02)
    sender.join()
    seconds = time.perf_counter() - begun
    after = server.usage()
    print(
        f"{count} studies at once: {seconds:.1f} s, {count / seconds:.2f} a second, {3600 * count / seconds:.0f} an hour"
    )
    used = {name: (after[name][0] - before[name][0]) / count for name in before}
    print(
        f"  CPU of server and workers: {sum(used.values()):.2f} s a study;", *(f"{n} {s:.2f}" for n, s in used.items())
    )
    for name in before:
        print(
            f"  memory of {name}, MB: before {before[name][1]:.0f}, then every {max(1, count // 10)} studies",
            *(f"{mark[name][1]:.0f}" for mark in marks),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", choices=ENGINES, default=SERVICE_ENGINE)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service ends with its benchmark
    print(
        f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; {arguments.workers} workers, {arguments.threads} threads"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = make_objects(folder, arguments.small)
        server = Server(folder, arguments.workers, arguments.threads, arguments.engine)
        try:
            one_by_one(server, objects, min(30, max(3, arguments.studies // 3)))
            all_at_once(server, objects, arguments.studies, folder)
        finally:
            server.close()


if __name__ == "__main__":
    main()
