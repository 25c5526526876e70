"""How far things move during the exposure and between slabs."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Deposit
from cacseg.vessels import Label

RELATIVE_MOTION: Final = {
    Label.LM: 0.6,
    Label.LAD: 1.0,
    Label.LCX: 1.7,
    Label.RCA: 2.8,
    Label.AORTIC_VALVE: 1.5,
    Label.MITRAL_ANNULUS: 2.0,
    Label.AORTA: 0.3,
}
"""Displacement relative to the LAD; peak velocities are about 25, 45 and 85 mm/s in LAD, LCX and RCA
(order of magnitude in the literature; the ratio, not the speed, is used)."""

HEART_KINDS: Final = ("stent", "lead", "prosthesis", "papillary", "pericardium", "clip")
"""Kinds of ``Label.OTHER`` that beat with the heart."""

LEAST_MOTION_MM: Final = 0.25
"""Displacements below this are left out."""


def amplitude_mm(body: Deposit, protocol: Protocol) -> float:
    """Half the path of a body during the exposure."""
    relative = RELATIVE_MOTION.get(body.label)
    if relative is None:
        relative = 1.0 if any(kind in body.kind for kind in HEART_KINDS) else 0.0
    amplitude = relative * protocol.motion_mm
    return amplitude if amplitude >= LEAST_MOTION_MM else 0.0


def path(phases: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a curved path of unit half length and how long the heart dwells at each of its points.

    Equal dwell blurs, dwell at the ends doubles, and the bend makes crescents.

    Returns
    -------
    (phases, 3) x, y, z displacements and (phases,) weights that sum to 1.
    """
    time = np.linspace(-1.0, 1.0, phases)
    angle = rng.uniform(0, 2 * np.pi)
    bend = rng.uniform(-0.9, 0.9)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    plane = time[:, None] * along + bend * (time[:, None] ** 2 - 1 / 3) * across
    dwell = rng.uniform(0.2, 1.0) + rng.uniform(0.0, 1.5) * np.abs(time) ** 2 + rng.uniform(0, 0.6, phases)
    return np.column_stack([plane, 0.3 * rng.normal() * time]), dwell / dwell.sum()


def slice_shifts(protocol: Protocol, slices: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Displacement of the patient in each slice, (slices, 3) x, y, z in mm, rounded to 0.1 mm.

    Gated slabs are displaced as a whole against each other; without gating the patient drifts with
    every breath and heart beat.
    """
    if protocol.step_mm <= 0:
        return np.zeros((slices, 3))
    if protocol.gated:
        start = int(rng.integers(0, protocol.slab_slices))
        slab = (np.arange(slices) + start) // protocol.slab_slices
        steps = rng.normal(0.0, protocol.step_mm, (slab[-1] + 1, 3)) * (1.0, 1.0, 0.5)
        return np.asarray(np.round(steps[slab], 1))
    z_mm = np.arange(slices) * protocol.increment_mm
    shift = np.zeros((slices, 3))
    for axis, share in enumerate((0.4, 1.0, 0.3)):
        period_mm, phase = rng.uniform(40.0, 110.0), rng.uniform(0, 2 * np.pi)
        shift[:, axis] = share * protocol.step_mm * np.sin(2 * np.pi * z_mm / period_mm + phase)
    return np.asarray(np.round(shift, 1))
