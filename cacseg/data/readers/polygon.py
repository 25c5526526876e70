"""The pixels of a polygon, by one stated rule.

Points are (x, y) with x along columns. The centre of pixel (row r, column c) lies at (c + 0.5, r + 0.5), as
in OsiriX and Horos, whose ``convertPixX:pixY:toDICOMCoords:`` takes half a pixel off before it applies the
DICOM image plane (PS3.3 C.7.6.2.1.1, which puts centres at whole numbers).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.errors import UsageError

PIXEL_CENTRE: Final = 0.5
ON_OUTLINE_PIXELS: Final = 1e-6
"""A centre this close to the outline counts as on it."""


def fill_polygon(points_xy: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Give the pixels whose centre lies inside the polygon or on its outline.

    Parameters
    ----------
    points_xy : (n, 2) corners, n >= 3; closed by itself; a self-crossing one fills by the even-odd rule.
        Parts outside the image are cut off.
    shape : (rows, columns).

    Returns
    -------
    (rows, columns) bool.

    Raises
    ------
    UsageError : fewer than three points, or a coordinate that is not finite.

    Examples
    --------
    >>> fill_polygon([(1, 0), (3, 0), (3, 2), (1, 2)], (3, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    corners = np.asarray(points_xy, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise UsageError(f"A polygon needs at least 3 finite (x, y) points; got an array of shape {corners.shape}.")
    filled = np.zeros(shape, np.bool_)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (shape[1], shape[0]))
    if (low >= high).any():
        return filled
    x, y = np.meshgrid(np.arange(low[0], high[0]) + PIXEL_CENTRE, np.arange(low[1], high[1]) + PIXEL_CENTRE)
    inside = np.zeros(x.shape, np.bool_)
    outline = np.zeros(x.shape, np.bool_)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside ^= _crosses(x, y, start, end)
        outline |= _near(x, y, start, end)
    filled[low[1] : high[1], low[0] : high[0]] = inside | outline
    return filled


def _crosses(
    x: NDArray[Any], y: NDArray[Any], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Say whether a ray from each point towards larger x crosses the edge."""
    straddles = (start[1] > y) != (end[1] > y)
    if start[1] == end[1]:
        return np.asarray(straddles, np.bool_)
    at = start[0] + (y - start[1]) * (end[0] - start[0]) / (end[1] - start[1])
    return np.asarray(straddles & (x < at), np.bool_)


def _near(x: NDArray[Any], y: NDArray[Any], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say whether each point lies on the edge."""
    along = end - start
    length2 = float(along @ along)
    share = np.zeros(x.shape) if length2 == 0 else ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length2
    share = np.clip(share, 0.0, 1.0)
    distance = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    return np.asarray(distance <= ON_OUTLINE_PIXELS, np.bool_)
