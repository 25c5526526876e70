"""The percentile curve as a vector drawing for the PDF."""

from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, String
from reportlab.lib.colors import HexColor

from cacseg.report.blocks import Curve
from cacseg.report.curve import TICKS, height, top_of
from cacseg.report.curve_svg import BOTTOM, HEIGHT, INKS, LEFT, RIGHT, TOP, WIDTH
from cacseg.report.figures import score_text


def curve_drawing(curve: Curve, width_points: float) -> Any:
    """Draw the curve at a width, in the proportions of the HTML form."""
    ages = [age for _, line in curve.lines for age, _ in line]
    first, last, top = min(ages), max(ages), top_of(curve)

    def x(age: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (age - first) / (last - first)

    def y(agatston: float) -> float:
        return BOTTOM + (HEIGHT - TOP - BOTTOM) * height(agatston, top)

    def words(
        at_x: float, at_y: float, text: str, anchor: str = "start", ink: str = "#3c4853", *, bold: bool = False
    ) -> Any:
        font = "Helvetica-Bold" if bold else "Helvetica"
        return String(at_x, at_y, text, textAnchor=anchor, fillColor=_colour(ink), fontName=font, fontSize=11)

    drawing = Drawing(width_points, HEIGHT * width_points / WIDTH)
    scale = width_points / WIDTH
    drawing.scale(scale, scale)
    drawing.add(words(LEFT, HEIGHT - 13, curve.title.replace("–", "-"), bold=True))
    for tick in (tick for tick in TICKS if tick <= top):
        drawing.add(Line(LEFT, y(tick), WIDTH - RIGHT, y(tick), strokeColor=_colour("#dfe5ea"), strokeWidth=1))
        drawing.add(words(LEFT - 8, y(tick) - 4, str(tick), "end"))
    for age in range(int(first) + (-int(first)) % 5, int(last) + 1, 5):
        drawing.add(words(x(age), BOTTOM - 17, str(age), "middle"))
    drawing.add(words((LEFT + WIDTH - RIGHT) / 2, 5, "age, years", "middle"))
    end = -100.0
    for (name, line), ink in zip(curve.lines, INKS, strict=True):
        points = [value for age, score in line for value in (x(age), y(score))]
        drawing.add(PolyLine(points, strokeColor=_colour(ink), strokeWidth=2, fillColor=None))
        end = max(y(line[-1][1]), end + 14)
        drawing.add(words(WIDTH - RIGHT + 6, end - 4, name, ink=ink, bold=True))
    at_x, at_y = x(min(max(curve.age_years, first), last)), y(curve.agatston)
    red = _colour("#b3261e")
    drawing.add(Circle(at_x, at_y, 8, fillColor=_colour("#ffffff"), strokeColor=red, strokeWidth=2))
    drawing.add(Circle(at_x, at_y, 4, fillColor=red, strokeColor=None))
    anchor, step = ("end", -11) if at_x > WIDTH * 0.7 else ("start", 11)
    drawing.add(words(at_x + step, at_y + 7, score_text(curve.agatston), anchor, "#b3261e", bold=True))
    return drawing


def _colour(hexadecimal: str) -> Any:
    return HexColor(hexadecimal)
