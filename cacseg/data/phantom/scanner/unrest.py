"""How noise differs from place to place within a slice: its level and its direction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.noise import noise_planes
from cacseg.data.phantom.scanner.protocol import Protocol

KNOTS: Final = 5
"""Knots of a smooth random field along each side of the image, 40-100 mm apart."""

ALONG_ROWS: Final = 0.6
"""Mean share of streaky noise that runs along the rows: rays from side to side are weakened most."""


@dataclass(frozen=True, slots=True, eq=False)
class Unrest:
    """Local properties of the noise of one scan, each (row, column) float32.

    Parameters
    ----------
    level : local SD relative to the protocol's, about 1 on average.
    even, rows, columns : weights of grain without direction, along the rows and along the columns; their
        squares sum to 1.
    """

    level: NDArray[np.float32]
    even: NDArray[np.float32]
    rows: NDArray[np.float32]
    columns: NDArray[np.float32]

    @classmethod
    def draw(cls, protocol: Protocol, rng: np.random.Generator) -> Self:
        """Draw the fields of one scan."""
        level, share, turn = (_field(protocol.matrix, rng) for _ in range(3))
        streaky = np.float32(protocol.noise_streakiness) * np.clip(0.6 + 0.5 * share, 0, 1)
        along = np.clip(ALONG_ROWS + 0.6 * turn, 0, 1)
        return cls(
            np.exp(np.float32(protocol.noise_unevenness) * level),
            np.sqrt(1 - streaky),
            np.sqrt(streaky * along),
            np.sqrt(streaky * (1 - along)),
        )


def uneven_noise(protocol: Protocol, count: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Yield planes of noise whose level and direction change smoothly over the image.

    Returns
    -------
    (matrix, matrix) float32 planes, of unit SD on average; with ``noise_unevenness`` and ``noise_streakiness``
    of 0 the planes of ``noise_planes``.
    """
    if protocol.noise_unevenness == 0 and protocol.noise_streakiness == 0:
        yield from noise_planes(protocol, count, rng)
        return
    unrest = Unrest.draw(protocol, rng)
    if protocol.noise_streakiness == 0:
        for plane in noise_planes(protocol, count, rng):
            yield unrest.level * plane
        return
    even_chance, streaky_chance = (np.random.default_rng(seed) for seed in rng.integers(2**63, size=2).tolist())
    both = zip(
        noise_planes(protocol, count, even_chance),
        noise_planes(protocol, count, streaky_chance, streaky=True),
        strict=True,
    )
    for even, streaky in both:
        plane = unrest.even * even
        plane += unrest.rows * streaky
        plane += unrest.columns * np.ascontiguousarray(streaky.T)
        plane *= unrest.level
        yield plane


def _field(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth random field of about unit SD, (size, size) float32."""
    knots = rng.standard_normal((KNOTS, KNOTS)).astype(np.float32)
    place = np.linspace(0, KNOTS - 1, size, dtype=np.float32)
    part = np.clip(1 - np.abs(place[:, None] - np.arange(KNOTS, dtype=np.float32)), 0, 1)
    smooth = part * part * (3 - 2 * part)
    return np.asarray(1.25 * np.einsum("ri,ij,cj->rc", smooth, knots, smooth, optimize=False), np.float32)
