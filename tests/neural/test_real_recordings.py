"""Real recordings, where they are present: known values, and counts by another route."""

from __future__ import annotations

import numpy as np
import pytest

from cortex_sim import data, neural


def test_macaque_v4_means(real):
    path = real("macaque_v4_201025.npz")
    loaded = neural.load(path, session="201025", units="spike count")
    assert loaded.sizes == {"presentation": 1200, "neuroid": 89}
    with np.load(path) as z:
        np.testing.assert_array_equal(loaded.rate.values, z["response_mean"])
    assert loaded.stimulus_id.values.tolist() == [str(i) for i in range(1200)]
    assert neural.constant_neuroids(loaded) == [] and set(loaded.session.values) == {"201025"}


def test_macaque_v4_repeats(real):
    path = real("macaque_v4_210325.npz")
    loaded = neural.load(path)
    assert loaded.sizes == {"presentation": 6400, "neuroid": 50}
    assert int(loaded.rate.isnull().sum()) == 78_000  # 1560 missing repeats x 50 neuroids
    with np.load(path) as z:
        repeats, means = z["response_repeats"], z["response_mean"]
    one = (loaded.stimulus_id == "17") & (loaded.repetition == 3)
    np.testing.assert_array_equal(loaded.rate[one.values][0], repeats[17, 3])
    again = loaded.rate.values.reshape(640, 10, 50)
    np.testing.assert_allclose(np.nanmean(again, 1), means, rtol=1e-6)


@pytest.mark.slow
def test_ids_are_those_of_the_pictures_in_the_same_file(real):
    path = real("macaque_v4_210325.npz")
    stimuli = data.stimuli(path)
    loaded = neural.load(path, stimuli=stimuli)
    assert list(dict.fromkeys(loaded.stimulus_id.values.tolist())) == list(stimuli.ids)


def test_monkey_and_human_it(real):
    path = real("objects92_it_rdms.npz")
    monkey, human = (
        neural.load(f"{path}:{name}", stimuli=[str(i) for i in range(92)])
        for name in ("monkeyIT_674neurons", "humanIT_316vx")
    )
    assert monkey.dissimilarity.shape == human.dissimilarity.shape == (1, 4186)
    r = np.corrcoef(monkey.dissimilarity[0], human.dissimilarity[0])[0, 1]
    assert r == pytest.approx(0.491, abs=5e-4)


def test_human_it_of_four_subjects_in_two_sessions(real):
    path = real("objects92_it_rdms.npz")
    loaded = neural.load(f"{path}:humanIT_subjects_sessions")
    assert loaded.dissimilarity.shape == (8, 4186)
    assert loaded.animal.values.tolist() == ["BE", "BE", "KO", "KO", "SN", "SN", "TI", "TI"]
    assert loaded.session.values.tolist() == ["0", "1"] * 4
    with np.load(path) as z:
        stored = z["humanIT_subjects_sessions"][2, 1]
    sn = neural.load(f"{path}:humanIT_subjects_sessions", animal="SN", session="1")
    np.testing.assert_array_equal(sn.dissimilarity[0], stored)


def test_binning_of_it_spikes_equals_a_loop(real):
    """Every spike of three neurons, one by one."""
    path = real("macaque_it_spikes.npz")
    loaded = neural.load(path, bin_ms=25, window_ms=(-100, 400))
    assert loaded.sizes == {"presentation": 420, "neuroid": 132, "time_bin": 20}
    with np.load(path) as z:
        names, first = z["conditions"], np.concatenate([[0], np.cumsum(z["trials_per_neuron"])])
        neuron, trial, time = z["neuron"], z["trial"], z["time_ms"]
        shown, neurons = z["condition_index"].tolist(), z["neuron_names"]
    times, trials = time.tolist(), trial.tolist()
    rows = list(zip(loaded.stimulus_id.values, loaded.repetition.values.tolist(), strict=True))
    for n in (0, 27, 131):
        expected = {}
        seen = dict.fromkeys(range(21), 0)
        row = {}
        for t in range(int(first[n]), int(first[n + 1])):
            condition = shown[t]
            row[t - int(first[n])] = (names[condition], seen[condition])
            seen[condition] += 1
        for where in row.values():
            expected[where] = [0] * 20
        for i in np.flatnonzero(neuron == n).tolist():
            if -100 <= times[i] < 400:
                expected[row[trials[i]]][(times[i] + 100) // 25] += 1
        assert loaded.neuroid_id.values[n] == neurons[n]
        for p, where in enumerate(rows):
            counted = loaded.rate.values[p, n] * 0.025
            if where in expected:
                np.testing.assert_allclose(counted, expected[where], atol=1e-9)
            else:
                assert np.isnan(counted).all()  # this neuron lacks the repeat


def test_it_responds_most_between_150_and_200_ms(real):
    loaded = neural.load(real("macaque_it_spikes.npz"), bin_ms=50)
    assert loaded.time_bin_start.values[0] == -500 and loaded.time_bin_end.values[-1] == 500
    course = loaded.rate.mean(["presentation", "neuroid"])
    peak = int(course.argmax("time_bin"))
    assert (loaded.time_bin_start[peak], loaded.time_bin_end[peak]) == (150, 200)
    assert loaded.attrs["simultaneous"] == "no"


def test_every_spike_of_it_is_counted_once(real):
    path = real("macaque_it_spikes.npz")
    rate = neural.load(path, bin_ms=1000, window_ms=(-500, 500)).rate
    with np.load(path) as z:
        assert round(float(rate.sum())) == len(z["time_ms"]) == 603_003
