"""What a release says of itself: metadata in the form of a MONAI bundle."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from cacseg.infer.bifurcation import ARTERIES, BLOCK, PRIOR
from cacseg.infer.closeup import CHANNELS as CLOSE_CHANNELS
from cacseg.infer.closeup import FACTS, OWNERS, PATCH
from cacseg.infer.grid import AIR_HU, CHANNELS, HEART_GRID, HIGHEST_HU, NARROW_GRIDS, SCOUT_GRID, WIDTH_STEP
from cacseg.infer.release import FORMAT_VERSION
from cacseg.train.record import environment
from cacseg.vessels import CORONARY, Label

OPSET: Final = 18
"""Lowest opset the exporter writes natively; every onnxruntime since 1.14 runs it."""

CALCIUM_FILE: Final = "calcium.onnx"
SCOUT_FILE: Final = "scout.onnx"
WEIGHTS_FILE: Final = "weights.pt"
"""Weights in PyTorch's form, for fine-tuning; inference never opens it."""


def onnx_name(network: str) -> str:
    """File of a network."""
    return f"{network}.onnx"


def weights_name(network: str) -> str:
    """File of the weights of a network beside the first one."""
    return f"{network}.pt"


def release_metadata(
    folder: Path,
    name: str,
    release_version: str,
    settings: Mapping[str, Any],
    run: Mapping[str, Any],
    changelog: Mapping[str, str],
) -> dict[str, Any]:
    """Describe a release in the form of a MONAI bundle, with what cacseg itself reads under ``cacseg``.

    Parameters
    ----------
    folder : holds the networks and the weights, whose checksums are taken.
    settings : from ``settings_of``.
    run : from ``load_networks``.
    changelog : a line for each version.
    """
    networks = {"calcium": CALCIUM_FILE, "scout": SCOUT_FILE}
    weights = [WEIGHTS_FILE]
    beside = [network for network in FORMATS if network in settings]
    networks |= {network: onnx_name(network) for network in beside}
    weights += [weights_name(network) for network in beside]
    files = (*networks.values(), *weights)
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": release_version,
        "changelog": dict(changelog),
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {"onnxruntime": version("onnxruntime")},
        "optional_packages_version": {"lightning": version("lightning")},
        "name": name,
        "task": "Assignment of coronary and other calcium on non-contrast CT of the heart",
        "description": "Labels calcified voxels as LM, LAD, LCX, RCA, valve, annulus, aorta or other.",
        "authors": "The cacseg developers",
        "copyright": "Copyright The cacseg developers, Apache-2.0",
        "data_type": "procedural digital patients; no patient",
        "intended_use": "Research. Not a medical device; not for diagnosis.",
        **_data_formats(),
        **{key: value for network in beside for key, value in FORMATS[network]().items()},
        "cacseg": {
            "format_version": FORMAT_VERSION,
            "files": networks,
            "sha256": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files},
            "size_bytes": {file: (folder / file).stat().st_size for file in files},
            "grid": asdict(HEART_GRID),
            "narrow_grids": [asdict(grid) for grid in NARROW_GRIDS],
            "scout_grid": asdict(SCOUT_GRID),
            "channels": list(CHANNELS),
            "classes": [label.name for label in Label],
            **settings,
            "opset": OPSET,
            "run": dict(run),
            "exported": {"on": datetime.now(UTC).date().isoformat(), "git_commit": environment()["git_commit"]},
        },
    }


_Cells = tuple[tuple[int | str, ...], tuple[float, float, float]]
"""Number of cells along each axis, or what it is a multiple of, and their size in mm."""


def _data_formats() -> dict[str, Any]:
    """Describe the tensors of network and scout; MONAI's schema has ``<network>_data_format`` for a second one."""
    hu = [AIR_HU, HIGHEST_HU]
    slices, (slice_mm, row_mm, column_mm) = HEART_GRID.shape[0], HEART_GRID.spacing_mm
    whole: _Cells = ((slices, f"{WIDTH_STEP}*n", f"{WIDTH_STEP}*m"), HEART_GRID.spacing_mm)
    half: _Cells = ((slices, f"{WIDTH_STEP // 2}*n", f"{WIDTH_STEP // 2}*m"), (slice_mm, 2 * row_mm, 2 * column_mm))
    coarse: _Cells = (SCOUT_GRID.shape, SCOUT_GRID.spacing_mm)
    territories = ("away from any artery", *(vessel.name for vessel in CORONARY))
    return {
        "network_data_format": {
            "inputs": {"cells": _tensor("hounsfield", CHANNELS, whole, hu)},
            "outputs": {
                "calcium": _tensor("labels", [label.name for label in Label], whole),
                "territory": _tensor("labels", territories, half),
            },
        },
        "scout_data_format": {
            "inputs": {"cells": _tensor("hounsfield", CHANNELS[:1], coarse, hu)},
            "outputs": {"heart": _tensor("magnitude", ["probability of heart"], coarse, [0.0, 1.0])},
        },
    }


def closeup_format() -> dict[str, Any]:
    """Describe the tensors of the second network; its facts and its answer have no place in space."""
    patch: _Cells = (PATCH.shape, PATCH.spacing_mm)
    alone: _Cells = ((1, 1, 1), (0.0, 0.0, 0.0))
    patches = _tensor("hounsfield", CLOSE_CHANNELS, patch, [AIR_HU, HIGHEST_HU])
    return {
        "closeup_data_format": {
            "inputs": {
                "patches": {**patches, "is_patch_data": True},
                "facts": _tensor("magnitude", FACTS, alone),
            },
            "outputs": {"change": _tensor("probabilities", OWNERS, alone)},
        }
    }


def bifurcation_format() -> dict[str, Any]:
    """Describe the tensors of the third network."""
    (slices, rows, columns), (slice_mm, row_mm, column_mm) = BLOCK.shape, BLOCK.spacing_mm
    block: _Cells = (BLOCK.shape, BLOCK.spacing_mm)
    half: _Cells = ((slices, rows // 2, columns // 2), (slice_mm, 2 * row_mm, 2 * column_mm))
    return {
        "bifurcation_data_format": {
            "inputs": {
                "cells": {**_tensor("hounsfield", CHANNELS, block, [AIR_HU, HIGHEST_HU]), "is_patch_data": True},
                "prior": {**_tensor("probabilities", PRIOR, half, [0.0, 1.0]), "is_patch_data": True},
            },
            "outputs": {"artery": _tensor("labels", [label.name for label in ARTERIES], block)},
        }
    }


FORMATS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "closeup": closeup_format,
    "bifurcation": bifurcation_format,
}
"""What the metadata say of the tensors of each network beside the first one."""


def _tensor(form: str, channels: Sequence[str], cells: _Cells, value_range: Sequence[float] = ()) -> dict[str, Any]:
    """Describe one tensor; logits have no range."""
    return {
        "type": "image",
        "format": form,
        "modality": "CT",
        "num_channels": len(channels),
        "spatial_shape": list(cells[0]),
        "spacing_mm": list(cells[1]),
        "dtype": "float32",
        "value_range": list(value_range),
        "is_patch_data": False,
        "channel_def": {str(number): channel for number, channel in enumerate(channels)},
    }
