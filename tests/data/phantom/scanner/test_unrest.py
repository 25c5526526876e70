"""Noise that changes its level and direction from place to place."""

from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.scanner.noise import noise_planes
from cacseg.data.phantom.scanner.unrest import Unrest, uneven_noise
from cacseg.errors import UsageError


def planes(protocol, count=16, seed=0):
    return np.array(list(uneven_noise(protocol, count, np.random.default_rng(seed))))


def neighbours(noise, axis):
    """Mean product of pixels two steps apart, noise[slice, row, column]."""
    there, here = (np.delete(noise, ends, axis) for ends in (np.s_[:2], np.s_[-2:]))
    return float((there * here).mean())


def test_without_unrest_the_noise_is_that_of_the_measured_spectrum(protocol):
    plain = np.array(list(noise_planes(protocol, 4, np.random.default_rng(0))))
    assert np.array_equal(planes(protocol, 4), plain)


@pytest.mark.parametrize(("unevenness", "streakiness"), [(0.15, 0.0), (0.0, 0.8), (0.15, 0.8)])
def test_uneven_noise_keeps_its_sd_on_average_and_depends_on_the_generator_alone(protocol, unevenness, streakiness):
    chosen = replace(protocol, noise_unevenness=unevenness, noise_streakiness=streakiness)
    assert planes(chosen).std() == pytest.approx(1.0, abs=0.08)
    assert np.array_equal(planes(chosen, 3, 5), planes(chosen, 3, 5))
    assert not np.array_equal(planes(chosen, 3, 5), planes(chosen, 3, 6))


def test_the_level_changes_from_place_to_place(protocol):
    def spread(unevenness):
        local = planes(replace(protocol, noise_unevenness=unevenness), 24).std(axis=0)
        return local.reshape(4, 64, 4, 64).mean(axis=(1, 3)).std()

    assert spread(0.18) > 4 * spread(0.0)


def test_streaky_noise_runs_along_the_rows(protocol):
    streaky = np.array(list(noise_planes(protocol, 16, np.random.default_rng(1), streaky=True)))
    assert streaky.std() == pytest.approx(1.0, abs=0.02)
    assert neighbours(streaky, 2) > neighbours(streaky, 1) + 0.2


def test_the_direction_turns_from_place_to_place(protocol):
    chosen = replace(protocol, noise_streakiness=1.0)
    noise = planes(chosen, 32, 3)
    unrest = Unrest.draw(chosen, np.random.default_rng(3))
    across = unrest.columns - unrest.rows
    bias = []
    for mask in (across < np.percentile(across, 10), across > np.percentile(across, 90)):
        along_rows, along_columns = (
            (noise * np.roll(noise, 2, axis))[:, mask].mean() / (noise[:, mask] ** 2).mean() for axis in (2, 1)
        )
        bias.append(along_rows - along_columns)
    assert bias[0] > bias[1] + 0.2
    assert np.allclose(unrest.even**2 + unrest.rows**2 + unrest.columns**2, 1, atol=1e-5)


def test_a_share_beyond_one_is_refused(protocol):
    with pytest.raises(UsageError, match="noise_streakiness must lie in 0 to 1; got 1.5"):
        replace(protocol, noise_streakiness=1.5)
