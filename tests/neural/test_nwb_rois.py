"""ROI responses in NWB files: means in windows equal a mean by hand; planes and compartments are known."""

import h5py
import numpy as np
import nwb_files
import pytest

from cortex_sim.errors import DataError
from cortex_sim.neural.nwb import read_nwb

RATE, FIRST = 20.0, 0.5  # samples every 50 ms, from 0.5 s
ONSET = np.asarray([1.0, 2.5, 4.0, 5.5, 7.0])
IDS = ["a", "b", "a", "c", "b"]


def traces(rois, seed, samples=190):
    return np.random.default_rng(seed).normal(size=(samples, rois))


def times(samples=190):
    return FIRST + np.arange(samples) / RATE


def by_hand(data, edges):
    """Means over the samples in [edge, next edge), edges in s for each presentation."""
    made = np.empty((len(edges), data.shape[1], len(edges[0]) - 1))
    for p, of in enumerate(edges):
        for b in range(len(of) - 1):
            inside = [i for i, t in enumerate(times(len(data))) if of[b] - 1e-9 <= t < of[b + 1] - 1e-9]
            for roi in range(data.shape[1]):
                made[p, roi, b] = sum(data[i, roi] for i in inside) / len(inside)
    return made


def session(tmp_path, planes, start=ONSET, **series):
    file = nwb_files.new()
    clock = {"rate": RATE, "starting_time": FIRST} if "timestamps" not in series else {}
    nwb_files.add_rois(file, planes, unit="n.a.", **clock, **series)
    nwb_files.add_trials(file, start, start + 0.6, stimulus_name=IDS)
    return nwb_files.write(file, tmp_path / "imaging.nwb")


def test_mean_of_the_interval(tmp_path):
    data = traces(3, 0)
    path = session(tmp_path, {"soma": (data, "V1", None)}, conversion=0.5, offset=2.0)
    made = read_nwb(path)
    expected = by_hand(data, [[t, t + 0.6] for t in ONSET])[..., 0] * 0.5 + 2.0
    np.testing.assert_allclose(made.rate, expected, rtol=1e-12)
    assert made.rate.attrs["units"] == "n.a."
    assert made.neuroid_id.values.tolist() == ["soma/100", "soma/101", "soma/102"]
    assert set(made.population.values) == {"V1"} and "compartment" not in made.coords
    assert made.stimulus_id.values.tolist() == IDS and set(made.animal.values) == {"monkey1"}


def test_time_bins_around_onset(tmp_path):
    data = traces(3, 1)
    made = read_nwb(session(tmp_path, {"soma": (data, "V1", None)}), bin_ms=100, window_ms=(-200, 300))
    expected = by_hand(data, [[t + 0.1 * b for b in range(-2, 4)] for t in ONSET])
    assert made.rate.dims == ("presentation", "neuroid", "time_bin")
    np.testing.assert_allclose(made.rate, expected, rtol=1e-12)


def test_planes_stand_side_by_side(tmp_path):
    deep, shallow = traces(2, 2), traces(4, 3)
    planes = {"deep": (deep, "V1", ["soma", "soma"]), "shallow": (shallow, "V2", ["apical", "soma"] * 2)}
    path = session(tmp_path, planes)
    made = read_nwb(path, window_ms=(0, 400))
    edges = [[t, t + 0.4] for t in ONSET]
    expected = np.concatenate([by_hand(deep, edges), by_hand(shallow, edges)], axis=1)[..., 0]
    np.testing.assert_allclose(made.rate, expected, rtol=1e-12)
    assert made.plane.values.tolist() == ["deep"] * 2 + ["shallow"] * 4
    assert made.population.values.tolist() == ["V1"] * 2 + ["V2"] * 4
    assert made.compartment.values.tolist() == ["soma", "soma", *["apical", "soma"] * 2]
    one = read_nwb(path, "shallow_DfOverF", window_ms=(0, 400))
    np.testing.assert_allclose(one.rate, expected[:, 2:], rtol=1e-12)
    for key in ("DfOverF", "ophys/DfOverF", "processing/ophys/DfOverF"):
        assert read_nwb(path, key, window_ms=(0, 400)).identical(made)


def test_rois_of_one_plane_in_two_series_are_told_apart(tmp_path):
    made = read_nwb(session(tmp_path, {"a@p": (traces(1, 2), "V1", None), "b@p": (traces(2, 3), "V1", None)}))
    assert made.neuroid_id.values.tolist() == ["a@p_DfOverF/100", "b@p_DfOverF/100", "b@p_DfOverF/101"]
    assert set(made.plane.values) == {"p"}


