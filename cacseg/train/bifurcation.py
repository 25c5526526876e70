"""What the third network learns from: blocks around the left main artery, moved, turned and varied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cacseg.errors import UsageError
from cacseg.infer.bifurcation import ARTERIES, BLOCK
from cacseg.models import BifurcationNet
from cacseg.train.bifurcation_sample import CACHED_BLOCK, MARGIN_CELLS
from cacseg.train.loop import CPU, Settings, kept_for_validation, train
from cacseg.train.sources import arrays_in, samples_in
from cacseg.train.warp import WarpRange, coarser, draw_field, warped

MOVES: Final = tuple(zip(MARGIN_CELLS, (1, 2, 2), strict=True))
"""Cells by which a block may move either way along each axis, and in which steps."""

TURNED_SHARE: Final = 0.6
WARP: Final = WarpRange(axial_degrees=25.0, tilt_degrees=14.0, scale=0.2, elastic_mm=1.2, stretch=0.1)
"""How blocks are turned and bent; control points of what is elastic lie 11 to 13 mm apart in one."""

MISLED_SHARE: Final = 0.5
MISLED: Final = WarpRange(axial_degrees=15.0, tilt_degrees=8.0, scale=0.1, elastic_mm=1.5, bend_mm=3.0)
MISLED_MM: Final = 3.0
"""How what the first network says is turned, bent and moved (SD along each axis) against the image. Of hearts unlike
those it learned from it says it a few millimetres off, and the image is to count for more."""

UNTOLD_SHARE: Final = 0.1
NOISY_SHARE: Final = 0.3


Blocks = tuple[Tensor, Tensor, Tensor, Tensor]
"""Cells, prior, and the targets of calcium and along the arteries; see ``BifurcationData.block``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BifurcationSettings(Settings):
    """How the third network is trained.

    Parameters
    ----------
    calcium_weight : of the calcified cells against the cells along the centre lines.
    """

    steps: int = 4000
    batch_size: int = 8
    learning_rate: float = 1.5e-3
    averaging: float = 0.995
    calcium_weight: float = 2.0


