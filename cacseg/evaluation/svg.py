"""Plots as hand-written SVG: no plotting library, nothing to load, sharp at any size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 440.0
HEIGHT: Final = 330.0
LEFT: Final = 62.0
RIGHT: Final = 14.0
TOP: Final = 28.0
BOTTOM: Final = 46.0

BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GREY: Final = "#888"


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: limits, its name, ticks as (value, text), and whether it runs with log(1 + value)."""

    low: float
    high: float
    name: str
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Give where a value lies between the ends: 0 to 1, clipped.

        Examples
        --------
        >>> Axis(0, 10, "x", ()).place(2.5)
        0.25
        """
        low, high, here = (
            (math.log1p(v) for v in (self.low, self.high, max(value, self.low)))
            if self.log
            else (
                self.low,
                self.high,
                value,
            )
        )
        return min(max((here - low) / (high - low), 0.0), 1.0)


def linear_axis(low: float, high: float, name: str, count: int = 5) -> Axis:
    """Make an axis with round ticks.

    Examples
    --------
    >>> [text for _, text in linear_axis(-7, 23, "difference").ticks]
    ['-5', '0', '5', '10', '15', '20']
    """
    if high <= low:
        low, high = low - 1.0, low + 1.0
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.8)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return Axis(low, high, name, tuple((k * step, f"{round(k * step, 10):g}") for k in range(first, last + 1)))


def score_axis(high: float, name: str) -> Axis:
    """Make a log(1 + Agatston) axis with ticks at the limits of the categories."""
    marks = (0.0, 1.0, 10.0, 100.0, 400.0, 1000.0, 4000.0, 10000.0)
    top = max(high * 1.15, 12.0)
    return Axis(0.0, top, name, tuple((mark, f"{mark:g}") for mark in marks if mark <= top), log=True)


def figure(title: str, x: Axis, y: Axis, marks: Sequence[str]) -> str:
    """Put marks into a frame with axes; the title is also what a screen reader says."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(title, quote=True)}" class="plot">',
        f'<text x="{LEFT:g}" y="17" class="title">{escape(title)}</text>',
        f'<rect x="{LEFT:g}" y="{TOP:g}" width="{WIDTH - LEFT - RIGHT:g}" height="{HEIGHT - TOP - BOTTOM:g}" '
        'class="frame"/>',
    ]
    for value, text in x.ticks:
        at = to_x(x, value)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP:g}" y2="{HEIGHT - BOTTOM:g}" class="grid"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 15:g}" class="tick middle">{escape(text)}</text>')
    for value, text in y.ticks:
        at = to_y(y, value)
        parts.append(f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6:g}" y="{at + 4:.1f}" class="tick end">{escape(text)}</text>')
    middle_y = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 8:g}" class="name middle">{escape(x.name)}</text>'
    )
    parts.append(
        f'<text x="14" y="{middle_y:g}" class="name middle" transform="rotate(-90 14 {middle_y:g})">'
        f"{escape(y.name)}</text>"
    )
    return "\n".join([*parts, *marks, "</svg>"])


def to_x(axis: Axis, value: float) -> float:
    """Give the horizontal position of a value in the drawing."""
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def to_y(axis: Axis, value: float) -> float:
    """Give the vertical position of a value in the drawing."""
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def dots(
    x: Axis, y: Axis, points: Sequence[tuple[float, float, str]], colour: str = BLUE, radius: float = 2.6
) -> list[str]:
    """Draw points; the third member is what hovering shows."""
    return [
        f'<circle cx="{to_x(x, a):.1f}" cy="{to_y(y, b):.1f}" r="{radius:g}" fill="{colour}" fill-opacity="0.55">'
        f"<title>{escape(text)}</title></circle>"
        for a, b, text in points
    ]


def line(x: Axis, y: Axis, points: Sequence[tuple[float, float]], colour: str = GREY, dash: str = "") -> str:
    """Draw a polyline."""
    path = " ".join(f"{to_x(x, a):.1f},{to_y(y, b):.1f}" for a, b in points)
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"{style}/>'


def note(x: Axis, y: Axis, at: tuple[float, float], text: str, anchor: str = "end") -> str:
    """Write a short text at a point."""
    return f'<text x="{to_x(x, at[0]):.1f}" y="{to_y(y, at[1]) - 4:.1f}" class="tick {anchor}">{escape(text)}</text>'


def bars(x: Axis, y: Axis, spans: Sequence[tuple[float, float, float, str]], colour: str = BLUE) -> list[str]:
    """Draw bars from 0 to a height: (left, right, height, what hovering shows)."""
    drawn = []
    for left, right, height, text in spans:
        top, floor = to_y(y, height), to_y(y, max(y.low, 0.0))
        start, width = to_x(x, left) + 1, max(to_x(x, right) - to_x(x, left) - 2, 1)
        drawn.append(
            f'<rect x="{start:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(floor - top, 0):.1f}" '
            f'fill="{colour}" fill-opacity="0.55"><title>{escape(text)}</title></rect>'
        )
    return drawn
