"""Spike trains: their chance per step, and what is refused."""

import numpy as np
import pytest

import cortex_sim as cs


def test_spikes_come_with_the_chance_of_their_bin():
    rates = np.array([[[0.0, 0.5, -1.0], [1.0, 0.25, 2.0]]]).repeat(200, axis=0)
    z = cs.tasks.poisson_spikes(rates, 3, bin_ms=5, dt_ms=0.5, hz=400)
    assert z.shape == (200, 20, 3) and z.dtype == bool
    found = z.reshape(200, 2, 10, 3).mean((0, 2))
    np.testing.assert_allclose(found, np.maximum(rates[0], 0) * 0.2, atol=0.04)  # four standard deviations
    np.testing.assert_array_equal(z, cs.tasks.poisson_spikes(rates, 3, bin_ms=5, dt_ms=0.5, hz=400))
    assert not np.array_equal(z, cs.tasks.poisson_spikes(rates, 4, bin_ms=5, dt_ms=0.5, hz=400))


@pytest.mark.parametrize(
    ("rates", "settings", "message"),
    [
        (np.ones((2, 3)), {}, "of shape (presentation, time_bin, unit)"),
        ([[[1]], [[1, 2]]], {}, "rates must be an array of finite numbers"),
        (np.full((1, 2, 3), np.nan), {}, "must be finite numbers"),
        (np.ones((1, 2, 3)), {"bin_ms": 2.5}, "bin_ms must be a multiple of dt_ms=1"),
        (4 * np.ones((1, 2, 3)), {"hz": 500}, "use hz of at most 250"),
    ],
)
def test_what_cannot_be_drawn(rates, settings, message):
    with pytest.raises(cs.DataError) as raised:
        cs.tasks.poisson_spikes(rates, **settings)
    assert message in str(raised.value)
