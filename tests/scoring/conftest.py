import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cacseg.volume import Volume


def _load(name):
    spec = importlib.util.spec_from_file_location(f"scoring_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference_lesions():
    return _load("reference").reference_lesions


@pytest.fixture(scope="session")
def qrm(shared_dir):
    """The real phantom scan, slices by ascending z."""
    import pydicom

    slices = [pydicom.dcmread(path) for path in sorted((shared_dir / "real" / "qrm_canon_large_rep1").iterdir())]
    slices.sort(key=lambda one: one.ImagePositionPatient[2])
    hu = np.stack([one.pixel_array * int(one.RescaleSlope) + int(one.RescaleIntercept) for one in slices])
    increment = slices[1].ImagePositionPatient[2] - slices[0].ImagePositionPatient[2]
    row_mm, column_mm = slices[0].PixelSpacing
    return Volume.axial(hu.astype(np.int16), (float(increment), float(row_mm), float(column_mm)))


@pytest.fixture(scope="session")
def qrm_inserts(shared_dir):
    """Rows of qrm_expected.csv with numbers as floats."""
    with (shared_dir / "real" / "qrm_expected.csv").open(newline="") as file:
        return [
            {key: value if key == "insert" else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="session")
def insert_labels(qrm):
    """Make the label map of one insert: its disk in its slices, as LAD."""

    def make(insert):
        row, column = np.ogrid[: qrm.shape[1], : qrm.shape[2]]
        disk = (row - insert["row"]) ** 2 + (column - insert["col"]) ** 2 <= insert["mask_radius_px"] ** 2
        labels = np.zeros(qrm.shape, np.uint8)
        labels[int(insert["slice_min"]) : int(insert["slice_max"]) + 1] = disk * np.uint8(2)
        return qrm.with_voxels(labels)

    return make


@pytest.fixture(scope="session")
def simulator():
    return _load("rescan_simulator")
