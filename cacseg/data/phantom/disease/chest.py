"""Calcium of the chest around the heart: nodes, bronchi, granulomas, cartilage, xiphoid, spine, breast, pleura."""

import math

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.curve import Curve
from cacseg.data.phantom.disease.heart_other import sheet
from cacseg.data.phantom.disease.landmarks import leaves, patch, points, tissue_at, tissue_points
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.disease.wall import wall_plaque
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label


def nodes(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify lymph nodes at the hila, under the carina and beside the trachea: popcorn, eggshell or solid."""
    sites = [found for key in ("hilum_left", "hilum_right") if (found := points(scene, key)) is not None]
    carina = points(scene, "carina")
    if carina is not None:
        sites += [carina + np.array([[0.0, 4.0, -14.0]]), carina + np.array([[-12.0, 0.0, 14.0]])]
    if not sites:
        return []
    made = []
    for _ in range(1 + min(6, int(rng.poisson(1.2 * math.exp(0.4 * severity))))):
        site = sites[int(rng.integers(len(sites)))]
        centre = site[int(rng.integers(len(site)))] + rng.normal(0, 6, 3)
        made.append(_cluster(centre, float(rng.uniform(1.5, 6.0)), rng).deposit(Label.OTHER, "node"))
    return made


def bronchi(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the cartilage of the main bronchi: thin broken rings."""
    made = []
    for side in ("right", "left"):
        course = points(scene, f"{side}_bronchus_axis", least=2)
        if course is None:
            continue
        bronchus = Curve.of(course, np.linspace(6.8, 4.5, len(course)))
        rings = []
        for along in np.arange(rng.uniform(2, 10), min(bronchus.length_mm, 60.0), rng.uniform(5, 8)):
            if rng.uniform() < 0.5:
                width = rng.uniform(4, 14)
                angle = float(rng.uniform(0, 2 * math.pi))
                level = float(np.clip(430 * math.exp(0.3 * rng.standard_normal() + 0.2 * severity), 150, 1000))
                rings.append(wall_plaque(bronchus, float(along), angle, 1.6, width, 1.5, level, rng, gaps=0.15))
        if rings:
            made.append(Pieces.join(rings).deposit(Label.OTHER, "bronchus"))
    return made


def granulomas(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Put one to a few calcified granulomas into the lungs."""
    lung = points(scene, "lung_points")
    if lung is None:
        return []
    count = min(len(lung), 1 + int(rng.poisson(0.8 * math.exp(0.5 * severity))))
    chosen = lung[rng.permutation(len(lung))[:count]]
    return [
        Pieces.spots([centre], rng.uniform(0.8, 3.2), rng.uniform(350, 1200)).deposit(Label.OTHER, "granuloma")
        for centre in chosen
    ]


def granulomas_at_heart(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Put one or two calcified granulomas into the lung where it lies against the heart, as close as an artery."""
    sac, heart = points(scene, "pericardium", least=20), points(scene, "heart_centre")
    if sac is None or heart is None:
        return []
    made: list[Deposit] = []
    wanted = 1 + int(rng.uniform() < 0.3)
    for start in sac[rng.permutation(len(sac))[:40]]:
        outward = (start - heart[0]) / np.linalg.norm(start - heart[0])
        ray = start + np.arange(0.0, 12.0, 0.5)[:, None] * outward
        lung = np.flatnonzero(tissue_at(scene, ray) == int(Tissue.LUNG))
        if not len(lung):
            continue
        centre = ray[lung[0]] + rng.uniform(0.0, 4.0) * outward
        spot = Pieces.spots([centre], rng.uniform(0.7, 2.2), rng.uniform(350, 1200))
        made.append(spot.deposit(Label.OTHER, "granuloma"))
        if len(made) == wanted:
            break
    return made


def costal_cartilage(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify costal cartilage: a shell as in men, or central tongues as in women."""
    cloud = points(scene, "costal_cartilage", least=3)
    if cloud is None:
        return []
    shell = rng.uniform() < (0.75 if scene.patient.get("sex") == "M" else 0.3)
    made: list[Deposit] = []
    courses = _courses(cloud)
    for number, course in enumerate(courses):
        last_chance = not made and number == len(courses) - 1
        if rng.uniform() > 0.5 + 0.15 * severity and not last_chance:
            continue
        pieces = _shell(course, severity, rng) if shell else _tongue(course, severity, rng)
        made.append(pieces.deposit(Label.OTHER, "costal_cartilage"))
    return made


def xiphoid(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the xiphoid: a patchy tongue below the sternum, right in front of the heart's lower face."""
    sternum = points(scene, "sternum_axis", least=2)
    if sternum is None:
        return []
    lower = sternum[sternum[:, 2].argmin()]
    heading = lower - sternum[np.abs(sternum[:, 2] - lower[2] - 15).argmin()]
    heading = heading / max(float(np.linalg.norm(heading)), 1e-6)
    length = float(np.clip(14 * math.exp(0.3 * severity), 6, 32))
    at = rng.uniform(0, length, 14)
    centres = lower + at[:, None] * heading + rng.normal(0, 1, (14, 3)) * np.array([3.0, 1.0, 1.0])
    ends = centres + rng.normal(0, 1.6, (14, 3)) * np.array([1.0, 0.4, 1.6])
    level = rng.uniform(180, 480)
    tongue = Pieces.of(centres, ends, rng.uniform(0.7, 1.9, 14), level * rng.uniform(0.7, 1.3, 14))
    return [tongue.deposit(Label.OTHER, "xiphoid")]


def osteophytes(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Grow spurs at the discs, in front and at the side of the vertebrae, more on the right."""
    spine = points(scene, "spine_axis", least=2)
    if spine is None:
        return []
    made = []
    for height in np.arange(spine[:, 2].min() + 8, spine[:, 2].max(), 24.0):
        if rng.uniform() > 0.35 + 0.15 * severity:
            continue
        centre = spine[np.abs(spine[:, 2] - height).argmin()]
        side = -rng.uniform(0.3, 1.1) if rng.uniform() < 0.75 else rng.uniform(0.3, 1.1)
        outward = np.array([math.sin(side), -math.cos(side), 0.0])
        edge = leaves(scene, centre, outward, Tissue.BONE, 32.0)
        size = float(np.clip(2.0 * math.exp(0.25 * severity), 1.2, 4.0))
        rise = np.linspace(-1, 1, 5)[:, None]
        bow = edge + outward * (1 - rise**2) * size + rise * np.array([0.0, 0.0, 7.0])
        made.append(Pieces.polyline(bow, size, rng.uniform(220, 520)).deposit(Label.OTHER, "osteophyte"))
    return made


def breast(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Scatter coarse benign calcium in one breast."""
    sternum = points(scene, "sternum_axis", least=2)
    if sternum is None:
        return []
    side = float(rng.choice([-1.0, 1.0]))
    near = sternum.mean(axis=0) + np.array([side * rng.uniform(50, 80), -5.0, rng.uniform(-30, 20)])
    fat = tissue_points(scene, Tissue.FAT, near, 20.0)
    if len(fat) < 20:
        return []
    count = 1 + int(rng.poisson(2))
    centres = fat[rng.integers(len(fat), size=count)]
    return [Pieces.spots(centres, rng.uniform(0.5, 1.5, count), rng.uniform(300, 1000)).deposit(Label.OTHER, "breast")]


def pleura(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Lay calcified plaques on the parietal pleura: flat plates along the edge of a lung."""
    lung = points(scene, "lung_points")
    heart = points(scene, "heart_centre")
    if lung is None or heart is None:
        return []
    made = []
    for _ in range(1 + int(rng.poisson(1.0))):
        inside = lung[int(rng.integers(len(lung)))]
        outward = (inside - heart[0]) * np.array([1.0, 1.0, 0.2]) + rng.normal(0, 15, 3)
        edge = leaves(scene, inside, outward, Tissue.LUNG, 120.0)
        cloud = tissue_points(scene, Tissue.LUNG, edge, 10.0)
        rim = cloud[(cloud - edge) @ outward / np.linalg.norm(outward) > -1.5]
        if len(rim) < 8:
            continue
        near = patch(rim, float(rng.uniform(4, 10)), rng, most=40)
        made.append(sheet(near, rng, (0.6, 1.3), (250, 800)).deposit(Label.OTHER, "pleura"))
    return made


def _cluster(centre: NDArray[np.float64], size_mm: float, rng: np.random.Generator) -> Pieces:
    """A lump of calcium: solid, in crumbs, or an eggshell."""
    count = 4 + int(3 * size_mm)
    heading = rng.standard_normal((count, 3))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    eggshell = size_mm > 3.5 and rng.uniform() < 0.3
    depth = np.full(count, 1.0) if eggshell else rng.uniform(0, 1, count) ** 0.5
    centres = centre + heading * depth[:, None] * size_mm * rng.uniform(0.6, 1.0, 3)
    level = float(np.clip(520 * math.exp(0.5 * rng.standard_normal()), 150, 1300))
    density = (level * np.exp(0.3 * rng.standard_normal(count))).clip(100, 1400)
    return Pieces.spots(centres, rng.uniform(0.5, 1.0 + 0.25 * size_mm, count), density)


def _courses(cloud: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Split points of several cartilages, one after the other, where the next point is far away."""
    step = np.linalg.norm(np.diff(cloud, axis=0), axis=1)
    far = np.flatnonzero(step > max(12.0, 3 * float(np.median(step)))) + 1
    return [course for course in np.split(cloud, far) if len(course) >= 3]


def _shell(course: NDArray[np.float64], severity: float, rng: np.random.Generator) -> Pieces:
    """Patches on the surface of a cartilage."""
    bar = Curve.of(course, float(rng.uniform(4.0, 6.0)))
    plates = []
    for _ in range(1 + int(rng.poisson(1.2 * math.exp(0.3 * severity)))):
        along, angle = float(rng.uniform(0, bar.length_mm)), float(rng.uniform(0, 2 * math.pi))
        length, width = float(rng.uniform(3, 9)), float(rng.uniform(2, 7))
        level = float(np.clip(330 * math.exp(0.3 * rng.standard_normal()), 150, 800))
        plates.append(wall_plaque(bar, along, angle, length, width, 2.0, level, rng, gaps=0.25))
    return Pieces.join(plates)


def _tongue(course: NDArray[np.float64], severity: float, rng: np.random.Generator) -> Pieces:
    """Lumps along the middle of a cartilage, from its rib end."""
    count = int(np.clip(6 * math.exp(0.3 * severity), 3, 14))
    at = np.sort(rng.uniform(0, len(course) - 1, count))
    index = np.arange(len(course))
    nodes_mm = np.stack([np.interp(at, index, course[:, axis]) for axis in range(3)], axis=1)
    ends = nodes_mm + rng.normal(0, 1.5, nodes_mm.shape)
    return Pieces.of(nodes_mm, ends, rng.uniform(0.7, 1.8, count), rng.uniform(180, 700, count))