class BifurcationData:
    """All blocks of a folder in memory.

    Parameters
    ----------
    folder : of ``save_bifurcation`` files; every ``VALIDATION_EVERY``-th of them is for validation.
    settings : say how much calcium counts.
    device : that the network runs on.

    Raises
    ------
    UsageError : the folder holds none, or too few to keep some for validation.
    """

    def __init__(self, folder: Path, settings: BifurcationSettings, device: torch.device = CPU) -> None:
        files = samples_in(folder)
        self.blocks = [arrays_in(file) for file in files]
        kept = kept_for_validation([file.name for file in files])
        self.training, self.validation = np.flatnonzero(~kept), np.flatnonzero(kept)
        if not self.training.size or not self.validation.size:
            raise UsageError(f"{folder} holds {len(files)} scans; more are needed to train on and to validate on.")
        self.settings, self.device = settings, device

    @property
    def size(self) -> int:
        """How many scans there are to train on."""
        return int(self.training.size)

    def loss_of_batch(self, net: nn.Module, rng: np.random.Generator, size: int) -> Tensor:
        """Draw and vary so many blocks and give the loss."""
        drawn = []
        for place in rng.choice(self.training, size):
            first = [step * int(rng.integers(2 * margin // step + 1)) for margin, step in MOVES]
            drawn.append(self.block(int(place), first))
        cells, prior, calcium, artery = varied(*_stacked(drawn), rng)
        return self.loss(said(net, cells, prior, self.device), cells, calcium, artery)

    def block(self, place: int, first: Sequence[int]) -> Blocks:
        """Cut a block out of a cached one.

        Parameters
        ----------
        place : of the scan in the folder.
        first : slice, row and column of the block in the cached one; even row and column.

        Returns
        -------
        cells : (3, 16, 80, 80) and prior (10, 16, 40, 40) float32, as the network takes them.
        calcium, artery : (16, 80, 80) uint8 targets.
        """
        stored = self.blocks[place]
        whole = np.zeros((3, *CACHED_BLOCK.shape), np.float32)
        whole[0] = stored["hu"]
        target = np.zeros(CACHED_BLOCK.shape, np.uint8)
        for flat, name in ((whole[1], "fraction"), (whole[2], "excess"), (target, "calcium")):
            flat.reshape(-1)[stored["at"]] = stored[name]
        window = tuple(slice(a, a + n) for a, n in zip(first, BLOCK.shape, strict=True))
        half = (window[0], *(slice(each.start // 2, each.stop // 2) for each in window[1:]))
        return (
            torch.from_numpy(whole[:, *window]),
            torch.from_numpy(stored["prior"][:, *half].astype(np.float32)),
            torch.from_numpy(target[window]),
            torch.from_numpy(stored["artery"][window]),
        )

    def loss(self, logits: Tensor, cells: Tensor, calcium: Tensor, artery: Tensor) -> Tensor:
        """Cross-entropy with the arteries that each target allows: along centre lines, and weightier of calcium."""
        given = functional.log_softmax(logits, 1)
        total = torch.zeros((), device=logits.device)
        for target, weight, share in (
            (artery, (artery > 0).float(), 1.0),
            (calcium, (calcium > 0) * cells[:, 1], self.settings.calcium_weight),
        ):
            wrong = -torch.logsumexp(given.masked_fill(~allowed(target), -30.0), 1)
            total = total + share * (wrong * weight).sum() / weight.sum().clamp_min(1.0)
        return total

    def validated(self, net: nn.Module) -> dict[str, float]:
        """Measure the loss and the share of cells that get their artery, of the third network and of the first.

        Calcified cells count by what share of them is calcium, and where their artery is known alone.
        """
        losses, tables, right, count = [], np.zeros((2, len(ARTERIES), len(ARTERIES))), 0.0, 0.0
        for cells, prior, calcium, artery in self._chunks():
            logits = said(net, cells, prior, self.device)
            losses.append(float(self.loss(logits, cells, calcium, artery)))
            first = torch.log(prior[:, 1:4] + 1e-3) + torch.log(prior[:, 5:8] + 1e-3)
            first = functional.interpolate(first, scale_factor=(1, 2, 2))
            alone = allowed(calcium).sum(1) == 1
            truth = allowed(calcium).int().argmax(1)[alone]
            for row, each in enumerate((logits, first)):
                pairs = truth * len(ARTERIES) + each.argmax(1)[alone]
                found = torch.bincount(pairs, cells[:, 1][alone], tables[row].size)
                tables[row] += found.reshape(tables[row].shape).numpy()
            dense = artery > 0
            right += float((allowed(artery).gather(1, logits.argmax(1, keepdim=True))[:, 0] & dense).sum())
            count += float(dense.sum())
        measured = {"loss": float(np.mean(losses)), "along_centre_lines": right / max(count, 1.0)}
        for table, name in zip(tables, ("", "_before"), strict=True):
            hit, either = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
            measured[f"calcium{name}"] = float(hit.sum() / max(table.sum(), 1e-6))
            for label, f1 in zip(ARTERIES, 2 * hit / np.maximum(either, 1e-6), strict=True):
                measured[f"f1_{label.name}{name}"] = float(f1)
        return {name: round(value, 4) for name, value in measured.items()}

    def _chunks(self, size: int = 8) -> Iterator[Blocks]:
        for first in range(0, self.validation.size, size):
            chosen = self.validation[first : first + size]
            yield _stacked([self.block(int(place), MARGIN_CELLS) for place in chosen])


def _stacked(blocks: Sequence[Blocks]) -> Blocks:
    cells, prior, calcium, artery = (torch.stack(each) for each in zip(*blocks, strict=True))
    return cells, prior, calcium, artery


def said(net: nn.Module, cells: Tensor, prior: Tensor, device: torch.device) -> Tensor:
    """Run a network on its device, in bfloat16 where it can; logits are float32 and come back."""
    with torch.autocast(device.type, torch.bfloat16):
        logits: Tensor = net(cells.to(device), prior.to(device))
    return logits.float().cpu()


def allowed(target: Tensor) -> Tensor:
    """Spread (n, ...) sets of arteries over a second axis, (n, 3, ...) bool.

    Examples
    --------
    >>> allowed(torch.tensor([[0b011, 0b100]], dtype=torch.uint8)).int().tolist()
    [[[1, 0], [1, 0], [0, 1]]]
    """
    return torch.stack([(target & (1 << place)) > 0 for place in range(len(ARTERIES))], 1)


def varied(cells: Tensor, prior: Tensor, calcium: Tensor, artery: Tensor, rng: np.random.Generator) -> Blocks:
    """Turn, scale and bend blocks, vary HU, density and noise; mislay or hide some of what the first network says.

    Never mirrored: the arteries are told apart by the side they lie on.
    """
    n = cells.shape[0]

    def draw(sd: float) -> Tensor:
        return torch.from_numpy(rng.normal(0, sd, (n, 1, 1, 1)).astype(np.float32))

    turned = torch.from_numpy(rng.random(n) < TURNED_SHARE)
    if turned.any():
        shape, spacing_mm = BLOCK.shape, BLOCK.spacing_mm
        fields = torch.cat([draw_field(shape, spacing_mm, WARP, rng) for _ in range(int(turned.sum()))])
        cells[turned] = warped(cells[turned], fields, "bilinear")
        prior[turned] = warped(prior[turned], coarser(fields), "bilinear")
        for target in (calcium, artery):
            moved = warped(target[turned][:, None].float(), fields, "nearest")
            target[turned] = moved[:, 0].to(target.dtype)
    cells[:, 0] = cells[:, 0] * (1 + draw(0.03)) + draw(6.0)
    cells[:, 2] = cells[:, 2] * torch.exp(draw(0.1))
    noisy = torch.from_numpy((rng.random((n, 1, 1, 1)) < NOISY_SHARE).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(cells[:, 0].shape, np.float32))
    cells[:, 0] += noise * noisy * draw(15.0).abs()
    misled = torch.from_numpy(rng.random(n) < MISLED_SHARE)
    if misled.any():
        fields = torch.cat([_mislaid(rng) for _ in range(int(misled.sum()))])
        prior[misled] = warped(prior[misled], coarser(fields), "bilinear")
    prior[torch.from_numpy(rng.random(n) < UNTOLD_SHARE)] = 0.0
    return cells, prior, calcium, artery


def _mislaid(rng: np.random.Generator) -> Tensor:
    half_mm = np.array(BLOCK.extent_mm)[::-1] / 2
    moved = torch.from_numpy((rng.normal(0, MISLED_MM, 3) / half_mm).astype(np.float32))
    return draw_field(BLOCK.shape, BLOCK.spacing_mm, MISLED, rng) + moved


def fit(
    folder: Path,
    run: Path,
    settings: BifurcationSettings,
    validate_every: int = 500,
    start_from: Path | None = None,
    device: torch.device = CPU,
) -> Path:
    """Train, going on where a stopped run left off.

    Parameters
    ----------
    folder : of samples.
    run : gets ``bifurcation.pt``, ``state.pt`` and ``metrics.csv``.
    start_from : ``bifurcation.pt`` of a release or of another run; nothing learned where None.

    Returns
    -------
    Path of ``bifurcation.pt``, see ``cacseg.train.loop.train``.

    Raises
    ------
    UsageError : ``folder`` holds too little, or ``run`` a run of another length.
    """
    data = BifurcationData(folder, settings, device)
    torch.manual_seed(settings.seed)
    net = BifurcationNet().to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return train(net, data, run, "bifurcation", settings, validate_every, start_from)
