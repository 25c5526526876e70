"""What below a cohort's folder is taken as one study."""

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cacseg.batch import studies_below
from cacseg.errors import UsageError


def layout(root: Path, *names: str) -> None:
    """Make files; one named ``3.dcm`` is a DICOM object of study 1.2.3, every other is empty."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".dcm":
            path.write_bytes(b"")
            continue
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.4"
        dataset.StudyInstanceUID = f"1.2.{path.stem}"
        dataset.save_as(path, enforce_file_format=True)


def found(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in studies_below(root)]


@pytest.mark.parametrize(
    ("files", "studies"),
    [
        (("a/1.dcm", "b/2.dcm"), ["a", "b"]),
        (("a/series-1/1.dcm", "a/series-2/1.dcm"), ["a"]),
        (("a/visit-1/1.dcm", "a/visit-2/2.dcm"), ["a/visit-1", "a/visit-2"]),
        (("a/DICOMDIR", "a/IMAGES/1.dcm", "b/2.dcm"), ["a", "b"]),
        (
            ("site/p1/study/series-1/1.dcm", "site/p1/study/series-2/1.dcm", "site/p2/study/series/2.dcm"),
            ["site/p1", "site/p2"],
        ),
        (("a/notes/read.me", "a/series/1.dcm"), ["a/notes", "a/series"]),
        (("b.zip", "a.nii.gz", "c.nii"), ["a.nii.gz", "b.zip", "c.nii"]),
        (("year/b.zip", "year/c.zip"), ["year/b.zip", "year/c.zip"]),
        (("a/1.dcm", "b.zip"), ["b.zip", "a"]),
    ],
)
def test_a_study_is_the_lowest_folder_that_holds_all_of_it(tmp_path: Path, files, studies) -> None:
    layout(tmp_path, *files)
    assert found(tmp_path) == studies


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    layout(tmp_path, "root/a/1.dcm", "elsewhere/1.dcm")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert found(tmp_path / "root") == ["a"]


@pytest.mark.parametrize("where", ["empty", "absent"])
def test_a_folder_without_studies_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="give the folder of the cohort"):
        studies_below(tmp_path / where)