def test_irregular_times_and_missing_samples(tmp_path):
    data = traces(2, 4)
    stamps = times() + np.random.default_rng(5).uniform(-0.01, 0.01, size=len(data))
    data[np.flatnonzero((stamps >= 2.5) & (stamps < 3.1)), 1] = np.nan  # all of presentation 1
    data[np.flatnonzero(stamps >= 4.0)[0], 0] = np.nan  # one sample of presentation 2
    made = read_nwb(session(tmp_path, {"p": (data, "V1", None)}, timestamps=stamps))
    for p, t in enumerate(ONSET):
        inside = data[(stamps >= t) & (stamps < t + 0.6)]
        for roi in range(2):
            valid = [v for v in inside[:, roi] if not np.isnan(v)]
            if valid:
                np.testing.assert_allclose(made.rate[p, roi], sum(valid) / len(valid), rtol=1e-12)
    assert np.argwhere(np.isnan(made.rate.values)).tolist() == [[1, 1]]


def test_presentations_outside_the_recorded_time_are_missing(tmp_path):
    data = traces(2, 6, samples=100)  # until 5.5 s
    made = read_nwb(session(tmp_path, {"p": (data, "V1", None)}))
    assert np.isnan(made.rate.values).all(axis=1).tolist() == [False, False, False, True, True]
    assert not np.isnan(made.rate.values[:3]).any()


def test_large_series_are_read_in_pieces(tmp_path, monkeypatch):
    path = session(tmp_path, {"soma": (traces(3, 0), "V1", None)})
    whole = read_nwb(path, bin_ms=100)
    monkeypatch.setattr("cortex_sim.neural.nwb_rois._WHOLE_BYTES", 0)
    assert read_nwb(path, bin_ms=100).identical(whole)


@pytest.mark.parametrize(
    "start, settings, wrong",
    [
        (ONSET, {"bin_ms": 20}, "windows of 20 ms are shorter than the 50 ms between samples of p_DfOverF"),
        (1000 * ONSET, {}, "no presentation is within the recorded time of p_DfOverF (samples from 0.5 to"),
    ],
)
def test_windows_that_hold_no_sample(tmp_path, start, settings, wrong):
    with pytest.raises(DataError) as raised:
        read_nwb(session(tmp_path, {"p": (traces(2, 7), "V1", None)}, start=start), **settings)
    assert wrong in str(raised.value) and "\n" not in str(raised.value)


def test_several_kinds_of_responses_are_not_guessed(tmp_path):
    file = nwb_files.new()
    clock = {"rate": RATE, "starting_time": FIRST}
    nwb_files.add_rois(file, {"p": (traces(2, 8), "V1", None)}, unit="n.a.", **clock)
    nwb_files.add_rois(file, {"p": (traces(2, 9), "V1", None)}, kind="Events", unit="1/s", **clock)
    nwb_files.add_units(file, [np.arange(0.1, 9, 0.2)])
    nwb_files.add_trials(file, ONSET, ONSET + 0.6, image=IDS)
    path = nwb_files.write(file, tmp_path / "both.nwb")
    with pytest.raises(DataError, match="several responses; give one of these as key: .*ophys/Events"):
        read_nwb(path)
    assert read_nwb(path, "Events").rate.attrs["units"] == "spikes/s"  # "1/s", as it is spelled elsewhere
    assert read_nwb(path, "units").sizes["neuroid"] == 1
    with pytest.raises(DataError, match="holds no 'DfOverFF'; it holds .*processing/ophys/DfOverF"):
        read_nwb(path, "DfOverFF")


def test_data_that_do_not_fit_the_rois_are_refused(tmp_path):
    path = session(tmp_path, {"soma": (traces(3, 0), "V1", None)})
    for wrong in (traces(4, 0), traces(190, 0, samples=3)):  # a column too many; rows and columns exchanged
        with h5py.File(path, "a") as file:
            series = file["processing/ophys/DfOverF/soma_DfOverF"]
            known = dict(series["data"].attrs)
            del series["data"]
            series["data"] = wrong
            series["data"].attrs.update(known)
        with pytest.raises(DataError, match=r"soma_DfOverF has shape \(\d+, \d+\) and names 3 ROIs"):
            read_nwb(path)


def test_infinite_samples_are_refused(tmp_path):
    data = traces(3, 0)
    data[15, 1] = np.inf
    with pytest.raises(DataError, match="soma_DfOverF has infinite samples"):
        read_nwb(session(tmp_path, {"soma": (data, "V1", None)}))


def test_a_window_mostly_in_a_gap_of_the_recording_has_no_mean(tmp_path):
    """Its few samples are not the response to the stimulus; single dropped frames do not matter."""
    clock = times()
    paused = (clock >= ONSET[1] + 0.12) & (clock < ONSET[2] - 0.3)
    dropped = np.isclose(clock, ONSET[3] + 0.2)
    kept = ~(paused | dropped)
    data = traces(2, 3)
    made = read_nwb(session(tmp_path, {"soma": (data[kept], "V1", None)}, timestamps=clock[kept]))
    assert np.isnan(made.rate.values).all(1).tolist() == [False, True, False, False, False]
    inside = kept & (clock >= ONSET[3] - 1e-9) & (clock < ONSET[3] + 0.6 - 1e-9)
    np.testing.assert_allclose(made.rate.values[3], data[inside].mean(0))
