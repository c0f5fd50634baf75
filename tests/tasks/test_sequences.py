"""Sequence tasks: what is shown when, that answers follow from it, and nothing but the seed decides."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.tasks import by_rows, delayed_match, pattern_generation


def test_delayed_match_shows_two_stimuli_and_asks_whether_they_are_one_kind():
    x, y = delayed_match(40, 3, kinds=5, shown=2, delay=4, silent=3, noise=0)
    assert x.shape == (40, 11, 5) and y.shape == (40,)
    sample, test = x[:, :2], x[:, 6:8]
    assert (sample.sum(2) == 1).all() and (test.sum(2) == 1).all()
    assert not x[:, 2:6].any() and not x[:, 8:].any()
    np.testing.assert_array_equal((sample[:, 0] == test[:, 0]).all(1), y == 1)
    np.testing.assert_array_equal(sample[:, 0], sample[:, 1])
    assert 0.2 < y.mean() < 0.8


def test_neither_stimulus_alone_tells_the_answer():
    x, y = delayed_match(4000, 1, kinds=3, noise=0)
    for shown in (x[:, 0].argmax(1), x[:, 8].argmax(1)):
        assert all(abs(y[shown == kind].mean() - 0.5) < 0.06 for kind in range(3))


def test_patterns_belong_to_their_cue_and_to_the_task():
    x, y = pattern_generation(60, 0, patterns=3, units=2, bins=20, clock=4, noise=0)
    _, other = pattern_generation(60, 9, patterns=3, units=2, bins=20, clock=4)
    cue = x[:, 0, :3].argmax(1)
    assert set(cue) == {0, 1, 2}
    for kind in range(3):
        assert (y[cue == kind] == y[cue == kind][0]).all()
        assert any((y[cue == kind][0] == each).all() for each in other)
    np.testing.assert_allclose(y.std(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-6)  # whole periods
    assert (x[:, :, 3:].argmax(2) == np.arange(20) // 5).all() and not x[:, 2:, :3].any()
    assert not np.allclose(y, pattern_generation(60, 0, patterns=3, bins=20, patterns_seed=1)[1])


def test_rows_follow_one_another_and_then_nothing():
    images = np.arange(24.0).reshape(2, 1, 3, 4)
    x = by_rows(images, silent=2)
    assert x.shape == (2, 5, 4)
    np.testing.assert_array_equal(x[1, 2], [20, 21, 22, 23])
    assert not x[:, 3:].any()
    np.testing.assert_array_equal(by_rows(images[:, 0], silent=2), x)


@pytest.mark.parametrize("task", [delayed_match, pattern_generation])
def test_a_seed_gives_the_same_trials(task):
    for one, other in zip(task(7, 5), task(7, 5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(task(7, 5)[0], task(7, 6)[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: delayed_match(0), "delayed match: trials must be a whole number of at least 1. Got 0"),
        (lambda: delayed_match(5, kinds=1), "kinds must be at least 2.*Got 1"),
        (lambda: delayed_match(5, noise=-1), "delayed match: noise"),
        (lambda: pattern_generation(5, clock=0), "pattern generation: clock"),
        (lambda: by_rows(np.zeros((2, 3, 4, 4))), r"one channel before the row. Got \(2, 3, 4, 4\)"),
    ],
)
def test_what_makes_no_task_is_refused(make, said):
    with pytest.raises((cs.DeclarationError, cs.DataError), match=said):
        make()
