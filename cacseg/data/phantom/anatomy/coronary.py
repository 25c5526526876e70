"""The coronary tree: Dodge's mean course, fitted to the grooves of one heart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.heart import HeartModel, Part, muscle
from cacseg.data.phantom.anatomy.shapes import Array, rotation, spline, unit
from cacseg.data.phantom.anatomy.valves import RIGHT_SINUS_DEG
from cacseg.data.phantom.scene import Branch
from cacseg.vessels import Label

Groove = tuple[Part, Part] | None
Row = tuple[float, float, float]

LEFT_MAIN_TURN: Final = unit(np.array([0.955, -0.29, 0.0]))
"""Mean direction of the left main artery from its ostium (Dodge LMm, LMd)."""

MEAN_LEFT_MAIN_MM: Final = 11.0
"""Length to the bifurcation in Dodge's mean course."""

# Offsets (left, back, up) in mm from the artery's own ostium.
LAD_ROWS: Final[tuple[Row, ...]] = (
    (15.0, -5.5, -0.8), (20.4, -10.4, -2.0), (25.6, -15.4, -2.6), (30.7, -24.9, -6.3),
    (36.0, -37.3, -11.0), (39.1, -48.3, -19.0), (40.1, -61.8, -31.3), (42.8, -74.2, -53.5),
)  # fmt: skip
LAD_APEX: Final[tuple[Row, ...]] = ((46.5, -76.5, -69.0), (45.0, -71.9, -84.0), (41.0, -64.0, -89.0))
LCX_ROWS: Final[tuple[Row, ...]] = (
    (13.7, -1.0, -2.9), (16.4, 1.1, -7.3), (18.4, 3.9, -11.3), (20.9, 6.4, -14.2), (22.3, 10.9, -18.7),
    (23.5, 13.6, -23.6), (23.5, 17.0, -29.0), (20.9, 20.9, -36.5), (19.0, 23.5, -44.8),
)  # fmt: skip
LCX_CRUX: Final[tuple[Row, ...]] = ((12.0, 22.0, -51.0), (3.0, 18.0, -56.0))
RCA_ROWS: Final[tuple[Row, ...]] = (
    (-4.4, -1.5, -1.9), (-14.4, -5.8, -6.9), (-20.6, -9.2, -13.0), (-24.7, -9.5, -21.4), (-29.3, -9.5, -34.2),
    (-31.3, -7.2, -45.9), (-28.9, -3.0, -54.7), (-22.9, 0.4, -59.7),
)  # fmt: skip
RCA_CRUX: Final[tuple[Row, ...]] = ((-13.0, 12.0, -62.0), (-2.0, 22.0, -60.0), (8.0, 30.0, -57.0))
RAMUS_ROWS: Final[tuple[Row, ...]] = (
    (22.0, -3.0, -10.0),
    (36.0, -8.0, -24.0),
    (45.7, -8.0, -34.0),
    (52.0, -18.0, -48.0),
)
PDA_ROWS: Final[tuple[Row, ...]] = (
    (10.0, 17.0, -65.0),
    (18.1, -3.2, -73.8),
    (28.0, -18.0, -76.0),
    (38.0, -34.0, -78.0),
    (46.0, -49.0, -80.0),
)
RPL_ROWS: Final[tuple[Row, ...]] = ((18.0, 34.0, -61.0), (30.0, 39.0, -69.0), (40.0, 34.0, -74.0), (46.0, 27.0, -77.0))
RPL2_ROWS: Final[tuple[Row, ...]] = ((8.0, 24.0, -62.0), (17.1, 22.8, -70.5), (30.0, 8.0, -76.0))


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A branch before it is fitted: control points in heart mm, radii there, the groove it follows."""

    name: str
    vessel: Label
    control: Array
    radius_mm: Array
    groove: Groove
    parent: str | None
    intramural: bool = False


PULL: Final[dict[Groove, float]] = {("lv", "rv"): 0.15, ("lv", "la"): 0.15, ("rv", "ra"): 0.14}
"""How strongly an artery is drawn into the bottom of its groove, against Dodge's course."""

BESIDE_MM: Final[dict[Groove, float]] = {("lv", "rv"): 0.0, ("lv", "la"): -2.0, ("rv", "ra"): -3.0}
"""How much nearer an artery lies to the first body of its groove than to the second: those of the atrioventricular
grooves lean on the ventricles."""

GROOVE_FROM_MM: Final = (8.0, 24.0)
"""Between these lengths the left arteries come into the hold of their groove: before, they cross the fat between
appendage, pulmonary trunk and root."""


