"""The percentile curve as inline SVG."""

from typing import Final

from cacseg.report.blocks import Curve
from cacseg.report.curve import TICKS, height, top_of
from cacseg.report.figures import score_text
from cacseg.report.markup import Markup, tag

WIDTH: Final = 680
HEIGHT: Final = 330
LEFT: Final = 52
RIGHT: Final = 62
TOP: Final = 26
BOTTOM: Final = 40
INKS: Final = ("#7fa3bd", "#4f83a6", "#1f6690", "#0b3f5e")
"""Lines from the lowest percentile to the highest; each also has its name at its end."""


def curve_svg(curve: Curve) -> Markup:
    """Draw the curve."""
    ages = [age for _, line in curve.lines for age, _ in line]
    first, last = min(ages), max(ages)
    top = top_of(curve)

    def x(age: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (age - first) / (last - first)

    def y(agatston: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height(agatston, top)

    shapes: list[Markup] = [_text(LEFT, 15, curve.title, weight="600")]
    for tick in TICKS:
        if tick <= top:
            shapes.append(_line((LEFT, y(tick)), (WIDTH - RIGHT, y(tick)), "#dfe5ea"))
            shapes.append(_text(LEFT - 8, y(tick) + 4, str(tick), anchor="end"))
    for age in range(int(first) + (-int(first)) % 5, int(last) + 1, 5):
        shapes.append(_text(x(age), HEIGHT - BOTTOM + 18, str(age), anchor="middle"))
    shapes.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "age, years", anchor="middle"))
    ends: list[float] = []
    for (name, line), ink in zip(curve.lines, INKS, strict=True):
        points = " ".join(f"{x(age):.1f},{y(score):.1f}" for age, score in line)
        shapes.append(tag("polyline", points=points, fill="none", stroke=ink, stroke_width="2"))
        ends.append(min(y(line[-1][1]), ends[-1] - 14 if ends else HEIGHT))
        shapes.append(_text(WIDTH - RIGHT + 6, ends[-1] + 4, name, fill=ink, weight="600"))
    at = (min(max(curve.age_years, first), last), curve.agatston)
    shapes += _person(x(at[0]), y(at[1]), score_text(curve.agatston))
    return tag(
        "svg",
        tag("title", curve.alt),
        *shapes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=str(WIDTH),
        height=str(HEIGHT),
        role="img",
        aria_label=curve.alt,
        font_family="inherit",
        font_size="12",
    )


def _person(x: float, y: float, text: str) -> list[Markup]:
    anchor, step = ("end", -11) if x > WIDTH * 0.7 else ("start", 11)
    halo = tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="8", fill="#fff", stroke="#b3261e", stroke_width="2")
    dot = tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="4", fill="#b3261e")
    label = tag(
        "text", text, x=f"{x + step:.1f}", y=f"{y - 9:.1f}", text_anchor=anchor, font_weight="700", fill="#b3261e",
        stroke="#fff", stroke_width="3", paint_order="stroke",
    )  # fmt: skip
    return [halo, dot, label]


def _line(start: tuple[float, float], end: tuple[float, float], ink: str) -> Markup:
    return tag("line", x1=f"{start[0]:.1f}", y1=f"{start[1]:.1f}", x2=f"{end[0]:.1f}", y2=f"{end[1]:.1f}", stroke=ink)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "400", fill: str = "#3c4853") -> Markup:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, font_weight=weight, fill=fill)
