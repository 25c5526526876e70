"""Digital patients whose heart is the one of the shared label map: its chambers, arteries, valves, in our chests.

The label map (BodyParts3D, 1 mm) is a reference to measure against: nothing here is trained on or shipped.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from cacseg.data.phantom.anatomy import Geometry, build, build_geometry
from cacseg.data.phantom.anatomy.heart import HeartModel, Part
from cacseg.data.phantom.population import PatientFacts
from cacseg.data.phantom.scene import Branch
from cacseg.vessels import Label

Array = NDArray[Any]

FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "facts" / "anatomy"
PAD: Final = 40
"""Voxels added around the map, for distances beyond it."""

BODIES: Final[dict[Part, tuple[str, ...]]] = {
    "lv": ("left_ventricle_wall",),
    "rv": ("right_ventricle_wall",),
    "la": ("left_atrium_wall",),
    "ra": ("right_atrium_wall",),
    "aorta": ("ascending_aorta", "aortic_bulb", "aortic_valve"),
    "pulmonary": ("pulmonary_trunk", "pulmonary_valve"),
}
"""Body of the heart model and the labels of its wall."""

THIN: Final = ("LM", "LAD", "LCX", "RCA", "PDA_labelled_posterior_interventricular", "cardiac_veins_and_sinus")
FAT_POCKET_SHARE: Final = 0.1
"""A hole between chambers of which arteries fill more than this holds fat, not blood."""

AROUND_ARTERY_MM: Final = 4.5
"""Half the width of the groove of fat in which arteries run; the map's arteries touch its muscle."""

BRIDGE_MM: Final = 4.2
"""Longest gap in an artery that is bridged."""

SIDE_MM: Final = 9.0
"""A side branch ends at least so far from what is already traced."""


SEPTAL: Final = "S1"
SEPTAL_RADIUS_MM: Final = 0.4
"""Fine enough to get no plaque, as septal branches of digital patients: they hardly ever calcify."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """The label map.

    Parameters
    ----------
    masks : label name to (n, n, n) bool, axes x, y, z.
    origin_mm : position of voxel 0.
    """

    masks: dict[str, NDArray[np.bool_]]
    origin_mm: Array

    def points(self, name: str) -> Array:
        """Positions (n, 3) of the voxels of a label, mm."""
        return np.argwhere(self.masks[name]) + self.origin_mm


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A branch of the map: name, artery, centre line (n, 3) in mm, radius at its start, parent."""

    name: str
    vessel: Label
    points: Array
    radius_mm: float
    parent: str | None


@cache
def label_map() -> LabelMap:
    """Read the map."""
    data = np.load(FOLDER / "bp3d_heart_labels_1mm.npz")
    names = json.loads((FOLDER / "bp3d_heart_labels.json").read_text(encoding="utf-8"))["labels"]
    labels = np.pad(data["labels"], PAD)
    return LabelMap({name: labels == int(key) for key, name in names.items()}, data["origin_mm"] - PAD)


def distance_to_bodies() -> dict[Part, Array]:
    """Make solid bodies of the map's walls; signed distance to each on its voxels, mm."""
    masks = label_map().masks
    ball = ndimage.generate_binary_structure(3, 1)
    arteries = np.logical_or.reduce([masks[name] for name in ("LM", "LAD", "LCX", "RCA")])
    walls = np.logical_or.reduce([mask for name, mask in masks.items() if name not in THIN])
    closed = ndimage.binary_closing(walls, ball, 2)
    flesh = _filled(closed, axes=(2,))
    hole, _ = ndimage.label(flesh & ~closed)
    share = np.bincount(hole.ravel(), weights=arteries.ravel()) / np.bincount(hole.ravel())
    flesh &= ~np.append(False, share[1:] > FAT_POCKET_SHARE)[hole]
    owner = np.zeros(flesh.shape, np.uint8)
    for number, walled in enumerate(BODIES.values(), 1):
        for name in walled:
            owner[masks[name]] = number
    nearest = ndimage.distance_transform_edt(owner == 0, return_distances=False, return_indices=True)
    owner = owner[tuple(nearest)] * flesh
    bodies = {name: owner == number for number, name in enumerate(BODIES, 1)}
    bodies["lv"] |= _filled(ndimage.binary_closing(masks["left_ventricle_wall"], ball, 8))
    right = masks["right_ventricle_wall"] | masks["tricuspid_valve"]
    bodies["rv"] = (bodies["rv"] | _filled(ndimage.binary_closing(right, ball, 8))) & ~bodies["lv"]
    distance = {}
    for name, body in bodies.items():
        smooth = ndimage.binary_closing(ndimage.binary_opening(body, ball), ball, 2)
        signed = ndimage.distance_transform_edt(~smooth) - ndimage.distance_transform_edt(smooth)
        distance[name] = ndimage.gaussian_filter(signed + np.where(smooth, 0.5, -0.5), 1.0)
    return distance


