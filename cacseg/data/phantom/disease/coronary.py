"""Plaques over the coronary tree until every artery holds its target."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cacseg.data.phantom.disease.burden import MOST_PER_LM_MM
from cacseg.data.phantom.disease.curve import Curve, branch_curve
from cacseg.data.phantom.disease.estimate import agatston, agatston_by_start
from cacseg.data.phantom.disease.plaque import DENSITY_MG_CM3, LENGTH_MM, PlacedPlaque, PlaqueShape, place
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.vessels import CORONARY, Label

MAIN: Final = {Label.LM: "LM", Label.LAD: "LAD", Label.LCX: "LCX", Label.RCA: "RCA"}

SIDE_BRANCH_SHARE: Final = {Label.LM: 0.0, Label.LAD: 0.17, Label.LCX: 0.25, Label.RCA: 0.12}
"""Share of plaques that lie on a side branch, mostly near its origin."""

SIDE_BRANCH_RADIUS_MM: Final = 0.65
"""Septal, conus and the finest marginal branches hardly ever calcify."""

FROM_ORIGIN_MM: Final = {Label.LAD: (1.6, 14.0), Label.LCX: (1.5, 15.0), Label.RCA: (1.7, 22.0)}
"""Gamma shape and scale of the distance of a plaque from its artery's origin: proximal predominance."""

RCA_DISTAL_SHARE: Final = 0.2
"""Share of RCA plaques placed evenly over its whole course (mid and distal disease down to the crux)."""

OVER_BIFURCATION: Final = 0.7
"""Share of left mains with calcium in which a plaque runs on into a daughter."""

INTO_LCX: Final = 0.35
"""Share of these that run into the circumflex; the others follow the LAD."""

FAINT: Final = 0.75
"""Share of small plaques, and a third of this of larger ones, that are only lightly mineralised."""

FAINT_MG_CM3: Final = (100.0, 250.0)

CRUMBS: Final = 5.0
"""Mean number of faint specks that an artery with much calcium holds besides."""

CRUMB_AGATSTON: Final = (0.8, 4.0)
CRUMBS_AT_MOST: Final = 0.6
"""Share of an artery's calcium that specks may hold."""

LEAST_WITH_CRUMBS: Final = 10.0

MOST_PLAQUES: Final = 45
SMALL_AGATSTON: Final = 14.0
"""Below this an artery's remainder is one plaque."""

LEAST_OF_MEAN: Final = 0.35
TRIES_AT_ROBUST: Final = 5
"""A small plaque should show at every position of the slices; after so many tries any will do."""

GAP_MM: Final = 1.5
CLOSE_ENOUGH: Final = 0.05
NARROWEST_RADIUS_MM: Final = 0.5


@dataclass(frozen=True, slots=True)
class Grown:
    """Deposits and the estimated Agatston score of each artery."""

    deposits: tuple[Deposit, ...]
    agatston: Mapping[Label, float]


