"""The networks behind a KServe v2 server give the labels that they give here."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from cacseg.errors import ReleaseError, UsageError
from cacseg.infer import Release, assign, load_release
from cacseg.infer.closeup import BATCH, CHANNELS, FACTS, OWNERS, PATCH
from cacseg.infer.kserve import HEADER_LENGTH, ServedModel, serve_elsewhere, served_name


class Handler(BaseHTTPRequestHandler):
    """As much of the protocol as a client meets; ``server.models`` holds ONNX Runtime sessions."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def reply(self, status: int, content: bytes, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def session(self, verb: str) -> Any:
        parts = self.path.split("/")
        assert parts[1:3] == ["v2", "models"]
        assert parts[4] == verb
        self.server.asked.append((verb, parts[3]))
        return self.server.models.get(parts[3])

    def do_GET(self) -> None:
        known = self.session("ready") is not None
        self.reply(200 if known else 404, b"" if known else b'{"error":"unknown model"}')

    def do_POST(self) -> None:
        session = self.session("infer")
        length = int(self.headers[HEADER_LENGTH])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked, at, feeds = json.loads(body[:length]), length, {}
        for each in asked["inputs"]:
            size = each["parameters"]["binary_data_size"]
            assert each["datatype"] == "FP32"
            feeds[each["name"]] = np.frombuffer(body[at : at + size], "<f4").reshape(each["shape"])
            at += size
        names = [each["name"] for each in asked["outputs"]]
        arrays = dict(zip(names, session.run(names, feeds), strict=True))
        described = [
            {
                "name": name,
                "datatype": "FP32",
                "shape": list(array.shape),
                **({"parameters": {"binary_data_size": array.nbytes}} if self.server.binary else {}),
                **({} if self.server.binary else {"data": array.reshape(-1).tolist()}),
            }
            for name, array in reversed(arrays.items())
        ]
        header = self.server.spoil(json.dumps({"model_name": "m", "outputs": described}).encode())
        tensors = [array.tobytes() for array in reversed(arrays.values())] if self.server.binary else []
        fields = {HEADER_LENGTH.replace("-", "_"): str(len(header))} if self.server.binary else {}
        self.reply(200, b"".join([header, *tensors]), **fields)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.models, made.asked, made.binary, made.spoil = {}, [], True, lambda header: header
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def hold(server: ThreadingHTTPServer, release: Release) -> None:
    digests = release.metadata["cacseg"]["sha256"]
    for network, session in release.sessions.items():
        server.models[served_name(release.name, network, digests[f"{network}.onnx"])] = session


def speckled(ball_heart: Any) -> Any:
    volume = ball_heart()
    hu = volume.voxels.copy()
    hu[20:23, 60:64, 50:54], hu[26:28, 70:73, 80:83] = 300, 600
    return volume.with_voxels(hu)


def test_labels_from_a_server_are_those_from_here(server, tiny_release, ball_heart) -> None:
    local, volume = load_release(tiny_release), speckled(ball_heart)
    hold(server, local)
    remote = serve_elsewhere(local, address(server) + "/")
    here, there = assign(volume, local), assign(volume, remote)
    assert np.count_nonzero(here.labels) > 20
    np.testing.assert_array_equal(there.labels, here.labels)
    np.testing.assert_array_equal(there.confidence, here.confidence)
    assert {name for verb, name in server.asked if verb == "infer"} == set(server.models)
    assert remote.describe() == local.describe()


class Session:
    """A network that gives its input twice, three times and so on."""

    def run(self, names, feeds):
        return [feeds["cells"] * factor for factor, _ in enumerate(names, start=2)]


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_come_back_in_the_order_asked_for(server, binary) -> None:
    server.binary, server.models["m"] = binary, Session()
    cells = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    two, three = ServedModel(address(server), "m").run(["two", "three"], {"cells": cells[:, :, ::-1]})
    np.testing.assert_array_equal(two, cells[:, :, ::-1] * 2)
    np.testing.assert_array_equal(three, cells[:, :, ::-1] * 3)


def test_the_shipped_release_from_a_server(server, ball_heart) -> None:
    local = load_release()
    hold(server, local)
    remote = serve_elsewhere(local, address(server))
    cells = np.random.default_rng(0).normal(0, 100, (1, 1, *local.scout_grid.shape)).astype(np.float32)
    np.testing.assert_array_equal(remote.predict_heart(cells), local.predict_heart(cells))
    rng = np.random.default_rng(1)
    given = {
        "patches": rng.normal(50, 300, (3, len(CHANNELS), *PATCH.shape)),
        "facts": rng.normal(0, 1, (3, len(FACTS))),
    }
    given = {name: array.astype(np.float32) for name, array in given.items()}
    there, here = (each.sessions["closeup"].run(["change"], given)[0] for each in (remote, local))
    assert there.shape == (3, len(OWNERS))
    np.testing.assert_array_equal(there, here)


def test_other_weights_are_refused(server, tiny_release) -> None:
    local = load_release(tiny_release)
    server.models["tiny-calcium-000000000000"] = local.calcium_session
    with pytest.raises(ReleaseError, match=r"answered 404 for the model tiny-calcium-\w{12} .*unknown model"):
        serve_elsewhere(local, address(server))


