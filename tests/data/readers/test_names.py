import pytest

from cacseg.data.readers.names import SPELLINGS, label_named
from cacseg.vessels import FULL_NAME, Label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Left Anterior Descending Artery", Label.LAD),
        ("Left Circumflex Artery", Label.LCX),
        ("Right Coronary Artery", Label.RCA),
        ("Left Coronary Artery", Label.LM),
        ("aortic valve", Label.AORTIC_VALVE),
        ("rca", Label.RCA),
    ],
)
def test_reads_plain_names_without_a_repair(name, label):
    assert label_named(name) == (label, None)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Right  Coronary Artery ", Label.RCA),
        ("LEFT_CIRCUMFLEX_ARTERY", Label.LCX),
        ("Left Anterior Decending Artery", Label.LAD),
        ("Left Circumflex Artey", Label.LCX),
        ("Rigth Coronary Artery", Label.RCA),
        ("Lft Coronary Artery", Label.LM),
    ],
)
def test_repairs_spaces_and_misspellings_and_says_so(name, label):
    found, repair = label_named(name)
    assert found is label
    assert name in repair
    assert label.name in repair


@pytest.mark.parametrize("name", ["", "ROI 3", "Unnamed", "lac", "Coronary Artery", "rib", "calcium"])
def test_does_not_guess(name):
    found, repair = label_named(name)
    assert found is None
    assert repr(name) in repair


def test_every_full_name_has_its_label():
    for label, name in FULL_NAME.items():
        assert label_named(name)[0] is label
    assert set(SPELLINGS.values()) == set(FULL_NAME)
