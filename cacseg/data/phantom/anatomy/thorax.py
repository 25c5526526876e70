"""The wall of the chest: skin, fat, muscle, ribs, cartilage, sternum, spine, shoulder blades, breasts."""

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.anatomy.canvas import Canvas, CoarseBox
from cacseg.data.phantom.anatomy.chest import VERTEBRA_PITCH_MM, Chest
from cacseg.data.phantom.anatomy.shapes import Array, tube
from cacseg.data.phantom.tissue import Tissue


def cage_distance(chest: Chest, box: CoarseBox) -> tuple[Array, Array, Array]:
    """Signed distance to the inner surface of the ribs on a lattice, with leftward and backward cosine."""
    relative, leftward, backward = chest.outline(box.points)
    z, y, x = (box.points[..., axis] for axis in (2, 1, 0))
    pitch = [float(np.abs(np.diff(each, axis=axis)).mean()) for each, axis in ((z, 0), (y, 1), (x, 2))]
    slope = np.sqrt(sum(each**2 for each in np.gradient(relative, *pitch)))
    return np.clip((relative - 1.0) / np.maximum(slope, 0.004), -40.0, 120.0), leftward, backward


def paint_wall(canvas: Canvas, box: CoarseBox, chest: Chest, cage: Array, leftward: Array, backward: Array) -> Array:
    """Paint skin, fat and muscle; returns the distance (i, j, k) to the skin on the lattice."""
    facts = chest.facts
    side = np.abs(leftward)
    z = box.points[..., 2]
    spinal = np.exp(-(((box.points[..., 0] - chest.spine_x_mm(z)) / 52.0) ** 4)) * (backward > 0)
    pectoral = (
        np.clip(-backward, 0.0, 1.0) * np.clip(side * 2.0 - 0.25, 0.0, 1.0) * np.clip((z + 45.0) / 60.0, 0.0, 1.0)
    )
    flank = np.clip((side - 0.6) * 3.0, 0.0, 1.0) * np.clip((z + 90.0) / 110.0, 0.15, 1.0)
    build = 1.0 if facts.sex == "M" else 0.8
    muscle = 9.0 + build * (15.0 * pectoral + 13.0 * flank * (0.6 + 0.5 * np.clip(backward, 0.0, 1.0))) + 20.0 * spinal
    muscle = muscle + build * _girdle(leftward, backward, z)
    fat = facts.subcutaneous_fat_mm * (0.8 + 0.35 * side - 0.3 * np.clip(-backward, 0.0, 1.0) * (1.0 - side))
    fat = fat + _breast(chest, box, cage)
    skin = cage - muscle - fat - 2.0
    canvas.body(box, (skin), 25.0, Tissue.SOFT)
    canvas.body(box, (skin + 2.0), facts.fat_hu, Tissue.FAT)
    if facts.breast_ml > 250.0 and facts.sex == "F":
        _paint_glands(canvas, box, chest, cage, muscle, skin)
    belly = box.fine(cage - muscle)
    canvas.paint(box.window, belly, facts.muscle_hu, Tissue.SOFT)
    between = np.abs(cage - 11.0 - 2.0 * pectoral) - 1.1
    canvas.body(box, (np.where(muscle > 14.0, np.minimum(between, 5.0), 5.0)), facts.fat_hu, Tissue.FAT, strength=0.8)
    return skin


def _girdle(leftward: Array, backward: Array, z: Array) -> Array:
    """Thickness (mm) of the muscles round the shoulder blade and below the armpit."""
    turn = np.arctan2(np.abs(leftward), backward)
    blade = np.exp(-(((turn - 0.95) / 0.55) ** 4))
    return np.asarray(32.0 * blade * np.clip((z + 5.0) / 75.0, 0.0, 1.3) ** 1.5)


def _breast(chest: Chest, box: CoarseBox, cage: Array) -> Array:
    """Extra thickness (mm) that breasts add; supine they spread sideways, prone they are pressed flat."""
    volume = chest.facts.breast_ml
    x, z = box.points[..., 0] - chest.midline_mm, box.points[..., 2]
    depth = (6.0 if chest.facts.prone else 12.0) * (volume / 100.0) ** 0.45
    extra = np.zeros_like(cage)
    width = 44.0 + 0.012 * volume
    for side in (-1.0, 1.0):
        away = ((x - side * 0.62 * chest.half_width_mm) / width) ** 2 + ((z + 22.0) / 62.0) ** 2
        extra += depth * np.exp(-(away**1.3)) * (box.points[..., 1] < 0.5 * (chest.front_mm + chest.back_mm))
    return extra


