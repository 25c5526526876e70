"""The training loop of the small networks that look again: it resumes, validates and keeps averaged weights."""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, Protocol
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cacseg.cli.streams import say
from cacseg.errors import UsageError
from cacseg.train.record import environment

VALIDATION_EVERY: Final = 6
"""One patient in so many is kept for validation, by the name of the file: a cache may grow between runs."""

CPU: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a network is trained.

    Parameters
    ----------
    steps, batch_size, learning_rate, weight_decay, averaging : AdamW under a one-cycle schedule; what is kept is a
        moving average of the weights.
    """

    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    averaging: float = 0.99
    seed: int = 0


class Lessons(Protocol):
    """What a network learns from."""

    @property
    def size(self) -> int:
        """How many there are to train on."""

    def loss_of_batch(self, net: nn.Module, rng: np.random.Generator, size: int) -> Tensor:
        """Draw and vary so many and give the loss."""

    def validated(self, net: nn.Module) -> dict[str, float]:
        """Measure what a network says of those kept for validation."""


def train(
    net: nn.Module,
    lessons: Lessons,
    run: Path,
    name: str,
    settings: Settings,
    validate_every: int = 150,
    start_from: Path | None = None,
) -> Path:
    """Train, going on where a stopped run left off.

    Parameters
    ----------
    net : to train, on its device.
    run : gets NAME.pt, ``state.pt`` and ``metrics.csv``.
    name : of the network.
    start_from : NAME.pt of a release or of another run; nothing learned where None.

    Returns
    -------
    Path of NAME.pt: averaged weights, ``lightened``, and how they were made.

    Raises
    ------
    UsageError : ``run`` holds a run of another length.
    """
    if start_from is not None:
        net.load_state_dict(torch.load(start_from, weights_only=True)["state_dict"])
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    parts = {"net": net, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    state, first = run / "state.pt", 0
    run.mkdir(parents=True, exist_ok=True)
    if state.exists():
        stored = torch.load(state, map_location=CPU, weights_only=True)
        planned = stored["schedule"]["total_steps"]
        if planned != settings.steps:
            raise UsageError(f"{run} holds a run of {planned} steps; ask for as many, or name another folder.")
        for each, part in parts.items():
            part.load_state_dict(stored[each])
        torch.set_rng_state(stored["chance"])
        first = stored["step"]
        say(f"Going on after step {first}.")
    start = perf_counter()
    for step in range(first, settings.steps):
        loss = lessons.loss_of_batch(net, np.random.default_rng([settings.seed, step]), settings.batch_size)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(net)
        done = step + 1
        if done % validate_every == 0 or done == settings.steps:
            averaged.module.eval()
            with torch.no_grad():
                measured = lessons.validated(averaged.module)
            averaged.module.train()
            found = {"step": done, "train_loss": round(float(loss.detach()), 4), **measured}
            _log(run / "metrics.csv", found)
            say(f"{json.dumps(found)} after {perf_counter() - start:.0f} s")
            saved = {each: part.state_dict() for each, part in parts.items()}
            torch.save({**saved, "chance": torch.get_rng_state(), "step": done}, state.with_suffix(".part"))
            state.with_suffix(".part").replace(state)
    made = {
        "settings": asdict(settings),
        "start_from": None if start_from is None else hashlib.sha256(start_from.read_bytes()).hexdigest(),
        "lessons": lessons.size,
        "git_commit": environment()["git_commit"],
        "torch": str(torch.__version__),
    }
    weights = run / f"{name}.pt"
    torch.save({"state_dict": lightened(averaged.module.cpu().state_dict()), "made": made}, weights)
    return weights


def kept_for_validation(names: list[str]) -> NDArray[np.bool_]:
    """Tell which files are kept for validation: the same ones however many others there are, and always one.

    Examples
    --------
    >>> kept_for_validation(["0.npz", "1.npz", "5.npz"]).tolist()
    [True, False, True]
    >>> kept_for_validation(["2.npz", "1.npz"]).tolist()
    [True, False]
    """
    digests = np.array([crc32(name.encode()) for name in names])
    kept = digests % VALIDATION_EVERY == 0
    return kept if kept.any() else digests == digests.min()


def lightened(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round what layers multiply with to half precision, for a file of half the size; biases and norms stay."""
    return {name: value.half() if value.dim() > 1 else value for name, value in weights.items()}


def _log(path: Path, row: Mapping[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, row.keys(), lineterminator="\n")
        if fresh:
            table.writeheader()
        table.writerow(row)
