"""One optimisation step, one validation step, and the learning-rate schedule of both networks."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from lightning import LightningModule
from torch import Tensor

from cacseg.models import CalciumNet, ScoutNet
from cacseg.models.unet import with_metal_as_other
from cacseg.train.data import Batch
from cacseg.train.loss import LossWeights, calcium_terms, dense_term, heart_term, verdict
from cacseg.train.sample import METAL, UNKNOWN
from cacseg.vessels import CORONARY, Label

COUNTED: Final = (CORONARY, *((label,) for label in Label if label not in (0, Label.OTHER)), (Label.OTHER, METAL))
"""Classes of each F1 that validation logs: coronary calcium, then every label."""


class CalciumModule(LightningModule):
    """Train ``CalciumNet`` and ``ScoutNet`` side by side; they share nothing but the batch.

    Parameters
    ----------
    channels, strides, residual_units, feature_channels, head_channels, checkpointing : of ``CalciumNet``.
    learning_rate : highest, reached after ``warmup_steps`` and lowered along a cosine to 1 % of it.
    weight_decay : of AdamW.
    loss : weights of the terms.
    channels_last : memory format; pays on GPU with mixed precision.
    start_from : weights that training starts from: a release's ``weights.pt``, or a checkpoint of one's own (which,
        being a pickle, must come from a trusted place).
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 96, 128),
        strides: Sequence[int] = (2, 2, 2),
        residual_units: int = 2,
        feature_channels: int = 24,
        head_channels: int = 64,
        checkpointing: bool = False,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup_steps: int = 100,
        loss: LossWeights = LossWeights(),  # noqa: B008  frozen
        channels_last: bool = False,
        start_from: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = CalciumNet(channels, strides, residual_units, feature_channels, head_channels, checkpointing)
        self.scout = ScoutNet()
        self.loss = loss
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.counts = torch.zeros(len(Label), 3)
        if start_from is not None:
            path = Path(start_from)
            stored = torch.load(path, map_location="cpu", weights_only=path.suffix == ".pt")
            self.load_state_dict(_with_metal(stored["state_dict"]))
        if channels_last:
            self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Give every term of the loss and the calcium logits."""
        calcium, territory, tissue = self.net(batch["cells"])
        entropy, overlap = calcium_terms(
            calcium, batch["calcium"], batch["cells"][:, 1], batch["tissue"], batch["territory"], self.loss
        )
        terms = {
            "calcium": self.loss.calcium * entropy,
            "overlap": self.loss.overlap * overlap,
            "territory": self.loss.territory * dense_term(territory, batch["territory"], self.loss.territory_classes),
            "tissue": self.loss.tissue * dense_term(tissue, batch["tissue"], None),
            "heart": self.loss.heart * heart_term(self.scout(batch["scout"]), batch["heart"]),
        }
        return terms, calcium

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Sum of the terms."""
        terms, _logits = self.losses(batch)
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()})
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the last validation."""
        self.counts.zero_()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log the terms and count cells, weighted by their share of candidate voxels."""
        terms, logits = self.losses(batch)
        self.log_dict({f"val/{name}": value for name, value in terms.items()}, batch_size=1)
        self.log("val/loss", torch.stack(list(terms.values())).sum(), batch_size=1, prog_bar=True)
        known = batch["calcium"] != UNKNOWN
        weight = batch["cells"][:, 1][known].float().cpu()
        target = batch["calcium"][known].cpu()
        guess = with_metal_as_other(logits).argmax(dim=1)[known].cpu()
        for place, classes in enumerate(COUNTED):
            is_truth, decided = verdict(target, classes)
            is_guess = torch.isin(guess, torch.tensor(classes))
            self.counts[place] += torch.stack(
                [
                    weight[decided & each].sum()
                    for each in (is_truth & is_guess, ~is_truth & is_guess, is_truth & ~is_guess)
                ]
            )

    def on_validation_epoch_end(self) -> None:
        """Log the F1 of coronary calcium and of every class."""
        hit, false, missed = self.counts.unbind(dim=1)
        scores = 2 * hit / (2 * hit + false + missed).clamp_min(1e-6)
        names = ["coronary", *(label.name.lower() for label in Label if label)]
        self.log_dict({f"val/f1_{name}": float(score) for name, score in zip(names, scores, strict=True)})
        self.log("val/f1", float(scores[1:5].mean()), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up and a cosine."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_share(step, self.warmup_steps, total)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _with_metal(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give weights from before metal was a class of its own that class, as a copy of other calcium."""
    state = dict(state)
    for name in ("net.calcium.weight", "net.calcium.bias"):
        if len(state[name]) == 4 * len(Label):
            state[name] = torch.cat([state[name], state[name][-4:]])
    return state


def learning_rate_share(step: int, warmup: int, total: int) -> float:
    """Share of the highest learning rate at a step.

    Examples
    --------
    >>> [round(learning_rate_share(s, 10, 110), 2) for s in (0, 10, 60, 110)]
    [0.1, 1.0, 0.51, 0.01]
    """
    if step < warmup:
        return (step + 1) / warmup if step + 1 <= warmup else 1.0
    done = min((step - warmup) / max(total - warmup, 1), 1.0)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
