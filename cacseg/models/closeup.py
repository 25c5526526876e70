"""The network that looks at one piece of a component at a time, finer than the cells of the first network."""

from collections.abc import Sequence
from typing import Final

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from cacseg.infer.closeup import CHANNELS, FACTS, OWNERS
from cacseg.models.unet import Windows

CLOSE_WINDOWS: Final = ((-150.0, 350.0), (100.0, 900.0), (300.0, 2200.0))
"""Fat to contrast; calcium; dense calcium to metal."""

LARGEST_CHANGE: Final = 6.0
"""Of a logit: a second look may overrule the first one, but not without limit."""


class CloseupNet(nn.Module):
    """How much likelier each owner of a piece is than the first network thinks.

    Parameters
    ----------
    channels : of the four steps down; below the second, each has a second layer.
    hidden : width of the layer that joins what the patch shows with the facts.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 96), hidden: int = 96) -> None:
        super().__init__()
        self.windows = Windows(CLOSE_WINDOWS)
        first, second, third, fourth = channels
        self.body = nn.Sequential(
            _layer(len(CLOSE_WINDOWS) + len(CHANNELS) - 1, first, (1, 2, 2), (1, 5, 5)),
            _layer(first, second, (1, 2, 2), (3, 3, 3)),
            _layer(second, third, (2, 2, 2), (3, 3, 3)),
            _layer(third, third, (1, 1, 1), (3, 3, 3)),
            _layer(third, fourth, (2, 2, 2), (3, 3, 3)),
            _layer(fourth, fourth, (1, 1, 1), (3, 3, 3)),
        )
        self.head = nn.Sequential(
            nn.Linear(2 * fourth + len(FACTS), hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, len(OWNERS))
        )
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def forward(self, patches: Tensor, facts: Tensor) -> Tensor:
        """Look at pieces.

        Parameters
        ----------
        patches : (n, 3, 13, 64, 64) ``cacseg.infer.closeup.CHANNELS``.
        facts : (n, 12), ``cacseg.infer.closeup.FACTS``.

        Returns
        -------
        (n, 6) change of the logit of each of ``cacseg.infer.closeup.OWNERS``, within ``LARGEST_CHANGE``.
        """
        seen = torch.cat([self.windows(patches[:, :1]), patches[:, 1:]], 1)
        features = self.body(seen.contiguous(memory_format=torch.channels_last_3d))
        known = torch.cat([features.mean((2, 3, 4)), features.amax((2, 3, 4)), facts], 1)
        change: Tensor = self.head(known)
        return LARGEST_CHANGE * torch.tanh(change / LARGEST_CHANGE)


def _layer(before: int, after: int, strides: tuple[int, int, int], kernel: tuple[int, int, int]) -> nn.Module:
    return Convolution(3, before, after, strides=strides, kernel_size=kernel, act="RELU", norm="BATCH", bias=False)
