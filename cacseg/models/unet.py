"""Two MONAI U-Nets with their normalisation inside.

``CalciumNet`` folds pairs of rows and columns into channels (1.5 mm in the plane becomes 3 mm), runs the U-Net
there, and unfolds the calcium scores again: a full-resolution answer at a quarter of the cost. The raw cells
join the U-Net's last features, so that the fine detail that tells calcium from noise is not lost on the way.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from cacseg.vessels import Label

HU_WINDOWS: Final = ((-200.0, 200.0), (-1000.0, 600.0), (100.0, 1000.0))
"""Soft tissue and fat; lung to contrast; calcium and bone. Each is scaled to [-1, 1]."""

EXCESS_SCALE_HU: Final = 300.0
"""Divides the excess channel; a cell full of 430 HU calcium reads 1."""

CALCIUM_CLASSES: Final = len(Label) + 1
"""``Label``, and last metal, which training tells from other calcium and a release counts as such."""

METAL_PRIOR: Final = 0.05
"""How often metal is met over how often training met it: stents in 13 % of the draws, in 1.5 % of people and in fewer
of those sent for a calcium score (shares of ``cacseg.data.phantom.disease.occurrence``). Taken for granted as in
training, metal costs dense plaques, which are far commoner."""

TERRITORY_CLASSES: Final = 5
"""Away from any artery, LM, LAD, LCX, RCA."""

TISSUE_CLASSES: Final = 16
"""Merged anatomical classes (``cacseg.train.sample.TISSUE_CLASS``)."""


class Windows(nn.Module):
    """Scale HU through several windows, ``(n, 1, ...) -> (n, windows, ...)``."""

    def __init__(self, windows: Sequence[tuple[float, float]] = HU_WINDOWS) -> None:
        super().__init__()
        self.windows = tuple(windows)

    def forward(self, hu: Tensor) -> Tensor:
        """Clip and scale to [-1, 1]."""
        return torch.cat([(hu.clamp(low, high) - low) * (2.0 / (high - low)) - 1.0 for low, high in self.windows], 1)


class CalciumNet(nn.Module):
    """Calcium class, nearby artery and tissue of every cell of the heart grid.

    Parameters
    ----------
    channels, strides, residual_units : of the MONAI UNet, which works on 3 mm cells.
    feature_channels : what the U-Net gives on; its last layer, on all 3 mm cells, costs most.
    head_channels : width of the layer that joins the U-Net's features with the raw cells.
    checkpointing : recompute the U-Net in the backward pass instead of storing it; less memory, a third slower.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 96, 128),
        strides: Sequence[int] = (2, 2, 2),
        residual_units: int = 2,
        feature_channels: int = 24,
        head_channels: int = 64,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.windows = Windows()
        folded = 4 * (len(HU_WINDOWS) + 2)
        self.body = UNet(
            spatial_dims=3,
            in_channels=folded,
            out_channels=feature_channels,
            channels=tuple(channels),
            strides=tuple(strides),
            num_res_units=residual_units,
            norm=("INSTANCE", {"affine": True}),
        )
        self.join = nn.Sequential(nn.Conv3d(feature_channels + folded, head_channels, 1), nn.LeakyReLU(0.1))
        self.calcium = nn.Conv3d(head_channels, 4 * CALCIUM_CLASSES, 1)
        self.territory = nn.Conv3d(head_channels, TERRITORY_CLASSES, 1)
        self.tissue = nn.Conv3d(head_channels, TISSUE_CLASSES, 1)
        self.checkpointing = checkpointing

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score every cell.

        Parameters
        ----------
        cells : (n, 3, slice, row, column) as ``cacseg.infer.grid.model_input`` gives them.

        Returns
        -------
        calcium : (n, 10, slice, row, column) logits of ``Label`` and of metal.
        territory : (n, 5, slice, row / 2, column / 2) logits.
        tissue : (n, 16, slice, row / 2, column / 2) logits.
        """
        excess = (cells[:, 2:3] * (1.0 / EXCESS_SCALE_HU)).clamp(0.0, 4.0)
        folded = fold(torch.cat([self.windows(cells[:, 0:1]), cells[:, 1:2], excess], 1))
        if self.checkpointing and self.training:
            features = checkpoint(self.body, folded, use_reentrant=False)
        else:
            features = self.body(folded)
        joined = self.join(torch.cat([features, folded], 1))
        return unfold(self.calcium(joined)), self.territory(joined), self.tissue(joined)


class ScoutNet(nn.Module):
    """Probability of heart on the coarse grid."""

    def __init__(self, channels: Sequence[int] = (8, 16, 32, 48), strides: Sequence[int] = (2, 2, 2)) -> None:
        super().__init__()
        self.windows = Windows()
        self.body = UNet(
            spatial_dims=3,
            in_channels=len(HU_WINDOWS),
            out_channels=1,
            channels=tuple(channels),
            strides=tuple(strides),
            num_res_units=1,
            norm=("INSTANCE", {"affine": True}),
        )

    def forward(self, cells: Tensor) -> Tensor:
        """(n, 1, slice, row, column) HU to logits of the same shape."""
        logits: Tensor = self.body(self.windows(cells))
        return logits


def with_metal_as_other(calcium: Tensor, metal_prior: float = METAL_PRIOR) -> Tensor:
    """Add the odds of metal to those of other calcium, (n, 10, ...) logits to (n, 9, ...) of ``Label``.

    Parameters
    ----------
    calcium : logits of ``CalciumNet``.
    metal_prior : how often metal is met over how often training met it.

    Examples
    --------
    >>> with_metal_as_other(torch.zeros(1, 10, 1, 1, 1), 0.5).exp().round(decimals=3)[0, :, 0, 0, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5]
    """
    other, metal = calcium[:, Label.OTHER : Label.OTHER + 1], calcium[:, Label.OTHER + 1 :] + math.log(metal_prior)
    return torch.cat([calcium[:, : Label.OTHER], other + functional.softplus(metal - other)], 1)


def fold(cells: Tensor) -> Tensor:
    """(n, c, slice, row, column) to (n, 4 c, slice, row / 2, column / 2)."""
    n, c, slices, rows, columns = cells.shape
    pairs = cells.reshape(n, c, slices, rows // 2, 2, columns // 2, 2)
    return pairs.permute(0, 1, 4, 6, 2, 3, 5).reshape(n, 4 * c, slices, rows // 2, columns // 2)


def unfold(cells: Tensor) -> Tensor:
    """Undo ``fold``."""
    n, c, slices, rows, columns = cells.shape
    pairs = cells.reshape(n, c // 4, 2, 2, slices, rows, columns)
    return pairs.permute(0, 1, 4, 5, 2, 6, 3).reshape(n, c // 4, slices, 2 * rows, 2 * columns)
