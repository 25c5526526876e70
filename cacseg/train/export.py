"""From a checkpoint to a release: two ONNX files, compared with PyTorch, and their metadata."""

import argparse
import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cacseg.errors import CacsegError, UsageError
from cacseg.infer.decide import Decision
from cacseg.infer.grid import CHANNELS, HEART_GRID, NARROW_GRIDS, SCOUT_GRID, WIDTH_STEP, GridSpec
from cacseg.infer.release import DEFAULT_RELEASE, FORMAT_VERSION, METADATA, load_release
from cacseg.models import CalciumNet, ScoutNet
from cacseg.models.unet import with_metal_as_other
from cacseg.train.augment import example
from cacseg.train.data import samples_in
from cacseg.train.module import CalciumModule
from cacseg.train.record import environment
from cacseg.train.sample import load
from cacseg.vessels import Label

OPSET: Final = 18
"""Lowest opset the exporter writes natively; every onnxruntime since 1.14 runs it."""

CALCIUM_FILE: Final = "calcium.onnx"
SCOUT_FILE: Final = "scout.onnx"
WEIGHTS_FILE: Final = "weights.pt"
"""Weights in PyTorch's form, for fine-tuning; inference never opens it."""

GRIDS: Final = (*NARROW_GRIDS, HEART_GRID)
"""What a release is run on, narrowest first."""

LARGEST_DIFFERENCE: Final = 2e-3
"""Logits of ONNX Runtime and PyTorch in float32 may differ by this much, relative to their largest size."""