class _Tree:
    """The arteries while plaques are being laid: what is taken, and how much each holds."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.vessel = {branch.name: branch.vessel for branch in scene.branches}
        self._curves: dict[str, Curve] = {}
        self.held = dict.fromkeys(CORONARY, 0.0)
        self.taken: dict[str, list[tuple[float, float]]] = {}
        self.deposits: list[Deposit] = []

    def curve(self, name: str) -> Curve:
        """Curve from the root of the tree to the end of a branch."""
        if name not in self._curves:
            self._curves[name] = branch_curve(self.scene.branches, name)
        return self._curves[name]

    def span(self, name: str, label: Label) -> tuple[float, float]:
        """Part of a branch's curve, in mm along it, where plaques of this artery may lie."""
        curve = self.curve(name)
        wide = curve.radius_at(curve.along_mm) >= NARROWEST_RADIUS_MM
        mine = np.array([self.vessel[curve.names[index]] == label for index in range(len(curve.names))])
        along = curve.along_mm[mine[curve.owner] & wide]
        return (float(along[0]), float(along[-1])) if len(along) else (0.0, 0.0)

    def origin(self, name: str) -> float:
        """Where a branch begins along its own curve."""
        curve = self.curve(name)
        return float(curve.along_mm[curve.owner == len(curve.names) - 1][0])

    def split(self, placed: PlacedPlaque, curve: Curve) -> dict[str, PlacedPlaque]:
        """Divide a plaque over the branches it lies on."""
        owner = curve.owner_at(placed.along_mm)
        return {
            curve.names[index]: PlacedPlaque(placed.pieces.take(owner == index), placed.along_mm[owner == index])
            for index in np.unique(owner).tolist()
        }

    def free(self, name: str, start: float, stop: float) -> bool:
        """Whether no plaque lies on this stretch of a branch's curve yet."""
        curve = self.curve(name)
        for index in np.unique(curve.owner_at(np.array([start, (start + stop) / 2, stop]))).tolist():
            shift = float(curve.along_mm[curve.owner == index][0])
            for low, high in self.taken.get(curve.names[index], []):
                if start - shift < high + GAP_MM and stop - shift > low - GAP_MM:
                    return False
        return True

    def add(
        self, name: str, shape: PlaqueShape, scores: Mapping[str, float], parts: Mapping[str, PlacedPlaque]
    ) -> None:
        """Keep a plaque."""
        curve = self.curve(name)
        for branch, part in parts.items():
            label = self.vessel[branch]
            shift = float(curve.along_mm[curve.owner == curve.names.index(branch)][0])
            low, high = float(part.along_mm.min()) - shift, float(part.along_mm.max()) - shift
            self.taken.setdefault(branch, []).append((low - 0.5, high + 0.5))
            self.held[label] += scores[branch]
            self.deposits.append(part.pieces.deposit(label, "plaque", branch=branch))


def grow_plaques(scene: Scene, targets: Mapping[Label, float], rng: np.random.Generator) -> Grown:
    """Lay plaques until each artery's estimated score meets its target.

    Parameters
    ----------
    scene : the patient; its branches and the HU around them.
    targets : Agatston score wanted in each artery.
    rng : source of chance.

    Returns
    -------
    Grown : one deposit per plaque and branch. An artery that the tree lacks gets nothing.
    """
    tree = _Tree(scene)
    if targets[Label.LM] > 0 and rng.uniform() < OVER_BIFURCATION:
        _lay_over_bifurcation(tree, targets, rng)
    for label in CORONARY:
        if MAIN[label] not in tree.vessel:
            continue
        _lay_crumbs(tree, label, targets[label], rng)
        for attempt in range(MOST_PLAQUES):
            missing = targets[label] - tree.held[label]
            if missing < max(CLOSE_ENOUGH * targets[label], 0.4):
                break
            _lay(tree, label, missing, rng, robust=attempt < TRIES_AT_ROBUST)
    return Grown(tuple(tree.deposits), dict(tree.held))


def _lay_crumbs(tree: _Tree, label: Label, target: float, rng: np.random.Generator) -> None:
    """Scatter faint specks over an artery that holds much more."""
    if target < LEAST_WITH_CRUMBS:
        return
    for _ in range(int(rng.poisson(CRUMBS))):
        if tree.held[label] + CRUMB_AGATSTON[1] > CRUMBS_AT_MOST * target:
            return
        _lay(tree, label, float(rng.uniform(*CRUMB_AGATSTON)), rng, robust=False, faint=True)


