"""Preprocessing keeps one training set's numbers, and shows anything else through them."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing

RNG = np.random.default_rng(0)


def test_one_mean_and_sd_a_channel_by_hand():
    x = RNG.normal(size=(5, 3, 2, 4))
    shown = Preprocessing((3, 2, 4), mean=(1.0, 2.0, 3.0), sd=(1.0, 2.0, 4.0)).apply(x)
    for channel, (mean, sd) in enumerate([(1, 1), (2, 2), (3, 4)]):
        np.testing.assert_allclose(shown[:, channel], (x[:, channel] - mean) / sd, rtol=1e-6)
    assert shown.dtype == np.float32


def test_half_the_contrast_stays_half():
    how = Preprocessing((4,), mean=(0.5,), sd=(0.25,))
    x = RNG.uniform(size=(6, 4))
    np.testing.assert_allclose(how.apply(0.5 + 0.5 * (x - 0.5)), 0.5 * how.apply(x), atol=1e-6)


def test_by_default_nothing_is_changed():
    how = Preprocessing((4,))
    x = RNG.normal(size=(6, 4)).astype(np.float32)
    assert how.changes_nothing and how.apply(x) is x


def test_plain_data_and_back():
    how = Preprocessing((3, 2, 4), (1.0, 2.0, 3.0), (1.0, 2.0, 4.0))
    assert Preprocessing.from_data(how.to_data()) == how
    assert how.layout == "channel, row, column"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((3, 2, 2), (0.0, 1.0)), "mean must be one number, or one for each of 3 channels"),
        (((4,), (0.0,), (0.0,)), "sd above 0"),
        (((4,), (float("nan"),)), "mean must be finite"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        Preprocessing(*arguments)


def test_another_shape_is_refused():
    with pytest.raises(DataError, match=r"shape \(2, 4, 3\), but the network was trained on \(3, 2, 4\)"):
        Preprocessing((3, 2, 4)).apply(np.zeros((1, 2, 4, 3)))


def test_data_of_another_kind_is_refused():
    with pytest.raises(DataError, match="cannot be read"):
        Preprocessing.from_data({"form": [3]})
    assert issubclass(DataError, cs.CortexSimError)
