import pytest

from cacseg.data.readers import (
    ManifestEntry,
    labelled_studies,
    make_manifest,
    read_manifest,
    split_of,
    study_checksum,
    write_manifest,
)
from cacseg.errors import UnreadableError, UsageError


def test_shares_are_kept_and_datasets_split_on_their_own():
    parts = [split_of(str(number), "coca") for number in range(4000)]
    assert abs(parts.count("train") / 4000 - 0.7) < 0.03
    assert abs(parts.count("test") / 4000 - 0.2) < 0.03
    assert parts != [split_of(str(number), "orcascore") for number in range(4000)]


def test_the_split_is_fixed_for_ever():
    parts = [split_of(str(number), "coca") for number in range(8)]
    assert parts == ["validation", "train", "train", "train", "test", "test", "validation", "validation"]


def test_checksum_follows_content_not_names_or_order(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"2"), ("d", b"1")):
        (tmp_path / name).write_bytes(content)
    one = study_checksum([tmp_path / "a", tmp_path / "b"])
    assert one == study_checksum([tmp_path / "c", tmp_path / "d"])
    with pytest.raises(UsageError, match="no file"):
        study_checksum([])
    (tmp_path / "b").write_bytes(b"3")
    assert one != study_checksum([tmp_path / "a", tmp_path / "b"])


def test_manifest_comes_back_as_written(tmp_path):
    entries = [ManifestEntry("2", "p1", "test", "ab"), ManifestEntry("1", "p1", "test", "cd")]
    write_manifest(entries, tmp_path / "m.csv")
    assert list(read_manifest(tmp_path / "m.csv").values()) == sorted(entries, key=lambda entry: entry.study_id)


def test_a_patient_in_two_parts_is_refused(tmp_path):
    entries = [ManifestEntry("1", "p1", "train"), ManifestEntry("2", "p1", "test")]
    with pytest.raises(UsageError, match="patient p1 stands in train and in test"):
        write_manifest(entries, tmp_path / "m.csv")
    with pytest.raises(UsageError, match="twice"):
        write_manifest([entries[0], entries[0]], tmp_path / "m.csv")


@pytest.mark.parametrize("text", ["study_id,patient_id\n1,2\n", "study_id,patient_id,split,sha256\n1,1,holdout,\n"])
def test_a_manifest_that_cannot_be_understood_is_refused(tmp_path, text):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UnreadableError, match="line 2"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")


@pytest.fixture
def pairs(tmp_path, tiny):
    import nibabel

    for number in range(12):
        for folder, voxels in (("images", tiny.voxels), ("labels", (tiny.voxels > 200).astype("u1"))):
            (tmp_path / folder).mkdir(exist_ok=True)
            image = nibabel.Nifti1Image(voxels.T, tiny.ras_affine())
            nibabel.save(image, tmp_path / folder / f"{number:02d}.nii")
    return tmp_path


def test_a_part_is_read_by_hash_or_by_manifest(pairs):
    manifest = make_manifest("nifti", pairs)
    by_hash = {study.id: study.split for study in labelled_studies("nifti", pairs)}
    assert by_hash == {entry.study_id: entry.split for entry in manifest}
    moved = [ManifestEntry(e.study_id, e.patient_id, "validation" if e.study_id == "03" else "train") for e in manifest]
    write_manifest(moved, pairs / "m.csv")
    (study,) = labelled_studies("nifti", pairs, split="validation", manifest=pairs / "m.csv")
    assert (study.id, study.split) == ("03", "validation")


def test_reading_is_lazy_and_skips_what_is_done(pairs):
    iterator = labelled_studies("nifti", pairs, count=3, skip={"00"})
    (pairs / "images" / "02.nii").unlink()
    assert next(iterator).id == "01"
    assert "02" in next(iterator).message
    with pytest.raises(StopIteration):
        next(iterator)


def test_unnamed_studies_and_unknown_datasets_are_refused(pairs):
    write_manifest([ManifestEntry("00", "00", "train")], pairs / "m.csv")
    with pytest.raises(UsageError, match="does not name 11 studies"):
        labelled_studies("nifti", pairs, manifest=pairs / "m.csv")
    with pytest.raises(UsageError, match="Unknown dataset 'cocoa'"):
        labelled_studies("cocoa", pairs)
    with pytest.raises(UsageError, match="no folder"):
        labelled_studies("coca", pairs / "none")