def ostia(model: HeartModel) -> tuple[Array, Array]:
    """Left and right ostium (3,) on the surface of the root, in heart mm."""
    facts, root = model.facts, model.root
    heights = np.array([facts.left_ostium_height_mm, facts.right_ostium_height_mm]) / facts.heart_scale
    heights = np.minimum(heights, root.height_mm - 1.0)
    turns = np.deg2rad([facts.left_ostium_turn_deg - 4.0, RIGHT_SINUS_DEG + facts.right_ostium_turn_deg])
    points = root.point(heights, turns)
    return points[0], points[1]


def courses(model: HeartModel, rng: np.random.Generator) -> list[Course]:
    """Lay out every branch of one tree before it is fitted to the heart's surface."""
    left, right = ostia(model)
    made = [*_left_tree(model, left, right, rng), *_right_tree(model, right, rng)]
    return [replace(each, control=model.twisted(each.control)) for each in made]


def _taper(first_mm: float, last_mm: float, count: int, scale: float) -> Array:
    return 0.5 * scale * np.linspace(first_mm, last_mm, count)


def _left_tree(model: HeartModel, left: Array, right: Array, rng: np.random.Generator) -> list[Course]:
    facts = model.facts
    scale = facts.coronary_scale
    length = facts.left_main_mm / facts.heart_scale
    fork = left + length * (rotation(np.array([0.0, 0.0, 1.0]), rng.normal(0.0, 16.0)) @ LEFT_MAIN_TURN)
    fork = fork + np.array([0.0, 0.0, rng.normal(-0.02, 0.2) * length])
    belly = 0.5 * (left + fork) + np.array([0.0, -0.06 * length, 0.05 * length])
    shift = fork - (left + MEAN_LEFT_MAIN_MM * LEFT_MAIN_TURN)
    half = 0.5 * (facts.bifurcation_deg - 76.0)
    anterior = _bent(left, LAD_ROWS, fork, shift, -half, rng.normal(0.0, 0.2))
    round_deg = {"left": 4.2, "balanced": 3.8, "right": 3.4}[facts.dominance]
    behind = _bent(left, LCX_ROWS, fork, shift, half, rng.normal(0.0, 0.25))
    reach = 4 + round(facts.circumflex_reach * (len(behind) - 4))
    behind = behind[: max(5, reach)]
    if facts.dominance != "right" or facts.circumflex_reach > 0.9:
        behind = np.concatenate([behind, left + np.array(LCX_CRUX[: 2 if facts.dominance == "left" else 1])])
    tip = left + np.array(LAD_APEX[: 1 + round(2 * facts.lad_wrap)])
    anterior = np.concatenate([anterior, tip])
    end_mm = 2.2 if facts.dominance == "left" else 1.5
    made = [
        Course("LM", Label.LM, np.stack([left, belly, fork]), _taper(4.6, 4.4, 3, scale), None, None),
        Course("LAD", Label.LAD, anterior, _taper(3.7, 1.3, len(anterior), scale), ("lv", "rv"), "LM"),
        Course("LCX", Label.LCX, behind, _taper(round_deg, end_mm, len(behind), scale), ("lv", "la"), "LM"),
    ]
    made += _diagonals(model, left, rng) + _marginals(model, left, rng) + _septals(model, left, rng)
    if facts.ramus:
        rows = left + _spread(model, RAMUS_ROWS, rng)
        course = _bent(np.zeros(3), rows, fork, shift, rng.normal(0.0, 12.0), rng.normal(0.0, 0.2))
        made.append(_side("RI", Label.LCX, fork, course[1:], 2.3, 1.1, scale, "LM"))
    if facts.dominance == "left":
        rows = right + np.array(PDA_ROWS)
        made.append(_side("LPDA", Label.LCX, behind[-1], rows, 2.1, 1.1, scale, "LCX", ("lv", "rv")))
    return made


def _bent(
    origin: Array, rows: Sequence[Row] | Array, fork: Array, shift: Array, half_deg: float, climb: float
) -> Array:
    """Start a mean course at the drawn bifurcation, open it and let it climb there; all fades out downstream."""
    course = origin + np.array(rows)
    away = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])
    fade = np.exp(-away / 16.0)[:, None]
    turned = fork + (course - fork) @ rotation(np.array([0.0, 0.0, 1.0]), half_deg).T
    lift = climb * (away[:, None] + 4.0) * np.array([0.0, 0.0, 1.0])
    return np.concatenate([fork[None], course + fade * (0.6 * shift + 0.7 * (turned - course) + lift)])


