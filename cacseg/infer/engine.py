"""What runs the networks on this machine: ONNX Runtime, or OpenVINO where its extra is installed.

Both compute in float32. OpenVINO is about a third faster on x86 processors; its logits differ from ONNX Runtime's in
the fourth decimal, which leaves scores as they are (``train/compare_exports.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cacseg.engines import DEFAULT_ENGINE, ENGINES, Engine
from cacseg.errors import MissingExtraError, ReleaseError, UsageError


class Session(Protocol):
    """A loaded network, called as ONNX Runtime's own sessions are."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Give the named outputs for the named inputs."""
        ...


def open_session(content: bytes, threads: int, engine: Engine = DEFAULT_ENGINE) -> Session:
    """Load a network.

    Parameters
    ----------
    content : of an ONNX file.
    threads : that compute one answer.
    engine : what computes it.

    Raises
    ------
    ReleaseError : the engine cannot load the network.
    MissingExtraError : the engine is not installed.
    UsageError : there is no such engine.
    """
    if engine not in ENGINES:
        raise UsageError(f"There is no engine {engine!r}; expected one of {', '.join(ENGINES)}.")
    opened = _openvino if engine == "openvino" else _onnxruntime
    try:
        return opened(content, threads)
    except MissingExtraError:
        raise
    except Exception as error:  # both raise their own, unrelated types
        raise ReleaseError(f"{engine} cannot load the network: {error}. Export the release again.") from error


def _onnxruntime(content: bytes, threads: int) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else idle threads hold numpy's cores
    session: Session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A network compiled by OpenVINO."""

    model: Any

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Give the named outputs, copied out of where OpenVINO writes its next answer."""
        answer = self.model(dict(inputs), share_inputs=True, share_outputs=False)
        return [answer[name] for name in outputs]


def _openvino(content: bytes, threads: int) -> Session:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(
            'The engine openvino is an extra; install it with: pip install "cacseg[openvino]"'
        ) from error
    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bf16 on processors that have it
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # else every process takes the same cores
    }
    return _Compiled(core.compile_model(core.read_model(BytesIO(content)), "CPU", settings))
