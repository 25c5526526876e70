"""A scanned digital patient: the image and the truth behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Branch, Scene
from cacseg.scoring import RULES, score
from cacseg.scoring.score import Lesion, Scoring
from cacseg.vessels import CORONARY, EXTRACORONARY, STRUCTURE, Label
from cacseg.volume import Volume

THRESHOLD_HU: Final = 130
"""Lowest HU that carries a label, inclusive (Agatston et al. 1990)."""

MATERIAL_HU: Final = 20.0
"""A voxel belongs to a deposit only if the deposit raises it by at least this much."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan of one digital patient.

    Parameters
    ----------
    volume : int16 HU as a scanner gives them.
    labels : uint8 values of ``Label`` for voxels of at least ``THRESHOLD_HU`` that a deposit raises
        materially, metal and contrast medium among ``Label.OTHER``; 0 elsewhere, also for bone, overshoot and noise.
    owners : uint8 values of ``Label`` for every voxel that a deposit raises materially, whatever its HU.
    owner_hu : float32 noise-free HU of those voxels, in array order.
    ha_mass_mg : true hydroxyapatite of each deposit of the scene, in the order of ``scene.deposits``.
    noise_free : the same scan without noise, float32, where it was kept.
    """

    scene: Scene
    protocol: Protocol
    volume: Volume
    labels: Volume
    owners: Volume
    owner_hu: NDArray[np.float32]
    ha_mass_mg: NDArray[np.float64]
    noise_free: Volume | None = None

    @property
    def tissue(self) -> Volume:
        """Dense classes on the scene's grid, values of ``Tissue``."""
        return self.scene.tissue

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The coronary tree."""
        return self.scene.branches

    @property
    def seed(self) -> int | None:
        """The seed that the patient was drawn from, where there was one."""
        seed = self.scene.patient.get("seed")
        return None if seed is None else int(seed)

    def scoring(self, noise: bool = True, rule: str = "literature") -> Scoring:
        """Score the true labels on the scan as it is, or without its noise."""
        if noise:
            return score(self.volume, self.labels, RULES[rule])
        clean = np.full(self.volume.shape, -1024, np.int16)
        clean[self.owners.voxels > 0] = np.rint(np.clip(self.owner_hu, -1024, 3071)).astype(np.int16)
        labels = np.where(clean >= THRESHOLD_HU, self.owners.voxels, np.uint8(0))
        return score(self.volume.with_voxels(clean), self.labels.with_voxels(labels), RULES[rule])

    @cached_property
    def truth(self) -> dict[str, Any]:
        """Everything known about this patient and scan, JSON-ready.

        ``noisy`` and ``noise_free`` hold scores and lesions of the true labels with and without noise, so that
        an error of scoring and one of assignment can be told apart; ``ha_mass_mg`` is what was put in.
        """
        mass = {label.name: 0.0 for label in (*CORONARY, *EXTRACORONARY)}
        for body, held in zip(self.scene.deposits, self.ha_mass_mg, strict=True):
            mass[body.label.name] += float(held)
        return {
            "schema_version": "1.0",
            "seed": self.seed,
            "patient": _plain(self.scene.patient),
            "protocol": self.protocol.to_dict(),
            "threshold_hu": THRESHOLD_HU,
            "spacing_mm": list(self.volume.spacing_mm),
            "shape": list(self.volume.shape),
            "ha_mass_mg": {**mass, "coronary": sum(mass[label.name] for label in CORONARY)},
            "deposits": [_deposit(body, held) for body, held in zip(self.scene.deposits, self.ha_mass_mg, strict=True)],
            "noisy": _scored(self.scoring()),
            "noise_free": _scored(self.scoring(noise=False)),
        }


def _deposit(body: Any, mass_mg: float) -> dict[str, Any]:
    return {
        "label": body.label.name,
        "kind": body.kind,
        "branch": body.branch,
        "material": body.material,
        "ha_mass_mg": float(mass_mg),
        "centre_lps_mm": np.round((body.start_lps_mm + body.end_lps_mm).mean(axis=0) / 2, 2).tolist(),
        "density_mg_cm3": [float(np.min(body.density_mg_cm3)), float(np.max(body.density_mg_cm3))],
    }


def _scored(scoring: Scoring) -> dict[str, Any]:
    def sums(of: Any) -> dict[str, Any]:
        return {name: getattr(of, name) for name in ("agatston", "volume_mm3", "mass_mg", "lesions")}

    return {
        "rule": scoring.rule.name,
        "total": sums(scoring.total),
        "vessels": {label.name: sums(scoring.vessels[label]) for label in CORONARY},
        "extracoronary": {STRUCTURE[label]: sums(scoring.structures[label]) for label in EXTRACORONARY},
        "lesions": [_lesion(lesion) for lesion in (*scoring.lesions, *scoring.extracoronary)],
    }


def _lesion(lesion: Lesion) -> dict[str, Any]:
    return {
        "id": lesion.id,
        "label": Label(lesion.label).name,
        "agatston": lesion.agatston,
        "volume_mm3": lesion.volume_mm3,
        "mass_mg": lesion.mass_mg,
        "area_mm2": lesion.area_mm2,
        "peak_hu": float(lesion.peak_hu),
        "slices": list(lesion.slices),
        "centroid_lps_mm": list(lesion.centroid_lps_mm),
    }


def _plain(value: Any) -> Any:
    """Turn numpy scalars, arrays, mappings and tuples into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value
