import zlib

import numpy as np
import pytest

from cacseg.data.readers.metaimage import read_metaimage
from cacseg.errors import UnreadableError

HEADER = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = {msb}
CompressedData = {compressed}
TransformMatrix = {matrix}
Offset = -10 -20 -30
ElementSpacing = 0.5 0.6 3
DimSize = 5 4 3
ElementType = {kind}
ElementDataFile = {data}
"""


def write(path, voxels, *, msb=False, compressed=False, matrix="1 0 0 0 1 0 0 0 1", local=False, kind="MET_SHORT"):
    body = voxels.astype(voxels.dtype.newbyteorder(">" if msb else "<")).tobytes()
    body = zlib.compress(body) if compressed else body
    data = "LOCAL" if local else path.with_suffix(".zraw" if compressed else ".raw").name
    head = HEADER.format(msb=msb, compressed=compressed, matrix=matrix, data=data, kind=kind).encode()
    path.write_bytes(head + (body if local else b""))
    if not local:
        (path.parent / data).write_bytes(body)


@pytest.fixture
def voxels():
    return np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)


@pytest.mark.parametrize("msb", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("local", [False, True])
def test_reads_every_way_of_storing(tmp_path, voxels, msb, compressed, local):
    write(tmp_path / "a.mhd", voxels, msb=msb, compressed=compressed, local=local)
    volume = read_metaimage(tmp_path / "a.mhd")
    assert np.array_equal(volume.voxels, voxels)
    assert volume.voxels.dtype == np.int16
    assert volume.spacing_mm == pytest.approx((3, 0.6, 0.5))
    assert np.allclose(volume.to_world([[2, 1, 1]]), [[-9.5, -19.4, -24]])


def test_matrix_lists_the_direction_of_one_axis_after_another(tmp_path, voxels):
    write(tmp_path / "a.mhd", voxels, matrix="0 1 0 -1 0 0 0 0 1")
    volume = read_metaimage(tmp_path / "a.mhd")
    assert np.allclose(volume.to_world([[0, 0, 1]])[0] - volume.to_world([[0, 0, 0]])[0], [0, 0.5, 0])
    assert np.allclose(volume.to_world([[0, 1, 0]])[0] - volume.to_world([[0, 0, 0]])[0], [-0.6, 0, 0])


def test_names_what_is_missing(tmp_path, voxels):
    write(tmp_path / "a.mhd", voxels)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(UnreadableError, match=r"a\.raw"):
        read_metaimage(tmp_path / "a.mhd")
    with pytest.raises(UnreadableError, match="absent"):
        read_metaimage(tmp_path / "absent.mhd")


def test_refuses_short_damaged_and_foreign_data(tmp_path, voxels):
    write(tmp_path / "short.mhd", voxels)
    (tmp_path / "short.raw").write_bytes(b"123")
    write(tmp_path / "bad.mhd", voxels, compressed=True)
    (tmp_path / "bad.zraw").write_bytes(b"not zlib")
    (tmp_path / "text.mhd").write_text("hello\n")
    write(tmp_path / "kind.mhd", voxels, kind="MET_OTHER")
    for name, word in (("short", "120 bytes"), ("bad", "damaged"), ("text", "not a MetaImage"), ("kind", "MET_OTHER")):
        with pytest.raises(UnreadableError, match=word):
            read_metaimage(tmp_path / f"{name}.mhd")


def test_does_not_leave_the_folder(tmp_path, voxels):
    write(tmp_path / "a.mhd", voxels)
    text = (tmp_path / "a.mhd").read_text().replace("a.raw", "../a.raw")
    (tmp_path / "a.mhd").write_text(text)
    with pytest.raises(UnreadableError, match="beside the header"):
        read_metaimage(tmp_path / "a.mhd")


def test_refuses_numbers_that_are_none(tmp_path, voxels):
    write(tmp_path / "a.mhd", voxels, matrix="1 0 0")
    with pytest.raises(UnreadableError, match="9 finite numbers"):
        read_metaimage(tmp_path / "a.mhd")
