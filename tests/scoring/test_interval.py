import time

import numpy as np
import pytest

from cacseg.errors import UsageError
from cacseg.scoring import RULES, adapt, category_of, repeatability_limit, rescan_interval, score
from cacseg.scoring.category import AGATSTON_CATEGORIES
from cacseg.scoring.interval import CALIBRATION, REALISATIONS, interval_from
from cacseg.scoring.noise import DEFAULT_SD_HU, Noise, measure_noise
from cacseg.scoring.rescan import noise_pool, rescan_scores, shift_weights, surroundings
from cacseg.vessels import Label
from cacseg.volume import Volume

SPACING = (3.0, 0.45, 0.45)


def empty(shape=(5, 64, 64), hu=40):
    volume = Volume.axial(np.full(shape, hu, np.int16), SPACING)
    return volume, volume.with_voxels(np.zeros(shape, np.uint8))


def correlated(seed, shape, sd, sigma):
    from scipy import ndimage

    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0, sigma, sigma), mode="wrap")
    return field * (sd / field.std())


@pytest.fixture(scope="module")
def scanned(simulator):
    rng = np.random.default_rng(5)
    return simulator.scan(simulator.draw_plaques(rng, 12), 18.0, rng)


def test_the_same_seed_gives_the_same_interval(scanned):
    one, other, third = (rescan_interval(*scanned, noise_sd_hu=18.0, seed=seed) for seed in (3, 3, 4))
    assert one == other
    assert one.agatston != third.agatston


def test_the_score_lies_within_its_interval(simulator):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image, labels = simulator.scan(simulator.draw_plaques(rng, 1 + seed % 6), 20.0, rng)
        interval = rescan_interval(image, labels, noise_sd_hu=20.0)
        low, high = interval.agatston
        assert 0 <= low <= score(image, labels).total.agatston <= high
        assert sum(interval.category_probability.values()) == pytest.approx(1.0)
        assert list(interval.category_probability) == [category.name for category in AGATSTON_CATEGORIES]
        assert interval.category_stable == (category_of(low) == category_of(high))


def test_a_rescan_mostly_falls_within(simulator):
    """A simulator of its own: the interval covers it, without being calibrated on it."""
    inside = []
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        plaques = simulator.draw_plaques(rng, 3 + seed % 10)
        first, second = (simulator.scan(plaques, 18.0, rng) for _ in range(2))
        low, high = rescan_interval(*first, noise_sd_hu=18.0).agatston
        inside.append(low <= score(*second).total.agatston <= high)
    assert np.mean(inside) >= 0.85


def test_a_higher_level_widens_the_interval(scanned):
    widths = []
    for level in (0.5, 0.8, 0.95, 0.99):
        low, high = rescan_interval(*scanned, noise_sd_hu=18.0, level=level).agatston
        widths.append(high - low)
    assert widths == sorted(widths)
    assert widths[0] < 0.5 * widths[2]


def test_noise_brings_up_calcium_below_the_threshold():
    volume, labels = empty()
    hu, marked = volume.voxels.copy(), labels.voxels.copy()
    hu[2, 30:33, 30:33] = 118
    hu[2, 31, 30:32], marked[2, 31, 30:32] = 140, 2
    volume, labels = volume.with_voxels(hu), labels.with_voxels(marked)
    counted = [
        (
            rescan_scores(volume, labels, RULES["literature"], Noise(sd, 0.5, 0.0), 300, np.random.default_rng(0)) > 0
        ).mean()
        for sd in (0.5, 10.0, 25.0)
    ]
    assert counted[0] == 0
    assert 0 < counted[1] < counted[2] < 1


def test_a_score_of_zero_has_an_upper_limit():
    interval = rescan_interval(*empty())
    assert interval.agatston == (0.0, CALIBRATION.zero_upper)
    assert interval.category_probability["0"] == CALIBRATION.zero_stays
    assert sum(interval.category_probability.values()) == pytest.approx(1.0)