def _filled(mask: NDArray[np.bool_], axes: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.bool_]:
    """Fill the holes of every slice across each axis in turn."""
    found = mask.copy()
    for axis in axes:
        cuts = np.moveaxis(found, axis, 0)
        cuts[:] = [ndimage.binary_fill_holes(cut) for cut in cuts]
    return found


@cache
def marks(heart: LabelMap) -> dict[str, Array]:
    """Points (3,) by which the map is laid over a model, mm."""
    ventricle, ring = heart.points("left_ventricle_wall"), heart.points("mitral_annulus")
    down = ventricle @ np.array([0.5, -0.5, -0.7])
    return {
        "left_ostium": nearest(heart.points("LM"), heart.points("aortic_bulb")),
        "right_ostium": nearest(heart.points("RCA"), heart.points("aortic_bulb")),
        "mitral_annulus": 0.5 * (ring.min(axis=0) + ring.max(axis=0)),
        "tricuspid_annulus": heart.points("tricuspid_valve").mean(axis=0),
        "apex": ventricle[down >= np.quantile(down, 0.999)].mean(axis=0),
    }


def nearest(first: Array, second: Array) -> Array:
    """Mean of the points of ``first`` that come nearest to ``second``."""
    gap = KDTree(second).query(first)[0]
    return np.asarray(first[gap <= gap.min() + 1.0].mean(axis=0))


@cache
def tree() -> tuple[Line, ...]:
    """Trace the arteries of the map; names of side branches are the nearest ones of a digital patient."""
    heart = label_map()
    at = marks(heart)
    stem = heart.points("LM")
    fork = nearest(stem, np.concatenate([heart.points("LAD"), heart.points("LCX")]))
    main = _even(np.stack([at["left_ostium"], stem.mean(axis=0), fork]))
    behind = heart.points("LCX")
    crux = heart.points("PDA_labelled_posterior_interventricular").mean(axis=0)
    back = behind[behind[:, 1].argmax()]
    return (
        Line("LM", Label.LM, main, 2.2, None),
        *_traced(("LAD",), fork, at["apex"], ("LAD", "S1", "D1", "D2"), Label.LAD, "LM"),
        *_traced(("LCX",), fork, back, ("LCX", "OM1", "OM2", "OM3"), Label.LCX, "LM"),
        *_traced(
            ("RCA", "PDA_labelled_posterior_interventricular"),
            at["right_ostium"],
            crux,
            ("RCA", "RM", "CB", "", "RPL"),  # the fourth is an atrial branch
            Label.RCA,
            None,
        ),
    )


