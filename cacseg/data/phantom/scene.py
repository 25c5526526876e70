"""A digital patient ready to be scanned: smooth tissue, a coronary tree, and small dense deposits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cacseg.vessels import Label
from cacseg.volume import Volume

Material = Literal["calcium", "metal"]


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One artery or side branch as a curve.

    Parameters
    ----------
    name : e.g. "LM", "LAD", "D1", "RI", "OM2", "PDA", "RPL".
    vessel : the artery that its calcium counts to (LM, LAD, LCX, RCA).
    points_lps_mm : (n, 3) float64 centre line from its origin outwards, about 1 mm apart.
    radius_mm : (n,) float64 lumen radius.
    parent : name of the branch it arises from, ``None`` for LM and RCA.
    """

    name: str
    vessel: Label
    points_lps_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    parent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """A small dense body, as a set of ellipsoidal or capsule pieces the scanner rasterises at fine resolution.

    A point belongs to the deposit when it lies inside any of its pieces, each a capsule between ``start`` and
    ``end`` with a radius; density falls off nowhere (the scanner blurs). Pieces may overlap: the highest density wins.

    Parameters
    ----------
    label : what its calcium counts to; bone-like or metallic distractors are ``Label.OTHER``.
    kind : e.g. "plaque", "aortic_valve", "mitral_annulus", "aortic_wall", "node", "stent", "wire".
    start_lps_mm, end_lps_mm : (n, 3) float64.
    radius_mm : (n,) float64.
    density_mg_cm3 : (n,) float64 hydroxyapatite; for metal the HU is taken from ``metal_hu``.
    branch : name of the coronary branch, where it has one.
    """

    label: Label
    kind: str
    start_lps_mm: NDArray[np.float64]
    end_lps_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    density_mg_cm3: NDArray[np.float64]
    material: Material = "calcium"
    metal_hu: float = 3000.0
    branch: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything the scanner needs to know of one digital patient.

    Parameters
    ----------
    hu : float32 volume, noise-free, unblurred HU of the tissue without deposits at 120 kVp.
    tissue : uint8 volume on the same grid, values of ``Tissue``.
    branches : the coronary tree.
    deposits : plaques and distractors, coronary and other.
    patient : the drawn facts (seed, age, sex, body and heart parameters), JSON-ready.
    landmarks_lps_mm : named points and curves, (n, 3) each: "heart_centre", "aortic_valve" (annulus ring),
        "mitral_annulus" (ring, posterior arc first), "left_ostium", "right_ostium", "apex", ...
    """

    hu: Volume
    tissue: Volume
    branches: tuple[Branch, ...]
    deposits: tuple[Deposit, ...]
    patient: Mapping[str, Any]
    landmarks_lps_mm: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
