"""From a checkpoint to a release: ONNX files, compared with PyTorch, and their metadata.

A release holds the calcium network, the scout and, once ``cacseg.train.beside.put`` has put them there, those that look
again.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from cacseg.cli.options import positive, proportion
from cacseg.cli.streams import say
from cacseg.errors import CacsegError, UsageError
from cacseg.infer.decide import Decision
from cacseg.infer.grid import (
    HEART_GRID,
    SCOUT_GRID,
    WIDTH_STEP,
)
from cacseg.infer.release import DEFAULT_RELEASE, METADATA, load_release
from cacseg.models import CalciumNet, ScoutNet
from cacseg.models.unet import with_metal_as_other
from cacseg.train.beside import BESIDE, LARGEST_DIFFERENCE, take
from cacseg.train.bundle import CALCIUM_FILE, SCOUT_FILE, WEIGHTS_FILE, release_metadata
from cacseg.train.loop import lightened
from cacseg.train.mixing import mixed
from cacseg.train.module import CalciumModule
from cacseg.train.onnx_file import changelog_with, write_metadata, write_onnx
from cacseg.train.parity import FIRST_SEED, compare_logits, compare_scores, digital_patients, in_torch

ARCHITECTURE: Final = ("channels", "strides", "residual_units", "feature_channels", "head_channels")
"""Settings of ``CalciumModule`` that say how the network is built."""


class ServedCalcium(nn.Module):
    """What a release runs: the two heads that the assignment reads, metal among other calcium."""

    def __init__(self, net: CalciumNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, slice, row, column) cells to (n, 9, ...) calcium and (n, 5, ...) territory logits, float32."""
        calcium, territory, _ = self.net(cells)
        return with_metal_as_other(calcium), territory


class ServedHeart(nn.Module):
    """The scout with its sigmoid."""

    def __init__(self, net: ScoutNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, cells: Tensor) -> Tensor:
        """(n, 1, slice, row, column) HU to the probability of heart, same shape, float32."""
        return torch.sigmoid(self.net(cells))


def load_networks(
    checkpoint: Path, mixed_with: Path | None = None, share: float = 0.5
) -> tuple[CalciumNet, ScoutNet, Mapping[str, Any]]:
    """Load both networks, with averaged weights where the run kept an average, ``lightened``.

    Parameters
    ----------
    mixed_with, share : ``weights.pt`` of the release that training started from, and how much of it; see ``mixed``.

    Raises
    ------
    UsageError : there is no such file, or the weights are those of networks of another form.
    """
    if not checkpoint.is_file():
        raise UsageError(f"No checkpoint {checkpoint}; give one from a run's checkpoints folder.")
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    settings = {k: v for k, v in stored["hyper_parameters"].items() if k in ARCHITECTURE}
    module = CalciumModule(**settings)
    module.load_state_dict(stored["state_dict"])
    run = {"step": stored["global_step"], "epoch": stored["epoch"], **settings}
    if mixed_with is not None:
        between, run["mixed_with"] = mixed(module.state_dict(), mixed_with, share)
        module.load_state_dict(between)
    module.load_state_dict(lightened(module.state_dict()))
    module.eval()
    return module.net, module.scout, run


def decision_source(folder: Path, given: Path | None) -> Path | None:
    """Say where the settings of the decision come from: what is given, else the release that ``folder`` holds."""
    if given is not None:
        return given
    return folder if (folder / METADATA).is_file() else None


def settings_of(source: Path | None) -> dict[str, Any]:
    """Read the settings that say how the networks' answers are used.

    Parameters
    ----------
    source : release folder or its metadata.json; the defaults where None.

    Returns
    -------
    ``decision`` and, where the release has them, ``shifts_mm`` and how each network of ``BESIDE`` was made.

    Raises
    ------
    UsageError : it is not the metadata of a release, or holds a setting that this cacseg does not know.
    """
    if source is None:
        return {"decision": asdict(Decision())}
    path = source / METADATA if source.is_dir() else source
    try:
        block = json.loads(path.read_text(encoding="utf-8"))["cacseg"]
        settings = {"decision": asdict(Decision(**block["decision"]))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} gives no settings of the decision ({error!r}). Give the folder or the {METADATA} of a release "
            "made by this cacseg."
        ) from error
    return settings | {name: block[name] for name in ("shifts_mm", *BESIDE) if name in block}