def test_calcium_below_the_minimum_area_may_come_up():
    volume, labels = empty()
    hu = volume.voxels.copy()
    hu[2, 30, 30:33] = 180
    hu[2, 31, 30:33] = 128
    marked = np.where(hu >= 130, 2, 0).astype(np.uint8)
    volume, labels = volume.with_voxels(hu), labels.with_voxels(marked)
    assert score(volume, labels).total.agatston == 0
    interval = rescan_interval(volume, labels, noise_sd_hu=20.0)
    assert interval.agatston[0] == 0
    assert 0 < interval.category_probability["1-10"] < 1


def test_calcium_that_no_simulated_rescan_finds_again_keeps_an_interval():
    """One painted row of 1 mm2 at the threshold itself: smoothing takes it below, but the score stands."""
    volume, labels = empty(hu=-80)
    hu, marked = volume.voxels.copy(), labels.voxels.copy()
    hu[2, 30, 30:35], marked[2, 30, 30:35] = 130, 2
    volume, labels = volume.with_voxels(hu), labels.with_voxels(marked)
    assert score(volume, labels).total.agatston > 0
    low, high = interval_from(score(volume, labels).total.agatston, None, 0.95)
    assert low == 0.0
    assert high > 1.0
    assert not rescan_scores(
        volume,
        labels.with_voxels(marked),
        adapt(RULES["literature"], 70)[0],
        Noise(0.0, 0.0, 0.0),
        8,
        np.random.default_rng(1),
    ).any()


def test_a_scan_without_noise_and_spread_has_no_interval(scanned):
    from dataclasses import replace

    certain = replace(CALIBRATION, own=1.0, bias=0.0, gain=0.0, floor=0.0, low=0.0)
    interval = rescan_interval(*scanned, noise_sd_hu=0.0, calibration=certain)
    agatston = score(*scanned).total.agatston
    assert interval.agatston == pytest.approx((agatston, agatston))
    assert interval.category_probability[category_of(agatston).name] == 1.0


def test_extracoronary_calcium_does_not_enter(scanned):
    image, labels = scanned
    valve = labels.with_voxels(np.where(labels.voxels > 0, int(Label.AORTIC_VALVE), 0).astype(np.uint8))
    assert rescan_interval(image, valve, noise_sd_hu=18.0).agatston == (0.0, CALIBRATION.zero_upper)


def test_the_published_limit_stands_beside(scanned):
    interval = rescan_interval(*scanned, noise_sd_hu=18.0, bmi=30.0)
    agatston = score(*scanned).total.agatston
    limit = repeatability_limit(agatston, 30.0)
    assert interval.published == (max(0.0, agatston - limit), agatston + limit)
    assert "body-mass index 30 kg/m2;" in interval.method or "30 kg/m2)" in interval.method
    assert "assumed" in rescan_interval(*scanned, noise_sd_hu=18.0).method


def test_twenty_lesions_take_at_most_150_ms(simulator):
    rng = np.random.default_rng(0)
    image, labels = simulator.scan(simulator.draw_plaques(rng, 20), 20.0, rng)
    hu = np.full((57, 512, 512), 40, np.int16)
    marked = np.zeros(hu.shape, np.uint8)
    box = (slice(20, 27), slice(200, 224), slice(10, 10 + 480))
    hu[box], marked[box] = image.voxels, labels.voxels
    volume = Volume.axial(hu, SPACING)
    taken = []
    for _ in range(5):
        start = time.process_time()
        rescan_interval(volume, volume.with_voxels(marked), noise_sd_hu=20.0)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.150


@pytest.mark.parametrize("level", [0.3, 1.0, float("nan")])
def test_an_impossible_level_is_refused(level):
    with pytest.raises(UsageError, match="level"):
        rescan_interval(*empty(), level=level)


@pytest.mark.parametrize("sd", [-1.0, float("nan"), float("inf")])
def test_an_impossible_noise_is_refused(sd):
    with pytest.raises(UsageError, match="noise SD"):
        rescan_interval(*empty(), noise_sd_hu=sd)


def test_labels_off_the_grid_are_refused():
    volume, labels = empty()
    with pytest.raises(UsageError, match="do not lie"):
        rescan_interval(volume, labels.crop((0, 0, 0), (4, 64, 64)))


