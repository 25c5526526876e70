"""Two real scans that lie beside the checkout: a technical phantom, and a chest without coronary calcium."""

import shutil
import warnings

import numpy as np
import pytest
import study_build as build
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from cacseg.findings import refused
from cacseg.study import read_study


@pytest.fixture(scope="module")
def qrm(shared_dir):
    return shared_dir / "real" / "qrm_canon_large_rep1"


@pytest.fixture(scope="module")
def qrm_reading(qrm):
    return read_study(qrm)


def test_thorax_phantom_is_refused_for_want_of_a_heart_and_still_read(qrm_reading):
    refusals = {f.code for f in qrm_reading.findings if f.severity == "refusal"}
    assert refusals == {"no-heart"}
    volume = qrm_reading.chosen.volume
    assert volume.shape == (47, 512, 512)
    assert volume.spacing_mm == pytest.approx((3.0, 0.488, 0.488))
    assert volume.voxels.dtype == np.int16
    assert volume.voxels.min() == -1024


def test_phantom_facts(qrm_reading):
    facts = qrm_reading.chosen.acquisition
    assert (facts.kvp, facts.kernel, facts.slice_thickness_mm, facts.patient_position) == (120, "FC12", 3.0, "FFS")
    assert facts.noise_sd_hu == pytest.approx(21.0, abs=2.0)
    assert facts.field_of_view_mm == 250


def test_phantom_resorted_renamed_zipped_and_compressed_is_the_same(qrm, qrm_reading, tmp_path):
    rng = np.random.default_rng(11)
    files = sorted(qrm.iterdir())
    for place, index in enumerate(rng.permutation(len(files))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(files[index])
            header.compress(JPEGLSLossless, generate_instance_uid=False)
            header.InstanceNumber = int(rng.integers(1000))
            folder = tmp_path / "s" / f"{place % 5}" / "x y"
            folder.mkdir(parents=True, exist_ok=True)
            header.save_as(folder / f"{rng.integers(1 << 50):x}.bin")
    (tmp_path / "s" / "readme.txt").write_text("stray")
    reading = read_study(build.zipped(tmp_path / "s", tmp_path / "study.zip"))
    np.testing.assert_array_equal(reading.chosen.volume.voxels, qrm_reading.chosen.volume.voxels)
    np.testing.assert_array_equal(reading.chosen.volume.affine, qrm_reading.chosen.volume.affine)
    assert reading.files.stray == 1
    assert refused(reading.findings)


def test_phantom_without_one_inner_slice_is_refused_for_that(qrm, tmp_path):
    files = sorted(
        qrm.iterdir(), key=lambda path: float(dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])
    )
    for path in files[:22] + files[23:]:
        shutil.copy(path, tmp_path / path.name)
    assert {f.code for f in read_study(tmp_path).findings if f.severity == "refusal"} == {"missing-slice"}


def test_real_chest_has_a_heart_and_its_departures_are_found(shared_dir):
    reading = read_study(shared_dir / "real" / "lidc_0314_heart")
    codes = {finding.code for finding in reading.findings}
    assert not refused(reading.findings)
    assert {"not-gated", "sharp-kernel", "high-noise", "thickness-not-standard", "gapped-slices"} <= codes
    assert not codes & {"contrast", "no-heart", "heart-truncated"}
    assert reading.chosen.volume.shape == (54, 512, 512)
    assert reading.chosen.acquisition.contrast == "no"


@pytest.mark.parametrize("field_mm", [160, 200, 250])
@pytest.mark.parametrize("slices", [(5, 40), (8, 38), (3, 50)])
def test_small_fields_around_the_real_heart_are_never_refused(field_mm, slices, shared_dir, lidc):
    from cacseg.study.contrast import contrast_of
    from cacseg.study.heart import heart_findings
    from cacseg.study.thorax import thorax_of

    half = int(field_mm / 0.78125) // 2
    for row, column in ((220, 245), (245, 270), (270, 300)):
        part = lidc.crop((slices[0], row - half, column - half), (slices[1], row + half, column + half))
        thorax = thorax_of(part)
        assert not refused(heart_findings(part, thorax))
        assert contrast_of(thorax, None)[0] == "no"


@pytest.fixture(scope="module")
def lidc(shared_dir):
    return read_study(shared_dir / "real" / "lidc_0314_heart").chosen.volume
