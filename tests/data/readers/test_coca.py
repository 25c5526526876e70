import plistlib

import numpy as np
import pytest

from cacseg.data.readers import UnreadStudy, labelled_studies
from cacseg.data.readers.coca import coca_orphans, coca_sources, read_rois, roi_names
from cacseg.errors import UnreadableError
from cacseg.vessels import Label

LAD_BOX = [(30.0, 20.0), (33.0, 20.0), (33.0, 24.0), (30.0, 24.0)]
RCA_BOX = [(10.0, 40.0), (14.0, 40.0), (14.0, 43.0), (10.0, 43.0)]


def roi(name, points, volume=None, index=None):
    entry = {
        "Area": 0.1, "Center": "(1, 1)", "Dev": 1.0, "IndexInImage": 0, "Length": 1.0, "Max": 300.0, "Mean": 200.0,
        "Min": 130.0, "Name": name, "NumberOfPoints": len(points), "Total": 1.0, "Type": 15,
        "Point_px": [f"({x:f}, {y:f})" for x, y in points], "Point_mm": [],
    }  # fmt: skip
    if volume is not None:
        world = volume.to_world([[index, y - 0.5, x - 0.5] for x, y in points])
        entry["Point_mm"] = ["({:f}, {:f}, {:f})".format(*point) for point in world]
    return entry


def image(index, *rois, stated=None):
    return {"ImageIndex": index, "NumberOfROIs": len(rois) if stated is None else stated, "ROIs": list(rois)}


class Coca:
    """A release folder that patients are put into."""

    def __init__(self, root, ct_writer, volume):
        self.root, self.ct_writer, self.volume = root, ct_writer, volume
        self.base = root / "Gated_release_final"
        (self.base / "calcium_xml").mkdir(parents=True, exist_ok=True)
        (self.base / "patient").mkdir(exist_ok=True)

    def add(self, number, *images, descending=False, folder="Pro_Gated_CS_3.0_I30f_3_70%"):
        self.ct_writer(self.base / "patient" / str(number) / folder, self.volume, descending=descending)
        if images:
            self.write(number, images)

    def write(self, number, images):
        with (self.base / "calcium_xml" / f"{number}.xml").open("wb") as stream:
            plistlib.dump({"Images": list(images)}, stream)

    def read(self, number=0):
        return next(source for source in coca_sources(self.root) if source.id == str(number)).load()


@pytest.fixture
def coca(tmp_path, ct_writer, tiny):
    return Coca(tmp_path, ct_writer, tiny)


@pytest.mark.parametrize("descending", [False, True])
def test_image_index_ascends_with_z_whatever_the_order_of_files(coca, calcium, descending):
    rois = image(4, roi("Left Anterior Descending Artery", LAD_BOX)), image(7, roi("Right Coronary Artery", RCA_BOX))
    coca.add(0, *rois, descending=descending)
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert (study.labels[calcium.rca] == Label.RCA).all()
    assert np.count_nonzero(study.labels) == 24
    assert study.label_scope == "coronary"
    assert study.patient == "0"
    assert study.facts["kernel"] == "FC12"
    assert not [repair for repair in study.repairs if "ROI" in repair]


def test_only_pixels_of_130_hu_are_kept(coca, calcium):
    wide = [(25.0, 15.0), (40.0, 15.0), (40.0, 30.0), (25.0, 30.0)]
    coca.add(0, image(4, roi("Left Circumflex Artery", wide)))
    labels = coca.read().labels
    assert (labels[calcium.lad] == Label.LCX).all()
    assert np.count_nonzero(labels) == 12


def test_dirty_names_are_repaired_or_dropped_in_words(coca, calcium):
    coca.add(
        0,
        image(4, roi(" Left  Anterior Decending Artery", LAD_BOX), roi("ROI 7", LAD_BOX)),
        image(7, roi("Left Coronary Artery ", RCA_BOX)),
    )
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert (study.labels[calcium.rca] == Label.LM).all()
    said = " | ".join(study.repairs)
    assert "read as LAD" in said
    assert "'ROI 7' is not a known" in said
    assert "image 4, ROI 1: dropped" in said


def test_broken_polygons_are_reported(coca):
    coca.add(
        0,
        image(4, roi("Left Anterior Descending Artery", LAD_BOX[:2]), stated=3),
        image(99, roi("Right Coronary Artery", RCA_BOX)),
        image(7, roi("Right Coronary Artery", [*RCA_BOX, (-3.0, 41.0)])),
        image(2, roi("Right Coronary Artery", RCA_BOX)),
    )
    study = coca.read()
    said = " | ".join(study.repairs)
    for words in (
        "NumberOfROIs 3, found 1", "2 usable points, dropped", "image index 99 is outside the 12 slices",
        "points outside the image of 64 x 64", "image 2, ROI 0 (RCA): no pixel reaches 130 HU",
    ):  # fmt: skip
        assert words in said
    assert set(np.unique(study.labels)) == {0, Label.RCA}


