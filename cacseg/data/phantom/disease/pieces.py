"""Capsules as parallel arrays: what every deposit is made of, and the few ways to put them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.data.phantom.scene import Deposit, Material
from cacseg.vessels import Label


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Capsules that have no owner yet.

    Parameters
    ----------
    start_lps_mm, end_lps_mm : (n, 3) float64.
    radius_mm : (n,) float64.
    density_mg_cm3 : (n,) float64 hydroxyapatite.

    Examples
    --------
    >>> streak = Pieces.polyline(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), radius_mm=0.5, density_mg_cm3=600.0)
    >>> len(streak), len(streak.take(np.array([True, False])))
    (2, 1)
    """

    start_lps_mm: NDArray[np.float64]
    end_lps_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    density_mg_cm3: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of capsules."""
        return len(self.radius_mm)

    @classmethod
    def of(
        cls, start_lps_mm: ArrayLike, end_lps_mm: ArrayLike, radius_mm: ArrayLike, density_mg_cm3: ArrayLike
    ) -> Self:
        """Make capsules; radius and density may be one number for all of them."""
        start = np.atleast_2d(np.asarray(start_lps_mm, np.float64))
        end = np.atleast_2d(np.asarray(end_lps_mm, np.float64))
        count = len(start)
        radius = np.broadcast_to(np.asarray(radius_mm, np.float64), count).copy()
        density = np.broadcast_to(np.asarray(density_mg_cm3, np.float64), count).copy()
        return cls(start, end, radius, density)

    @classmethod
    def spots(cls, centres_lps_mm: ArrayLike, radius_mm: ArrayLike, density_mg_cm3: ArrayLike) -> Self:
        """Make spheres: capsules without length."""
        return cls.of(centres_lps_mm, centres_lps_mm, radius_mm, density_mg_cm3)

    @classmethod
    def polyline(cls, nodes_lps_mm: ArrayLike, radius_mm: ArrayLike, density_mg_cm3: ArrayLike) -> Self:
        """Make the capsules between consecutive nodes of an (n, 3) line."""
        nodes = np.asarray(nodes_lps_mm, np.float64)
        return cls.of(nodes[:-1], nodes[1:], radius_mm, density_mg_cm3)

    @classmethod
    def join(cls, parts: Sequence["Pieces"]) -> Self:
        """Put several sets together, in order; an empty sequence gives an empty set."""
        if not parts:
            return cls.of(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
        return cls(
            np.concatenate([part.start_lps_mm for part in parts]),
            np.concatenate([part.end_lps_mm for part in parts]),
            np.concatenate([part.radius_mm for part in parts]),
            np.concatenate([part.density_mg_cm3 for part in parts]),
        )

    @property
    def middle_lps_mm(self) -> NDArray[np.float64]:
        """(n, 3) middle of every capsule."""
        return (self.start_lps_mm + self.end_lps_mm) / 2

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Pieces":
        """Keep the capsules that an index or mask selects."""
        return Pieces(
            self.start_lps_mm[index], self.end_lps_mm[index], self.radius_mm[index], self.density_mg_cm3[index]
        )

    def scaled(self, *, radius: float = 1.0, density: float = 1.0) -> "Pieces":
        """Make every capsule thicker or denser by a factor."""
        return Pieces(self.start_lps_mm, self.end_lps_mm, self.radius_mm * radius, self.density_mg_cm3 * density)

    def deposit(
        self,
        label: Label,
        kind: str,
        *,
        branch: str | None = None,
        material: Material = "calcium",
        metal_hu: float = 3000.0,
    ) -> Deposit:
        """Name what the capsules belong to."""
        return Deposit(
            label=label,
            kind=kind,
            start_lps_mm=self.start_lps_mm,
            end_lps_mm=self.end_lps_mm,
            radius_mm=self.radius_mm,
            density_mg_cm3=self.density_mg_cm3,
            material=material,
            metal_hu=metal_hu,
            branch=branch,
        )
