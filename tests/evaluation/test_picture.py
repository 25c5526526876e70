import numpy as np
from PIL import Image

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.evaluation.picture import draw_case, outline, slices_that_differ
from cacseg.vessels import COLOUR_RGB, Label
from cacseg.volume import Volume


def test_slices_with_most_mistakes_are_shown_in_order():
    truth, called = np.zeros((6, 4, 4), np.uint8), np.zeros((6, 4, 4), np.uint8)
    truth[4, 0, :3] = Label.LAD
    called[1, 0, 0] = Label.RCA
    called[2] = Label.AORTA
    assert slices_that_differ(truth, called) == [1, 4]
    assert slices_that_differ(truth, called, most=1) == [4]
    assert slices_that_differ(truth, truth) == [3]


def test_truth_is_above_and_prediction_below(tmp_path):
    hu = np.full((3, 300, 300), 40, np.int16)
    hu[1, 100:110, 200:210] = 400
    truth = np.where(hu > 130, Label.LAD, 0).astype(np.uint8)
    called = np.where(hu > 130, Label.LCX, 0).astype(np.uint8)
    study = LabelledStudy("a", Volume.axial(hu, (3.0, 0.5, 0.5)), truth, "calcium")
    draw_case(study, called, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    half = len(pixels) // 2
    for part, own, other in ((pixels[:half], Label.LAD, Label.LCX), (pixels[half:], Label.LCX, Label.LAD)):
        assert (part == COLOUR_RGB[own]).all(axis=2).sum() > 20
        assert not (part == COLOUR_RGB[other]).all(axis=2).any()


def test_outline_leaves_the_inside_visible():
    marks = np.zeros((9, 9), np.uint8)
    marks[2:7, 2:7] = Label.RCA
    assert outline(marks).sum() == 16
    assert not outline(marks)[4, 4]


def test_a_small_matrix_is_drawn_whole(tmp_path):
    hu = np.full((2, 20, 24), 400, np.int16)
    study = LabelledStudy("a", Volume.axial(hu, (3.0, 1.0, 1.0)), np.ones(hu.shape, np.uint8), "calcium")
    draw_case(study, np.zeros(hu.shape, np.uint8), tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").stat().st_size > 0
