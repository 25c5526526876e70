"""How far streaks go."""

import numpy as np

from cacseg.data.phantom.scanner.streaks import CALCIUM_FAN, DARKENING, METAL_FAN, MOST_HU, streak_planes


def test_dark_bands_around_metal_are_shallower_than_its_streaks():
    sources = np.zeros((1, 40, 40), np.float32)
    sources[0, 20, 20] = 1000.0
    strength, orders = METAL_FAN
    planes = np.array(
        [streak_planes(sources, strength, orders, np.random.default_rng(n), DARKENING[1]) for n in range(40)]
    )
    near = planes[:, 0, 14:27, 14:27]
    assert near.mean() < 0
    assert abs(near.mean()) < 0.5 * near.std()


def test_calcium_darkens_its_surroundings_on_average():
    sources = np.zeros((1, 40, 40), np.float32)
    sources[0, 20, 20] = 1000.0
    strength, orders = CALCIUM_FAN
    planes = np.array([streak_planes(sources, strength, orders, np.random.default_rng(n)) for n in range(40)])
    assert planes[:, 0, 14:27, 14:27].mean() < -0.3 * planes[:, 0, 14:27, 14:27].std()


def test_a_lead_that_lies_in_a_slice_does_not_black_out_the_heart(make_scene, quiet):
    from dataclasses import replace

    from cacseg.data.phantom.scanner import acquire
    from cacseg.data.phantom.scene import Deposit
    from cacseg.vessels import Label

    nodes = np.column_stack([np.linspace(-25, 25, 26), np.zeros(26), np.zeros(26)])
    lead = Deposit(
        Label.OTHER, "pacing_lead", nodes[:-1], nodes[1:], np.full(25, 1.2), np.zeros(25), "metal", metal_hu=5000.0
    )
    plain, streaky = (
        acquire(make_scene(lead), replace(quiet, hardening=strength), np.random.default_rng(4), keep_noise_free=True)
        for strength in (0.0, 1.2)
    )
    change = streaky.noise_free.voxels - plain.noise_free.voxels
    assert np.abs(change).max() <= 2 * MOST_HU
    assert change[10].std() > 5
