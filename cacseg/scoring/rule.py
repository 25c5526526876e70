"""A counting rule: what of a scan counts as a calcified lesion and how much."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from cacseg.errors import UsageError

AREA_TOLERANCE: Final = 1e-6
"""Share of a pixel by which an area may fall short of the minimum and still reach it.

Absorbs the rounding of products of spacings only: four pixels of 0.5 x 0.5 mm reach 1 mm2 however their
spacing came out of a matrix. A real pixel is a million times larger.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """How calcium is counted; data, never code, so that a result can spell it out in full.

    Parameters
    ----------
    name : the name by which the rule is chosen.
    threshold_hu : lowest HU that counts, inclusive, on the original voxels.
    connectivity : 4 or 8, neighbours of a pixel within its slice; slices are joined to lesions across
        faces (4) or across faces, edges and corners (8).
    min_area_mm2 : smallest area of a slice component that counts, inclusive.
    weight_edges_hu : lowest peak HU of weights 1, 2, 3 and 4, inclusive.
    reference_increment_mm : slice increment at which a pixel's area counts once (Agatston 1990: 3 mm).
    min_pixels : smallest number of pixels of a slice component that counts, inclusive.
    volume_threshold_hu : lowest HU that counts for volume and mass, inclusive; ``None``: as ``threshold_hu``.
    volume_method : ``"voxels"`` sums voxel volumes; ``"isotropic"`` interpolates linearly between slices to
        the in-plane spacing first (Callister et al. 1998, doi:10.1148/radiology.208.3.9722864).
    source : where the rule comes from.
    adapted_to : beam that thresholds and edges were adapted to, e.g. ``"100 kVp"``; ``None``: as named.

    Raises
    ------
    UsageError : a value that no rule can have, with the field, the value and what is allowed.

    Examples
    --------
    >>> rule = Rule("mine", 130.0, 4, 1.0, (130.0, 200.0, 300.0, 400.0), 3.0)
    >>> rule.pixels_needed(0.25), rule.pixels_needed(0.3)
    (4, 4)
    >>> rule.weight(129.0), rule.weight(199.5), rule.weight(200), rule.weight(400)
    (0, 1, 2, 4)
    """

    name: str
    threshold_hu: float
    connectivity: Literal[4, 8]
    min_area_mm2: float
    weight_edges_hu: tuple[float, float, float, float]
    reference_increment_mm: float
    min_pixels: int = 1
    volume_threshold_hu: float | None = None
    volume_method: Literal["voxels", "isotropic"] = "voxels"
    source: str = ""
    adapted_to: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a rule."""
        edges = self.weight_edges_hu
        checks = (
            ("threshold_hu", self.threshold_hu, _finite(self.threshold_hu), "a finite number of HU"),
            ("connectivity", self.connectivity, self.connectivity in (4, 8), "4 or 8"),
            ("min_area_mm2", self.min_area_mm2, _finite(self.min_area_mm2) and self.min_area_mm2 >= 0, ">= 0"),
            ("weight_edges_hu", edges, _ascending(edges), "four ascending finite numbers"),
            (
                "reference_increment_mm",
                self.reference_increment_mm,
                _finite(self.reference_increment_mm) and self.reference_increment_mm > 0,
                "> 0",
            ),
            ("min_pixels", self.min_pixels, _whole(self.min_pixels) and self.min_pixels >= 1, "a whole number >= 1"),
            (
                "volume_threshold_hu",
                self.volume_threshold_hu,
                self.volume_threshold_hu is None
                or (_finite(self.volume_threshold_hu) and self.volume_threshold_hu <= self.threshold_hu),
                "None or a number <= threshold_hu",
            ),
            ("volume_method", self.volume_method, self.volume_method in ("voxels", "isotropic"), "voxels or isotropic"),
        )
        for field, value, good, expected in checks:
            if not good:
                raise UsageError(f"Rule {self.name!r}: {field} is {value!r}; expected {expected}.")
        if edges[0] > self.threshold_hu:
            raise UsageError(
                f"Rule {self.name!r}: the first weight edge is {edges[0]} HU, above the threshold of "
                f"{self.threshold_hu} HU; a lesion between them would have no weight. Lower the edge."
            )

    @property
    def counted_volume_hu(self) -> float:
        """Lowest HU that counts for volume and mass."""
        return self.threshold_hu if self.volume_threshold_hu is None else self.volume_threshold_hu

    def pixels_needed(self, pixel_area_mm2: float) -> int:
        """Smallest number of pixels whose area reaches the minimum (``ceil(minimum / pixel area)``)."""
        by_area = math.ceil(self.min_area_mm2 / pixel_area_mm2 - AREA_TOLERANCE)
        return max(by_area, self.min_pixels)

    def weight(self, peak_hu: float) -> int:
        """Weight 0 to 4 of a slice component with this peak."""
        return sum(peak_hu >= edge for edge in self.weight_edges_hu)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ascending(edges: tuple[float, ...]) -> bool:
    return (
        isinstance(edges, tuple)
        and len(edges) == 4
        and all(_finite(edge) for edge in edges)
        and all(low <= high for low, high in pairwise(edges))
    )