def _paint_glands(canvas: Canvas, box: CoarseBox, chest: Chest, cage: Array, muscle: Array, skin: Array) -> None:
    facts = chest.facts
    rng = np.random.default_rng([facts.seed, 401])
    x, z = box.points[..., 0] - chest.midline_mm, box.points[..., 2]
    lumps = rng.standard_normal(box.points.shape[:3]).astype(np.float32)
    for side in (-1.0, 1.0):
        away = np.sqrt(((x - side * 0.62 * chest.half_width_mm) / 34.0) ** 2 + ((z + 22.0) / 34.0) ** 2)
        layer = np.abs(cage - muscle - 0.45 * (cage - muscle - skin)) - 7.0
        front = np.where(box.points[..., 1] < 0.5 * (chest.front_mm + chest.back_mm), 0.0, 50.0)
        if facts.implants:
            canvas.body(box, (np.maximum((away - 1.35) * 30.0, layer - 9.0) + front), 95.0, Tissue.DEVICE)
            continue
        body = np.maximum((away - 1.0) * 30.0, np.maximum(layer, skin + 5.0)) + front + 5.5 * lumps + 3.0
        canvas.body(box, (body), 30.0, Tissue.SOFT, strength=0.85)


def paint_arms(canvas: Canvas, box: CoarseBox, chest: Chest) -> None:
    """Paint arms that lie beside the body."""
    facts = chest.facts
    beside = chest.half_width_mm + 60.0 + 0.8 * facts.subcutaneous_fat_mm
    level = 0.5 * (chest.front_mm + chest.back_mm) + 25.0
    rind = 2.0 + 0.45 * facts.subcutaneous_fat_mm
    for side in (-1.0, 1.0):
        x = chest.midline_mm + side * beside
        line = np.array([[x, level, 300.0], [x + side * 14.0, level + 5.0, -300.0]])
        arm = tube(box.points, line, np.array([46.0, 40.0]))
        canvas.body(box, arm, 25.0, Tissue.SOFT)
        canvas.body(box, arm + 2.0, facts.fat_hu, Tissue.FAT)
        canvas.body(box, arm + 2.0 + rind, facts.muscle_hu, Tissue.SOFT)
        canvas.body(box, tube(box.points, line, np.full(2, 11.0)), 1.4 * facts.cortex_hu, Tissue.BONE)
        canvas.body(box, tube(box.points, line, np.full(2, 6.5)), 0.3 * facts.marrow_hu, Tissue.BONE)


def paint_bones(canvas: Canvas, box: CoarseBox, chest: Chest, cage: Array, leftward: Array, backward: Array) -> None:
    """Paint ribs with cortex and marrow, cartilage, sternum, spine and shoulder blades."""
    layer = box.fine(cage)
    shell = (layer > -1.5) & (layer < 11.5)
    drop = chest.rib_drop_mm(leftward, backward)
    level = box.fine((box.points[..., 2] + drop) / VERTEBRA_PITCH_MM)
    _paint_ribs(canvas, box, chest, layer, level, shell)
    paint_sternum(canvas, chest)
    paint_spine(canvas, chest)
    _paint_blades(canvas, box, chest, cage, leftward, backward)


def _paint_ribs(
    canvas: Canvas, box: CoarseBox, chest: Chest, layer: Array, level: Array, shell: NDArray[np.bool_]
) -> None:
    flat = np.flatnonzero(shell)
    height = level.reshape(-1)[flat]
    off = (height - np.floor(height) - 0.5) * VERTEBRA_PITCH_MM * 0.86
    relative = np.sqrt((off / 5.6) ** 2 + ((layer.reshape(-1)[flat] - 5.0) / 3.9) ** 2)
    distance = (relative - 1.0) * 4.3
    reached = distance < 0.5 * canvas.voxel_mm
    distance = distance[reached]
    here = np.unravel_index(flat[reached], shell.shape)
    z, y, x = (axis[at + part.start] for axis, at, part in zip(canvas.axes_mm, here, box.window, strict=True))
    hu, gristle = _rib_hu(chest, distance, z, y, x)
    share = np.clip(0.5 - distance / canvas.voxel_mm, 0.0, 1.0)
    under = canvas.hu[box.window]
    under[here] += (share * (hu - under[here])).astype(np.float32)
    label = np.where(gristle > 0.5, Tissue.SOFT, Tissue.BONE)
    tissue = canvas.tissue[box.window]
    tissue[here] = np.where(distance < 0.0, label, tissue[here]).astype(np.uint8)


def _rib_hu(chest: Chest, distance: Array, z: Array, y: Array, x: Array) -> tuple[Array, Array]:
    """HU of ribs and their cartilages at points, and how much of each is cartilage, each (n,)."""
    facts = chest.facts
    joint = 0.20 * (chest.back_mm - chest.front_mm)
    aside = np.abs(x - chest.midline_mm)
    cartilage = np.clip((chest.sternum_y_mm(z) + joint - 0.12 * aside - y) / 3.0, 0.0, 1.0)
    cartilage *= aside < 0.72 * chest.half_width_mm
    cortex = np.clip(1.0 - np.abs(distance + 1.0) / 1.1, 0.0, 1.0)
    bone = facts.marrow_hu + cortex * (facts.cortex_hu - facts.marrow_hu)
    soft = np.flatnonzero(cartilage)
    rind = facts.cartilage_calcium**1.5 * 420.0 * cortex[soft]
    speckled = np.sin(x[soft] * 0.55) * np.sin(z[soft] * 0.45 + 0.3 * y[soft]) > 0.2
    gristle = 95.0 + 30.0 * facts.cartilage_calcium + rind * speckled
    hu = bone.astype(np.float64)
    hu[soft] += cartilage[soft] * (gristle - bone[soft])
    return hu, cartilage


