"""What a reader can do to labels: one change, said in patient coordinates, so that it fits any later grid."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.scoring.components import IndexArray
from cacseg.vessels import Label
from cacseg.volume import Volume

Kind = Literal["assign", "exclude", "add", "cut"]
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change.

    Parameters
    ----------
    kind : ``assign`` gives a lesion another label, ``exclude`` takes its label away, ``add`` grows a new lesion,
        ``cut`` gives the part of a lesion right of a line another label.
    at_lps_mm : a voxel of the lesion, or the voxel to grow from.
    label : the new label; ``BACKGROUND`` for none.
    line_lps_mm : for a cut, two points of the line, in the slice of ``at_lps_mm``.
    one_slice : whether a cut is made in that slice only, else in every slice of the lesion.
    lesion : number of the lesion when the change was made, for people who read the record.
    before : name of the label it had then.
    actor : who made the change.
    time : when, ISO 8601 in UTC.
    """

    kind: Kind
    at_lps_mm: Point
    label: Label = Label.BACKGROUND
    line_lps_mm: tuple[Point, Point] | None = None
    one_slice: bool = False
    lesion: int | None = None
    before: str | None = None
    actor: str = ""
    time: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {**asdict(self), "label": self.label.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        line = data["line_lps_mm"]
        return cls(
            **{
                **data,
                "label": Label[data["label"]],
                "at_lps_mm": _point(data["at_lps_mm"]),
                "line_lps_mm": None if line is None else (_point(line[0]), _point(line[1])),
            }
        )

    def signed_off(self, actor: str, time: str) -> Self:
        """Add who and when."""
        return replace(self, actor=actor, time=time)

    def voxel(self, grid: Volume) -> tuple[int, int, int]:
        """Find the voxel that the change points at.

        Raises
        ------
        UsageError : it lies outside of the grid.
        """
        index = np.rint(grid.to_index([self.at_lps_mm])[0]).astype(int)
        if (index < 0).any() or (index >= grid.shape).any():
            raise UsageError(
                f"The point {list(self.at_lps_mm)} (LPS mm) lies outside of the scan, at voxel {index.tolist()} of "
                f"{grid.shape}. Point at a voxel of the series that was scored."
            )
        return int(index[0]), int(index[1]), int(index[2])


@dataclass(frozen=True, slots=True)
class Skipped:
    """An edit that did not fit a newer version, and why."""

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Labels before and after at some voxels: what an edit did, and how to take it back.

    Parameters
    ----------
    flat : (n,) flat indices.
    before, after : (n,) uint8 label values.
    """

    flat: IndexArray
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]

    def apply(self, labels: NDArray[np.uint8]) -> None:
        """Write the new labels into a map."""
        labels.reshape(-1)[self.flat] = self.after

    def revert(self, labels: NDArray[np.uint8]) -> None:
        """Write the old labels back."""
        labels.reshape(-1)[self.flat] = self.before


def _point(values: Any) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