def _spread(model: HeartModel, rows: Array | Sequence[Row], rng: np.random.Generator) -> Array:
    """Move a side branch, its end most; ``rows`` are (n, 3)."""
    grow = np.linspace(0.3, 1.0, len(rows))[:, None]
    return np.asarray(rows + grow * rng.normal(0.0, model.facts.branch_spread_mm, 3))


def _side(
    name: str,
    vessel: Label,
    start: Array,
    rows: Array,
    first_mm: float,
    last_mm: float,
    scale: float,
    parent: str,
    groove: Groove = None,
) -> Course:
    control = np.concatenate([start[None], rows])
    return Course(name, vessel, control, _taper(first_mm, last_mm, len(control), scale), groove, parent)


def _diagonals(model: HeartModel, left: Array, rng: np.random.Generator) -> list[Course]:
    origins = np.array([(27.5, -15.0, -4.5), (35.0, -33.0, -10.0), (39.0, -48.0, -19.0)])
    ends = np.array([
        [(40.0, -19.0, -12.0), (50.0, -27.7, -24.2), (59.0, -42.0, -49.0)],
        [(44.0, -38.0, -19.0), (53.1, -46.1, -31.3), (58.5, -56.0, -57.0)],
        [(48.0, -55.0, -30.0), (54.1, -60.1, -39.5), (55.0, -67.0, -62.0)],
    ])  # fmt: skip
    scale = model.facts.coronary_scale
    return [
        _side(
            f"D{i + 1}",
            Label.LAD,
            left + origins[i],
            left + _spread(model, ends[i], rng),
            2.1 - 0.2 * i,
            1.0,
            scale,
            "LAD",
        )
        for i in range(model.facts.diagonals)
    ]


def _marginals(model: HeartModel, left: Array, rng: np.random.Generator) -> list[Course]:
    facts = model.facts
    origins = np.array([(18.4, 3.9, -11.3), (22.6, 12.0, -21.0), (22.0, 20.0, -35.0)])
    ends = np.array([
        [(32.0, 5.0, -20.0), (44.1, 0.8, -34.5), (51.0, -12.0, -52.0)],
        [(29.0, 15.0, -32.0), (35.7, 12.3, -46.6), (44.0, -2.0, -62.0)],
        [(24.0, 20.0, -44.0), (30.4, 16.2, -55.1), (38.0, 4.0, -68.0)],
    ])  # fmt: skip
    count = facts.marginals if facts.dominance == "right" else max(2, facts.marginals)
    reach = 1 if facts.circumflex_reach < 0.15 else 3
    return [
        _side(
            f"OM{i + 1}", Label.LCX, left + origins[i], left + _spread(model, ends[i], rng), 2.2 - 0.2 * i, 1.1,
            facts.coronary_scale, "LCX",
        )
        for i in range(min(count, reach))
    ]  # fmt: skip


def _septals(model: HeartModel, left: Array, rng: np.random.Generator) -> list[Course]:
    origins = np.array([(27.3, -17.8, -5.2), (35.3, -36.6, -10.8), (39.8, -52.9, -22.8)])
    ends = np.array([
        [(26.0, -22.0, -13.0), (21.1, -30.2, -22.1)],
        [(32.0, -40.0, -20.0), (26.1, -43.5, -28.1)],
        [(36.0, -54.0, -30.0), (31.3, -54.2, -37.6)],
    ])  # fmt: skip
    made = []
    for i in range(3):
        control = np.concatenate([(left + origins[i])[None], left + _spread(model, ends[i], rng) * 1.0])
        radius = _taper(1.3, 0.9, 3, model.facts.coronary_scale)
        made.append(Course(f"S{i + 1}", Label.LAD, control, radius, None, "LAD", intramural=True))
    return made


