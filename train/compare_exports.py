"""Compare the released network in fp32, fp16, int8, pruned, and with OpenVINO: speed, size, classes changed.

    python train/compare_exports.py models/cacseg-unet-1 data/cache/validation2 --volumes 6

Prints one row of JSON per variant. "cells_changed" counts candidate cells whose most likely class differs from
fp32; the release stays fp32 unless a variant changes none and is faster.
"""

import argparse
import json
import tempfile
import zlib
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, Engine
from cacseg.errors import MissingExtraError
from cacseg.infer.engine import open_session
from cacseg.train.augment import example
from cacseg.train.data import samples_in
from cacseg.train.sample import load

PRUNED_SHARE = 0.2
CONVOLUTION_AXES = 5

Answers = list[NDArray[np.float32]]


def fp16(source: Path, target: Path) -> None:
    """Weights and arithmetic in half precision, input and output kept in fp32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def int8(source: Path, target: Path) -> None:
    """Weights of the convolutions in eight bits, quantised while running."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv"])


def pruned(source: Path, target: Path, share: float = PRUNED_SHARE) -> None:
    """Set the smallest weights of every convolution to zero."""
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.ndim < CONVOLUTION_AXES:
            continue
        kept = np.abs(weights) >= np.quantile(np.abs(weights), share)
        tensor.CopyFrom(onnx.numpy_helper.from_array(weights * kept, tensor.name))
    onnx.save(model, target)


def run(path: Path, volumes: Answers, engine: Engine = DEFAULT_ENGINE) -> tuple[Answers, float]:
    """Run a network as the product does; gives the calcium logits and the median seconds a volume."""
    session = open_session(path.read_bytes(), DEFAULT_THREADS, engine)
    session.run(["calcium"], {"cells": volumes[0]})
    answers, seconds = [], []
    for cells in volumes:
        start = perf_counter()
        answers.extend(session.run(["calcium"], {"cells": cells}))
        seconds.append(perf_counter() - start)
    return answers, float(np.median(seconds))


def row(name: str, path: Path, found: tuple[Answers, float], expected: Answers, volumes: Answers) -> dict[str, Any]:
    """Compare one variant with fp32."""
    changed = cells = 0
    largest = 0.0
    for mine, theirs, volume in zip(found[0], expected, volumes, strict=True):
        candidate = volume[:, 1] > 0
        cells += int(candidate.sum())
        changed += int((mine.argmax(axis=1) != theirs.argmax(axis=1))[candidate].sum())
        largest = max(largest, float(np.abs(mine - theirs).max()))
    return {
        "variant": name,
        "seconds": round(found[1], 3),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "megabytes_zipped": round(len(zlib.compress(path.read_bytes())) / 1e6, 2),
        "largest_difference": largest,
        "candidate_cells": cells,
        "cells_changed": changed,
    }


def main() -> None:
    """Compare every variant that can be made here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("samples", type=Path, help="folder of cached samples")
    parser.add_argument("--volumes", type=int, default=6)
    given = parser.parse_args()
    source = given.release / "calcium.onnx"
    rng = np.random.default_rng(0)
    volumes = [example(load(path), None, rng).cells[None] for path in samples_in(given.samples)[: given.volumes]]
    baseline = run(source, volumes)
    print(json.dumps(row("fp32", source, baseline, baseline[0], volumes)))
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("fp16", fp16), ("int8", int8), ("pruned", pruned)):
            target = Path(folder) / f"{name}.onnx"
            try:
                make(source, target)
                found = run(target, volumes)
            except Exception as error:  # each converter has its own failures; they are the result here
                print(json.dumps({"variant": name, "failed": repr(error)[:200]}))
                continue
            print(json.dumps(row(name, target, found, baseline[0], volumes)))
    try:
        found = run(source, volumes, "openvino")
    except MissingExtraError as error:
        print(json.dumps({"variant": "openvino-fp32", "failed": str(error)}))
    else:
        print(json.dumps(row("openvino-fp32", source, found, baseline[0], volumes)))


if __name__ == "__main__":
    main()
