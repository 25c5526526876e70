"""``cacseg serve`` as an operator meets it: one command, killed and started again, stopped in good order."""

import argparse
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
from importlib.util import find_spec

import httpx
import pytest

from cacseg import pipeline
from cacseg.engines import SERVICE_ENGINE
from cacseg.errors import MissingExtraError, UsageError
from cacseg.service import command

LAUNCH = "import sys; from cacseg.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"


def run(*words):
    """Run an action in this process; gives exit code, answer, and what people are told."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    written, told = [], []
    code = command.run(parser.parse_args([str(word) for word in words]), written.append, told.append)
    return code, "\n".join(written), "\n".join(told)


@pytest.mark.parametrize("action", [(), ("worker",)])
def test_an_engine_that_is_not_installed_is_said_before_serving(tmp_path, monkeypatch, action):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    with pytest.raises(MissingExtraError, match="--engine onnxruntime"):
        run("--data", tmp_path / "data", *action)
    assert not (tmp_path / "data").exists()


def test_check_prints_the_settings_masked(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("archive: {kind: stow, url: https://a, token: hidden}\n")
    code, written, _ = run("--settings", file, "--port", 9, "check")
    assert (code, json.loads(written)["port"]) == (0, 9)
    assert "hidden" not in written


def test_tokens_are_made_listed_and_revoked(tmp_path):
    data = ("--data", tmp_path / "data")
    _, token, told = run(*data, "token", "add", "CT 1", "--role", "send", "--role", "read")
    assert token.startswith("cacseg_")
    assert "not shown again" in told
    (listed,) = json.loads(run(*data, "token", "list")[1])
    assert (listed["name"], listed["role"], listed["revoked_at"]) == ("CT 1", "send,read", None)
    run(*data, "token", "revoke", listed["id"])
    assert json.loads(run(*data, "token", "list")[1])[0]["revoked_at"] is not None
    with pytest.raises(UsageError):
        run(*data, "token", "revoke", listed["id"])


def test_the_audit_trail_is_checked(tmp_path):
    data = ("--data", tmp_path / "data")
    run(*data, "token", "add", "x", "--role", "read")
    code, written, _ = run(*data, "audit")
    head = json.loads(written)["head"]
    assert (code, run(*data, "audit", "--head", head)[0]) == (0, 0)
    code, written, told = run(*data, "audit", "--head", "f" * 64)
    assert (code, json.loads(written)["broken_at"]) == (1, 2)
    assert "changed" in told


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "fastapi" else object())
    with pytest.raises(MissingExtraError, match=r"fastapi.*cacseg\[serve\]"):
        command.need_serving_stack()


def test_a_data_folder_that_cannot_be_made_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="data folder"):
        run("--data", tmp_path / "file" / "data")


@pytest.fixture
def served(monkeypatch):
    """Keep the options of the HTTP server instead of running it."""
    options = []

    def run(server, sockets):
        server.started = True
        options.append((server.config, sockets[0].getsockname()))

    monkeypatch.setattr("uvicorn.Server.run", run)
    monkeypatch.setattr("cacseg.service.logs.log_as_json", lambda: None)
    return options


def test_the_first_start_makes_one_administrator(tmp_path, served):
    data = ("--data", tmp_path / "data", "--port", 0)
    code, token, told = run(*data)
    ((config, address),) = served
    assert code == 0
    assert token.startswith("cacseg_")
    assert f"http://127.0.0.1:{address[1]}" in told
    assert "synthetic data only" in told
    assert "TLS" not in told
    assert not config.access_log
    assert not config.proxy_headers
    assert run(*data)[1] == ""
    assert "TLS" in run(*data, "--host", "0.0.0.0")[2]


def test_a_port_that_is_taken_is_wrong_usage(tmp_path, served):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="listen"):
        run("--data", tmp_path / "data", "--port", taken.getsockname()[1])
    assert served == []


def test_a_service_that_cannot_start_says_why(tmp_path, monkeypatch, caplog):
    def taken(_self):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr("cacseg.service.background.Background.start", taken)
    monkeypatch.setattr("cacseg.service.logs.log_as_json", lambda: None)
    assert run("--data", tmp_path / "data", "--port", 0, "--workers", 0)[0] == 1
    (said,) = [record for record in caplog.records if record.name == "cacseg.service.app"]
    assert "in use" in said.reason


def test_workers_can_run_elsewhere(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr("cacseg.service.workers.run_worker", ran.append)
    assert run("--data", tmp_path / "data", "worker")[0] == 0
    assert ran[0].data == tmp_path / "data"
    assert (tmp_path / "data" / "scratch").is_dir()


THREADS_OF_A_WORKER = """
import json, sys, types
def run_worker(_settings):
    import numpy, threadpoolctl
    print(json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info()]))
