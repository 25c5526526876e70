"""Stored pixels to Hounsfield units, in every transfer syntax and word layout."""

import io

import numpy as np
import pytest
import study_build as build

from cacseg.errors import UnreadableError
from cacseg.study import read_study
from cacseg.study.transfer_syntax import decodable

NATIVE = {
    "implicit little endian": "1.2.840.10008.1.2",
    "explicit little endian": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "explicit big endian": "1.2.840.10008.1.2.2",
}
LOSSLESS = {
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless SV1": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}


@pytest.fixture(scope="module")
def expected():
    return np.maximum(build.chest(), -1024)


@pytest.mark.parametrize("name", NATIVE)
def test_uncompressed_syntaxes_give_equal_voxels(name, tmp_path, expected):
    for index, header in enumerate(build.series()):
        build.save(header, tmp_path / str(index), NATIVE[name])
    np.testing.assert_array_equal(read_study(tmp_path).chosen.volume.voxels, expected)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_syntaxes_give_equal_voxels(name, signed, tmp_path, expected):
    for index, header in enumerate(build.series()):
        if signed:
            words = np.frombuffer(header.PixelData, "<u2").astype("<i2") - 1024
            build.change(header, PixelData=words.tobytes(), PixelRepresentation=1, BitsStored=16, HighBit=15)
            header.RescaleIntercept = "0"
        build.save(build.compressed(header, LOSSLESS[name]), tmp_path / str(index))
    np.testing.assert_array_equal(read_study(tmp_path).chosen.volume.voxels, expected)


@pytest.mark.parametrize("name", ["JPEG-LS", "RLE"])
def test_compressed_multi_frame_gives_equal_voxels(name, tmp_path, expected):
    order = np.random.default_rng(5).permutation(36).tolist()
    header = build.compressed(build.enhanced(build.chest(), order=order), LOSSLESS[name])
    reading = read_study(build.save(header, tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(reading.chosen.volume.voxels, expected)
    assert reading.chosen.frame_numbers == tuple(order.index(i) + 1 for i in range(36))
    assert len(reading.chosen.sources) == 1


def test_jpeg_baseline_is_decoded_and_its_loss_recorded(tmp_path, expected):
    from PIL import Image

    for index, header in enumerate(build.series()):
        grey = np.clip((expected[index].astype(int) + 1024) // 8, 0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(grey).save(stream, "JPEG", quality=95)
        build.change(header, BitsAllocated=8, BitsStored=8, HighBit=7, RescaleSlope="8")
        build.save(build.encapsulated(header, "1.2.840.10008.1.2.4.50", [stream.getvalue()]), tmp_path / str(index))
    reading = read_study(tmp_path)
    assert "lossy-compression" in {f.code for f in reading.findings}
    assert np.abs(reading.chosen.volume.voxels - expected).mean() < 25


def test_a_syntax_without_a_decoder_is_named_with_what_to_install(tmp_path, monkeypatch):
    from cacseg.study import decode

    build.study(tmp_path, [build.encapsulated(h, "1.2.840.10008.1.2.4.80", [b"\xff\xd8"]) for h in build.series()])
    monkeypatch.setattr(decode, "decodable", lambda uid: False)
    with pytest.raises(UnreadableError, match=r"JPEG-LS Lossless.*1\.2\.840\.10008\.1\.2\.4\.80.*pip install pyjpegls"):
        read_study(tmp_path)


def test_required_packages_decode_every_syntax_that_ct_uses():
    for uid in (*NATIVE.values(), *LOSSLESS.values(), "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"):
        assert decodable(uid), uid


def test_rescale_is_applied_slice_by_slice(tmp_path, expected):
    headers = build.series()
    for header in headers[::2]:
        words = np.frombuffer(header.PixelData, "<u2") // 2
        build.change(header, PixelData=words.astype("<u2").tobytes(), RescaleSlope="2", RescaleIntercept="-1024")
    voxels = read_study(build.study(tmp_path, headers)).chosen.volume.voxels
    assert voxels.dtype == np.int16
    np.testing.assert_array_equal(voxels[1::2], expected[1::2])
    assert set(np.unique(voxels[::2] - expected[::2])) <= {-1, 0}


def test_fractional_rescale_gives_float32(tmp_path, expected):
    headers = build.series(RescaleIntercept="-1023.5")
    voxels = read_study(build.study(tmp_path, headers)).chosen.volume.voxels
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels, np.clip(expected + 0.5, -1023.5, None))


@pytest.mark.parametrize("padding", [-2000, -2048, -3024])
def test_padding_becomes_minus_1024(padding, tmp_path, expected):
    headers = build.series()
    for index, header in enumerate(headers):
        words = expected[index].copy()
        words[:5, :] = padding
        build.change(header, PixelData=words.astype("<i2").tobytes(), PixelRepresentation=1, BitsStored=16)
        build.change(header, HighBit=15, RescaleIntercept="0")
    voxels = read_study(build.study(tmp_path, headers)).chosen.volume.voxels
    assert (voxels[:, :5] == -1024).all()
    np.testing.assert_array_equal(voxels[:, 5:], expected[:, 5:])


def test_high_padding_value_does_not_become_calcium(tmp_path, expected):
    headers = build.series()
    for index, header in enumerate(headers):
        words = (expected[index].astype(int) + 1024).astype("<u2")
        words[:5] = 65535
        build.change(header, PixelData=words.tobytes(), BitsStored=16, HighBit=15, PixelPaddingValue=65535)
    voxels = read_study(build.study(tmp_path, headers)).chosen.volume.voxels
    assert (voxels[:, :5] == -1024).all()
    np.testing.assert_array_equal(voxels[:, 5:], expected[:, 5:])


def test_padding_range_is_believed_to_its_limit(tmp_path, expected):
    headers = build.series()
    for index, header in enumerate(headers):
        words = (expected[index].astype(int) + 1024).astype("<u2")
        words[:5] = 60000
        words[5:7] = 61000
        build.change(header, PixelData=words.tobytes(), BitsStored=16, HighBit=15)
        build.change(header, PixelPaddingValue=60000, PixelPaddingRangeLimit=61000)
    voxels = read_study(build.study(tmp_path, headers)).chosen.volume.voxels
    assert (voxels[:, :7] == -1024).all()


def test_words_shifted_up_by_high_bit_are_shifted_down(tmp_path, expected):
    headers = build.series()
    for header in headers:
        words = np.frombuffer(header.PixelData, "<u2") << 4
        build.change(header, PixelData=words.astype("<u2").tobytes(), HighBit=15)
    np.testing.assert_array_equal(read_study(build.study(tmp_path, headers)).chosen.volume.voxels, expected)


def test_twelve_bit_two_s_complement_without_sign_extension(tmp_path):
    hu = np.clip(build.chest(), -1024, 2047)
    headers = build.series(hu)
    for index, header in enumerate(headers):
        words = (hu[index].astype(int) & 0xFFF).astype("<u2")
        build.change(header, PixelData=words.tobytes(), PixelRepresentation=1, RescaleIntercept="0")
    np.testing.assert_array_equal(read_study(build.study(tmp_path, headers)).chosen.volume.voxels, hu)


def test_overlay_bits_above_the_pixel_are_masked(tmp_path, expected):
    headers = build.series()
    for header in headers:
        words = np.frombuffer(header.PixelData, "<u2").copy()
        words[::7] |= 0x1000
        header.PixelData = words.astype("<u2").tobytes()
        header.add_new(0x60000102, "US", 12)
    np.testing.assert_array_equal(read_study(build.study(tmp_path, headers)).chosen.volume.voxels, expected)


def test_missing_rescale_with_plausible_values_is_a_warning(tmp_path, expected):
    headers = build.series()
    for index, header in enumerate(headers):
        build.change(header, PixelData=expected[index].astype("<i2").tobytes(), PixelRepresentation=1, BitsStored=16)
        build.change(header, HighBit=15, RescaleSlope=None, RescaleIntercept=None)
    reading = read_study(build.study(tmp_path, headers))
    assert "rescale-missing" in {f.code for f in reading.findings}
    np.testing.assert_array_equal(reading.chosen.volume.voxels, expected)
