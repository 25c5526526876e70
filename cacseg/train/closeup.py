"""What the second network learns from: pieces in memory, drawn by what is at stake."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cacseg.errors import UsageError
from cacseg.infer.closeup import LEAST_PROBABILITY, PATCH
from cacseg.models import CloseupNet
from cacseg.train.loop import CPU, Settings, kept_for_validation, train
from cacseg.train.sources import arrays_in, samples_in
from cacseg.train.warp import WarpRange, draw_field, warped

CLIPPED_WEIGHT: Final = 6.0

TURNED_SHARE: Final = 0.7
WARP: Final = WarpRange(axial_degrees=25.0, tilt_degrees=12.0, scale=0.12, elastic_mm=0.8, stretch=0.08)
"""How patches are turned and bent; control points of what is elastic lie 8 to 10 mm apart in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseupSettings(Settings):
    """How the second network is trained.

    Parameters
    ----------
    score_weight : of a piece grows with the root of its score over this, up to 3.
    healthy_weight : added where any coronary calcium would be false.
    certain_share : how often a piece that the first network gets right is drawn against one that it gets wrong.
    weights : of the scans of a kind, by what stands before "-" in the names of their files; 1 where it is not named.
        Crowded patients teach what a stent looks like, but not how rarely one is met.
    """

    score_weight: float = 8.0
    healthy_weight: float = 0.5
    certain_share: float = 0.15
    weights: Mapping[str, float] = field(default_factory=dict)