class _Calcium(nn.Module):
    """What a release runs: the two heads that the assignment reads, metal among other calcium."""

    def __init__(self, net: CalciumNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        calcium, territory, _ = self.net(cells)
        return with_metal_as_other(calcium), territory


class _Heart(nn.Module):
    """The scout with its sigmoid."""

    def __init__(self, net: ScoutNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, cells: Tensor) -> Tensor:
        return torch.sigmoid(self.net(cells))


def load_networks(checkpoint: Path) -> tuple[CalciumNet, ScoutNet, Mapping[str, Any]]:
    """Load both networks, with averaged weights where the run kept an average.

    Raises
    ------
    UsageError : there is no such file.
    """
    if not checkpoint.is_file():
        raise UsageError(f"No checkpoint {checkpoint}; give one from a run's checkpoints folder.")
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    settings = {k: v for k, v in stored["hyper_parameters"].items() if k in _ARCHITECTURE}
    module = CalciumModule(**settings)
    module.load_state_dict(stored["state_dict"])
    module.eval()
    return module.net, module.scout, {"step": stored["global_step"], "epoch": stored["epoch"], **settings}


_ARCHITECTURE: Final = ("channels", "strides", "residual_units", "feature_channels", "head_channels")


def export(
    checkpoint: Path,
    folder: Path,
    *,
    name: str = DEFAULT_RELEASE,
    release_version: str = "1.0.0",
    decision: Decision = Decision(),  # noqa: B008  frozen
    samples: Path | None = None,
    volumes: int = 20,
) -> dict[str, Any]:
    """Write a release and compare it with PyTorch.

    Parameters
    ----------
    checkpoint : of a training run.
    folder : of the release; files other than the networks and the metadata are left alone.
    samples : folder of cached samples to compare on; random HU are used where None.
    volumes : number of volumes to compare.

    Returns
    -------
    The comparison: largest difference of the logits, cells whose class changed, per network.

    Raises
    ------
    CacsegError : ONNX Runtime and PyTorch disagree.
    """
    net, scout, run = load_networks(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    _write_onnx(_Calcium(net), HEART_GRID, 3, ["calcium", "territory"], folder / CALCIUM_FILE, any_width=True)
    _write_onnx(_Heart(scout), SCOUT_GRID, 1, ["heart"], folder / SCOUT_FILE)
    weights = {f"net.{k}": v for k, v in net.state_dict().items()}
    weights |= {f"scout.{k}": v for k, v in scout.state_dict().items()}
    torch.save({"state_dict": weights}, folder / WEIGHTS_FILE)
    metadata = release_metadata(folder, name, release_version, decision, run)
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    parity = compare(net, scout, folder, samples, volumes)
    metadata["cacseg"]["parity"] = parity
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    if parity["largest_relative_difference"] > LARGEST_DIFFERENCE:
        raise CacsegError(
            f"The exported network differs from PyTorch: {parity}; expected at most {LARGEST_DIFFERENCE} of the "
            "largest logit. Export with another torch or opset."
        )
    return parity


def _write_onnx(
    net: nn.Module, grid: GridSpec, channels: int, outputs: list[str], path: Path, *, any_width: bool = False
) -> None:
    """Export with a dynamic batch and, if asked, any number of rows and of columns that is a multiple of 16."""
    net.eval()
    dynamic = {0: torch.export.Dim("batch", min=1, max=16)}
    if any_width:
        dynamic |= {
            axis: WIDTH_STEP * torch.export.Dim(name, min=2, max=16) for axis, name in ((3, "rows"), (4, "columns"))
        }
    cells = torch.zeros(2, channels, *grid.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            (cells,),
            input_names=["cells"],
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=(dynamic,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = without_traces(program.model_proto)
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


def release_metadata(
    folder: Path, name: str, release_version: str, decision: Decision, run: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe a release in the form of a MONAI bundle, with what cacseg itself reads under ``cacseg``."""
    described = environment()
    files = (CALCIUM_FILE, SCOUT_FILE)
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": release_version,
        "changelog": {release_version: "see README.md"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {"onnxruntime": version("onnxruntime")},
        "name": name,
        "task": "Assignment of coronary and other calcium on non-contrast CT of the heart",
        "description": "Labels calcified voxels as LM, LAD, LCX, RCA, valve, annulus, aorta or other.",
        "authors": "The cacseg developers",
        "copyright": "Copyright The cacseg developers, Apache-2.0",
        "data_type": "procedural digital patients; no patient",
        "intended_use": "Research. Not a medical device; not for diagnosis.",
        "network_data_format": {
            "inputs": {"cells": _tensor("image", len(CHANNELS), HEART_GRID, dict(enumerate(CHANNELS)))},
            "outputs": {
                "calcium": _tensor(
                    "segmentation", len(Label), HEART_GRID, {i: label.name for i, label in enumerate(Label)}
                ),
                "territory": {
                    "type": "probabilities",
                    "num_channels": 5,
                    "channel_def": dict(enumerate(("none", "LM", "LAD", "LCX", "RCA"))),
                },
            },
        },
        "cacseg": {
            "format_version": FORMAT_VERSION,
            "files": {"calcium": CALCIUM_FILE, "scout": SCOUT_FILE},
            "sha256": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files},
            "size_bytes": {file: (folder / file).stat().st_size for file in files},
            "grid": asdict(HEART_GRID),
            "narrow_grids": [asdict(grid) for grid in NARROW_GRIDS],
            "scout_grid": asdict(SCOUT_GRID),
            "channels": list(CHANNELS),
            "classes": [label.name for label in Label],
            "decision": asdict(decision),
            "opset": OPSET,
            "run": dict(run),
            "exported": {"on": datetime.now(UTC).date().isoformat(), "git_commit": described["git_commit"]},
        },
    }


def _tensor(kind: str, channels: int, grid: GridSpec, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": channels,
        "spatial_shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "dtype": "float32",
        "is_patch_data": False,
        "channel_def": {str(key): value for key, value in names.items()},
    }


def compare(net: CalciumNet, scout: ScoutNet, folder: Path, samples: Path | None, volumes: int) -> dict[str, Any]:
    """Run PyTorch and ONNX Runtime on the same volumes.

    Returns
    -------
    volumes; largest absolute and relative difference of the calcium logits; candidate cells seen and those whose
    class changed; largest difference of the heart probability.
    """
    release = load_release(folder)
    largest = relative = heart = 0.0
    cells = changed = 0
    for calcium_cells, scout_cells in _volumes(samples, volumes):
        with torch.no_grad():
            expected = with_metal_as_other(net(torch.from_numpy(calcium_cells))[0]).numpy()
            probability = torch.sigmoid(scout(torch.from_numpy(scout_cells))).numpy()
        found, _ = release.predict(calcium_cells)
        difference = float(np.abs(found - expected).max())
        largest = max(largest, difference)
        relative = max(relative, difference / float(np.abs(expected).max()))
        heart = max(heart, float(np.abs(release.predict_heart(scout_cells) - probability).max()))
        candidate = calcium_cells[:, 1] > 0
        cells += int(candidate.sum())
        changed += int((found.argmax(axis=1) != expected.argmax(axis=1))[candidate].sum())
    return {
        "volumes": volumes,
        "largest_difference": largest,
        "largest_relative_difference": relative,
        "candidate_cells": cells,
        "cells_changed": changed,
        "largest_heart_difference": heart,
        "on": "random HU" if samples is None else "cached samples",
    }


def _volumes(samples: Path | None, count: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    rng = np.random.default_rng(0)
    if samples is not None:
        paths = samples_in(samples)[:count]
        made = [example(load(path), None, rng, grid) for path, grid in zip(paths, cycle(GRIDS), strict=False)]
        return [(each.cells[None], each.scout[None]) for each in made]
    pairs = []
    for _, grid in zip(range(count), cycle(GRIDS), strict=False):
        cells = rng.uniform(-1000, 400, (1, 3, *grid.shape)).astype(np.float32)
        cells[:, 1:] = rng.random((1, 2, *grid.shape), np.float32) * (cells[:, :1] > 130)
        pairs.append((cells, rng.uniform(-1000, 400, (1, 1, *SCOUT_GRID.shape)).astype(np.float32)))
    return pairs


def main(argv: Sequence[str] | None = None) -> int:
    """``cacseg export``: checkpoint to release folder; prints the comparison as JSON."""
    parser = argparse.ArgumentParser(prog="cacseg export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, help="release folder, e.g. models/my-release")
    parser.add_argument("--name", default=None, help="name of the release; the folder's name unless given")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--samples", type=Path, default=None, help="cached samples to compare on")
    parser.add_argument("--volumes", type=int, default=20)
    parser.add_argument("--config", type=Path, default=None, help="the run's configuration, copied into the release")
    given = parser.parse_args(argv)
    parity = export(
        given.checkpoint,
        given.folder,
        name=given.name or given.folder.name,
        release_version=given.version,
        samples=given.samples,
        volumes=given.volumes,
    )
    if given.config is not None:
        shutil.copyfile(given.config, given.folder / "train.yaml")
    print(json.dumps(parity, indent=2))  # noqa: T201  the command's result
    return 0
