"""A release of a few hundred bytes and a ball of a heart for it, both made by code."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cacseg.infer.decide import Decision
from cacseg.infer.grid import CHANNELS, HEART_GRID, NARROW_GRIDS, SCOUT_GRID
from cacseg.infer.release import FORMAT_VERSION
from cacseg.vessels import Label
from cacseg.volume import Volume

GridSize = tuple[int, int, int]


def _graph(nodes: list, inputs: tuple[str, list], outputs: dict[str, list], weights: dict[str, np.ndarray]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, inputs[1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def calcium_network() -> bytes:
    """LAD where a cell holds candidates, RCA where they are dense; territory says nothing."""
    weight = np.zeros((9, 3, 1, 1, 1))
    bias = np.full(9, -20.0)
    bias[Label.BACKGROUND] = 0.0
    weight[Label.LAD, 1], bias[Label.LAD] = 40.0, -1.0
    weight[Label.RCA, 2], bias[Label.RCA] = 0.2, -60.0
    nodes = [
        helper.make_node("Conv", ["cells", "w", "b"], ["calcium"]),
        helper.make_node("Conv", ["cells", "tw"], ["territory"], strides=[1, 2, 2], kernel_shape=[1, 1, 1]),
    ]
    slices = HEART_GRID.shape[0]
    return _graph(
        nodes,
        ("cells", ["n", 3, slices, "rows", "columns"]),
        {"calcium": ["n", 9, slices, "rows", "columns"], "territory": ["n", 5, slices, "half_rows", "half_columns"]},
        {"w": weight, "b": bias, "tw": np.zeros((5, 3, 1, 1, 1))},
    )


def scout_network() -> bytes:
    """Heart is whatever is denser than 0 HU."""
    nodes = [
        helper.make_node("Mul", ["cells", "k"], ["scaled"]),
        helper.make_node("Sigmoid", ["scaled"], ["heart"]),
    ]
    shape = ["n", 1, *SCOUT_GRID.shape]
    return _graph(nodes, ("cells", shape), {"heart": shape}, {"k": np.array(0.1)})


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "tiny"
    folder.mkdir()
    contents = {"calcium.onnx": calcium_network(), "scout.onnx": scout_network()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    block = {
        "format_version": FORMAT_VERSION,
        "files": {"calcium": "calcium.onnx", "scout": "scout.onnx"},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "grid": asdict(HEART_GRID),
        "narrow_grids": [asdict(grid) for grid in NARROW_GRIDS],
        "scout_grid": asdict(SCOUT_GRID),
        "channels": list(CHANNELS),
        "classes": [label.name for label in Label],
        "decision": asdict(Decision()),
    }
    (folder / "metadata.json").write_text(json.dumps({"name": "tiny", "version": "1", "cacseg": block}))
    return folder


def ball(
    radius_mm: float = 50.0,
    shape: GridSize = (48, 128, 128),
    spacing_mm: tuple[float, float, float] = (3.0, 1.6, 1.6),
    fat_hu: float = -90.0,
) -> Volume:
    """A 40 HU ball in fat, centred at the origin of the world, without noise."""
    origin = [-(n - 1) / 2 * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    distance = sum((o + mm * axis) ** 2 for o, mm, axis in zip(origin, spacing_mm, (z, y, x), strict=True))
    hu = np.where(distance < radius_mm**2, 40, fat_hu).astype(np.int16)
    return Volume.axial(hu, spacing_mm, (origin[2], origin[1], origin[0]))


@pytest.fixture
def ball_heart() -> Callable[..., Volume]:
    return ball
