"""Rarer calcium on and in the heart: papillary muscle, pericardium, scar, ligamentum arteriosum, phleboliths."""

import math

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.landmarks import patch, points, tissue_points, tube
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label


def papillary_muscle(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the tip of a papillary muscle: a streak of 2-7 mm."""
    tips = points(scene, "papillary_muscles")
    apex = points(scene, "apex")
    if tips is None or apex is None:
        return []
    tip = tips[int(rng.integers(len(tips)))]
    towards = (apex[0] - tip) / np.linalg.norm(apex[0] - tip)
    length = float(np.clip(3.0 * math.exp(0.4 * severity), 1.5, 8.0))
    nodes = tip + np.linspace(0, length, 4)[:, None] * towards + rng.normal(0, 0.5, (4, 3))
    streak = Pieces.polyline(nodes, rng.uniform(0.5, 1.1, 3), rng.uniform(250, 900, 3))
    return [streak.deposit(Label.OTHER, "papillary_muscle")]


def pericardium(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify plates of the pericardium, 5-40 mm wide and 1-3 mm thick."""
    surface = points(scene, "pericardium", least=8)
    if surface is None:
        return []
    made = []
    for _ in range(1 + int(rng.poisson(0.7 * math.exp(0.5 * severity)))):
        near = patch(surface, 40.0, rng, most=7)
        share = rng.dirichlet(np.full(len(near), 0.7), size=int(rng.integers(8, 40)))
        plate = near[0] + float(rng.uniform(0.3, 1.3)) * (share @ near - near[0])
        pieces = sheet(plate, rng, radius_mm=(0.7, 1.6), density_mg_cm3=(300, 1100))
        if len(pieces):
            made.append(pieces.deposit(Label.OTHER, "pericardium"))
    return made


def scar(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify an old infarct: a thin curved sheet in the wall near the apex."""
    apex = points(scene, "apex")
    if apex is None:
        return []
    wall = tissue_points(scene, Tissue.MYOCARDIUM, apex[0], 25.0)
    if len(wall) < 30:
        return []
    near = patch(wall, float(rng.uniform(5, 9 + 3 * max(severity, 0))), rng, most=2000)
    outward = near @ np.linalg.svd(near - near.mean(axis=0), full_matrices=False)[2][2]
    layer = near[np.abs(outward - np.median(outward)) < 0.8][:70]
    pieces = sheet(layer, rng, radius_mm=(0.5, 1.0), density_mg_cm3=(200, 700))
    return [pieces.deposit(Label.OTHER, "scar")] if len(pieces) else []


def ligamentum(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the ligamentum arteriosum: a streak between arch and pulmonary artery."""
    arch = tube(scene, "aortic_arch")
    if arch is None:
        return []
    along = arch.length_mm * float(rng.uniform(0.5, 0.7))
    centre = np.array([np.interp(along, arch.along_mm, arch.points_lps_mm[:, axis]) for axis in range(3)])
    start = centre - np.array([0.0, 0.0, float(arch.radius_at(along)) + rng.uniform(1.0, 3.0)])
    heading = np.array([rng.normal(0, 0.4), rng.normal(-0.3, 0.4), -1.0])
    length = float(np.clip(4 * math.exp(0.3 * severity), 2, 9))
    nodes = start + np.linspace(0, length, 4)[:, None] * heading / np.linalg.norm(heading)
    streak = Pieces.polyline(nodes, rng.uniform(0.8, 1.5, 3), rng.uniform(400, 1000, 3))
    return [streak.deposit(Label.OTHER, "ligamentum_arteriosum")]


def phlebolith(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify a clot in the coronary sinus or great cardiac vein, close beside the circumflex artery."""
    vein = points(scene, "coronary_sinus")
    if vein is None:
        return []
    centre = vein[int(rng.integers(len(vein)))]
    size = float(np.clip(0.9 * math.exp(0.25 * severity), 0.6, 1.8))
    return [Pieces.spots([centre], size, rng.uniform(350, 900)).deposit(Label.OTHER, "phlebolith")]


def sheet(
    cloud: NDArray[np.float64],
    rng: np.random.Generator,
    radius_mm: tuple[float, float],
    density_mg_cm3: tuple[float, float],
    link_mm: float = 6.0,
) -> Pieces:
    """Join the points of a patch to their neighbours, which makes a plate with ragged edges and holes."""
    if len(cloud) < 2:
        return Pieces.join([])
    gap = np.linalg.norm(cloud[:, None] - cloud[None], axis=2)
    np.fill_diagonal(gap, np.inf)
    nearest = np.argsort(gap, axis=1, kind="stable")[:, :2]
    start = np.repeat(cloud, nearest.shape[1], axis=0)
    end = cloud[nearest.ravel()]
    close = (np.linalg.norm(start - end, axis=1) <= link_mm) & (rng.uniform(size=len(start)) > 0.2)
    level = rng.uniform(*density_mg_cm3)
    density = level * np.exp(0.2 * rng.standard_normal(len(start)))
    pieces = Pieces.of(start, end, rng.uniform(*radius_mm, len(start)), density.clip(100, 1400))
    return pieces.take(close)
