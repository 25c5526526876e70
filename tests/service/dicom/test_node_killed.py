"""The node killed in the middle of a transfer: what it called stored is there, and the rest can be sent again."""

import io
import signal
import subprocess
import sys

import pytest
from pydicom import dcmread
from sqlalchemy import select

from cacseg.service.database import Instance, Study
from cacseg.service.services import Services
from cacseg.service.settings import Settings

NODE = """
import sys
from pathlib import Path
from cacseg.service.node import Node
from cacseg.service.services import Services
from cacseg.service.settings import Settings
dicom = {"port": 0, "allowed": {"SCANNER": None}}
node = Node(Services.of(Settings(data=Path(sys.argv[1]), min_free_bytes=0, dicom=dicom)))
node.start()
print(node.port, flush=True)
sys.stdin.read()
node.stop()
"""
IMAGES, KILLED_AFTER = 24, 10


@pytest.fixture
def start(tmp_path):
    running = []

    def started():
        process = subprocess.Popen(
            [sys.executable, "-c", NODE, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process, int(process.stdout.readline())

    yield started
    for process in running:
        process.communicate(timeout=60)


def test_nothing_that_was_called_stored_is_lost(start, associate, ct_image, ct_file, tmp_path):
    process, port = start()
    answered = []
    with associate(port) as peer:
        for number in range(IMAGES):
            if number == KILLED_AFTER:
                process.send_signal(signal.SIGKILL)
            image = ct_image(number=number)
            try:
                answer = peer.answer(image)
            except RuntimeError:
                break
            if answer.get("Status") == 0x0000:
                answered.append(str(image.SOPInstanceUID))
    assert len(answered) >= KILLED_AFTER
    assert len(answered) < IMAGES
    process.wait(timeout=60)
    settings = Settings(data=tmp_path / "data", min_free_bytes=0)
    services = Services.of(settings)
    with services.database.session(write=False) as session:
        kept = {row.sop_instance_uid: row for row in session.scalars(select(Instance))}
    services.database.close()
    assert set(answered) <= set(kept)
    for uid, row in kept.items():
        assert dcmread(settings.incoming / row.path) == dcmread(io.BytesIO(ct_file(number=int(uid.rpartition(".")[2]))))

    _, port = start()
    with associate(port) as peer:
        assert [peer.send(ct_image(number=number)) for number in range(IMAGES)] == [0x0000] * IMAGES
    services = Services.of(settings)
    with services.database.session(write=False) as session:
        assert len(session.scalars(select(Instance.path)).all()) == IMAGES
        assert session.scalars(select(Study.generation)).one() == 1
    assert services.audit.verify().holds
    services.database.close()
