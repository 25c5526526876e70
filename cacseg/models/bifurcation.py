"""The network that tells the left main artery from its branches, in a block around it."""

from collections.abc import Sequence
from typing import Final

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from cacseg.infer.bifurcation import ARTERIES, PRIOR
from cacseg.models.unet import EXCESS_SCALE_HU, HU_WINDOWS, Windows, fold, unfold
from cacseg.vessels import Label

LEAST_PRIOR: Final = 0.02
"""Added to what the first network says, which the third may overrule everywhere."""


class BifurcationNet(nn.Module):
    """Artery of every cell of a block, if what lies there is calcium of one of the three.

    As in ``CalciumNet`` a MONAI U-Net works on cells folded two by two, and joins them raw at the end. Untrained, it
    says what the first network says.

    Parameters
    ----------
    channels, strides, residual_units : of the U-Net.
    feature_channels : what it gives on.
    head_channels : width of the layer that joins its features with the raw cells.
    """

    def __init__(
        self,
        channels: Sequence[int] = (20, 28, 40, 56),
        strides: Sequence[Sequence[int]] = ((1, 2, 2), (2, 2, 2), (2, 2, 2)),
        residual_units: int = 2,
        feature_channels: int = 24,
        head_channels: int = 48,
    ) -> None:
        super().__init__()
        self.windows = Windows()
        known = 4 * (len(HU_WINDOWS) + 2) + len(PRIOR)
        self.body = UNet(
            spatial_dims=3,
            in_channels=known,
            out_channels=feature_channels,
            channels=tuple(channels),
            strides=tuple(tuple(step) for step in strides),
            num_res_units=residual_units,
            norm=("INSTANCE", {"affine": True}),
        )
        self.join = nn.Sequential(nn.Conv3d(feature_channels + known, head_channels, 1), nn.LeakyReLU(0.1))
        self.change = nn.Conv3d(head_channels, 4 * len(ARTERIES), 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)  # type: ignore[arg-type]

    def forward(self, cells: Tensor, prior: Tensor) -> Tensor:
        """Look at blocks.

        Parameters
        ----------
        cells : (n, 3, 16, 80, 80) as ``cacseg.infer.grid.model_input`` gives them.
        prior : (n, 10, 16, 40, 40) ``cacseg.infer.bifurcation.PRIOR``.

        Returns
        -------
        (n, 3, 16, 80, 80) logits of ``cacseg.infer.bifurcation.ARTERIES``.
        """
        excess = (cells[:, 2:3] * (1.0 / EXCESS_SCALE_HU)).clamp(0.0, 4.0)
        known = torch.cat([fold(torch.cat([self.windows(cells[:, 0:1]), cells[:, 1:2], excess], 1)), prior], 1)
        change = self.change(self.join(torch.cat([self.body(known), known], 1)))
        near = prior[:, Label.LM : Label.LCX + 1]
        said = torch.log(near / near.sum(1, keepdim=True).clamp_min(1e-6) + LEAST_PRIOR)
        return unfold(change + said.repeat_interleave(4, 1))
