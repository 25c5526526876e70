import numpy as np
import pytest

from cacseg.errors import UnreadableError, UsageError
from cacseg.evaluation.reference_scans import insert_mask, qrm_inserts, reference_studies
from cacseg.scoring import score
from cacseg.vessels import Label


def test_every_insert_of_the_phantom_scores_as_recomputed(shared_dir):
    folder = shared_dir / "real"
    (study,) = reference_studies("qrm", folder)
    for insert in qrm_inserts(folder):
        inside = insert_mask(insert, study.volume.shape)
        labels = np.where(inside, study.labels, 0).astype(np.uint8)
        found = score(study.volume, study.volume.with_voxels(labels)).vessels[Label.LAD].agatston
        assert found == pytest.approx(insert["agatston_4conn"], abs=6e-4), insert["insert"]


def test_the_chest_scan_is_a_zero(shared_dir):
    (study,) = reference_studies("lidc", shared_dir / "real")
    assert study.volume.shape[0] == 54
    assert not study.labels.any()
    assert (study.volume.voxels >= 130).sum() > 100_000
    assert study.facts["gated"] is False


def test_an_absent_scan_and_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(UnreadableError, match="lidc_0314_heart"):
        next(reference_studies("lidc", tmp_path))
    with pytest.raises(UsageError, match="qrm, lidc"):
        next(reference_studies("other", tmp_path))
    with pytest.raises(UnreadableError, match=r"qrm_expected\.csv"):
        qrm_inserts(tmp_path)
