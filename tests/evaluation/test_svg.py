import xml.etree.ElementTree as ET

import pytest

from cacseg.evaluation.svg import (
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    bars,
    dots,
    figure,
    linear_axis,
    score_axis,
    to_x,
    to_y,
)

SVG = "{http://www.w3.org/2000/svg}"


def test_points_land_between_the_axes():
    x, y = linear_axis(0, 10, "x"), linear_axis(-1, 1, "y")
    assert (to_x(x, 0), to_x(x, 10)) == (LEFT, WIDTH - RIGHT)
    assert to_y(y, 1) == TOP
    assert to_y(y, 0) == pytest.approx((to_y(y, 1) + to_y(y, -1)) / 2)
    assert to_x(x, 99) == WIDTH - RIGHT


def test_score_axis_gives_small_scores_room():
    axis = score_axis(2000, "Agatston")
    assert axis.place(10) > 0.25
    assert axis.place(0) == 0
    assert [text for _, text in axis.ticks] == ["0", "1", "10", "100", "400", "1000"]


def test_axis_without_extent_still_stands():
    axis = linear_axis(3, 3, "flat")
    assert axis.low < 3 < axis.high


def test_a_figure_is_well_formed_and_escapes_what_it_is_told():
    x, y = linear_axis(0, 1, "a < b"), linear_axis(0, 1, "y & z")
    marks = [*dots(x, y, [(0.5, 0.5, 'case "<1>"')]), *bars(x, y, [(0.0, 0.5, 0.25, "n")])]
    drawn = ET.fromstring(figure("<title>", x, y, marks))
    circle = drawn.find(f"{SVG}circle")
    assert circle.find(f"{SVG}title").text == 'case "<1>"'
    assert float(circle.get("cx")) == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=0.1)
    assert 0 < float(circle.get("cy")) < HEIGHT
    assert Axis(0, 4, "n", ()).place(-3) == 0
