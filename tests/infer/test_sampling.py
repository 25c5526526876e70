import numpy as np
from scipy import ndimage

from cacseg.infer.grid import GridInput
from cacseg.infer.sampling import joined, sample_candidates, softmax, trilinear
from cacseg.vessels import Label
from cacseg.volume import Volume


def test_trilinear_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(4, 5, 6, 7)).astype(np.float32)
    at = tuple(rng.uniform(-1, n, 200) for n in (5, 6, 7))
    expected = np.stack([ndimage.map_coordinates(s, np.stack(at), order=1, mode="nearest") for s in scores], axis=1)
    assert np.allclose(trilinear(scores, at), expected, atol=1e-5)


def test_trilinear_on_a_single_slice() -> None:
    scores = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    assert trilinear(scores, (np.array([0.3]), np.array([1.0]), np.array([2.0]))).item() == 5.0


def test_softmax_rows_sum_to_one_and_survive_large_scores() -> None:
    rows = softmax(np.array([[1000.0, 1000.0], [-5.0, 5.0]], np.float32))
    assert np.allclose(rows.sum(axis=1), 1)
    assert np.allclose(rows[0], 0.5)


def setting() -> tuple[Volume, GridInput, np.ndarray, np.ndarray]:
    view = Volume.axial(np.zeros((6, 8, 8), np.int16), (3.0, 1.5, 1.5))
    to_cell = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    grid = GridInput(np.zeros((3, 6, 8, 8), np.float32), view.affine, to_cell)
    calcium = np.full((9, 6, 8, 8), -9.0, np.float32)
    calcium[0] = 0.0
    return view, grid, calcium, np.zeros((5, 6, 4, 4), np.float32)


def test_only_voxels_at_threshold_in_relevant_cells_are_sampled() -> None:
    view, grid, calcium, territory = setting()
    view.voxels[2, 3, 3] = 130
    view.voxels[2, 3, 4] = 129
    view.voxels[4, 1, 1] = 900
    calcium[Label.LAD, 2, 2:5, 2:5] = 8.0
    samples = sample_candidates(view, grid, calcium, territory, 130, (0, 6))
    assert samples.candidates == 2
    assert samples.voxels.tolist() == [np.ravel_multi_index((2, 3, 3), view.shape)]
    assert samples.calcium[0].argmax() == Label.LAD
    assert samples.hu.tolist() == [130]


def test_slice_ranges_join_without_overlap() -> None:
    view, grid, calcium, territory = setting()
    view.voxels[1:5, 2, 2] = 200
    calcium[Label.RCA] = 5.0
    parts = [sample_candidates(view, grid, calcium, territory, 130, slices) for slices in ((0, 3), (3, 6))]
    whole = sample_candidates(view, grid, calcium, territory, 130, (0, 6))
    both = joined(parts)
    assert np.array_equal(both.voxels, whole.voxels)
    assert both.candidates == whole.candidates == 4
