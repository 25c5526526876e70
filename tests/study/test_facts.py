"""Acquisition facts from tags, measurements from pixels, and the findings that follow."""

import numpy as np
import pytest
import study_build as build
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from cacseg.study import archive, read_study
from cacseg.study.kernels import sharpness_of
from cacseg.study.metal import metal_mm3
from cacseg.study.noise import noise_sd_hu
from cacseg.study.patient import patient_of
from cacseg.study.reconstruction import reconstruction_method
from cacseg.volume import Volume


def read(tmp_path, hu=None, **tags):
    return read_study(build.study(tmp_path, build.series(hu, **tags)))


def codes(reading):
    return {finding.code for finding in reading.findings}


def test_the_standard_protocol_has_no_finding(tmp_path):
    reading = read(tmp_path)
    assert reading.findings == ()
    facts = reading.chosen.acquisition
    assert (facts.kvp, facts.slice_thickness_mm, facts.kernel, facts.gated, facts.contrast) == (
        120,
        3,
        "B35f",
        "yes",
        "no",
    )
    assert facts.field_of_view_mm == 240
    assert (reading.patient.age_years, reading.patient.sex, reading.patient.race) == (58, "F", None)


DEPARTURES = [
    ({"KVP": None}, "kvp-unknown"),
    ({"KVP": "0"}, "kvp-unknown"),
    ({"KVP": "100"}, "kvp-not-120"),
    ({"FilterMaterial": "TIN"}, "tin-filter"),
    ({"ProtocolName": "CaScore_Sn100"}, "tin-filter"),
    ({"SliceThickness": None}, "thickness-unknown"),
    ({"SliceThickness": "5"}, "thickness-not-standard"),
    ({"CardiacSynchronizationTechnique": None}, "gating-unknown"),
    ({"CardiacSynchronizationTechnique": "NONE"}, "not-gated"),
    ({"CardiacSynchronizationTechnique": None, "ScanOptions": "HELICAL MODE"}, "not-gated"),
    ({"ConvolutionKernel": "B70f"}, "sharp-kernel"),
    ({"ConvolutionKernel": None}, "kernel-unknown"),
    ({"ConvolutionKernel": ["Qr36f", "3"]}, "iterative-reconstruction"),
    ({"ReconstructionDiameter": "400"}, "large-field-of-view"),
    ({"LossyImageCompression": "01"}, "lossy-compression"),
]


@pytest.mark.parametrize(
    ("tags", "code"), DEPARTURES, ids=[f"{code}-{list(tags.values())}" for tags, code in DEPARTURES]
)
def test_each_departure_is_a_finding(tags, code, tmp_path):
    assert code in codes(read(tmp_path, **tags))


@pytest.mark.parametrize(
    "tags",
    [
        {"TriggerTime": "700"},
        {"NominalPercentageOfCardiacPhase": 70},
        {"HeartRate": 61},
        {"ScanOptions": "CARDIAC MODE"},
        {"ScanOptions": "TP70"},
        {"CardiacSynchronizationTechnique": "RETROSPECTIVE"},
    ],
)
def test_every_sign_of_an_ecg_counts_as_gated(tags, tmp_path):
    reading = read(tmp_path, **{"CardiacSynchronizationTechnique": None, **tags})
    assert reading.chosen.acquisition.gated == "yes"


def test_mass_factor_of_the_patient_comes_before_that_of_the_device(tmp_path):
    device = [0.7, 0.8, 0.9]
    assert read(tmp_path / "a", CalciumScoringMassFactorDevice=device).chosen.acquisition.mass_factor == pytest.approx(
        0.8
    )
    both = read(tmp_path / "b", CalciumScoringMassFactorDevice=device, CalciumScoringMassFactorPatient=0.75)
    assert both.chosen.acquisition.mass_factor == pytest.approx(0.75)


def test_two_values_of_a_kernel_are_joined_by_a_slash(tmp_path):
    assert read(tmp_path, ConvolutionKernel=["I30f", "3"]).chosen.acquisition.kernel == "I30f/3"


@pytest.mark.parametrize("noise_hu", [8.0, 20.0, 45.0])
def test_noise_is_measured_within_a_tenth(noise_hu):
    rng = np.random.default_rng(4)
    fine = np.repeat(np.repeat(build.chest(noise_hu=0.0), 4, axis=1), 4, axis=2)
    noisy = np.rint(fine + rng.normal(0, noise_hu, fine.shape)).astype(np.int16)
    measured = noise_sd_hu(Volume.axial(noisy, (3.0, 0.625, 0.625)))
    assert measured == pytest.approx(noise_hu, rel=0.1)


def test_noise_of_air_is_unknown():
    assert noise_sd_hu(Volume.axial(np.full((12, 64, 64), -1000, np.int16), (3, 1, 1))) is None


