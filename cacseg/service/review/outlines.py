"""Outlines of slice components, walked once each: most of them stay the same from one edit to the next."""

import numpy as np
from numpy.typing import NDArray

from cacseg.report.contours import outline
from cacseg.scoring.components import IndexArray

Outline = tuple[int, tuple[int, ...]]
"""Slice, and column and row of every corner of the closed line, flat: ``(x0, y0, x1, y1, ...)``."""

MOST_KEPT = 4096


class Outlines:
    """Lines around groups of voxels of one grid.

    Parameters
    ----------
    shape : of the grid.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._kept: dict[bytes, Outline] = {}

    def of(self, flat: IndexArray, component: IndexArray, owner: IndexArray) -> dict[int, list[Outline]]:
        """Give the outlines of every owner, by slice.

        Parameters
        ----------
        flat : (n,) flat indices of voxels.
        component : (n,) slice component of each.
        owner : (n,) owner of each; all voxels of a component have the same.
        """
        lines: dict[int, list[Outline]] = {}
        order = np.argsort(component, kind="stable")
        edges = np.flatnonzero(np.diff(component[order])) + 1
        for members in np.split(order, edges) if order.size else ():
            lines.setdefault(int(owner[members[0]]), []).append(self._one(flat[members]))
        for some in lines.values():
            some.sort()
        return lines

    def _one(self, members: NDArray[np.intp]) -> Outline:
        key = members.tobytes()
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            index, row, column = np.unravel_index(members, self._shape)
            corners = outline(set(zip(row.tolist(), column.tolist(), strict=True)))
            found = (int(index[0]), tuple(value for corner in corners for value in corner))
            self._kept[key] = found
        return found
