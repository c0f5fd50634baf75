"""Random numbers of presentations: uniform, independent, and a pure function."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cortex_sim.augmentation.draws import uniform


def reference(seed, epoch, index, stream, count):
    """SplitMix64 in Python's own whole numbers, one presentation at a time."""
    mask, step = 2**64 - 1, 0x9E3779B97F4A7C15

    def mixed(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    state = 0
    for number in (seed, stream, epoch, index):
        state = mixed(((state ^ number) + step) & mask)
    return [(mixed((state + i * step) & mask) >> 11) / 2**53 for i in range(1, count + 1)]


def test_equals_the_reference():
    found = uniform(3, 11, np.array([0, 5, 2**40]), 2, 4)
    np.testing.assert_array_equal(found, [reference(3, 11, i, 2, 4) for i in (0, 5, 2**40)])


def test_first_number_of_the_published_sequence():
    """SplitMix64 from state 0 begins with 0xE220A8397B1DCDAF."""
    assert reference(0, 0, 0, 0, 0) == []
    z = 0x9E3779B97F4A7C15
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    assert z ^ (z >> 31) == 0xE220A8397B1DCDAF


def test_does_not_depend_on_the_batch():
    whole = uniform(0, 1, np.arange(10), 0, 3)
    np.testing.assert_array_equal(uniform(0, 1, np.array([7, 2]), 0, 3), whole[[7, 2]])


@pytest.mark.parametrize("axis", ["seed", "epoch", "index", "stream", "count"])
def test_uniform_and_independent_along_every_axis(axis):
    n, first = 2000, np.array([0])
    series = {
        "seed": lambda: [uniform(i, 0, first, 0, 1)[0, 0] for i in range(n)],
        "epoch": lambda: [uniform(0, i, first, 0, 1)[0, 0] for i in range(n)],
        "index": lambda: uniform(0, 0, np.arange(n), 0, 1)[:, 0],
        "stream": lambda: [uniform(0, 0, first, i, 1)[0, 0] for i in range(n)],
        "count": lambda: uniform(0, 0, first, 0, n)[0],
    }
    u = np.asarray(series[axis]())
    assert stats.kstest(u, "uniform", method="asymp").pvalue > 1e-3
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 4 / np.sqrt(n)