class CloseupData:
    """All pieces of a folder in memory.

    Parameters
    ----------
    folder : of ``save_closeups`` files; every ``VALIDATION_EVERY``-th of them is for validation.
    settings : say how much each piece counts.
    device : that holds them.

    Raises
    ------
    UsageError : the folder holds none, too few to keep some for validation, or none of a kind that is weighted.
    """

    def __init__(self, folder: Path, settings: CloseupSettings, device: torch.device = CPU) -> None:
        files = samples_in(folder)
        kinds = [file.name.split("-")[0] for file in files]
        if absent := sorted(set(settings.weights) - set(kinds)):
            raise UsageError(
                f"No scan in {folder} is {' or '.join(absent)}; there are {', '.join(sorted(set(kinds)))}."
            )
        read = [arrays_in(file) for file in files]
        case = np.concatenate([np.full(len(one["agatston"]), number) for number, one in enumerate(read)])
        healthy = np.array([bool(one["healthy"]) for one in read])[case] if case.size else np.zeros(0, bool)
        self.hu, self.shares, self.facts, self.probability, self.truth, self.agatston, self.known = (
            torch.from_numpy(np.concatenate([one.pop(name) for one in read])).to(device)
            for name in ("hu", "shares", "facts", "probability", "truth", "agatston", "known")
        )
        agatston, probability, truth = (each.cpu().numpy() for each in (self.agatston, self.probability, self.truth))
        score = np.minimum(np.sqrt(agatston) / settings.score_weight, 3.0)
        of_kind = np.array([settings.weights.get(kind, 1.0) for kind in kinds])[case]
        weight = (of_kind * (0.3 + score + settings.healthy_weight * healthy)).astype(np.float32)
        self.weight = torch.from_numpy(weight).to(device)
        kept = kept_for_validation([file.name for file in files])[case]
        self.training, self.validation = np.flatnonzero(~kept), np.flatnonzero(kept)
        if not self.training.size or not self.validation.size:
            raise UsageError(f"{folder} holds {len(files)} scans; more are needed to train on and to validate on.")
        wrong = np.abs(probability - truth).max(axis=1)
        draw = (weight * (settings.certain_share + wrong))[self.training].astype(np.float64)
        self.draw = draw / draw.sum()
        self.importance = np.minimum(weight[self.training] / (self.draw * self.training.size), CLIPPED_WEIGHT).astype(
            np.float32
        )

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pieces and vary them; gives their places, patches and importance."""
        drawn = rng.choice(self.training.size, size, p=self.draw)
        places, importance = (
            torch.from_numpy(each).to(self.hu.device) for each in (self.training[drawn], self.importance[drawn])
        )
        return places, varied(self.patches(places), rng), importance

    def patches(self, places: Tensor) -> Tensor:
        """(n, 3, 13, 64, 64) float32."""
        return torch.cat([self.hu[places, None].float(), self.shares[places].float() / 255.0], 1)

    def loss(self, places: Tensor, change: Tensor) -> Tensor:
        """Cross-entropy of each piece, (n,); where only coronary is labelled, of coronary against the rest."""
        logits = torch.log(self.probability[places].clamp_min(LEAST_PROBABILITY)) + change
        given = functional.log_softmax(logits, 1)
        truth = self.truth[places]
        whole = -(truth * given).sum(1)
        rest = torch.logsumexp(given[:, [0, 2, 3, 4, 5]], 1)
        either = -(truth[:, 1] * given[:, 1] + (1 - truth[:, 1]) * rest)
        return torch.where(self.known[places], whole, either)

    @property
    def size(self) -> int:
        """How many pieces there are to train on."""
        return int(self.training.size)

    def loss_of_batch(self, net: torch.nn.Module, rng: np.random.Generator, size: int) -> Tensor:
        """Draw and vary so many pieces and give the loss."""
        places, patches, importance = self.batch(rng, size)
        return (self.loss(places, net(patches, self.facts[places])) * importance).mean()

    def validated(self, net: torch.nn.Module) -> dict[str, float]:
        """Measure the loss and the score that would be false or missed if each piece got its likeliest owner."""
        changes = [net(self.patches(places), self.facts[places]) for places in _chunks(self.validation, self.hu.device)]
        change, places = torch.cat(changes), torch.from_numpy(self.validation).to(self.hu.device)
        weighted = float((self.loss(places, change) * self.weight[places]).mean())
        before = float((self.loss(places, torch.zeros_like(change)) * self.weight[places]).mean())
        logits = torch.log(self.probability[places].clamp_min(LEAST_PROBABILITY))
        agatston, coronary = self.agatston[places], self.truth[places][:, 1]
        measured = {"loss": weighted, "loss_before": before, "score": float(agatston @ coronary)}
        for name, given in (("", logits + change), ("_before", logits)):
            found = (given.argmax(1) == 1).float()
            measured[f"false{name}"] = float((agatston * found) @ (1 - coronary))
            measured[f"missed{name}"] = float((agatston * (1 - found)) @ coronary)
        return {name: round(value, 4) for name, value in measured.items()}


def varied(patches: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn, scale, bend and move patches and rescale HU.

    Never mirrored or turned far: the ring of the mitral valve lies to the right of the circumflex, the wall of the
    aorta to the left of the right artery, and the fat of a groove opens outwards.
    """
    n, device = patches.shape[0], patches.device
    patches = patches.clone()
    turned = torch.from_numpy(rng.random(n) < TURNED_SHARE).to(device)
    if turned.any():
        fields = torch.cat([draw_field(PATCH.shape, PATCH.spacing_mm, WARP, rng) for _ in range(int(turned.sum()))])
        patches[turned] = warped(patches[turned], fields.to(device), "bilinear")
    gain, offset = (
        torch.from_numpy(rng.normal(0, sd, (n, 1, 1, 1)).astype(np.float32)).to(device) for sd in (0.04, 5.0)
    )
    patches[:, 0] = patches[:, 0] * (1 + gain) + offset
    return patches.roll(tuple(int(each) for each in rng.integers(-3, 4, 2)), (3, 4))


def fit(
    folder: Path,
    run: Path,
    settings: CloseupSettings,
    validate_every: int = 150,
    start_from: Path | None = None,
    device: torch.device = CPU,
) -> Path:
    """Train, going on where a stopped run left off.

    Parameters
    ----------
    folder : of samples.
    run : gets ``closeup.pt``, ``state.pt`` and ``metrics.csv``.
    start_from : ``closeup.pt`` of a release or of another run; nothing learned where None.
    device : that trains; it also holds all pieces, some 200 kB each.

    Returns
    -------
    Path of ``closeup.pt``: averaged weights, ``lightened``, and how they were made.

    Raises
    ------
    UsageError : ``folder`` holds too little, or ``run`` a run of another length.
    """
    data = CloseupData(folder, settings, device)
    torch.manual_seed(settings.seed)
    net = CloseupNet().to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return train(net, data, run, "closeup", settings, validate_every, start_from)


def _chunks(places: NDArray[np.int64], device: torch.device, size: int = 64) -> Iterator[Tensor]:
    for first in range(0, places.size, size):
        yield torch.from_numpy(places[first : first + size]).to(device)
