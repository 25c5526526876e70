"""The quick estimate of a score against plain geometry and a slow scan of the whole patient."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label, uniform_filter1d

from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.disease.estimate import agatston
from cacseg.data.phantom.disease.grow import grow_to
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.vessels import CORONARY
from cacseg.volume import Volume

FAT = Volume.axial(np.full((60, 60, 60), -90.0, np.float32), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))


def _slow_score(pieces, tissue_hu, step=(0.5, 0.4, 0.4), phases=6):
    """Draw every capsule point by point on one grid over all of them; blur; score at several slice positions."""
    low = np.minimum(pieces.start_lps_mm, pieces.end_lps_mm).min(axis=0) - 6
    high = np.maximum(pieces.start_lps_mm, pieces.end_lps_mm).max(axis=0) + 6
    step = np.array(step)
    shape = np.ceil((high - low)[::-1] / step).astype(int)
    grid = Volume.axial(np.zeros(shape, np.float32), tuple(step), tuple(low))
    axes = [low[2 - k] + np.arange(shape[k]) * step[k] for k in range(3)]
    index = [
        np.rint(np.interp(axes[k], *_axis(tissue_hu, k))).astype(int).clip(0, tissue_hu.shape[k] - 1) for k in range(3)
    ]
    tissue = tissue_hu.voxels[np.ix_(*index)].astype(np.float32)
    image = tissue.copy()
    for start, end, radius, density in zip(
        pieces.start_lps_mm, pieces.end_lps_mm, pieces.radius_mm, pieces.density_mg_cm3, strict=True
    ):
        box = grid.to_index(np.stack([np.minimum(start, end) - radius - 1, np.maximum(start, end) + radius + 1]))
        cut = tuple(slice(int(a), int(b) + 2) for a, b in zip(box[0], box[1], strict=True))
        z, y, x = np.meshgrid(*(axes[k][cut[k]] for k in range(3)), indexing="ij")
        points = np.stack([x, y, z], axis=-1)
        inside = np.zeros(z.shape)
        for corner in np.ndindex(3, 3, 3):
            at = points + (np.array(corner) - 1)[::-1] / 3 * step[::-1]
            along = np.clip(((at - start) @ (end - start)) / max((end - start) @ (end - start), 1e-9), 0, 1)
            inside += np.linalg.norm(at - start - along[..., None] * (end - start), axis=-1) <= radius
        inside /= 27
        image[cut] = np.maximum(image[cut], tissue[cut] + inside * (45 + 1.25 * density - tissue[cut]))
    blurred = gaussian_filter(image, (0, 0.64 / step[1], 0.64 / step[2]))
    thick = uniform_filter1d(blurred, round(3 / step[0]), axis=0)
    every = round(3 / step[0])
    scores = []
    for phase in range(0, every, every // phases):
        total = 0.0
        for plane in thick[phase::every]:
            components, count = label(plane >= 130)
            for number in range(1, count + 1):
                area = (components == number).sum() * step[1] * step[2]
                if area >= 1:
                    total += area * min(4, int(plane[components == number].max() // 100))
        scores.append(total)
    return float(np.mean(scores))


def _axis(volume, axis):
    index = np.arange(volume.shape[axis])
    where = np.zeros((len(index), 3))
    where[:, axis] = index
    return volume.to_world(where)[:, 2 - axis], index


def test_a_dense_rod_scores_its_area_times_four():
    rod = Pieces.of([[0.0, 0, -9]], [[0.0, 0, 9]], 3.0, 1000.0)
    threshold_radius = 3.0 + 0.45
    expected = np.pi * threshold_radius**2 * 4 * 24 / 3
    assert agatston(rod, FAT) == pytest.approx(expected, rel=0.12)


def test_no_pieces_and_faint_pieces_score_nothing():
    assert agatston(Pieces.join([]), FAT) == 0
    assert agatston(Pieces.spots([[0.0, 0, 0]], 0.4, 150.0), FAT) == 0


def test_overlapping_copies_do_not_score_twice():
    spot = Pieces.spots([[0.0, 0, 0]], 1.2, 800.0)
    assert agatston(Pieces.join([spot, spot]), FAT) == pytest.approx(agatston(spot, FAT))


def test_dense_background_does_not_count():
    bone = FAT.with_voxels(np.full((60, 60, 60), 400.0, np.float32))
    assert agatston(Pieces.spots([[0.0, 0, 0]], 1.5, 900.0), bone) == 0


def test_a_heap_grows_to_the_score_wanted():
    rng = np.random.default_rng(1)
    heap = Pieces.spots(rng.normal(0, 5, (200, 3)), 0.8, 700.0)
    for wanted in (30, 120, 400):
        assert agatston(grow_to(heap, wanted, FAT), FAT) == pytest.approx(wanted, rel=0.3)
    assert len(grow_to(heap, 1e6, FAT)) == 200


@pytest.mark.parametrize(("seed", "target"), [(1, 5.0), (2, 40.0), (3, 220.0), (4, 900.0)])
def test_the_whole_patient_scores_near_its_target(scene, seed, target):
    patient = add_disease(scene, np.random.default_rng(seed), target_agatston=target, extracoronary="none")
    estimated = patient.patient["disease"]["estimated_agatston"]
    assert estimated == pytest.approx(target, rel=0.12 if target > 10 else 0.25)
    parts = [
        Pieces(d.start_lps_mm, d.end_lps_mm, d.radius_mm, d.density_mg_cm3)
        for d in patient.deposits
        if d.label in CORONARY
    ]
    assert _slow_score(Pieces.join(parts), scene.hu) == pytest.approx(target, rel=0.25 if target > 10 else 0.35)