@pytest.mark.parametrize(("sd", "sigma"), [(12.0, 0.5), (20.0, 0.8), (30.0, 1.2)])
def test_noise_is_measured(sd, sigma):
    field = correlated(1, (16, 240, 240), sd, sigma) + 45
    noise = measure_noise(Volume.axial(np.rint(field).astype(np.int16), SPACING))
    expected = (field[:, :, 1:] - 45) * (field[:, :, :-1] - 45)
    assert noise.sd_hu == pytest.approx(sd, rel=0.16)
    assert noise.pixel_correlation == pytest.approx(expected.mean() / sd**2, abs=0.12)
    assert noise.slice_correlation < 0.1


def test_overlapping_slices_share_their_noise():
    fine = correlated(2, (33, 120, 120), 20.0, 0.8)
    overlapping = (fine[1:] + fine[:-1]) / np.sqrt(2) + 45
    noise = measure_noise(Volume.axial(overlapping.astype(np.float32), (1.5, 0.45, 0.45)))
    assert noise.slice_correlation == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("shape", [(1, 64, 64), (4, 8, 8), (4, 64, 64)])
def test_without_soft_tissue_a_documented_noise_is_assumed(shape):
    noise = measure_noise(Volume.axial(np.full(shape, -900, np.int16), SPACING))
    assert noise.sd_hu == DEFAULT_SD_HU
    assert measure_noise(Volume.axial(np.full(shape, -900, np.int16), SPACING), 33.0).sd_hu == 33.0


def test_a_painted_scan_has_no_noise():
    assert measure_noise(empty()[0]) == Noise(0.0, 0.0, 0.0)
    assert measure_noise(empty()[0], 7.0) == Noise(7.0, 0.0, 0.0)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
def test_the_noise_pool_has_the_noise_asked_for(correlation):
    pool = noise_pool(Noise(17.0, correlation, 0.0), np.random.default_rng(0))
    assert pool.std() == pytest.approx(17.0, rel=1e-3)
    assert (pool[:, 1:] * pool[:, :-1]).mean() / 17.0**2 == pytest.approx(correlation, abs=0.05)


def test_shifting_keeps_a_constant_and_a_ramp():
    weights = shift_weights(np.linspace(-0.5, 0.5, 21))
    assert weights.sum(axis=1) == pytest.approx(np.ones(21), abs=1e-6)
    assert weights @ np.array([-2, -1, 0, 1, 2], np.float32) == pytest.approx(np.linspace(-0.5, 0.5, 21), abs=1e-6)


def test_rescans_of_noise_in_slices_that_correlate_keep_its_sd(scanned):
    """Shared noise between slices must not change how much there is in each."""
    spreads = [
        rescan_scores(*scanned, RULES["literature"], Noise(20.0, 0.5, rho), 400, np.random.default_rng(1)).mean()
        for rho in (0.0, 0.3)
    ]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.05)


def test_surroundings_leave_out_what_was_judged_not_to_be_coronary():
    volume, labels = empty()
    hu, marked = volume.voxels.copy(), labels.voxels.copy()
    hu[2, 20, 20:30] = 300
    marked[2, 20, 20:25] = 2
    flat, label = surroundings(volume.with_voxels(hu), labels.with_voxels(marked), RULES["literature"])
    listed = set(flat.tolist())
    index = np.arange(hu.size).reshape(hu.shape)
    assert set(index[2, 20, 20:25].tolist()) <= listed
    assert not set(index[2, 20, 25:30].tolist()) & listed
    assert index[1, 20, 22] in listed
    assert index[2, 22, 22] in listed
    assert set(label.tolist()) == {2}
    assert flat.size == label.size


def test_the_number_of_rescans_is_recorded(scanned):
    interval = rescan_interval(*scanned, noise_sd_hu=18.0, seed=2)
    assert (interval.realisations, interval.seed, interval.noise_sd_hu) == (REALISATIONS, 2, 18.0)
    assert interval.level == 0.95