def _lay(
    tree: _Tree, label: Label, missing: float, rng: np.random.Generator, *, robust: bool, faint: bool = False
) -> None:
    """Lay one plaque in an artery that still lacks ``missing`` Agatston units.

    A plaque that would vanish at an unlucky position of the slices is turned down when ``robust``; ``faint``
    ones are always lightly mineralised.
    """
    wanted = missing
    if missing > SMALL_AGATSTON:
        wanted = max(6.0, missing * float(rng.beta(1.3, 2.2)))
        if missing - wanted < 5:
            wanted = missing
    name = _choose_branch(tree, label, rng)
    low, high = tree.span(name, label)
    if high - low < 2:
        name = MAIN[label]
        low, high = tree.span(name, label)
    shape = draw_shape(wanted, rng, faint=faint)
    shape = replace(shape, length_mm=min(shape.length_mm, max(1.0, high - low)))
    for attempt in range(12):
        start = _start(tree, name, label, 1 + 0.25 * attempt, rng)
        start = min(max(start, low), max(low, high - shape.length_mm))
        if tree.free(name, start, start + shape.length_mm):
            break
    shape = replace(shape, start_mm=start)
    exact = wanted == missing and not faint
    shape, parts, scores = _fit(tree, name, shape, wanted, high - start, 0.08 if exact else 0.3)
    total = sum(scores.values())
    if robust and wanted < SMALL_AGATSTON and len(parts) == 1:
        starts = agatston_by_start(next(iter(parts.values())).pieces, tree.scene.hu)
        if starts.min() < LEAST_OF_MEAN * starts.mean():
            return
    loose = faint or missing > SMALL_AGATSTON
    if total > 0 and (total < 1.3 * wanted if loose else abs(total - wanted) < 0.2 * wanted):
        tree.add(name, shape, scores, parts)


def _fit(
    tree: _Tree, name: str, shape: PlaqueShape, wanted: float, room_mm: float, tolerance: float
) -> tuple[PlaqueShape, dict[str, PlacedPlaque], dict[str, float]]:
    """Resize a plaque until it scores what is wanted, as nearly as its shape allows."""
    best: tuple[float, PlaqueShape, dict[str, PlacedPlaque], dict[str, float]] = (math.inf, shape, {}, {})
    for _ in range(7):
        shape = replace(shape, length_mm=min(shape.length_mm, max(room_mm, LENGTH_MM[0])))
        parts = tree.split(place(shape, tree.curve(name)), tree.curve(name))
        scores = {branch: agatston(part.pieces, tree.scene.hu) for branch, part in parts.items()}
        total = sum(scores.values())
        miss = abs(math.log(max(total, 0.05) / wanted))
        if miss < best[0]:
            best = (miss, shape, parts, scores)
        if miss < tolerance:
            break
        shape = shape.resized(min(max((wanted / max(total, 0.05)) ** 0.8, 0.3), 3.0))
    return best[1], best[2], best[3]


def draw_shape(wanted_agatston: float, rng: np.random.Generator, *, faint: bool = False) -> PlaqueShape:
    """Draw the looks of a plaque of about this score: spots when small, long and wide when large.

    ``faint`` ones are lightly mineralised; the others are so by chance.
    """
    size = max(wanted_agatston, 1.0)
    spotty = size < 12 or rng.uniform() < 0.1
    if spotty:
        length = rng.uniform(1.0, 3.5)
        arc = math.radians(rng.uniform(25, 110))
        thickness = rng.uniform(0.7, 1.5)
    else:
        length = min(max(4.0 * (size / 15) ** 0.5 * math.exp(0.4 * rng.standard_normal()), 2.0), LENGTH_MM[1])
        arc = math.radians(min(max(70 * (size / 20) ** 0.25 * math.exp(0.4 * rng.standard_normal()), 35), 300))
        thickness = min(max(1.1 * (size / 20) ** 0.18 * math.exp(0.25 * rng.standard_normal()), 0.7), 2.2)
    if rng.uniform() < (FAINT if spotty else FAINT / 3) or faint:
        density, thickness = float(rng.uniform(*FAINT_MG_CM3)), min(1.25 * thickness, 2.4)
        densest = FAINT_MG_CM3[1]
    else:
        densest = DENSITY_MG_CM3[1]
        density = min(max(600 * size**0.06 * math.exp(0.42 * rng.standard_normal()), 200.0), 1400.0)
    return PlaqueShape(
        start_mm=0.0,
        length_mm=float(length),
        angle_rad=float(rng.uniform(0, 2 * math.pi)),
        arc_rad=float(arc),
        thickness_mm=float(thickness),
        density_mg_cm3=float(density),
        twist_rad_per_mm=float(rng.normal(0, 0.04)),
        gradient=float(rng.uniform(-0.7, 0.7)),
        grain=float(rng.uniform(0.05, 0.35)),
        gaps=float(rng.choice([0.0, 0.1, 0.35], p=[0.55, 0.25, 0.2])),
        encroach=float(rng.uniform(0.0, 0.35)),
        seed=int(rng.integers(2**31)),
        densest_mg_cm3=densest,
    )


