"""ONNX files and metadata as a release holds them."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from cacseg.errors import UsageError
from cacseg.infer.release import METADATA
from cacseg.train.bundle import OPSET

LEAST_HALVED: Final = 500
"""Weights with fewer numbers are left in single precision: nothing would be gained."""


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of a release."""
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def changelog_with(folder: Path, release_version: str) -> dict[str, str]:
    """Add a version to what the release in a folder says of earlier ones."""
    path = folder / METADATA
    try:
        earlier = json.loads(path.read_text(encoding="utf-8")).get("changelog", {}) if path.is_file() else {}
    except ValueError as error:
        raise UsageError(f"{path} cannot be read ({error}); remove it or export into another folder.") from error
    return {release_version: "see README.md"} | earlier


def write_onnx(
    net: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str], path: Path, free: Mapping[int, Any] | None = None
) -> None:
    """Export with a dynamic batch and, if given, other free axes of every input.

    Weights that half precision holds exactly are stored so, and computed with as before.
    """
    net.eval()
    dynamic = {0: torch.export.Dim("batch", min=1, max=16), **(free or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=(dynamic,) * len(inputs),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = halved(without_traces(program.model_proto))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model without what the exporter writes about its making: stack traces with paths of the machine."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    graph = bare.graph
    parts = [bare, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for function in bare.functions:
        parts += [function, *function.node]
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return bare


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights in half precision where nothing is lost, each followed by a cast; engines undo it when they load.

    Parameters
    ----------
    model : changed and given back.
    """
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(weight)
        half = value.astype(np.float16)
        if value.size >= LEAST_HALVED and np.array_equal(half.astype(np.float32), value):
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Undo ``halved``, for tools that look for weights in single precision.

    Parameters
    ----------
    model : changed and given back.
    """
    casts = {node.input[0]: node for node in model.graph.node if node.op_type == "Cast"}
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT16 and weight.name in casts:
            cast = casts[weight.name]
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float32), cast.output[0]))
            model.graph.node.remove(cast)
    return model
