"""The networks that stand beside the first one in a release, and how they get there."""

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cacseg.cli.options import proportion
from cacseg.errors import CacsegError, UsageError
from cacseg.infer import bifurcation, closeup
from cacseg.infer.release import METADATA, Release, load_release
from cacseg.models import BifurcationNet, CloseupNet
from cacseg.train.bundle import FORMATS, onnx_name, weights_name
from cacseg.train.loop import lightened
from cacseg.train.mixing import mixed
from cacseg.train.onnx_file import changelog_with, write_metadata, write_onnx
from cacseg.train.parity import FIRST_SEED, TorchSession, compare_scores, digital_patients

LARGEST_DIFFERENCE: Final = 2e-3
"""Logits of ONNX Runtime and PyTorch in float32 may differ by this much, relative to their largest size."""

COMPARED: Final = 20
"""Random inputs whose answers are compared."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A network beside the first one.

    Parameters
    ----------
    net : makes one, untrained.
    inputs : draws what it is given, one of each input.
    output : name of its answer.
    form : what a release records of how it is fed.
    """

    net: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], Mapping[str, NDArray[np.float32]]]
    output: str
    form: Mapping[str, Any]


def closeup_inputs(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Draw one piece."""
    patches = rng.uniform(-200, 1500, (1, len(closeup.CHANNELS), *closeup.PATCH.shape)).astype(np.float32)
    patches[:, 1:] = patches[:, :1] > 130
    return {"patches": patches, "facts": rng.normal(0, 1, (1, len(closeup.FACTS))).astype(np.float32)}


def bifurcation_inputs(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Draw one block."""
    slices, rows, columns = bifurcation.BLOCK.shape
    cells = rng.uniform(-200, 600, (1, 3, slices, rows, columns)).astype(np.float32)
    cells[:, 1:] = rng.random((1, 2, slices, rows, columns), np.float32) * (cells[:, :1] > 130)
    prior = rng.random((1, len(bifurcation.PRIOR), slices, rows // 2, columns // 2), np.float32)
    return {"cells": cells, "prior": prior}


BESIDE: Final[Mapping[str, Beside]] = {
    "closeup": Beside(CloseupNet, closeup_inputs, "change", closeup.describe()),
    "bifurcation": Beside(BifurcationNet, bifurcation_inputs, "artery", bifurcation.describe()),
}


def put(
    name: str,
    weights: Path,
    folder: Path,
    release_version: str,
    patients: int = 2,
    mixed_with: Path | None = None,
    share: float = 0.5,
) -> dict[str, Any]:
    """Put a trained network into a release, beside its first one.

    Parameters
    ----------
    name : of the network, one of ``BESIDE``.
    weights : NAME.pt of ``cacseg.train.loop.train``.
    folder : of the release; an earlier network of this name in it is replaced.
    release_version : that the release has from now on.
    patients : number of digital patients whose final scores are compared with PyTorch.
    mixed_with, share : NAME.pt that training started from, and how much of it; see ``cacseg.train.mixing.mixed``.

    Returns
    -------
    The comparison, as the metadata hold it under the name of the network.

    Raises
    ------
    CacsegError : ONNX Runtime and PyTorch disagree; the release is written, with the comparison in its metadata.
    UsageError : there are no such weights, they cannot be mixed, or the folder holds no release.
    """
    if not weights.is_file() or not (folder / METADATA).is_file():
        raise UsageError(f"Expected weights {weights} and a release in {folder}; one is not there.")
    kind = BESIDE[name]
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    net = kind.net()
    net.load_state_dict(stored["state_dict"])
    if mixed_with is not None:
        between, recorded = mixed(net.state_dict(), mixed_with, share)
        stored = {"state_dict": lightened(between), "made": {**stored["made"], "mixed_with": recorded}}
        net.load_state_dict(stored["state_dict"])
    drawn = kind.inputs(np.random.default_rng(0))
    example = {each: torch.from_numpy(np.concatenate([array, array])) for each, array in drawn.items()}
    write_onnx(net, example, [kind.output], folder / onnx_name(name))
    if mixed_with is not None:
        torch.save(stored, folder / weights_name(name))
    elif weights.resolve() != (folder / weights_name(name)).resolve():
        shutil.copyfile(weights, folder / weights_name(name))
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    block = metadata["cacseg"]
    metadata["version"] = release_version
    metadata["changelog"] = changelog_with(folder, release_version)
    metadata |= FORMATS[name]()
    block["files"][name] = onnx_name(name)
    for file in (onnx_name(name), weights_name(name)):
        block["sha256"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        block["size_bytes"][file] = (folder / file).stat().st_size
    block[name] = {**kind.form, "made": stored["made"]}
    write_metadata(folder, metadata)
    release = load_release(folder)
    in_torch: dict[str, Any] = {f"{name}_session": TorchSession(net, (kind.output,))}
    in_pytorch = replace(release, **in_torch)
    parity = {
        "largest_difference": largest_difference(name, in_pytorch, release),
        **compare_scores(in_pytorch, release, digital_patients(patients)),
        "first_seed": FIRST_SEED,
    }
    block[name]["parity"] = parity
    write_metadata(folder, metadata)
    if parity["largest_difference"] > LARGEST_DIFFERENCE or parity["scores_changed"]:
        raise CacsegError(
            f"The exported network {name} differs from PyTorch: {parity}; expected at most {LARGEST_DIFFERENCE} of a "
            "logit and the same scores. Export with another torch or opset."
        )
    return parity


def add_put_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Give a command line what ``put_given`` needs."""
    parser.add_argument("weights", type=Path)
    parser.add_argument("release", type=Path)
    parser.add_argument("--version", required=True, help="new version of the release")
    started = f"{weights_name(name)} that training started from: what is put lies between both"
    parser.add_argument("--mixed-with", type=Path, help=started)
    parser.add_argument("--share", type=proportion, default=0.5, help="of that, 0 to 1 (default: %(default)s)")


def put_given(name: str, given: argparse.Namespace) -> str:
    """Put a trained network into a release as a command line says; gives the comparison as JSON. Errors of ``put``."""
    mixing = {"mixed_with": given.mixed_with, "share": given.share}
    return json.dumps(put(name, given.weights, given.release, given.version, **mixing), indent=2)


def take(name: str, source: Path, folder: Path) -> None:
    """Copy a network, and its weights, from one release into another."""
    for file in (onnx_name(name), weights_name(name)):
        if source.resolve() != folder.resolve():
            shutil.copyfile(source / file, folder / file)


def largest_difference(name: str, expected: Release, found: Release) -> float:
    """Run a network of both releases on the same random inputs; gives the largest difference of a logit."""
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(COMPARED):
        given = BESIDE[name].inputs(rng)
        mine, theirs = (each.sessions[name].run([BESIDE[name].output], given)[0] for each in (expected, found))
        largest = max(largest, float(np.abs(mine - theirs).max()))
    return largest