def _right_tree(model: HeartModel, right: Array, rng: np.random.Generator) -> list[Course]:
    facts = model.facts
    scale = facts.coronary_scale
    rows = list(RCA_ROWS)
    large = facts.dominance != "left"
    if large:
        rows += RCA_CRUX if facts.dominance == "right" else RCA_CRUX[:2]
    control = np.concatenate([right[None], right + np.array(rows)])
    first, last = (3.9, 2.4) if large else (2.8, 1.3)
    made = [Course("RCA", Label.RCA, control, _taper(first, last, len(control), scale), ("rv", "ra"), None)]
    margin = np.array([(-22.0, -28.0, -50.0), (-6.0, -46.0, -58.0), (12.0, -60.0, -64.0)])
    conus = np.array([(-8.0, -22.0, -4.0), (0.0, -40.0, -6.0), (14.0, -50.0, -9.0)])
    made.append(
        _side("RM", Label.RCA, right + RCA_ROWS[4], right + _spread(model, margin, rng), 1.8, 1.0, scale, "RCA")
    )
    made.append(_side("CB", Label.RCA, right + RCA_ROWS[0], right + _spread(model, conus, rng), 1.3, 0.8, scale, "RCA"))
    if large:
        pda, groove = right + np.array(PDA_ROWS), ("lv", "rv")
        made.append(_side("PDA", Label.RCA, control[-1], pda, 2.1, 1.0, scale, "RCA", groove))  # type: ignore[arg-type]
    if facts.dominance == "right":
        for name, ends in (("RPL", RPL_ROWS), ("RPL2", RPL2_ROWS))[: 1 + int(rng.random() < 0.5)]:
            points = right + _spread(model, ends, rng)
            made.append(_side(name, Label.RCA, control[-1], points, 1.9, 1.0, scale, "RCA"))
    return made


def fit(model: HeartModel, drafts: list[Course], rng: np.random.Generator) -> tuple[Branch, ...]:
    """Lay the courses on the epicardial surface, in their grooves, joined to their parents (heart mm)."""
    curves = [spline(each.control, 1.0 / model.facts.heart_scale, each.radius_mm) for each in drafts]
    points = np.concatenate([curve for curve, _ in curves])
    radius = np.concatenate([each for _, each in curves]) / model.facts.heart_scale
    counts = [len(curve) for curve, _ in curves]
    free = np.concatenate([_freedom(each, count) for each, count in zip(drafts, counts, strict=True)])
    pull = np.concatenate([_pull(each, count) for each, count in zip(drafts, counts, strict=True)])
    grooves = [each.groove for each, count in zip(drafts, counts, strict=True) for _ in range(count)]
    points = _settle(model, points, radius, free, free * pull, grooves, np.cumsum(counts)[:-1])
    septal = np.concatenate([np.full(count, each.intramural) for each, count in zip(drafts, counts, strict=True)])
    points[septal] = _in_septum(model, points[septal])
    fitted: dict[str, Branch] = {}
    for each, curve, thick in zip(
        drafts, np.split(points, np.cumsum(counts)[:-1]), np.split(radius, np.cumsum(counts)[:-1]), strict=True
    ):
        parent = fitted.get(each.parent or "")
        joined: Array = _joined(curve, parent, each) + _windings(len(curve), model, each, rng)
        joined = _outside_atrium(model, _outside_root(model, joined, thick, each), each)
        even, calibre = _even(joined, thick, 1.0 / model.facts.heart_scale)
        fitted[each.name] = Branch(
            each.name, each.vessel, even.astype(np.float64), calibre.astype(np.float64), each.parent
        )
    return tuple(fitted.values())


def _freedom(each: Course, count: int) -> Array:
    """How far each point may move to the surface: none at an ostium or in muscle."""
    if each.intramural or each.name == "LM":
        return np.zeros(count)
    if each.parent is None:
        return np.clip((np.arange(count) - 2.0) / 8.0, 0.0, 1.0)
    return np.ones(count)


def _pull(each: Course, count: int) -> Array:
    """How strongly the groove holds each point of a branch."""
    if each.groove is None:
        return np.zeros(count)
    first, last = GROOVE_FROM_MM if each.name in {"LAD", "LCX"} else (-1.0, 0.0)
    return PULL[each.groove] * np.clip((np.arange(count) - first) / (last - first), 0.0, 1.0)


def _settle(
    model: HeartModel, points: Array, radius: Array, free: Array, pull: Array, grooves: list[Groove], cuts: Array
) -> Array:
    """Move points to their distance over the muscle, and sideways into their groove."""
    from scipy.ndimage import gaussian_filter1d

    lift = radius + 0.7 + 0.25 * min(model.facts.epicardial_fat_mm, 5.0)
    pairs = sorted({pair for pair in grooves if pair is not None})
    member = {pair: np.array([each == pair for each in grooves]) for pair in pairs}
    step = 0.5 * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    found = points.copy()
    for turn in range(9):
        parts = model.parts((found[None] + step[:, None]).astype(np.float32))
        surface = muscle(parts, 6.0).astype(np.float64)
        found += free[:, None] * _towards(surface, lift, 0.8)
        for pair, here in member.items():
            apart = (parts[pair[0]] - parts[pair[1]]).astype(np.float64)[:, here]
            found[here] += pull[here, None] * _towards(apart, np.full(here.sum(), BESIDE_MM[pair]), 1.0)
        if turn < 8:
            pieces = [gaussian_filter1d(piece, 2.0, axis=0, mode="nearest") for piece in np.split(found, cuts)]
            found += free[:, None] * (np.concatenate(pieces) - found)
    return found


