import gzip
import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from cacseg.report.nifti import labels_nifti
from cacseg.report.pictures import CROP_MM, CROP_PIXELS, MOST_LESIONS, draw_pictures, picture_name
from cacseg.report.png import chunks, palette_png, size_of
from cacseg.vessels import COLOUR_RGB, Label
from cacseg.volume import Volume


def colours_of(png):
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    return {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()}


def test_png_is_read_back_by_pillow():
    indices = np.arange(250, dtype=np.uint8)[:248].reshape(8, 31)
    png = palette_png(indices, list(COLOUR_RGB.values()))
    image = Image.open(io.BytesIO(png))
    assert image.size == size_of(png) == (31, 8)
    rgb = np.asarray(image.convert("RGB"))
    assert tuple(rgb[0, 0]) == (0, 0, 0)
    assert tuple(rgb.reshape(-1, 3)[239]) == (255, 255, 255)
    assert tuple(rgb.reshape(-1, 3)[240]) == COLOUR_RGB[Label.LM]
    assert set(chunks(png)) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_every_lesion_has_its_picture_with_its_colour(made):
    inputs = made["severe"]
    images = draw_pictures(inputs.result, inputs.volume, inputs.labels).images
    scoring = inputs.result.scoring
    lesions = (*scoring.lesions, *scoring.extracoronary)
    assert set(images) == {picture_name(lesion) for lesion in lesions} | {"map-axial", "map-coronal"}
    for lesion in lesions:
        assert COLOUR_RGB[lesion.label] in colours_of(images[picture_name(lesion)])
    assert {COLOUR_RGB[label] for label in Label if label} <= colours_of(images["map-axial"])


def test_the_outline_leaves_the_lesion_itself_free(made):
    inputs = made["mild"]
    lesion = inputs.result.scoring.lesions[0]
    png = draw_pictures(inputs.result, inputs.volume, inputs.labels).images[picture_name(lesion)]
    rgb = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    middle = rgb[CROP_PIXELS // 2, CROP_PIXELS // 2]
    assert np.ptp(middle) == 0
    assert middle[0] > 150
    coloured = np.ptp(rgb, axis=2) > 30
    rows, columns = np.nonzero(coloured)
    reach_mm = max(np.ptp(rows), np.ptp(columns)) * CROP_MM / CROP_PIXELS
    assert 1 < reach_mm < 8


def test_a_zero_study_has_maps_without_colours(made):
    images = draw_pictures(made["zero"].result, made["zero"].volume, made["zero"].labels).images
    assert set(images) == {"map-axial", "map-coronal"}
    greys_apart = {colour for label, colour in COLOUR_RGB.items() if label is not Label.OTHER}
    assert not colours_of(images["map-axial"]) & greys_apart


def test_lesions_at_the_border_are_drawn():
    from cacseg.acquisition import Patient
    from cacseg.result import Result
    from cacseg.scoring.scorer import score

    hu = np.zeros((3, 12, 12), np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    for row, column in ((0, 0), (0, 9), (9, 0), (9, 9)):
        hu[0, row : row + 3, column : column + 3] = 300
        labels[0, row : row + 3, column : column + 3] = Label.RCA
    volume = Volume.axial(hu, (3.0, 0.5, 0.5))
    result = Result("scored", None, Patient(), None, (), (), score(volume, volume.with_voxels(labels)), None, None, {})
    images = draw_pictures(result, volume, labels).images
    assert all(COLOUR_RGB[Label.RCA] in colours_of(images[f"lesion-{number:02d}"]) for number in range(1, 5))


def test_only_the_largest_get_a_picture():
    from cacseg.acquisition import Patient
    from cacseg.result import Result
    from cacseg.scoring.scorer import score

    hu = np.zeros((2, 64, 64), np.int16)
    hu[0, ::4, ::4] = 300
    hu[0, 1::4, ::4] = 300
    volume = Volume.axial(hu, (3.0, 1.0, 1.0))
    labels = np.where(hu > 0, Label.LAD, 0).astype(np.uint8)
    result = Result("scored", None, Patient(), None, (), (), score(volume, volume.with_voxels(labels)), None, None, {})
    assert len(result.scoring.lesions) == 256
    assert len(draw_pictures(result, volume, labels).images) == MOST_LESIONS + 2


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 8, 8)])
def test_nifti_lies_where_the_source_lies(shape):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 9, shape).astype(np.uint8)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.0, 0.1, 0.6], [0.1, 0.5, 0.0], [2.5, 0.0, 0.1]])
    affine[:3, 3] = (-120.0, 33.0, -410.0)
    grid = Volume(np.zeros(shape, np.int16), affine)
    content = labels_nifti(labels, grid)
    assert gzip.decompress(content)[344:348] == b"n+1\0"
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    assert np.array_equal(np.asarray(image.dataobj).T, labels)
    assert np.allclose(image.affine, grid.ras_affine(), atol=1e-4)
    again = Volume.from_ras(np.asarray(image.dataobj), image.affine)
    assert np.allclose(again.affine, affine, atol=1e-4)
    assert image.header.get_zooms() == pytest.approx(grid.spacing_mm[::-1], rel=1e-5)