sys.modules["cacseg.service.workers"] = types.SimpleNamespace(run_worker=run_worker)
from cacseg.cli import main
main(["serve", "--data", sys.argv[1], "worker"])
"""


def test_the_arithmetic_of_a_worker_has_one_thread(tmp_path):
    words = [sys.executable, "-c", THREADS_OF_A_WORKER, str(tmp_path / "data")]
    told = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    assert set(json.loads(told.stdout)) == {1}


SCORED = """
import hashlib, json, sys
from cacseg import pipeline
outcome = pipeline.score_study(sys.argv[1])
result = outcome.result.to_dict()
print(json.dumps([result["scores"], result["interval"], hashlib.sha256(outcome.labels).hexdigest()]))
"""


def test_scores_and_labels_do_not_depend_on_the_threads_of_the_arithmetic(small_study):
    answers = [
        subprocess.run(
            [sys.executable, "-c", SCORED, str(small_study / "SE003")],
            capture_output=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert json.loads(answers[0])[0]["total"]["agatston"] > 0


class Running:
    """A service in a process of its own."""

    def __init__(self, folder, *options):
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = (folder / "log").open("ab")
        words = ["--data", str(folder / "data"), "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CACSEG_QUIET_S": "0.5", "CACSEG_LEASE_S": "3"},
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder

    def until(self, true, seconds=240):
        """Wait until something is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := true():
                    return found
            except (httpx.TransportError, KeyError, IndexError):
                pass
            assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def ready(self):
        self.until(lambda: httpx.get(f"{self.url}/healthz").status_code == 200)

    def workers(self):
        lines = [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line.startswith("{")]
        return [int(line["worker"].split(":")[1]) for line in lines if line.get("message") == "worker ready"]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def start(tmp_path):
    """Start a service, or start it again on the same data."""
    started = []

    def begin(*options):
        started.append(Running(tmp_path, *options))
        return started[-1]

    yield begin
    for service in started:
        service.close()


def test_one_command_serves_and_survives_kills(start, small_study):
    service = start()
    service.ready()
    token = service.process.stdout.readline().decode().strip()
    headers = {"Authorization": f"Bearer {token}"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((small_study / "SE003").iterdir()):
            archive.write(path, path.name)

    def detail(name="state"):
        return httpx.get(f"{service.url}/api/studies/{study}", headers=headers).json()[name]

    def complete():
        return [version["complete"] for version in detail("versions")]

    with suppress(httpx.TransportError):  # the connection may be closed before the answer is read
        assert httpx.get(f"{service.url}/healthz", headers={"X-Long": "x" * 200_000}).status_code in (400, 431)
    assert httpx.get(f"{service.url}/healthz").status_code == 200
    answer = httpx.post(
        f"{service.url}/api/studies", content=packed.getvalue(), headers={**headers, "Content-Type": "application/zip"}
    )
    assert answer.status_code == 202, answer.text
    study = answer.json()["studies"][0]["id"]
    service.until(lambda: complete() == [True])
    result = httpx.get(f"{service.url}/api/studies/{study}/result", headers=headers).json()
    alone = pipeline.score_study(small_study / "SE003", pipeline.Settings(engine=SERVICE_ENGINE)).result.to_dict()
    assert result["scores"] == json.loads(json.dumps(alone["scores"]))
    assert result["lesions"] == json.loads(json.dumps(alone["lesions"]))

    os.kill(service.workers()[0], signal.SIGKILL)
    assert httpx.post(f"{service.url}/api/studies/{study}/rescore", headers=headers).status_code == 202
    service.until(lambda: complete() == [True, True])

    second = service.workers()[-1]
    httpx.post(f"{service.url}/api/studies/{study}/rescore", headers=headers)
    service.until(lambda: detail() == "scoring")
    service.process.kill()
    service.process.wait()
    service = start()
    service.ready()
    service.until(lambda: complete() == [True, True, True])
    service.until(lambda: not alive(second))

    last = service.workers()[-1]
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(120) in (0, -signal.SIGTERM)
    assert not alive(last)
    assert run("--data", service.folder / "data", "audit")[0] == 0
    log = (service.folder / "log").read_text()
    assert "Phantom" not in log
    assert "Traceback" not in log