def export(
    checkpoint: Path,
    folder: Path,
    *,
    name: str = DEFAULT_RELEASE,
    release_version: str = "1.0.0",
    decision: Path | None = None,
    samples: Path | None = None,
    volumes: int = 20,
    patients: int = 2,
    mixed_with: Path | None = None,
    share: float = 0.5,
) -> dict[str, Any]:
    """Write a release and compare it with PyTorch.

    Parameters
    ----------
    checkpoint : of a training run.
    folder : of the release; files other than the networks and the metadata are left alone.
    decision : release folder or metadata.json whose settings of the decision are taken; where None those of the
        release that ``folder`` holds, or the defaults.
    samples : folder of cached samples to compare on; random HU are used where None.
    volumes : number of volumes whose logits are compared.
    patients : number of digital patients whose final scores are compared.
    mixed_with, share : see ``load_networks``.

    Returns
    -------
    The comparison, see ``cacseg.train.parity.compare_logits`` and ``score_changes``.

    Raises
    ------
    CacsegError : ONNX Runtime and PyTorch disagree; the release is written, with the comparison in its metadata.
    UsageError : no checkpoint, or no settings of the decision where they are looked for.
    """
    net, scout, run = load_networks(checkpoint, mixed_with, share)
    source = decision_source(folder, decision)
    settings = settings_of(source)
    changelog = changelog_with(folder, release_version)
    calcium, heart = ServedCalcium(net), ServedHeart(scout)
    folder.mkdir(parents=True, exist_ok=True)
    widths = {axis: WIDTH_STEP * torch.export.Dim(name, min=2, max=16) for axis, name in ((3, "rows"), (4, "columns"))}
    cells = torch.zeros(2, 3, *HEART_GRID.shape)
    write_onnx(calcium, {"cells": cells}, ["calcium", "territory"], folder / CALCIUM_FILE, widths)
    write_onnx(heart, {"cells": torch.zeros(2, 1, *SCOUT_GRID.shape)}, ["heart"], folder / SCOUT_FILE)
    weights = {f"net.{k}": v for k, v in net.state_dict().items()}
    weights |= {f"scout.{k}": v for k, v in scout.state_dict().items()}
    torch.save({"state_dict": lightened(weights)}, folder / WEIGHTS_FILE)
    for beside in BESIDE:
        if source is not None and beside in settings:
            take(beside, source if source.is_dir() else source.parent, folder)
    metadata = release_metadata(folder, name, release_version, settings, run, changelog)
    write_metadata(folder, metadata)
    release = load_release(folder)
    in_pytorch = in_torch(release, calcium, heart)
    parity = {
        **compare_logits(in_pytorch, release, samples, volumes),
        **compare_scores(in_pytorch, release, digital_patients(patients)),
        "first_seed": FIRST_SEED,
    }
    metadata["cacseg"]["parity"] = parity
    write_metadata(folder, metadata)
    if max(parity["largest_relative_difference"], parity["largest_relative_territory_difference"]) > LARGEST_DIFFERENCE:
        raise CacsegError(
            f"The exported network differs from PyTorch: {parity}; expected at most {LARGEST_DIFFERENCE} of the "
            "largest logit. Export with another torch or opset."
        )
    if parity["scores_changed"]:
        raise CacsegError(
            f"The exported network gives other scores than PyTorch: {parity}; expected the same score of every artery. "
            "Export with another torch or opset."
        )
    return parity


def main(argv: Sequence[str] | None = None) -> int:
    """``cacseg export``: checkpoint to release folder; prints the comparison as JSON."""
    parser = argparse.ArgumentParser(prog="cacseg export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, help="release folder, e.g. models/my-release")
    parser.add_argument("--name", default=None, help="name of the release; the folder's name unless given")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--samples", type=Path, default=None, help="cached samples to compare on")
    parser.add_argument("--volumes", type=positive, default=20, help="whose logits are compared (default: %(default)s)")
    parser.add_argument(
        "--patients", type=positive, default=2, help="digital ones whose scores are compared (default: %(default)s)"
    )
    parser.add_argument(
        "--decision",
        type=Path,
        default=None,
        metavar="FROM",
        help="release folder or metadata.json whose decision settings are taken; those of the release in the target "
        "folder, if it holds one, unless given",
    )
    parser.add_argument(
        "--mixed-with",
        type=Path,
        default=None,
        metavar="WEIGHTS",
        help="weights.pt of the release that training started from: what is written lies between both",
    )
    parser.add_argument("--share", type=proportion, default=0.5, help="of WEIGHTS, 0 to 1 (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=None, help="the run's configuration, copied into the release")
    given = parser.parse_args(argv)
    source = decision_source(given.folder, given.decision)
    say(f"Decision settings: {'the defaults' if source is None else f'kept from {source}'}")
    parity = export(
        given.checkpoint,
        given.folder,
        name=given.name or given.folder.name,
        release_version=given.version,
        decision=source,
        samples=given.samples,
        volumes=given.volumes,
        patients=given.patients,
        mixed_with=given.mixed_with,
        share=given.share,
    )
    if given.config is not None:
        shutil.copyfile(given.config, given.folder / "train.yaml")
    print(json.dumps(parity, indent=2))  # noqa: T201  the command's result
    return 0