@pytest.mark.parametrize(
    ("found", "instead"),
    [(b'"two"', b'"one"'), (b"FP32", b"FP16"), (b'"shape"', b'"other"'), (b"[1, 2", b"[1, 9"), (b"{", b"[")],
)
def test_an_answer_of_another_form_is_refused(server, found, instead) -> None:
    server.models["m"] = Session()
    server.spoil = lambda header: header.replace(found, instead, 1)
    with pytest.raises(ReleaseError, match="something else than"):
        ServedModel(address(server), "m").run(["two"], {"cells": np.zeros((1, 2, 3), np.float32)})


def test_a_server_that_is_not_there(server) -> None:
    server.server_close()
    with pytest.raises(ReleaseError, match=r"does not answer \(Connection(Refused|Reset)Error"):
        ServedModel(address(server), "m", timeout_s=2).check()


@pytest.mark.parametrize("url", ["triton:8000", "ftp://triton", "http://"])
def test_no_address(url) -> None:
    with pytest.raises(UsageError, match="no address of a model server"):
        ServedModel(url, "m").check()


FIELDS = {
    "Tensor": [("name", 1, "string"), ("data_type", 2, "DataType"), ("dims", 4, "int64*")],
    "Group": [("count", 2, "int32"), ("kind", 4, "Kind")],
    "Parameter": [("string_value", 1, "string")],
    "Entry": [("key", 1, "string"), ("value", 2, ".t.Parameter")],
    "ModelConfig": [
        *(("name", 1, "string"), ("platform", 2, "string"), ("max_batch_size", 4, "int32")),
        *(("input", 5, ".t.Tensor*"), ("output", 6, ".t.Tensor*"), ("instance_group", 7, ".t.Group*")),
        ("parameters", 14, ".t.Entry*"),
    ],
}
"""The part of Triton's ``model_config.proto`` that the script writes."""


def model_config() -> Any:
    """Make the message class; enumerations stand as in Triton's file."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    kinds = {"KIND_AUTO": 0, "KIND_GPU": 1, "KIND_CPU": 2}
    for name, values in (("DataType", {"TYPE_INVALID": 0, "TYPE_FP32": 11}), ("Kind", kinds)):
        file.enum_type.add(name=name).value.extend(
            descriptor_pb2.EnumValueDescriptorProto(name=key, number=number) for key, number in values.items()
        )
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            one = message.field.add(name=field, number=number, label=3 if kind.endswith("*") else 1)
            plain = kind.rstrip("*")
            if plain in ("string", "int32", "int64"):
                one.type = {"string": 9, "int32": 5, "int64": 3}[plain]
            else:
                one.type_name, one.type = f".t.{plain.removeprefix('.t.')}", 11 if plain.startswith(".") else 14
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelConfig"))


@pytest.mark.parametrize(("accelerator", "kind"), [("cpu", 2), ("gpu", 1)])
def test_the_triton_repository_describes_the_networks(tiny_release, tmp_path, accelerator, kind) -> None:
    import runpy

    script = runpy.run_path(str(Path(__file__).parents[2] / "infer" / "triton" / "make_repository.py"))
    release = load_release(tiny_release)
    folders = script["write_repository"](release, tmp_path, accelerator=accelerator)
    digests = release.metadata["cacseg"]["sha256"]
    assert [folder.name for folder in folders] == [
        served_name("tiny", network, digests[f"{network}.onnx"]) for network in ("calcium", "scout")
    ]
    read = [text_format.Parse((folder / "config.pbtxt").read_text(), model_config()()) for folder in folders]
    calcium, scout = read
    assert [config.name for config in read] == [folder.name for folder in folders]
    assert (calcium.max_batch_size, calcium.platform) == (4, "onnxruntime_onnx")
    assert [(t.name, list(t.dims), t.data_type) for t in calcium.input] == [("cells", [3, 48, -1, -1], 11)]
    assert [(t.name, list(t.dims)) for t in calcium.output] == [
        ("calcium", [9, 48, -1, -1]),
        ("territory", [5, 48, -1, -1]),
    ]
    assert [(t.name, list(t.dims)) for t in (*scout.input, *scout.output)] == [
        ("cells", [1, 64, 64, 64]),
        ("heart", [1, 64, 64, 64]),
    ]
    assert [group.kind for group in scout.instance_group] == [kind]
    assert {entry.key: entry.value.string_value for entry in calcium.parameters} == {
        "intra_op_thread_count": "2",
        "sha256": digests["calcium.onnx"],
    }
    assert (folders[0] / "1" / "model.onnx").read_bytes() == (tiny_release / "calcium.onnx").read_bytes()


def test_the_repository_of_the_shipped_release_takes_the_components_that_a_client_sends(tmp_path) -> None:
    import runpy

    script = runpy.run_path(str(Path(__file__).parents[2] / "infer" / "triton" / "make_repository.py"))
    folders = script["write_repository"](load_release(), tmp_path)
    read = [text_format.Parse((folder / "config.pbtxt").read_text(), model_config()()) for folder in folders]
    closeup = next(config for config in read if "closeup" in config.name)
    assert closeup.max_batch_size == BATCH
    assert [(t.name, list(t.dims)) for t in closeup.input] == [
        ("patches", [len(CHANNELS), *PATCH.shape]),
        ("facts", [len(FACTS)]),
    ]
    assert [(t.name, list(t.dims)) for t in closeup.output] == [("change", [len(OWNERS)])]