def _choose_branch(tree: _Tree, label: Label, rng: np.random.Generator) -> str:
    """The branch whose curve the next plaque follows; the left main is reached through either daughter."""
    if label == Label.LM:
        daughters = [name for name in ("LAD", "LCX") if name in tree.vessel]
        return daughters[int(rng.integers(len(daughters)))] if daughters else "LM"
    side = {
        branch.name: float(branch.radius_mm[0]) ** 2
        for branch in tree.scene.branches
        if branch.vessel == label and branch.name != MAIN[label] and branch.radius_mm[0] >= SIDE_BRANCH_RADIUS_MM
    }
    if side and rng.uniform() < SIDE_BRANCH_SHARE[label]:
        weight = np.array(list(side.values()))
        return list(side)[int(rng.choice(len(side), p=weight / weight.sum()))]
    return MAIN[label]


def _start(tree: _Tree, name: str, label: Label, stretch: float, rng: np.random.Generator) -> float:
    """Draw where a plaque begins along a branch's curve."""
    low, high = tree.span(name, label)
    if label == Label.LM:
        return low + (high - low) * float(rng.beta(1.8, 1.3))
    if name != MAIN[label]:
        return tree.origin(name) - 2.0 + float(rng.gamma(1.3, 7.0)) * stretch
    if label == Label.RCA and rng.uniform() < RCA_DISTAL_SHARE:
        return float(rng.uniform(low, high))
    shape, scale = FROM_ORIGIN_MM[label]
    return low + float(rng.gamma(shape, scale)) * stretch


def _lay_over_bifurcation(tree: _Tree, targets: Mapping[Label, float], rng: np.random.Generator) -> None:
    """Lay a plaque that runs from the left main into one of its daughters, when both have something to get."""
    daughters = ((Label.LAD, "LAD"), (Label.LCX, "LCX"))
    for label, name in daughters[::-1] if rng.uniform() < INTO_LCX else daughters:
        if targets[label] <= 3 or name not in tree.vessel or "LM" not in tree.curve(name).names:
            continue
        border = tree.origin(name)
        whole = min(targets[Label.LM], MOST_PER_LM_MM * border) + 0.4 * targets[label]
        shape = draw_shape(whole, rng)
        back = min(border, shape.length_mm * float(rng.uniform(0.25, 0.7)))
        for _ in range(5):
            shape = replace(shape, start_mm=border - back)
            parts = tree.split(place(shape, tree.curve(name)), tree.curve(name))
            scores = {branch: agatston(part.pieces, tree.scene.hu) for branch, part in parts.items()}
            excess = max(scores.get("LM", 0.0) / targets[Label.LM], scores.get(name, 0.0) / targets[label])
            if excess <= 1.03:
                if len(parts) == 2 and min(scores.values()) > 0:
                    tree.add(name, shape, scores, parts)
                return
            shape = shape.resized(max(0.3, 0.9 / excess))
            back = min(back, shape.length_mm * 0.5)
        return
