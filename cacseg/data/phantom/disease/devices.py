"""Metal: coronary stents, bypass clips, sternal wires, pacing and ICD leads, valve prostheses, ports."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.curve import Curve, branch_curve
from cacseg.data.phantom.disease.landmarks import leaves, plane_of, points, tissue_points, tube
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label

STENT_LENGTH_MM: Final = (8.0, 40.0)
STENT_HU: Final = (3000.0, 11000.0)
"""Struts are drawn three times as thick as they are and that much less dense; blurred to 3 mm they reach about
300-1500 HU, thin modern struts less than thick steel."""

STENT_FROM_LM: Final = 0.12
"""Share of stents that begin in the left main, where their artery arises from it."""


def stents(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Put one to three stents into LAD, RCA or LCX: rings of zigzag struts on the lumen's edge."""
    names = [branch.name for branch in scene.branches if branch.name in ("LAD", "RCA", "LCX")]
    made = []
    for _ in range(min(1 + int(rng.poisson(0.4)), 3) if names else 0):
        name = names[int(rng.integers(len(names)))]
        curve = branch_curve(scene.branches, name)
        origin = float(curve.along_mm[curve.owner == len(curve.names) - 1][0])
        length = min(float(rng.uniform(*STENT_LENGTH_MM)), 0.8 * (curve.length_mm - origin))
        offset = -float(rng.uniform(2, 7)) if rng.uniform() < STENT_FROM_LM else float(rng.gamma(1.5, 12))
        start = min(max(origin + offset, 0.5), curve.length_mm - length)
        mesh = _mesh(curve, start, length, 1.5, rng)
        metal_hu = float(np.exp(rng.uniform(*np.log(STENT_HU))))
        made.append(mesh.deposit(Label.OTHER, "stent", branch=name, material="metal", metal_hu=metal_hu))
    return made


