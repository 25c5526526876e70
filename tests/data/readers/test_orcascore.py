import numpy as np
import pytest

from cacseg.data.readers import labelled_studies
from cacseg.data.readers.orcascore import orcascore_sources
from cacseg.errors import UnreadableError
from cacseg.vessels import Label


def write_mhd(path, voxels, volume, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    slices, rows, columns = volume.spacing_mm
    offset = " ".join(str(v) for v in volume.affine[:3, 3])
    path.write_text(
        f"ObjectType = Image\nNDims = 3\nDimSize = {' '.join(str(n) for n in voxels.shape[::-1])}\n"
        f"ElementSpacing = {columns} {rows} {slices}\nOffset = {offset}\nElementType = {kind}\n"
        f"ElementDataFile = {path.with_suffix('.raw').name}\n"
    )
    path.with_suffix(".raw").write_bytes(voxels.tobytes())


@pytest.fixture
def root(tmp_path, tiny, calcium):
    marks = np.zeros(tiny.shape, np.uint8)
    marks[calcium.lad], marks[calcium.rca] = 1, 3
    marks[4, 20, 33] = 1
    for name in ("TRV1P1", "TRV1P10"):
        write_mhd(tmp_path / "Images" / f"{name}CTI.mhd", tiny.voxels, tiny, "MET_SHORT")
        write_mhd(tmp_path / "Images" / f"{name}CTAI.mhd", tiny.voxels, tiny, "MET_SHORT")
        write_mhd(tmp_path / "Reference_standard" / f"{name}R.mhd", marks, tiny, "MET_UCHAR")
    return tmp_path


def test_reads_scan_and_reference(root, tiny, calcium):
    studies = list(labelled_studies("orcascore", root))
    assert [study.id for study in studies] == ["TRV1P1", "TRV1P10"]
    study = studies[0]
    assert study.volume.same_grid(tiny)
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert (study.labels[calcium.rca] == Label.RCA).all()
    assert np.count_nonzero(study.labels) == 12 + 12
    assert study.repairs == ("1 labelled voxels below 130 HU cleared",)


def test_says_that_the_left_main_counts_as_lad(root):
    study = next(labelled_studies("orcascore", root))
    assert study.merged == {Label.LM: Label.LAD}
    assert study.label_scope == "coronary"


def test_refuses_unknown_values(root, tiny):
    write_mhd(root / "Reference_standard" / "TRV1P1R.mhd", np.full(tiny.shape, 7, np.uint8), tiny, "MET_UCHAR")
    with pytest.raises(UnreadableError, match=r"\[7\]"):
        orcascore_sources(root)[0].load()


def test_two_references_are_ambiguous_and_none_is_unreadable(root, tiny, tmp_path_factory):
    write_mhd(root / "other" / "TRV1P1_reader2.mhd", np.zeros(tiny.shape, np.uint8), tiny, "MET_UCHAR")
    with pytest.raises(UnreadableError, match="several references"):
        orcascore_sources(root)
    with pytest.raises(UnreadableError, match="no orCaScore pair"):
        orcascore_sources(tmp_path_factory.mktemp("empty"))