def _in_septum(model: HeartModel, points: Array) -> Array:
    """Lift septal branches out of the left ventricle's cavity, to the middle of its wall at the deepest."""
    deepest = -0.5 * model.facts.wall_mm / model.facts.heart_scale
    return _pushed_out(model.left_ventricle, points, np.full(len(points), deepest))


def _outside_root(model: HeartModel, points: Array, radius: Array, each: Course) -> Array:
    """Push the first centimetres of an artery out of the aortic root, the more the further from its ostium."""
    if each.name not in {"LM", "LAD", "LCX", "RI", "RCA", "CB"}:
        return points
    count = min(len(points), 40)
    least: Array = np.add(radius[:count], 0.8)
    if each.parent is None:
        least = np.minimum(0.7 * np.arange(count), least)
    else:
        least[0] = -np.inf
    return np.concatenate([_pushed_out(model.root.distance_mm, points[:count], least), points[count:]])


def _outside_atrium(model: HeartModel, points: Array, each: Course) -> Array:
    """Push the circumflex and its branches, which run along the left atrium, out of it."""
    if each.vessel != Label.LCX:
        return points
    return _pushed_out(model.left_atrium, points, np.full(len(points), 0.3))


def _pushed_out(distance_mm: Callable[[Array], Array], points: Array, least_mm: Array) -> Array:
    """Move points (n, 3) along the gradient of a body's signed distance until each keeps its least distance (n,)."""
    step = 0.5 * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    found = points.copy()
    for _ in range(4):
        depth = distance_mm((found[None] + step[:, None]).astype(np.float32)).astype(np.float64)
        found += _towards(depth, np.maximum(depth[0], least_mm), 0.8)
    return found


def _even(points: Array, radius: Array, spacing_mm: float) -> tuple[Array, Array]:
    """Put points at even distances along the same curve."""
    away = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, away[-1], max(3, round(away[-1] / spacing_mm) + 1))
    even = np.stack([np.interp(at, away, points[:, axis]) for axis in range(3)], axis=1)
    return even, np.interp(at, away, radius)


def _towards(samples: Array, level: Array, share: float) -> Array:
    """Step (n, 3) along the gradient of a field sampled at (4, n) = centre and three neighbours."""
    gradient = (samples[1:] - samples[0]).T / 0.5
    slope = np.maximum((gradient**2).sum(axis=1), 0.25)
    move = share * (level - samples[0]) / slope
    stride = np.minimum(np.abs(move), 4.0) * np.sign(move)
    return np.asarray(stride[:, None] * gradient)


def _joined(curve: Array, parent: Branch | None, each: Course) -> Array:
    """Bring the first points onto the parent; daughters of the left main start at its end."""
    if parent is None:
        return curve
    line = parent.points_lps_mm
    at_end = parent.name == "LM" or each.name in {"PDA", "RPL", "RPL2", "LPDA"}
    nearest = line[-1] if at_end else line[np.linalg.norm(line - curve[0], axis=1).argmin()]
    fade = np.exp(-np.arange(len(curve)) / 5.0)
    fade[0] = 1.0
    return np.asarray(curve + fade[:, None] * (nearest - curve[0]))


def _windings(count: int, model: HeartModel, each: Course, rng: np.random.Generator) -> Array:
    """Smooth random windings that vanish at the origin."""
    knots = rng.normal(0.0, 0.5 * model.facts.tortuosity_mm, (max(2, count // 9 + 2), 3))
    if each.name == "LM":
        knots *= 0.2
    along = np.arange(count) / 9.0
    wave = np.stack([np.interp(along, np.arange(len(knots)), knots[:, axis]) for axis in range(3)], axis=1)
    kernel = np.hanning(9) / np.hanning(9).sum()
    smooth = np.stack([np.convolve(np.pad(wave[:, k], 4, "edge"), kernel, "valid") for k in range(3)], axis=1)
    return np.asarray(smooth * np.clip(np.arange(count) / 10.0, 0.0, 1.0)[:, None])
