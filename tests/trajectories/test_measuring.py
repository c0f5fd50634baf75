"""Conditions of observation: which units, and how much noise."""

import numpy as np
import pytest

from cortex_sim.errors import DeclarationError
from cortex_sim.trajectories.measuring import CONDITIONS, FULL, NOISES, Condition, stream


def values(shape=(200, 150)):
    return np.random.default_rng(0).gamma(2.0, size=shape) - 0.5


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("snr", [10.0, 1.0, 0.1])
def test_noise_has_the_stated_variance(noise, snr):
    x = values()
    added = Condition("noisy", snr=snr, noise=noise).measured(x, np.random.default_rng(1)) - x
    assert added.var() == pytest.approx(x.var() / snr, rel=0.05)
    assert abs(added.mean()) < 4 * added.std() / x.size**0.5


def test_poisson_like_noise_grows_with_the_rate():
    x = values()
    added = Condition("noisy", snr=1.0, noise="poisson_like").measured(x, np.random.default_rng(1)) - x
    small, large = np.abs(x) < np.median(np.abs(x)), np.abs(x) > np.quantile(np.abs(x), 0.9)
    expected = np.abs(x[large]).mean() / np.abs(x[small]).mean()
    assert added[large].var() / added[small].var() == pytest.approx(expected, rel=0.1)


def test_silence_stays_silent():
    silent = np.zeros((5, 3))
    for noise in NOISES:
        assert not Condition("n", snr=1.0, noise=noise).measured(silent, np.random.default_rng(0)).any()


def test_exact_means_exact():
    x = values((5, 3))
    assert FULL.measured(x, np.random.default_rng(0)) is x
    np.testing.assert_array_equal(FULL.observed(7, np.random.default_rng(0)), np.arange(7))


def test_units_are_drawn_without_replacement():
    found = Condition("few", units=5).observed(40, np.random.default_rng(0))
    assert len(set(found.tolist())) == 5 and found.max() < 40
    other = Condition("few", units=5).observed(40, np.random.default_rng(1))
    assert found.tolist() != other.tolist()
    np.testing.assert_array_equal(
        Condition("many", units=50).observed(40, np.random.default_rng(0)), np.arange(40)
    )


def test_every_name_has_a_stream_of_its_own():
    draws = {stream(seed, *names).random() for seed in (0, 1) for names in (("a", "b"), ("b", "a"), ("ab",))}
    assert len(draws) == 6
    assert stream(3, "a").random() == stream(3, "a").random()


def test_conditions_have_names_of_their_own():
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)
    assert CONDITIONS[0] is FULL


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"units": 1}, "units must be a whole number of at least 2"),
        ({"snr": 0.0}, "snr must be a positive number"),
        ({"snr": 1.0, "noise": "pink"}, "unknown noise 'pink'; known: gaussian, poisson_like"),
    ],
)
def test_bad_conditions_are_refused(settings, match):
    with pytest.raises(DeclarationError, match=match):
        Condition("bad", **settings)
