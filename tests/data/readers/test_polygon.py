import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.data.readers.polygon import fill_polygon
from cacseg.errors import UsageError


def filled_slowly(points, shape):
    """Every pixel centre against every edge, in plain Python."""
    result = np.zeros(shape, bool)
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y, inside, outline = column + 0.5, row + 0.5, False, False
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    inside = not inside
                cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
                if abs(cross) < 1e-9 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
                    outline = True
            result[row, column] = inside or outline
    return result


@given(st.lists(st.tuples(st.integers(-4, 24), st.integers(-4, 24)), min_size=3, max_size=8))
def test_agrees_with_the_slow_rule_on_half_pixels(doubled):
    points = [(x / 2, y / 2) for x, y in doubled]
    assert np.array_equal(fill_polygon(points, (10, 9)), filled_slowly(points, (10, 9)))


def test_polygon_through_pixel_centres_includes_them():
    points = [(2.5, 3.5), (5.5, 3.5), (5.5, 6.5), (2.5, 6.5)]
    assert fill_polygon(points, (10, 10))[3:7, 2:6].all()
    assert fill_polygon(points, (10, 10)).sum() == 16


def test_mirrored_polygon_gives_mirrored_pixels():
    points = np.array([(2.5, 3.1), (7.5, 4.5), (5.2, 8.5), (3.5, 8.5)])
    mirrored = points * (-1, 1) + (12, 0)
    assert np.array_equal(fill_polygon(points, (12, 12))[:, ::-1], fill_polygon(mirrored, (12, 12)))


def test_parts_outside_the_image_are_cut_off():
    assert fill_polygon([(-5, -5), (100, -5), (100, 100), (-5, 100)], (4, 6)).all()
    assert not fill_polygon([(20, 20), (30, 20), (30, 30)], (4, 6)).any()


@pytest.mark.parametrize("points", [[(0, 0), (1, 1)], [(0, 0), (1, float("nan")), (1, 2)], []])
def test_refuses_what_is_no_polygon(points):
    with pytest.raises(UsageError, match="at least 3"):
        fill_polygon(np.array(points, float).reshape(-1, 2), (4, 4))