def bypass(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Leave what bypass surgery leaves: clips along the grafts and sternal wires."""
    clips: list[Deposit] = []
    heart, apex, aorta = points(scene, "heart_centre"), points(scene, "apex"), tube(scene, "ascending_aorta")
    sac = points(scene, "pericardium", least=20)
    if heart is not None and apex is not None and aorta is not None and sac is not None:
        origin = aorta.points_lps_mm[len(aorta.points_lps_mm) // 2]
        for side in (-1.0, 1.0):
            bow = heart[0] + np.array([side * 45.0, -38.0, 18.0])
            at = rng.uniform(0, 1, int(rng.integers(2, 7)))[:, None]
            course = (1 - at) ** 2 * origin + 2 * at * (1 - at) * bow + at**2 * (bow + apex[0]) / 2
            nearest = np.linalg.norm(course[:, None] - sac[None], axis=2).argmin(axis=1)
            start = sac[nearest] + rng.normal(0, 2.5, (len(at), 3))
            heading = rng.standard_normal((len(at), 3))
            end = start + 3.5 * heading / np.linalg.norm(heading, axis=1, keepdims=True)
            pieces = Pieces.of(start, end, 0.45, 1400)
            clips.append(pieces.deposit(Label.OTHER, "clip", material="metal", metal_hu=9000.0))
    return clips + sternal_wires(scene, severity, rng)


def sternal_wires(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Loop five to seven wires round the sternum."""
    sternum = points(scene, "sternum_axis", least=2)
    if sternum is None:
        return []
    heights = np.linspace(sternum[:, 2].min() + 8, sternum[:, 2].max() - 5, int(rng.integers(5, 8)))
    order = sternum[np.argsort(sternum[:, 2])]
    made = []
    for height in heights:
        centre = np.array([np.interp(height, order[:, 2], order[:, axis]) for axis in range(3)])
        turn = np.linspace(0, 2 * math.pi, 19)
        tilt = rng.normal(0, 0.15)
        loop = np.stack([14 * np.cos(turn), 8 * np.sin(turn), 14 * tilt * np.cos(turn)], axis=1)
        knot = centre + loop[4] + np.array([[0.0, 0, 0], [0.5, -4.0, 2.0]])
        nodes = np.concatenate([centre + loop, knot])
        wire = Pieces.polyline(nodes, 0.45, 1400)
        made.append(wire.deposit(Label.OTHER, "wire", material="metal", metal_hu=8000.0))
    return made


def pacing_leads(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Run leads through the superior vena cava into the right ventricle and often the right atrium."""
    route = _venous_route(scene)
    apex = points(scene, "apex")
    if route is None or apex is None:
        return []
    chamber = tissue_points(scene, Tissue.RIGHT_VENTRICLE, route[-1], 90.0)
    if len(chamber) < 20:
        return []
    far = chamber[np.argsort(np.linalg.norm(chamber - apex[0], axis=1))[: max(1, len(chamber) // 50)]].mean(axis=0)
    middle = chamber.mean(axis=0)
    ventricular = _smooth(np.stack([*route, (route[-1] + middle) / 2 + [0, 0, -6.0], middle, far]))
    coil = rng.uniform() < 0.4
    radius = np.full(len(ventricular) - 1, 0.9)
    if coil:
        radius[int(0.72 * len(radius)) : int(0.95 * len(radius))] = 1.4
    leads = [Pieces.polyline(ventricular, radius, 1400)]
    if rng.uniform() < 0.6:
        auricle = route[-1] + np.array([10.0, -22.0, 12.0])
        leads.append(Pieces.polyline(_smooth(np.stack([*route, route[-1] + [0, 0, -14.0], auricle])), 0.9, 1400))
    return [
        lead.deposit(Label.OTHER, "icd_lead" if coil else "pacing_lead", material="metal", metal_hu=5000.0)
        for lead in leads
    ]


def prosthesis(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Replace the aortic (or mitral) valve: mechanical ring and discs, stented bioprosthesis, or mesh cylinder."""
    ring = points(scene, "aortic_valve" if rng.uniform() < 0.75 else "mitral_annulus", least=6)
    if ring is None:
        return []
    centre, normal, radius = plane_of(ring)
    closed = np.concatenate([ring, ring[:1]])
    frame = Pieces.polyline(closed, rng.uniform(0.6, 1.3), 1400)
    form = int(rng.integers(3))
    if form == 0:
        across = (ring[len(ring) // 4] - centre) / np.linalg.norm(ring[len(ring) // 4] - centre)
        edge = np.cross(normal, across)
        discs = [
            Pieces.of(
                centre + side * 0.15 * radius * edge - 0.7 * radius * across + lift * normal,
                centre + side * 0.15 * radius * edge + 0.7 * radius * across + lift * normal,
                0.5,
                1400,
            )
            for side in (-1, 1)
            for lift in np.linspace(0, 0.6 * radius, 5)
        ]
        frame = Pieces.join([frame, *discs])
    elif form == 1:
        posts = ring[np.array([0, len(ring) // 3, 2 * len(ring) // 3])]
        frame = Pieces.join([frame, Pieces.of(posts, posts + 0.9 * radius * normal, 0.6, 1400)])
    else:
        cylinder = Curve.of(np.stack([centre - 5 * normal, centre + 20 * normal]), radius)
        frame = _mesh(cylinder, 0.0, cylinder.length_mm, 5.0, rng)
    return [frame.deposit(Label.OTHER, "valve_prosthesis", material="metal", metal_hu=5000.0)]


def port(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Put a port chamber under the skin of the right upper chest, its catheter in the superior vena cava."""
    route = _venous_route(scene)
    sternum = points(scene, "sternum_axis", least=2)
    if route is None or sternum is None:
        return []
    top = sternum[sternum[:, 2].argmax()]
    inside = top + np.array([-60.0, 30.0, 0.0])
    skin = leaves(scene, inside, np.array([0.0, -1.0, 0.0]), Tissue.FAT, 120.0)
    centre = skin + np.array([0.0, 9.0, 0.0])
    turn = np.linspace(0, 2 * math.pi, 17)
    rim = np.stack([10 * np.cos(turn), np.zeros(17), 10 * np.sin(turn)], axis=1)
    chamber = Pieces.join([Pieces.polyline(centre + rim + [0, depth, 0], 1.2, 1400) for depth in (0.0, 3.0, 6.0)])
    catheter = Pieces.polyline(_smooth(np.stack([centre, *route])), 0.9, 400)
    return [
        chamber.deposit(Label.OTHER, "port", material="metal", metal_hu=3000.0),
        catheter.deposit(Label.OTHER, "catheter", material="metal", metal_hu=600.0),
    ]


def _mesh(curve: Curve, start_mm: float, length_mm: float, pitch_mm: float, rng: np.random.Generator) -> Pieces:
    """Zigzag rings on a tube, joined by a strut."""
    crowns = 6
    rings = []
    turn = np.linspace(0, 2 * math.pi, 2 * crowns + 1) + rng.uniform(0, 1)
    zigzag = 0.3 * pitch_mm * (np.arange(2 * crowns + 1) % 2 - 0.5)
    for at in np.arange(start_mm, start_mm + length_mm, pitch_mm):
        along = at + zigzag
        rings.append(Pieces.polyline(curve.wall(along, turn, curve.radius_at(along)), 0.22, 1400))
    along = np.arange(start_mm, start_mm + length_mm, 1.0)
    strut = curve.wall(along, np.full(len(along), turn[0]), curve.radius_at(along))
    return Pieces.join([*rings, Pieces.polyline(strut, 0.2, 1400)])


def _venous_route(scene: Scene) -> NDArray[np.float64] | None:
    """Points down the superior vena cava into the right atrium."""
    cava = points(scene, "superior_vena_cava_axis", least=2)
    if cava is None:
        return None
    down = cava[np.argsort(-cava[:, 2], kind="stable")]
    atrium = tissue_points(scene, Tissue.RIGHT_ATRIUM, down[-1], 60.0)
    if len(atrium) < 20:
        return None
    route = down[:: max(1, len(down) // 4)]
    low = atrium.mean(axis=0)
    return np.concatenate([route[route[:, 2] > low[2] + 8], low[None]])


def _smooth(knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round a line of knots into points about 4 mm apart."""
    from scipy.interpolate import PchipInterpolator

    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    count = max(4, int(along[-1] / 4))
    return np.asarray(PchipInterpolator(along, knots)(np.linspace(0, along[-1], count)))
