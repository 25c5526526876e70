"""Edges of tissue through sharp and soft kernels."""

from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.scanner import acquire
from cacseg.data.phantom.scanner.artefact import sharpen_lattice
from cacseg.data.phantom.scanner.scan import THRESHOLD_HU
from cacseg.volume import Volume


@pytest.fixture
def edge():
    voxels = np.full((2, 30, 30), 150.0, np.float32)
    voxels[:, :, 15:] = 1050.0
    return Volume.axial(voxels, (3.0, 1.2, 1.2))


def test_a_soft_kernel_leaves_the_lattice_alone(edge):
    assert sharpen_lattice(edge, 0.0) is edge


def test_sharpening_overshoots_on_both_sides_and_nowhere_else(edge):
    before = edge.voxels.copy()
    row = sharpen_lattice(edge, 0.8).voxels[0, 15]
    assert np.array_equal(edge.voxels, before)
    assert row[15] > 1100
    assert row[14] < 100
    assert np.allclose(row[:11], 150, atol=0.01)
    assert np.allclose(row[19:], 1050, atol=0.01)


def test_a_sharp_kernel_lifts_the_edge_of_tissue_against_lung_to_the_threshold_without_a_label(make_scene, quiet):
    def bright_rim(**kernel):
        scan = acquire(make_scene(), replace(quiet, **kernel), np.random.default_rng(0))
        assert not scan.labels.voxels.any()
        plane = scan.volume.voxels[10].copy()
        plane[190:] = 0
        return int((plane >= THRESHOLD_HU).sum())

    assert bright_rim(sigma_mm=0.65) == 0
    assert bright_rim(sigma_mm=0.65, edge_enhancement=0.2) == 0
    assert bright_rim(sigma_mm=0.45, edge_enhancement=1.0) > 100
