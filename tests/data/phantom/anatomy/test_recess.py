import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from cacseg.data.phantom.anatomy import build_anatomy, recess
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue


@pytest.fixture(scope="module", params=[4, 6])
def both(request: pytest.FixtureRequest) -> tuple[Scene, Scene]:
    made = []
    for share in (0.0, 1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recess, "FILLED_SHARE", share)
            made.append(build_anatomy(draw_patient(request.param), np.random.default_rng(request.param)))
    return made[0], made[1]


def test_fat_above_the_coronary_ostia_is_filled(both: tuple[Scene, Scene]) -> None:
    empty, filled = both
    changed = empty.tissue.voxels != filled.tissue.voxels
    assert np.isin(empty.tissue.voxels[changed], (Tissue.FAT, Tissue.EPICARDIAL_FAT)).mean() > 0.9
    assert set(np.unique(filled.tissue.voxels[changed])) == {Tissue.SOFT}
    lowest = filled.tissue.to_world([[np.nonzero(changed)[0].min(), 0, 0]])[0, 2]
    assert lowest > filled.landmarks_lps_mm["left_ostium"][0, 2] + 4.0


def test_what_fills_the_recesses_lies_beside_a_great_vessel(both: tuple[Scene, Scene]) -> None:
    empty, filled = both
    changed = empty.tissue.voxels != filled.tissue.voxels
    assert changed.sum() * np.prod(filled.tissue.spacing_mm) > 1000.0
    vessels = np.isin(filled.tissue.voxels, (Tissue.ASCENDING_AORTA, Tissue.PULMONARY_ARTERY, Tissue.VEINS))
    distance = distance_transform_edt(~vessels, sampling=filled.tissue.spacing_mm)[changed]
    assert np.percentile(distance, 95) < 8.0
