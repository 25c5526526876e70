"""Compare the released network in fp32, fp16, int8, pruned, and with OpenVINO: speed, size, classes, final scores.

    python train/compare_exports.py models/cacseg-unet-1 data/cache/validation2 --volumes 6 --patients 10

Prints one row of JSON per variant. "cells_changed" and "arteries_changed" count candidate cells whose most likely class
or nearest artery differs from fp32, "scores_changed" digital patients of whom the Agatston score of any artery differs,
"largest_score_change" by how much; the release stays fp32 unless a variant changes no score and is faster.
"""

import argparse
import json
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from cacseg.cli.options import positive
from cacseg.engines import DEFAULT_ENGINE, Engine
from cacseg.errors import MissingExtraError
from cacseg.infer import load_release
from cacseg.infer.engine import open_session
from cacseg.infer.release import Release
from cacseg.train.augment import example
from cacseg.train.onnx_file import widened
from cacseg.train.parity import Difference, VesselScores, described, digital_patients, score_changes, vessel_scores
from cacseg.train.sample import load
from cacseg.train.sources import samples_in
from cacseg.volume import Volume

PRUNED_SHARE = 0.2
CONVOLUTION_AXES = 5

Answer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits of calcium and of territory."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a network answers.

    Parameters
    ----------
    answers : for each volume.
    seconds : median of a volume.
    scores : of each patient.
    """

    answers: list[Answer]
    seconds: float
    scores: list[VesselScores]


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


def run(
    release: Release,
    path: Path,
    volumes: Sequence[NDArray[np.float32]],
    patients: Sequence[Volume],
    engine: Engine = DEFAULT_ENGINE,
) -> Run:
    """Run a calcium network as the product does.

    Parameters
    ----------
    release : everything but that network.
    path : of its ONNX file.
    volumes : (1, 3, slice, row, column) float32 cells.
    patients : scans to score, HU.
    """
    tried = replace(release, calcium_session=open_session(path.read_bytes(), release.threads, engine))
    tried.predict(volumes[0])  # the first answer is slower
    answers, seconds = [], []
    for cells in volumes:
        start = perf_counter()
        answers.append(tried.predict(cells))
        seconds.append(perf_counter() - start)
    return Run(answers, float(np.median(seconds)), [vessel_scores(scan, tried) for scan in patients])


def row(name: str, path: Path, found: Run, expected: Run, volumes: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """Compare one variant with fp32."""
    heads = Difference(), Difference()
    for mine, theirs, cells in zip(found.answers, expected.answers, volumes, strict=True):
        for head, answer, reference in zip(heads, mine, theirs, strict=True):
            head.add(reference, answer, cells)
    return {
        "variant": name,
        "seconds": round(found.seconds, 3),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "megabytes_zipped": round(len(zlib.compress(path.read_bytes())) / 1e6, 2),
        **described(*heads),
        **score_changes(zip(expected.scores, found.scores, strict=True)),
    }


def main() -> None:
    """Compare every variant that can be made here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("samples", type=Path, help="folder of cached samples")
    parser.add_argument("--volumes", type=positive, default=6, help="whose logits are compared (default: %(default)s)")
    parser.add_argument(
        "--patients", type=positive, default=10, help="digital ones whose scores are compared (default: %(default)s)"
    )
    given = parser.parse_args()
    release = load_release(given.release)
    source = release.folder / release.metadata["cacseg"]["files"]["calcium"]
    rng = np.random.default_rng(0)
    volumes = [example(load(path), None, rng).cells[None] for path in samples_in(given.samples)[: given.volumes]]
    patients = list(digital_patients(given.patients))
    baseline = run(release, source, volumes, patients)
    print(json.dumps(row("fp32", source, baseline, baseline, volumes)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "fp32.onnx"
        onnx.save(widened(onnx.load(source)), wide)
        for name, make in (("fp16", fp16), ("int8", int8), ("pruned", pruned)):
            target = Path(folder) / f"{name}.onnx"
            try:
                make(wide, target)
                found = run(release, target, volumes, patients)
            except Exception as error:  # each converter has its own failures; they are the result here
                print(json.dumps({"variant": name, "failed": repr(error)[:200]}), flush=True)
                continue
            print(json.dumps(row(name, target, found, baseline, volumes)), flush=True)
    try:
        found = run(release, source, volumes, patients, "openvino")
    except MissingExtraError as error:
        print(json.dumps({"variant": "openvino-fp32", "failed": str(error)}))
    else:
        print(json.dumps(row("openvino-fp32", source, found, baseline, volumes)))


if __name__ == "__main__":
    main()