def paint_sternum(canvas: Canvas, chest: Chest) -> None:
    """Paint the sternum with its xiphoid: a flat bone of thin cortex round marrow."""
    facts = chest.facts
    low = np.array([chest.midline_mm - 32.0, chest.front_mm - 26.0, -130.0])
    high = np.array([chest.midline_mm + 32.0, chest.front_mm + 38.0, 140.0])
    box = canvas.box(low, high, 3.0)
    x, y, z = (box.points[..., axis] for axis in range(3))
    end = chest.floor_mm + 22.0
    taper = np.clip((z - end + 26.0) / 22.0, 0.0, 1.0)
    half_wide = 4.5 + 13.5 * taper + 9.0 * np.clip((z - 75.0) / 25.0, 0.0, 1.0)
    half_thick = 2.6 + 2.4 * taper
    middle = chest.sternum_y_mm(z) - 6.0
    across = np.abs(x - chest.midline_mm) / half_wide
    along = np.abs(y - middle) / half_thick
    relative = (across**3 + along**2.4) ** (1.0 / 2.7)
    distance = np.maximum((relative - 1.0) * half_thick, end - 28.0 - z)
    fine = box.fine(distance)
    window = box.window
    canvas.paint(window, fine, facts.cortex_hu * 0.8, Tissue.BONE)
    canvas.paint(window, fine + 1.5, facts.marrow_hu * 0.75, Tissue.BONE)


def paint_spine(canvas: Canvas, chest: Chest) -> None:
    """Paint vertebral bodies, discs, arches, canal, transverse and spinous processes."""
    facts = chest.facts
    low = np.array([chest.midline_mm - 60.0, chest.back_mm - 40.0, -400.0])
    high = np.array([chest.midline_mm + 60.0, chest.back_mm + 95.0, 400.0])
    box = canvas.box(low, high, 3.0)
    x = box.points[..., 0] - chest.spine_x_mm(box.points[..., 2])
    y = box.points[..., 1] - chest.spine_front_mm(box.points[..., 2])
    z = box.points[..., 2]
    phase = (z / VERTEBRA_PITCH_MM) % 1.0
    gap = (np.abs(phase - 0.5) - 0.4) * VERTEBRA_PITCH_MM
    waist = 1.5 * np.cos(2.0 * np.pi * phase)
    body = (np.sqrt((x / 17.0) ** 2 + ((y - 14.5) / 14.5) ** 2) - 1.0) * 15.0 - waist
    ring = np.abs(np.sqrt((x / 1.15) ** 2 + (y - 37.0) ** 2) - 10.0) - 2.6
    arch = np.maximum(ring, (np.abs(phase - 0.5) - 0.38) * VERTEBRA_PITCH_MM)
    wing_y = 42.0 + 0.22 * np.abs(x)
    wing = np.maximum(np.sqrt((y - wing_y) ** 2 + ((phase - 0.62) * VERTEBRA_PITCH_MM) ** 2) - 4.2, np.abs(x) - 34.0)
    spine = np.maximum(np.abs(x) - 3.2, np.maximum(44.0 - y, y - 72.0))
    spine = np.maximum(spine, (np.abs(phase - 0.35 - 0.004 * (y - 44.0)) - 0.36) * VERTEBRA_PITCH_MM)
    canal = np.sqrt((x / 1.15) ** 2 + (y - 37.0) ** 2) - 7.6
    process = np.minimum(np.minimum(arch, wing), spine)
    window = box.window
    fine_body, fine_gap, fine_process = box.fine(body), box.fine(gap), box.fine(process)
    canvas.paint(window, fine_body, 85.0, Tissue.SOFT)
    canvas.paint(window, np.maximum(fine_body, fine_gap), 0.85 * facts.cortex_hu, Tissue.BONE)
    canvas.paint(window, np.maximum(fine_body + 1.6, fine_gap + 1.4), facts.marrow_hu, Tissue.BONE)
    canvas.paint(window, fine_process, 0.9 * facts.cortex_hu, Tissue.BONE)
    canvas.paint(window, fine_process + 1.9, facts.marrow_hu * 1.3, Tissue.BONE)
    canvas.body(box, (canal), 22.0, Tissue.SOFT)


def _paint_blades(canvas: Canvas, box: CoarseBox, chest: Chest, cage: Array, leftward: Array, backward: Array) -> None:
    facts = chest.facts
    turn = np.arctan2(np.abs(leftward), backward)
    along = (turn - 0.78) / 0.42
    z = box.points[..., 2]
    lower = np.clip((z - 10.0) / 50.0, 0.0, 1.0)
    plate = np.maximum(
        np.abs(cage - 20.0 - 5.0 * np.sin(2.0 * along) - 0.09 * np.maximum(z, 0.0)) - 2.2,
        (np.abs(along) - lower) * 30.0,
    )
    plate = np.maximum(plate, 12.0 - z)
    fine = box.fine(plate)
    canvas.paint(box.window, fine, 0.8 * facts.cortex_hu, Tissue.BONE)
