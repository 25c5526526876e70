"""The scanner: from a digital patient to an image with truth."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.artefact import depth_map, sharpen_lattice, side_streaks
from cacseg.data.phantom.scanner.beat import beat
from cacseg.data.phantom.scanner.calcium import at_beam
from cacseg.data.phantom.scanner.deposits import FineLattice
from cacseg.data.phantom.scanner.grid import Axes, native_axes
from cacseg.data.phantom.scanner.motion import amplitude_mm, path, slice_shifts
from cacseg.data.phantom.scanner.project import BlockProjector, slabs, to_pixels
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scanner.scan import MATERIAL_HU, THRESHOLD_HU, Scan
from cacseg.data.phantom.scanner.streaks import add_streaks
from cacseg.data.phantom.scanner.unrest import uneven_noise
from cacseg.data.phantom.scene import Scene
from cacseg.volume import Volume

LOWEST_HU: Final = -1024
HIGHEST_HU: Final = 3071
"""Range of a 12-bit image with an intercept of -1024."""

PHASE_STEP_MM: Final = 0.8
"""Distance between the positions at which a moving body is drawn."""


def acquire(scene: Scene, protocol: Protocol, rng: np.random.Generator, *, keep_noise_free: bool = False) -> Scan:
    """Scan a digital patient.

    Parameters
    ----------
    scene : the patient, on an upright axial grid of about 1 mm.
    protocol : how it is scanned.
    rng : draws motion, streaks and noise; the same state gives the same bits, whatever the number of threads.
    keep_noise_free : keep the float32 image without noise in ``Scan.noise_free``.

    Returns
    -------
    Scan

    Raises
    ------
    UsageError : the scene's grid is oblique, or it has no heart and the protocol does not say where to scan.
    """
    axes = native_axes(scene, protocol)
    shifts = slice_shifts(protocol, axes.shape[0], rng)
    tissue_hu = Volume(at_beam(scene.hu.voxels, protocol.kvp, protocol.tin_filter), scene.hu.affine)
    slab = beat(slabs(tissue_hu, axes, protocol, shifts), scene, protocol, rng)
    image = to_pixels(sharpen_lattice(slab, protocol.edge_enhancement), axes, protocol, shifts)
    owners, mass = _add_deposits(image, scene, tissue_hu, axes, protocol, shifts, rng)
    depth = depth_map(scene, axes)
    if protocol.cupping_hu > 0:
        image -= np.float32(protocol.cupping_hu) * (depth - np.float32(0.5))
    owner_hu = image[owners > 0]
    noise_free = axes.volume(image.copy()) if keep_noise_free else None
    volume = axes.volume(_finish(image, depth, axes, protocol, rng))
    labels = np.where(volume.voxels >= THRESHOLD_HU, owners, np.uint8(0))
    return Scan(
        scene, protocol, volume, volume.with_voxels(labels), volume.with_voxels(owners), owner_hu, mass, noise_free
    )


def _add_deposits(
    image: NDArray[np.float32],
    scene: Scene,
    tissue_hu: Volume,
    axes: Axes,
    protocol: Protocol,
    shifts: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Add every deposit to ``image`` in place; give the owner of each voxel and the mass of each deposit."""
    bodies = scene.deposits
    amplitude = [amplitude_mm(body, protocol) for body in bodies]
    furthest = max(amplitude, default=0.0)
    phases = int(np.clip(np.ceil(2 * furthest / PHASE_STEP_MM) + 1, 3, 6)) if furthest > 0 else 0
    track, weights = path(phases, rng) if phases else (np.zeros((0, 3)), np.zeros(0))
    lattices = [(1.0, FineLattice(tissue_hu, protocol.ha_slope_hu))]
    lattices += [(float(weight), FineLattice(tissue_hu, protocol.ha_slope_hu)) for weight in weights]
    for number, body in enumerate(bodies):
        if amplitude[number] <= 0:
            lattices[0][1].add(number, body)
            continue
        for (_, lattice), place in zip(lattices[1:], track, strict=True):
            lattice.add(number, body, place * amplitude[number])
    mass = lattices[0][1].ha_mass_mg(len(bodies))
    mass += sum(weight * lattice.ha_mass_mg(len(bodies)) for weight, lattice in lattices[1:])
    projector = BlockProjector(axes, protocol, shifts)
    owners = _project(image, lattices, np.array([int(body.label) for body in bodies], np.uint8), projector)
    if protocol.hardening > 0:
        metal = np.array([body.material == "metal" for body in bodies], bool)
        add_streaks(image, lattices, metal, axes, protocol, rng)
    return owners, mass


def _project(
    image: NDArray[np.float32],
    lattices: list[tuple[float, FineLattice]],
    label_of: NDArray[np.uint8],
    projector: BlockProjector,
) -> NDArray[np.uint8]:
    """Add all blocks to ``image``; the label that contributes most owns the voxel."""
    owners = np.zeros(image.shape, np.uint8)
    strongest = np.zeros(image.shape, np.float32)
    sum_of_label = np.zeros(image.shape, np.float32)
    parts = _by_label(lattices, label_of)
    for label in sorted(parts):
        windows = []
        for where, mine in parts[label]:
            for window, added in projector.project(where, mine):
                sum_of_label[window.index] += added
                image[window.index] += added
                windows.append(window.index)
        for index in windows:
            total = sum_of_label[index]
            wins = (total > strongest[index]) & (total >= MATERIAL_HU)
            strongest[index][wins] = total[wins]
            owners[index][wins] = label
        for index in windows:
            sum_of_label[index] = 0
    return owners


def _by_label(
    lattices: list[tuple[float, FineLattice]], label_of: NDArray[np.uint8]
) -> dict[int, list[tuple[tuple[int, int, int], NDArray[np.float32]]]]:
    """Give the blocks of each label; phases of a motion in the same block are averaged by their weights."""
    parts: dict[int, dict[tuple[int, int, int], NDArray[np.float32]]] = {}
    for weight, lattice in lattices:
        for where, block in lattice.blocks.items():
            touched = block.added_hu > 0
            label = np.where(touched, label_of[block.owner], np.uint8(0))
            added = block.added_hu * np.float32(weight)
            for value in np.flatnonzero(np.bincount(label.ravel(), minlength=2)[1:]) + 1:
                mine = parts.setdefault(int(value), {})
                part = np.where(label == value, added, np.float32(0))
                mine[where] = mine[where] + part if where in mine else part
    return {label: list(blocks.items()) for label, blocks in parts.items()}


def _finish(
    image: NDArray[np.float32], depth: NDArray[np.float32], axes: Axes, protocol: Protocol, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Add noise, round, clip, and pad the corners."""
    gain = np.float32(protocol.noise_sd_hu) * (1 + np.float32(protocol.centre_noise_gain) * (depth - np.float32(0.6)))
    outside = None
    if protocol.padding_hu is not None:
        half = protocol.matrix / 2
        offset = np.arange(protocol.matrix) - (protocol.matrix - 1) / 2
        outside = offset[:, None] ** 2 + offset[None] ** 2 > half**2
    finished = np.empty(image.shape, np.int16)
    for index, plane in enumerate(uneven_noise(protocol, image.shape[0], rng)):
        noisy = image[index] + gain * plane
        if protocol.streak_sd_hu > 0:
            noisy += side_streaks(protocol, axes, rng) * depth
        np.rint(noisy, out=noisy)
        finished[index] = np.clip(noisy, LOWEST_HU, HIGHEST_HU, out=noisy)
        if outside is not None:
            finished[index][outside] = protocol.padding_hu
    return finished
