"""Write a Triton model repository from a release: names, shapes and types come from the ONNX files themselves.

    python infer/triton/make_repository.py cacseg-unet-1 triton-models --accelerator gpu
    tritonserver --model-repository triton-models

Each network becomes one model named after its checksum (``cacseg.infer.kserve.served_name``), so that two releases
lie side by side and a client never meets other weights than its own.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any, Final

from cacseg.infer import Release, load_release
from cacseg.infer.closeup import BATCH
from cacseg.infer.kserve import served_name

LARGEST_BATCH: Final = {"calcium": 4, "scout": 4, "closeup": BATCH, "bifurcation": 4}
"""Windows and blocks that may go through a network together where several clients ask; components that one client
sends."""

TYPES: Final = {"tensor(float)": "TYPE_FP32"}
KINDS: Final = {"cpu": "KIND_CPU", "gpu": "KIND_GPU"}


def config(name: str, session: Any, sha256: str, *, largest_batch: int, kind: str, threads: int) -> str:
    """Write the ``config.pbtxt`` of one network.

    Parameters
    ----------
    name : of the model on the server.
    session : ONNX Runtime session of the network; tells its tensors.
    sha256 : of the ONNX file, kept as a parameter of the model.
    largest_batch : what the server may put together, where the network takes any number.
    kind : ``KIND_CPU`` or ``KIND_GPU``.
    threads : threads of ONNX Runtime, as in the release; labels can depend on them.
    """
    tensors = [*session.get_inputs(), *session.get_outputs()]
    batches = all(isinstance(tensor.shape[0], str) for tensor in tensors)
    lines = [
        f'name: "{name}"',
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {largest_batch if batches else 0}",
        *_tensor_block("input", session.get_inputs(), batches=batches),
        *_tensor_block("output", session.get_outputs(), batches=batches),
        f"instance_group [ {{ count: 1 kind: {kind} }} ]",
        f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}',
        f'parameters {{ key: "sha256" value {{ string_value: "{sha256}" }} }}',
    ]
    return "\n".join(lines) + "\n"


def _tensor_block(role: str, tensors: list[Any], *, batches: bool) -> list[str]:
    lines = []
    for tensor in tensors:
        dims = [size if isinstance(size, int) else -1 for size in tensor.shape[1 if batches else 0 :]]
        lines.append(f'{role} [ {{ name: "{tensor.name}" data_type: {TYPES[tensor.type]} dims: {dims} }} ]')
    return lines


def write_repository(release: Release, target: Path, *, accelerator: str = "cpu") -> list[Path]:
    """Write the models of a release below ``target`` and give their folders.

    Parameters
    ----------
    release : from ``load_release``, which has checked the files.
    target : the repository; other models in it stay.
    accelerator : ``cpu`` or ``gpu``.
    """
    block = release.metadata["cacseg"]
    folders = []
    for network, file in block["files"].items():
        sha256 = block["sha256"][file]
        name = served_name(release.name, network, sha256)
        folder = target / name
        (folder / "1").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release.folder / file, folder / "1" / "model.onnx")
        text = config(
            name,
            release.sessions[network],
            sha256,
            largest_batch=LARGEST_BATCH[network],
            kind=KINDS[accelerator],
            threads=release.threads,
        )
        (folder / "config.pbtxt").write_text(text, encoding="utf-8")
        folders.append(folder)
    return folders


def main() -> None:
    """Write the repository and print where each model lies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", help="name or folder of a release")
    parser.add_argument("target", type=Path, help="folder of the repository")
    parser.add_argument("--accelerator", choices=sorted(KINDS), default="cpu")
    given = parser.parse_args()
    for folder in write_repository(load_release(given.release), given.target, accelerator=given.accelerator):
        print(folder)


if __name__ == "__main__":
    main()
