"""Which volume is chosen, and that the ledger says why."""

import numpy as np
import pytest
import study_build as build

from cacseg.errors import UnreadableError, UsageError
from cacseg.findings import refused
from cacseg.study import read_study


def uid(number):
    return f"{build.STUDY}.{number}"


def cta(number=20, **tags):
    """A contrast-enhanced angiography, thin, gated, smooth."""
    return build.series(build.chest(blood_hu=330.0), uid=uid(number), **{"SeriesDescription": "x", **tags})


def hospital_study():
    """What a scanner sends for one patient: localizer, calcium scan, lung kernel, angiography, reformats, a report."""
    localizer = [build.ct(build.chest()[18], 0, series=uid(1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])]
    localizer[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    coronal = build.series(
        uid=uid(3),
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        ImagePositionPatient=lambda i: [-120.0, 3.0 * i, 120.0],
        ImageType=["DERIVED", "SECONDARY", "MPR"],
    )
    lung = build.series(uid=uid(4), ConvolutionKernel="B70f", SliceThickness="1", SeriesDescription="CaScore")
    report = build.ct(build.chest()[0], 0, series=uid(9), Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    calcium = build.series(uid=uid(7), SeriesDescription="Chest Abdomen Pelvis")
    return [*localizer, *coronal, *lung, report, *calcium, *cta(8, SeriesDescription="CaScore 3.0")]


def test_the_calcium_scan_is_chosen_against_all_others_and_against_descriptions(tmp_path):
    reading = read_study(build.study(tmp_path, hospital_study()))
    assert reading.chosen.acquisition.series_instance_uid == uid(7)
    assert not refused(reading.findings)
    by_uid = {entry.series_instance_uid: entry for entry in reading.ledger}
    assert set(by_uid) == {uid(n) for n in (1, 3, 4, 7, 8, 9)}
    assert [entry.chosen for entry in reading.ledger].count(True) == 1
    assert "localizer" in by_uid[uid(1)].reasons[0]
    assert "degrees from axial" in by_uid[uid(3)].reasons[0]
    assert any("sharp" in reason for reason in by_uid[uid(4)].reasons)
    assert "modality SR" in by_uid[uid(9)].reasons[0]
    assert by_uid[uid(8)].facts["slices"] == 36


def test_the_choice_does_not_depend_on_file_order(tmp_path):
    headers = hospital_study()
    rng = np.random.default_rng(2)
    readings = []
    for turn in range(3):
        order = rng.permutation(len(headers))
        readings.append(read_study(build.study(tmp_path / str(turn), [headers[i] for i in order])))
    assert len({repr(reading.ledger) for reading in readings}) == 1
    assert len({repr(reading.findings) for reading in readings}) == 1


def test_contrast_in_the_pixels_outweighs_a_perfect_header(tmp_path):
    plain = build.series(uid=uid(30), SliceThickness="1", CardiacSynchronizationTechnique=None)
    reading = read_study(build.study(tmp_path, [*cta(), *plain]))
    assert reading.chosen.acquisition.series_instance_uid == uid(30)
    entry = next(entry for entry in reading.ledger if entry.series_instance_uid == uid(20))
    assert "enhanced" in " ".join(entry.reasons)


def test_only_contrast_is_refused_with_the_series_still_there(tmp_path):
    reading = read_study(build.study(tmp_path, cta()))
    assert {f.code for f in reading.findings if f.severity == "refusal"} == {"contrast"}
    assert reading.chosen.acquisition.contrast == "yes"


@pytest.mark.parametrize("words", [None, "", "Chest Abdomen Pelvis", "CTA lung thin", "Kalziumscore"])
def test_no_description_loses_a_study(words, tmp_path):
    reading = read_study(build.study(tmp_path, build.series(SeriesDescription=words)))
    assert reading.chosen is not None
    assert not refused(reading.findings)


def test_words_break_a_tie(tmp_path):
    named = build.series(uid=uid(41), SeriesDescription="CaScore 3.0")
    other = build.series(uid=uid(40), SeriesDescription="Thin lung")
    reading = read_study(build.study(tmp_path, [*other, *named]))
    assert reading.chosen.acquisition.series_instance_uid == uid(41)


def test_two_phases_in_one_series_become_two_volumes_and_diastole_is_chosen(tmp_path):
    diastole = build.series(NominalPercentageOfCardiacPhase=75)
    systole = build.series(build.chest(noise_hu=14.0), NominalPercentageOfCardiacPhase=40)
    for header in systole:
        header.SOPInstanceUID += ".2"
    reading = read_study(build.study(tmp_path, [*systole, *diastole]))
    assert [entry.facts["slices"] for entry in reading.ledger] == [36, 36]
    assert "nominal cardiac phase 75" in reading.ledger[0].reasons[0]
    np.testing.assert_array_equal(reading.chosen.volume.voxels, np.maximum(build.chest(), -1024))


def test_two_kernels_in_one_series_become_two_volumes_and_the_smooth_one_is_chosen(tmp_path):
    sharp = build.series(build.chest(noise_hu=14.0), ConvolutionKernel="B70f")
    for header in sharp:
        header.SOPInstanceUID += ".2"
    reading = read_study(build.study(tmp_path, [*sharp, *build.series()]))
    assert reading.chosen.acquisition.kernel == "B35f"
    assert len(reading.ledger) == 2


def test_phases_and_acquisitions_together_are_parted_fully(tmp_path):
    headers = []
    for acquisition in (1, 2):
        for phase in (40, 75):
            part = build.series(
                build.chest(noise_hu=12.0 + acquisition + phase / 100),
                AcquisitionNumber=acquisition,
                NominalPercentageOfCardiacPhase=phase,
            )
            for header in part:
                header.SOPInstanceUID += f".{acquisition}.{phase}"
            headers += part
    reading = read_study(build.study(tmp_path, headers))
    assert [entry.facts["slices"] for entry in reading.ledger] == [36, 36, 36, 36]


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "TriggerTime", "AcquisitionTime", "HeartRate"])
def test_step_and_shoot_tags_that_change_from_slice_to_slice_split_nothing(keyword, tmp_path):
    values = {"AcquisitionTime": lambda i: f"1200{i:02d}.5"}
    reading = read_study(build.study(tmp_path, build.series(**{keyword: values.get(keyword, lambda i: 600 + i)})))
    assert len(reading.ledger) == 1
    assert reading.chosen.volume.shape[0] == 36