def _traced(
    labels: tuple[str, ...], start: Array, towards: Array, names: tuple[str, ...], vessel: Label, parent: str | None
) -> list[Line]:
    """Trace an artery from its start to the voxel nearest to a point, then its side branches, longest first."""
    heart = label_map()
    ball = ndimage.generate_binary_structure(3, 1)
    joined = np.logical_or.reduce([heart.masks[name] for name in labels])
    tube = _filled(ndimage.binary_closing(joined, ball, 2))
    points = np.argwhere(tube) + heart.origin_mm
    depth = ndimage.distance_transform_edt(tube)[tube]
    pairs = KDTree(points).query_pairs(BRIDGE_MM, output_type="ndarray")
    first, second = pairs.T
    apart = np.linalg.norm(points[first] - points[second], axis=1)
    cost = apart * np.where(apart > 1.8, 6.0, 1.0) * (0.3 + 1.0 / np.minimum(depth[first], depth[second]) ** 2)
    graph = coo_matrix((cost, (first, second)), shape=(len(points), len(points)))
    origin = int(np.linalg.norm(points - start, axis=1).argmin())
    far, before = dijkstra(graph.tocsr(), False, origin, return_predecessors=True)
    end = int(np.where(np.isfinite(far), np.linalg.norm(points - towards, axis=1), np.inf).argmin())
    made: list[Line] = []
    for name in names:
        path = [end]
        while before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
        line = points[path[::-1]].astype(float)
        if made:
            traced = np.concatenate([each.points for each in made])
            near = np.flatnonzero(KDTree(traced).query(line)[0] < 2.5)
            line = line[int(near[-1]) if len(near) else 0 :]
            line = np.concatenate([traced[KDTree(traced).query(line[:1])[1]], line])
        radius_mm = SEPTAL_RADIUS_MM if name == SEPTAL else 1.1 if made else 1.8
        made.append(Line(name, vessel, _even(line), radius_mm, made[0].name if made else parent))
        left = np.where(np.isfinite(far), KDTree(np.concatenate([each.points for each in made])).query(points)[0], -1.0)
        end = int(left.argmax())
        if left[end] < SIDE_MM:
            break
    return [each for each in made if each.name]


def _even(line: Array) -> Array:
    """Put points 1 mm apart on a line and smooth it."""
    line = line[np.append(True, np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-6)]
    away = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    at = np.linspace(0.0, away[-1], max(3, round(away[-1]) + 1))
    even = np.stack([np.interp(at, away, line[:, axis]) for axis in range(3)], axis=1)
    if len(even) > 8:
        even[1:] = ndimage.gaussian_filter1d(even, 2.0, axis=0, mode="nearest")[1:]
    return np.asarray(even)


