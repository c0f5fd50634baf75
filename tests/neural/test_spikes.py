"""Spike times to rates: half-open bins, windows, alignment, trials shared or of each neuron its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim import neural
from cortex_sim.errors import DataError
from cortex_sim.neural.spikes import Binning, counts


def counted_one_by_one(times, presentation, neuroid, shape, edges):
    """Every spike, every bin: start <= time < end."""
    found = np.zeros((*shape, len(edges) - 1))
    for t, p, n in zip(times, presentation, neuroid, strict=True):
        for b in range(len(edges) - 1):
            found[p, n, b] += edges[b] <= t < edges[b + 1]
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.5, 10.0]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_counts_equal_a_loop_over_spikes(seed, width, whole):
    rng = np.random.default_rng(seed)
    times = rng.uniform(-30, 60, 71)
    times = np.round(times) if whole else times  # whole times fall on edges
    presentation, neuroid = rng.integers(0, 3, 71), rng.integers(0, 5, 71)
    edges = -10 + width * np.arange(8)
    found = counts(times, presentation, neuroid, (3, 5), edges)
    np.testing.assert_array_equal(found, counted_one_by_one(times, presentation, neuroid, (3, 5), edges))


def test_a_spike_on_an_edge_counts_in_the_bin_that_starts_there():
    edges = np.array([0.0, 10.0, 20.0])
    zeros = np.zeros(3, int)
    found = counts(np.array([0.0, 10.0, 20.0]), zeros, zeros, (1, 1), edges)
    assert found.tolist() == [[[1, 1]]]  # the spike at the end of the window in none


def together(path, **more):
    """Two neurons recorded in the same four trials."""
    spikes = {
        "time_ms": np.array([0, 5, 10, 15, 19, 3, 12, 17, 1, 8]),
        "neuron": np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 0]),
        "trial": np.array([0, 0, 1, 2, 3, 0, 1, 2, 3, 3]),
        "stimulus_id": np.array(["b", "a", "b", "a"]),
    }
    np.savez(path, **{**spikes, **more})
    return path


def test_trials_shared_by_all_neurons_are_presentations(tmp_path):
    loaded = neural.load(together(tmp_path / "s.npz"), bin_ms=10, window_ms=(0, 20))
    assert loaded.rate.dims == ("presentation", "neuroid", "time_bin")
    assert loaded.rate.attrs["units"] == "spikes/s" and loaded.attrs["simultaneous"] == "yes"
    assert loaded.stimulus_id.values.tolist() == list("baba")
    assert loaded.repetition.values.tolist() == [0, 0, 1, 1]
    assert loaded.time_bin_start.values.tolist() == [0, 10] and loaded.time_bin_end.values.tolist() == [
        10,
        20,
    ]
    spikes = [[[2, 0], [1, 0]], [[0, 1], [0, 1]], [[0, 1], [0, 1]], [[1, 1], [1, 0]]]
    np.testing.assert_array_equal(loaded.rate.values, np.array(spikes) / 0.010)


def test_a_rate_is_a_count_over_its_width(tmp_path):
    path = together(tmp_path / "s.npz")
    fine = neural.load(path, bin_ms=5, window_ms=(0, 20)).rate
    coarse = neural.load(path, bin_ms=20, window_ms=(0, 20)).rate
    np.testing.assert_allclose(fine.mean("time_bin"), coarse.isel(time_bin=0))
    assert float((coarse * 0.020).sum()) == 10


def test_seconds_and_ms_are_the_same_spikes(tmp_path):
    path = together(tmp_path / "ms.npz")
    with np.load(path) as z:
        arrays = {name: z[name] for name in z.files}
    times = arrays.pop("time_ms") / 1000.0
    np.savez(tmp_path / "s.npz", time_s=times, **arrays)
    one, two = (neural.load(tmp_path / name, bin_ms=10, window_ms=(0, 20)) for name in ("ms.npz", "s.npz"))
    np.testing.assert_array_equal(one.rate, two.rate)


def test_ms_given_as_seconds_are_refused(tmp_path):
    path = together(tmp_path / "s.npz")
    with np.load(path) as z:
        arrays = {name: np.tile(z[name], 2) if name != "stimulus_id" else z[name] for name in z.files}
    np.savez(tmp_path / "s.npz", time_s=arrays.pop("time_ms"), **arrays)
    with pytest.raises(DataError, match="whole seconds are unlikely; save times in ms as time_ms"):
        neural.load(tmp_path / "s.npz")


def test_alignment_moves_the_window(tmp_path):
    path = together(tmp_path / "s.npz", onset_ms=np.array([0.0, 10.0, 10.0, 0.0]))
    moved = neural.load(path, bin_ms=5, window_ms=(-5, 5), align=10)
    same = neural.load(path, bin_ms=5, window_ms=(5, 15))
    np.testing.assert_array_equal(moved.rate, same.rate)
    assert moved.time_bin_start.values.tolist() == [-5, 0]
    by_trial = neural.load(path, bin_ms=10, window_ms=(0, 10), align="onset_ms")
    expected = np.array([[2, 1], [1, 1], [1, 1], [1, 1]]) / 0.010
    np.testing.assert_array_equal(by_trial.rate.isel(time_bin=0), expected)
    path = together(tmp_path / "s.npz", onset_s=np.array([0.0, 0.010, 0.010, 0.0]))
    seconds = neural.load(path, bin_ms=10, window_ms=(0, 10), align="onset_s")
    np.testing.assert_array_equal(seconds.rate, by_trial.rate)


def test_without_a_window_all_whole_bins_of_the_recorded_time_are_kept(tmp_path):
    path = together(tmp_path / "s.npz")  # times 0 to 19 in whole ms: recorded from 0 to 20
    assert neural.load(path, bin_ms=5).time_bin_end.values.tolist() == [5, 10, 15, 20]
    assert neural.load(path, bin_ms=7).time_bin_end.values.tolist() == [7, 14]
    assert neural.load(path).time_bin_end.values.tolist() == [20]
    with pytest.raises(DataError, match="no bin of 30 ms fits the recorded time, 0 to 20 ms"):
        neural.load(path, bin_ms=30)


def test_each_neuron_with_its_own_trials(tmp_path):
    """Neuron 0: a, b, a; neuron 1: b, a. Presentation (a, 1) was not made to neuron 1."""
    np.savez(
        tmp_path / "s.npz",
        time_ms=np.array([1, 2, 3, 4, 5, 6]),
        neuron=np.array([0, 0, 0, 1, 1, 1]),
        trial=np.array([0, 2, 2, 0, 1, 1]),
        trials_per_neuron=np.array([3, 2]),
        condition_index=np.array([0, 1, 0, 1, 0]),
        conditions=np.array(["a", "b"]),
        neuron_names=np.array(["x", "y"]),
        session=np.array(["s1", "s2"]),
    )
    loaded = neural.load(tmp_path / "s.npz", bin_ms=10, window_ms=(0, 10))
    assert loaded.stimulus_id.values.tolist() == ["a", "a", "b", "b"]
    assert loaded.repetition.values.tolist() == [0, 1, 0, 1]
    assert loaded.neuroid_id.values.tolist() == ["x", "y"] and loaded.session.values.tolist() == ["s1", "s2"]
    assert loaded.attrs["simultaneous"] == "no"
    counted = np.array([[1, 2], [2, np.nan], [0, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(loaded.rate.isel(time_bin=0).values, counted / 0.010)


def test_a_silent_neuron_at_the_end_is_kept_by_its_name(tmp_path):
    loaded = neural.load(together(tmp_path / "s.npz", neuroid_id=np.array(["a", "b", "silent"])), bin_ms=10)
    assert loaded.sizes["neuroid"] == 3 and neural.constant_neuroids(loaded) == ["silent"]


WRONG = {
    "no stimuli": ({"stimulus_id": None}, {}, "not the stimulus of each trial"),
    "trial too high": ({"trial": np.array([0] * 9 + [4])}, {}, "trial holds 4 in entry 9, but there are 4"),
    "trial negative": ({"trial": np.array([-1] + [0] * 9)}, {}, "trial holds -1 in entry 0"),
    "trial of another length": ({"trial": np.arange(3)}, {}, "trial has shape (3,)"),
    "trials not whole": ({"trial": np.zeros(10)}, {}, "trial has shape (10,)"),
    "neuron without a name": ({"neuroid_id": np.array(["a"])}, {}, "neuron holds 1 in entry 5"),
    "NaN": ({"time_ms": np.full(10, np.nan)}, {}, "give one finite time per spike"),
    "two units": ({"time_s": np.zeros(10)}, {}, "holds time_ms and time_s"),
    "seconds as ms": (
        {"time_ms": np.linspace(0.001, 0.5, 10)},
        {"bin_ms": 10, "window_ms": (0, 200)},
        "spike times look like seconds, not ms",
    ),
    "seconds, no window": ({"time_ms": np.linspace(0.001, 0.5, 10)}, {}, "in seconds, save them as time_s"),
    "another window": ({}, {"bin_ms": 10, "window_ms": (100, 200)}, "no spike lies in the window"),
    "another onset": ({}, {"bin_ms": 10, "window_ms": (0, 20), "align": 1000}, "no spike lies in the window"),
    "onsets of 3 trials": ({"on": np.zeros(3)}, {"align": "on"}, "the onset in each of 4 trials"),
    "no such onsets": ({}, {"align": "on"}, "has no array 'on', but"),
    "not recorded": (
        {
            "time_ms": np.tile(np.arange(100), 10),
            "neuron": np.arange(1000) % 2,
            "trial": np.arange(1000) % 4,
        },
        {"bin_ms": 20, "window_ms": (0, 200)},
        "5 of 10 time bins lie outside the recorded time",
    ),
    "half a bin": ({}, {"bin_ms": 8, "window_ms": (0, 20)}, "bins of 8 ms; give window_ms=(0, 16)"),
    "no width": ({}, {"bin_ms": 0}, "bin_ms must be the width of time bins in ms"),
    "width as text": ({}, {"bin_ms": "10"}, "bin_ms must be the width"),
    "window reversed": ({}, {"window_ms": (20, 0)}, "window_ms must be (start, end) in ms"),
    "window of one": ({}, {"window_ms": (20,)}, "window_ms must be (start, end) in ms"),
    "window infinite": ({}, {"window_ms": (0, np.inf)}, "window_ms must be (start, end) in ms"),
    "align as a list": ({}, {"align": [1]}, "align must be a time in ms"),
    "conditions twice": (
        {"condition_index": np.arange(4), "conditions": np.array(["a", "b", "a", "c"])},
        {},
        "conditions holds 'a' twice",
    ),
    "condition too high": (
        {"condition_index": np.arange(4), "conditions": np.array(["a", "b"])},
        {},
        "condition_index holds 2 in entry 2, but there are 2 conditions",
    ),
    "trials that do not add up": (
        {"trials_per_neuron": np.array([3, 2])},
        {},
        "their sum must be 4, the trials of the file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_binned_is_refused_in_one_line(tmp_path, wrong):
    arrays, settings, said = WRONG[wrong]
    path = together(tmp_path / "s.npz", **{name: of for name, of in arrays.items() if of is not None})
    if None in [of if of is None else 0 for of in arrays.values()]:
        with np.load(path) as z:
            np.savez(path, **{name: z[name] for name in z.files if name not in arrays})
    with pytest.raises(DataError) as caught:
        neural.load(path, **settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_settings_given_are_listed():
    assert Binning().given == [] and Binning(bin_ms=5, align=0).given == ["bin_ms", "align"]
