import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.data.readers.placing import only_calcium, placed_on
from cacseg.errors import UsageError
from cacseg.volume import Volume


@pytest.fixture
def image():
    return Volume.axial(np.zeros((6, 7, 8), np.int16), (3.0, 0.4, 0.5), (1.0, 2.0, 3.0))


@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.integers(0, 2**32 - 1))
def test_any_axis_order_and_flip_comes_back(order, flips, seed):
    image = Volume.axial(np.zeros((6, 7, 8), np.int16), (3.0, 0.4, 0.5), (1.0, 2.0, 3.0))
    labels = np.random.default_rng(seed).integers(0, 9, image.shape).astype(np.uint8)
    affine = np.eye(4)
    first = [0, 0, 0]
    turned = labels.transpose(order)
    for new, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, new] = image.affine[:3, axis] * (-1 if flip else 1)
        first[axis] = image.shape[axis] - 1 if flip else 0
    affine[:3, 3] = image.to_world([first])[0]
    turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    placed, repairs = placed_on(image, Volume(turned, affine))
    assert np.array_equal(placed, labels)
    assert bool(repairs) == (list(order) != [0, 1, 2] or any(flips))


def test_a_part_lands_where_it_belongs_and_the_rest_is_background(image):
    part = image.crop((2, 3, 1), (4, 5, 6))
    placed, repairs = placed_on(image, part.with_voxels(np.full(part.shape, 4, np.uint8)))
    assert (placed[2:4, 3:5, 1:6] == 4).all()
    assert placed.sum() == 4 * 20
    assert "cover (2, 2, 5)" in repairs[0]


def test_what_lies_outside_is_dropped_and_counted(image):
    shifted = image.affine.copy()
    shifted[:3, 3] = image.to_world([[4, 0, 0]])[0]
    placed, repairs = placed_on(image, Volume(np.ones(image.shape, np.uint8), shifted))
    assert placed[4:].all()
    assert not placed[:4].any()
    assert "224 labelled voxels outside the image dropped" in repairs


@pytest.mark.parametrize("change", [(0, 3, 0.2), (0, 0, 0.05), (0, 2, 0.1)])
def test_refuses_what_lies_between_voxels(image, change):
    row, column, by = change
    affine = image.affine.copy()
    affine[row, column] += by
    with pytest.raises(UsageError, match="do not lie on"):
        placed_on(image, Volume(np.ones(image.shape, np.uint8), affine))


def test_clears_labels_below_the_threshold_and_counts_them(image):
    hu = image.voxels.copy()
    hu[0, 0, :3] = (129, 130, 131)
    labels = np.zeros(image.shape, np.uint8)
    labels[0, 0, :3] = 2
    kept, repairs = only_calcium(image.with_voxels(hu), labels)
    assert kept[0, 0, :3].tolist() == [0, 2, 2]
    assert repairs == ("1 labelled voxels below 130 HU cleared",)
    assert labels[0, 0, 0] == 2