def test_an_artery_does_not_overwrite_another(coca, calcium):
    coca.add(0, image(4, roi("Left Anterior Descending Artery", LAD_BOX), roi("Left Circumflex Artery", LAD_BOX)))
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert any("12 pixels of LCX already belong to another artery" in repair for repair in study.repairs)


def test_points_in_mm_decide_when_the_index_is_wrong(coca, calcium, tiny):
    coca.add(0, image(5, roi("Left Anterior Descending Artery", LAD_BOX, tiny, 4)))
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert any("disagrees with z" in repair for repair in study.repairs)


def test_points_in_mm_between_slices_are_not_believed(coca, calcium, tiny):
    coca.add(0, image(4, roi("Left Anterior Descending Artery", LAD_BOX, tiny, 6.5)))
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert any("lies on no slice" in repair for repair in study.repairs)


def test_of_several_series_the_one_under_the_polygons_is_taken(coca, tiny, ct_writer, calcium):
    uid = "1.2.826.0.1.3680043.8.498.77"
    blank = tiny.with_voxels(np.full(tiny.shape, 40, np.int16))
    folder = coca.base / "patient" / "0" / "one"
    ct_writer(folder, blank, study_uid=uid, prefix="A")
    wanted = ct_writer(folder, tiny, study_uid=uid, prefix="B")
    coca.write(0, [image(4, roi("Left Anterior Descending Artery", LAD_BOX))])
    study = coca.read()
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert any(f"2 series in the folder; took {wanted}" in repair for repair in study.repairs)


def test_orphans_and_strays_are_named(coca):
    coca.add(0, image(4, roi("Left Anterior Descending Artery", LAD_BOX)))
    (coca.base / "patient" / "0" / "notes.txt").write_text("x")
    (coca.base / "patient" / "0" / ".DS_Store").write_text("x")
    (coca.base / "patient" / "loose.dcm").write_bytes(b"x")
    coca.write(17, [])
    assert [path.name for path in coca_orphans(coca.root)] == ["17.xml", "loose.dcm"]
    assert any("1 files that are no CT image left out: notes.txt" in repair for repair in coca.read().repairs)


def test_a_patient_without_xml_has_no_marked_calcium(coca):
    coca.add(3)
    study = coca.read(3)
    assert not study.labels.any()
    assert study.facts["marked"] is False
    assert "no 3.xml: taken as no coronary calcium" in study.repairs


def test_one_broken_patient_does_not_end_the_run(coca):
    coca.add(0, image(4, roi("Left Anterior Descending Artery", LAD_BOX)))
    coca.add(1, image(4, roi("Left Anterior Descending Artery", LAD_BOX)))
    (coca.base / "calcium_xml" / "0.xml").write_bytes(b"<plist><dict>")
    (coca.base / "patient" / "2").mkdir()
    first, second, third = labelled_studies("coca", coca.root)
    assert isinstance(first, UnreadStudy)
    assert "0.xml" in first.message
    assert second.id == "1"
    assert isinstance(third, UnreadStudy)
    assert "no CT image" in third.message


def test_patients_come_in_numerical_order_and_the_checksum_covers_all_files(coca):
    for number in (10, 9):
        coca.add(number, image(4, roi("Left Anterior Descending Artery", LAD_BOX)))
    sources = coca_sources(coca.base)
    assert [source.id for source in sources] == ["9", "10"]
    assert sum(path.suffix == ".dcm" for path in sources[0].files) == 12
    assert sources[0].files[-1].name == "9.xml"


def test_another_folder_is_not_coca(tmp_path):
    with pytest.raises(UnreadableError, match="calcium_xml"):
        coca_sources(tmp_path)


def test_counts_the_names_of_a_release(coca, tmp_path):
    coca.write(0, [image(1, roi("A", LAD_BOX), roi("A", LAD_BOX), roi("B ", LAD_BOX))])
    (coca.base / "calcium_xml" / "1.xml").write_text("no")
    assert roi_names(coca.base / "calcium_xml") == {"A": 2, "B ": 1, "?": 1}


def test_points_that_are_no_points_are_left_out(tmp_path):
    entry = roi("Right Coronary Artery", RCA_BOX) | {"Point_px": ["(1, 2)", "(nan, 3)", "x", 4, "(3e0, 4.5)", "(5,6)"]}
    with (tmp_path / "a.xml").open("wb") as stream:
        plistlib.dump({"Images": [image(1, entry)]}, stream)
    (read,), _ = read_rois(tmp_path / "a.xml")
    assert read.points_xy.tolist() == [[1, 2], [3, 4.5], [5, 6]]