def test_high_noise_and_metal_are_findings(tmp_path):
    hu = build.chest(noise_hu=40.0)
    hu[18, 40:44, 50:54] = 3071
    reading = read(tmp_path, hu)
    assert {"high-noise", "metal"} <= codes(reading)
    assert reading.chosen.acquisition.noise_sd_hu == pytest.approx(40, rel=0.15)
    assert metal_mm3(reading.chosen.volume) == pytest.approx(16 * 18.75)


def test_calcium_is_no_metal_and_no_contrast(tmp_path):
    hu = build.chest()
    hu[10:26, 40:44, 44:56] = 900
    reading = read(tmp_path, hu)
    assert not codes(reading) & {"metal", "contrast"}


def test_contrast_in_the_right_heart_only_is_found(tmp_path):
    hu = build.chest()
    heart = (hu[:, 28:40, 40:56] > 0) & (hu[:, 28:40, 40:56] < 120)
    hu[:, 28:40, 40:56][heart] += 300
    assert "contrast" in codes(read(tmp_path, hu))


KERNELS = [
    *[(name, "smooth") for name in ("Br36", "Qr36d\\3", "I30f/3", "B35f", "STANDARD", "CB", "FC03", "FC12-H")],
    *[(name, "sharp") for name in ("B46f", "Bv49", "BONEPLUS", "LUNG", "XCD", "FC51", "FC86")],
    *[(name, "unknown") for name in ("", "made up")],
]


@pytest.mark.parametrize(("kernel", "sharpness"), KERNELS)
def test_kernels_of_every_vendor(kernel, sharpness):
    assert sharpness_of(kernel) == sharpness


@pytest.mark.parametrize(
    ("kernel", "word", "part"),
    [
        ("STANDARD", "ASIR-V 50", "ASiR-V"),
        ("STANDARD", "TrueFidelity", "deep learning"),
        ("FC12", "AiCE", "deep learning"),
        ("XCB", "iDose (3)", "iDose"),
        ("Qr36\\2", None, "strength 2"),
        ("B35f", "ITERATIVE", "iterative"),
    ],
)
def test_reconstruction_methods_are_named(kernel, word, part):
    assert part in reconstruction_method(kernel, [word])


@pytest.mark.parametrize(
    ("age", "born", "seen", "years"),
    [
        ("058Y", None, None, 58),
        ("", "19600615", "20200614", 59),
        ("", "19600615", "20200615", 60),
        ("006M", None, None, 0.5),
        ("999Y", None, None, None),
        ("old", "unknown", "20200101", None),
        ("", "20210101", "20200101", None),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_age_from_its_own_tag_or_from_dates(age, born, seen, years):
    header = Dataset()
    for keyword, vr, value in (("PatientAge", "AS", age), ("PatientBirthDate", "DA", born), ("StudyDate", "DA", seen)):
        header[keyword] = DataElement(keyword, vr, value or "", IGNORE)
    assert patient_of(header).age_years == years


def test_archive_of_more_than_the_allowed_size_is_refused(tmp_path, monkeypatch):
    from cacseg.errors import UnreadableError

    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 100_000)
    source = build.study(tmp_path / "s", build.series())
    with pytest.raises(UnreadableError, match="bomb"):
        read_study(build.zipped(source, tmp_path / "s.zip"))


def test_nothing_is_left_behind_by_an_archive(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    source = build.study(tmp_path / "s", build.series())
    read_study(build.zipped(source, tmp_path / "s.zip"))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_files_are_counted(tmp_path):
    build.study(tmp_path, build.series())
    build.study(tmp_path / "again", build.series()[:3])
    (tmp_path / "notes.txt").write_text("x")
    damaged = tmp_path / "IM0035"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    files = read_study(tmp_path).files
    assert (files.found, files.read, files.duplicates, files.stray, files.damaged) == (40, 35, 3, 1, 1)


def test_short_and_narrow_scans_are_warned_about_and_not_refused(tmp_path):
    hu = build.chest()
    short = read(tmp_path / "a", hu[6:31])
    narrow = read(tmp_path / "b", hu[:, 22:64, 27:69].repeat(2, axis=1).repeat(2, axis=2), PixelSpacing=[1.25, 1.25])
    for reading, words in ((short, "75 mm"), (narrow, "105 mm")):
        finding = next(f for f in reading.findings if f.code == "heart-truncated")
        assert finding.severity == "warning"
        assert words in finding.message


def test_a_scan_that_ends_within_the_heart_is_warned_about(tmp_path):
    reading = read(
        tmp_path, build.chest(slices=60, increment_mm=2.0)[:32], ImagePositionPatient=lambda i: [0.0, 0.0, 3.0 * i]
    )
    finding = next(f for f in reading.findings if f.code == "heart-truncated")
    assert finding.severity == "warning"
    assert "uppermost" in finding.message
