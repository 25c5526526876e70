"""Names of what can run a network on this machine; ``cacseg.infer.engine`` does it."""

from typing import Final, Literal, get_args

Engine = Literal["onnxruntime", "openvino"]
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
DEFAULT_ENGINE: Final[Engine] = "onnxruntime"
"""Of one study: OpenVINO takes as long to load as it saves, and more room on disk than the light install has."""

SERVICE_ENGINE: Final[Engine] = "openvino"
"""Of many studies."""

DEFAULT_THREADS: Final = 2
"""ONNX Runtime gives equal bits on 1 and 2 threads; more may differ in the last bit, so the count is recorded."""