def test_volumes_without_any_telling_tag_are_parted_by_instance_number(tmp_path):
    second = build.series(build.chest(noise_hu=14.0), InstanceNumber=lambda i: 100 + i)
    for header in second:
        header.SOPInstanceUID += ".2"
    reading = read_study(build.study(tmp_path, [*build.series(), *second]))
    assert [entry.facts["slices"] for entry in reading.ledger] == [36, 36]
    assert not refused(reading.findings)


def test_a_named_series_is_taken_even_if_another_suits_better(tmp_path):
    folder = build.study(tmp_path, hospital_study())
    reading = read_study(folder, series_uid=uid(4))
    assert reading.chosen.acquisition.series_instance_uid == uid(4)
    assert len(reading.ledger) == 6


def test_a_named_series_that_is_unfit_is_refused(tmp_path):
    reading = read_study(build.study(tmp_path, hospital_study()), series_uid=uid(3))
    assert {f.code for f in reading.findings if f.severity == "refusal"} == {"not-axial"}
    assert reading.chosen is None


def test_an_unknown_series_is_wrong_usage_and_the_known_ones_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"no series 9\.9") as caught:
        read_study(build.study(tmp_path, build.series()), series_uid="9.9")
    assert build.SERIES in str(caught.value)


def test_a_broken_better_series_is_not_passed_over_in_silence(tmp_path):
    whole = build.series(uid=uid(50), SliceThickness="1", ConvolutionKernel="B70f")
    reading = read_study(build.study(tmp_path, [*build.series()[:18], *build.series()[19:], *whole]))
    assert reading.chosen.acquisition.series_instance_uid == uid(50)
    finding = next(f for f in reading.findings if f.code == "better-series-unusable")
    assert build.SERIES in finding.message
    assert "missing" in finding.message


def test_a_damaged_compressed_slice_inside_is_found_when_decoding(tmp_path):
    headers = [build.compressed(header, "1.2.840.10008.1.2.4.80") for header in build.series()]
    build.encapsulated(headers[17], "1.2.840.10008.1.2.4.80", [b"\xff\xd8" + b"\x42" * 300])
    reading = read_study(build.study(tmp_path, headers))
    codes = {f.code for f in reading.findings}
    assert {"damaged-file", "missing-slice"} <= codes
    assert reading.chosen is None


def test_several_studies_are_listed_without_names(tmp_path):
    other = "1.2.826.0.1.3680043.10.999.77"
    build.study(tmp_path / "a", build.series())
    build.study(tmp_path / "b", [build.ct(build.chest()[0], 0, series=f"{other}.1", study=other, StudyDate="20210304")])
    with pytest.raises(UsageError) as caught:
        read_study(tmp_path)
    message = str(caught.value)
    assert all(part in message for part in (build.STUDY, other, "20200102", "20210304", "1 series", "cacseg batch"))
    assert "SECRET" not in message


def test_progress_is_reported_for_every_file(tmp_path):
    seen = []
    read_study(build.study(tmp_path, build.series()), progress=lambda *event: seen.append(event))
    assert [event for event in seen if event[0] == "headers"][-1] == ("headers", 36, 36)
    assert seen[-1][0] == "pixels"


def test_sources_are_headers_in_slice_order_without_pixels(tmp_path):
    reading = read_study(build.study(tmp_path, list(reversed(build.series()))))
    heights = [float(source.ImagePositionPatient[2]) for source in reading.chosen.sources]
    assert heights == sorted(heights)
    assert all("PixelData" not in source for source in reading.chosen.sources)
    assert reading.chosen.frame_numbers is None


@pytest.mark.parametrize("same", [True, False])
def test_copies_of_compressed_slices_are_told_apart_by_their_streams(same, tmp_path):
    syntax = "1.2.840.10008.1.2.4.80"
    headers = [build.compressed(header, syntax) for header in build.series()]
    copy = build.compressed(build.series(build.chest() if same else build.chest(noise_hu=14.0))[18], syntax)
    reading = read_study(build.study(tmp_path, [*headers, copy]))
    codes = {finding.code for finding in reading.findings}
    assert "duplicate-files" in codes
    assert ("duplicates-differ" in codes) is not same
    assert reading.files.duplicates == 1


def test_every_slice_damaged_in_the_only_series_is_unreadable(tmp_path):
    headers = [build.encapsulated(h, "1.2.840.10008.1.2.5", [b"\x00" * 70]) for h in build.series()]
    with pytest.raises(UnreadableError, match="None of the 36 images"):
        read_study(build.study(tmp_path, headers))


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]}, "projection"),
        ({"RescaleType": "MGML"}, "not-hounsfield"),
        ({"BitsAllocated": 1}, "not-ct"),
    ],
)
def test_images_that_are_no_plain_slices_in_hounsfield_units_are_refused(tags, code, tmp_path):
    reading = read_study(build.study(tmp_path, build.series(**tags)))
    assert {f.code for f in reading.findings if f.severity == "refusal"} == {code}