@cache
def carved() -> dict[Part, Array]:
    """Signed distance to each body without the grooves of its arteries, on the voxels of the map."""
    heart = label_map()
    free = np.ones(heart.masks["LM"].shape, bool)
    for line in tree():
        if not line.name.startswith("S"):  # septal branches run in muscle
            free[tuple(np.rint(line.points - heart.origin_mm).astype(int).T)] = False
    groove = AROUND_ARTERY_MM - ndimage.distance_transform_edt(free)
    return {
        name: field if name in ("aorta", "pulmonary") else ndimage.gaussian_filter(np.maximum(field, groove), 0.8)
        for name, field in distance_to_bodies().items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Similarity from the map to heart mm: ``h = scale * (turn @ m) + shift``."""

    scale: float
    turn: Array
    shift: Array

    @classmethod
    def over(cls, found: Array, wanted: Array) -> "Laid":
        """Fit (n, 3) points of the map to those of a model (Umeyama 1991)."""
        here, there = found.mean(axis=0), wanted.mean(axis=0)
        left, stretch, right = np.linalg.svd((wanted - there).T @ (found - here))
        mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
        turn = left @ np.diag(mirror) @ right
        scale = float((stretch * mirror).sum() / ((found - here) ** 2).sum())
        return cls(scale, turn, there - scale * turn @ here)

    def to_heart(self, points: Array) -> Array:
        """Map (n, 3) mm of the map to heart mm."""
        return np.asarray(points, np.float64) @ (self.scale * self.turn).T + self.shift


class MapModel(HeartModel):
    """A heart model whose chambers and great vessels are those of the map."""

    laid: Laid

    def body(self, name: Part, points: Array) -> Array:
        """Signed distance of points (..., 3) in heart mm."""
        field = carved()[name]
        back = (points.astype(np.float64) - self.laid.shift) @ self.laid.turn / self.laid.scale
        at = (back.reshape(-1, 3) - label_map().origin_mm).T
        inside = np.clip(at, 0.0, np.array(field.shape)[:, None] - 1.0)
        value = ndimage.map_coordinates(field, inside, order=1) + np.linalg.norm(at - inside, axis=0)
        return (value.reshape(points.shape[:-1]) * self.laid.scale).astype(points.dtype)

    def left_ventricle(self, points: Array, wall_mm: float = 0.0) -> Array:
        """Distance to the left ventricle, or to its cavity."""
        return self.body("lv", points) + np.asarray(wall_mm, points.dtype)

    def parts(self, points: Array) -> dict[Part, Array]:
        """Distance to every part; the appendages belong to the atria."""
        absent = np.full(points.shape[:-1], 30.0, points.dtype)
        bodies = {name: self.body(name, points) for name in BODIES}
        return {**bodies, "laa": absent, "raa": absent, "cava": self.venae_cavae(points)}


def _ring() -> Array:
    """Mitral annulus (n, 3) of the map in order, its posterior arc first."""
    heart = label_map()
    points = heart.points("mitral_annulus").astype(float)
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    turn = np.arctan2((points - middle) @ axes[1], (points - middle) @ axes[0])
    sector = np.digitize(turn, np.linspace(-np.pi, np.pi, 61))
    ring = np.stack([points[sector == each].mean(axis=0) for each in np.unique(sector)])
    away = np.linalg.norm(ring - heart.points("aortic_valve").mean(axis=0), axis=1)
    half = np.arange(len(ring) // 2)
    return np.roll(
        ring, -int(np.argmax([away[(half + first) % len(ring)].sum() for first in range(len(ring))])), axis=0
    )


def in_heart(own: Geometry, points: Array) -> Array:
    """Take points (n, 3) of a patient back to heart mm."""
    return own.pose.to_heart(points + own.deformation.at(points))


def laid_over(own: Geometry) -> Laid:
    """Lay the map over the heart of a patient: valves, ostia and apex as near to its own as one shape allows."""
    at = marks(label_map())
    wanted = [in_heart(own, own.landmarks[name]).mean(axis=0) for name in at]
    return Laid.over(np.stack(list(at.values())), np.stack(wanted))


def label_map_geometry(facts: PatientFacts, rng: np.random.Generator) -> Geometry:
    """Build a patient's geometry, then put the heart of the map in the place of its own."""
    own = build_geometry(facts, rng)
    laid = laid_over(own)
    plain = own.model
    model = MapModel(facts, plain.root, plain.mitral, plain.ascending, plain.pulmonary_trunk, plain.appendage)
    object.__setattr__(model, "laid", laid)

    def placed(points: Array) -> Array:
        return own.deformation.to_patient(own.pose.to_patient(laid.to_heart(points)))

    size = laid.scale * own.pose.scale
    branches = tuple(
        Branch(
            line.name,
            line.vessel,
            placed(line.points),
            size * line.radius_mm * np.linspace(1.0, 0.6, len(line.points)),
            line.parent,
        )
        for line in tree()
    )
    heart = label_map()
    landmarks = dict(own.landmarks) | {
        "mitral_annulus": placed(_ring()),
        "aortic_leaflets": placed(heart.points("aortic_valve")[::7]),
        "aortic_sinuses": placed(heart.points("aortic_bulb")[::18]),
        "bifurcation": placed(tree()[0].points[-1:]),
        **{name: placed(marks(heart)[name][None]) for name in ("left_ostium", "right_ostium", "apex")},
    }
    return replace(own, model=model, branches=branches, veins={}, landmarks=landmarks)


@contextlib.contextmanager
def label_map_hearts() -> Iterator[None]:
    """Give every digital patient that is built meanwhile the heart of the map."""
    usual = build.build_geometry
    build.build_geometry = label_map_geometry
    try:
        yield
    finally:
        build.build_geometry = usual
