"""Spikes in NWB files: rates equal a count by hand, whatever holds the presentations."""

import subprocess
import sys

import numpy as np
import nwb_files
import pytest
from pynwb import NWBHDF5IO

from cortex_sim.neural.nwb import read_nwb
from cortex_sim.neural.nwb_units import _observed

IDS = ["lake", "tree", "lake", "fox", "tree", "lake", "fox"]
START = np.cumsum([2.2] + [0.7] * 6)  # as floats in ms, some of these are more than a whole ms
STOP = START + np.asarray([0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36])


@pytest.fixture
def trains():
    """Spike times of 5 units, in s, on a clock of 1 ms as many recordings have."""
    rng = np.random.default_rng(3)
    irregular = [np.unique(rng.integers(0, 9000, size=n)) / 1000.0 for n in (90, 130, 170, 210)]
    return [*irregular, np.arange(900) / 100]  # the last unit spikes at every edge of a bin


@pytest.fixture
def path(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_electrodes(file, ["V4", "IT", "unknown", "V4"])
    nwb_files.add_units(file, trains, electrodes=[[0], [1], [0, 3], [2], [0, 1]])
    nwb_files.add_trials(
        file, START, STOP, stimulus_id=IDS, contrast=np.linspace(0.1, 0.7, 7), onset=START + 0.05
    )
    return nwb_files.write(file, tmp_path / "session.nwb")


def by_hand(trains, edges_ms):
    """Counts by one loop over spikes, in whole ms; edges_ms is one list of edges per presentation."""
    count = np.zeros((len(edges_ms), len(trains), len(edges_ms[0]) - 1))
    for p, edges in enumerate(edges_ms):
        for u, train in enumerate(trains):
            for spike in train:
                at = round(spike * 1000)
                for b in range(len(edges) - 1):
                    if round(edges[b]) <= at < round(edges[b + 1]):
                        count[p, u, b] += 1
    return count


def test_each_interval_is_one_window(path, trains):
    made = read_nwb(path)
    edges = [[1000 * a, 1000 * b] for a, b in zip(START, STOP, strict=True)]
    expected = by_hand(trains, edges)[..., 0] / (STOP - START)[:, None]
    assert made.rate.dims == ("presentation", "neuroid") and expected.any()
    np.testing.assert_allclose(made.rate, expected, rtol=1e-12)
    assert made.rate.attrs["units"] == "spikes/s"
    assert made.stimulus_id.values.tolist() == IDS
    assert made.repetition.values.tolist() == [0, 0, 1, 0, 1, 2, 1]


def test_neuroids_know_area_animal_and_session(path):
    made = read_nwb(path)
    assert made.population.values.tolist() == ["V4", "IT", "V4", "unknown", "V4+IT"]
    assert made.neuroid_id.values.tolist() == ["V4/0", "IT/1", "V4/2", "unit/3", "V4+IT/4"]
    assert set(made.animal.values) == {"monkey1"} and set(made.session.values) == {"session7"}
    np.testing.assert_allclose(made.contrast, np.linspace(0.1, 0.7, 7))


@pytest.mark.parametrize("align, shift", [("start_time", 0), ("onset", 50)])
def test_bins_equal_a_count_by_hand(path, trains, align, shift):
    made = read_nwb(path, bin_ms=20, window_ms=(-40, 100), align=align)
    edges = [[round(1000 * a) + shift + 20 * b for b in range(-2, 6)] for a in START]
    expected = by_hand(trains, edges) / 0.020
    assert made.rate.shape == (7, 5, 7) and expected.any(axis=(0, 1)).all()
    np.testing.assert_allclose(made.rate, expected, rtol=1e-12)
    np.testing.assert_array_equal(made.time_bin_start, np.arange(-40, 100, 20))
    np.testing.assert_array_equal(made.time_bin_end, np.arange(-20, 101, 20))


def test_one_window_without_bins(path, trains):
    made = read_nwb(path, window_ms=(50, 150))
    edges = [[1000 * a + 50, 1000 * a + 150] for a in START]
    np.testing.assert_allclose(made.rate, by_hand(trains, edges)[..., 0] / 0.1, rtol=1e-12)
    assert made.attrs["window_ms"] == [50, 150] and "time_bin" not in made.dims


def test_bins_until_the_end_of_the_shortest_interval(path, trains):
    made = read_nwb(path, bin_ms=70)
    edges = [[round(1000 * a) + 70 * b for b in range(5)] for a in START]
    np.testing.assert_allclose(made.rate, by_hand(trains, edges) / 0.07, rtol=1e-12)


def test_spike_times_need_not_be_sorted(tmp_path, path, trains):
    shuffled = [np.random.default_rng(1).permutation(train) for train in trains]
    file = nwb_files.new()
    nwb_files.add_units(file, shuffled)
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS)
    np.testing.assert_array_equal(
        read_nwb(nwb_files.write(file, tmp_path / "s.nwb")).rate, read_nwb(path).rate
    )


def test_presentations_may_overlap(tmp_path, trains):
    start = 1.0 + 0.1 * np.arange(6)
    file = nwb_files.new()
    nwb_files.add_units(file, trains)
    nwb_files.add_trials(file, start, start + 0.4, stimulus_id=list("abcdef"))
    made = read_nwb(nwb_files.write(file, tmp_path / "o.nwb"))
    assert "population" not in made.coords and made.neuroid_id.values[0] == "unit/0"
    edges = [[1000 * a, 1000 * a + 400] for a in start]
    np.testing.assert_allclose(made.rate, by_hand(trains, edges)[..., 0] / 0.4, rtol=1e-12)


def test_key_names_the_intervals(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_units(file, trains)
    nwb_files.add_trials(file, [1.0, 2.0], [1.5, 2.5], stimulus_id=["go", "stop"])
    nwb_files.add_intervals(file, "natural_images", START, STOP, image_id=np.asarray([7, 2, 7, 40, 2, 7, 40]))
    path = nwb_files.write(file, tmp_path / "two.nwb")
    made = read_nwb(path, "natural_images")
    assert made.stimulus_id.values.tolist() == ["7", "2", "7", "40", "2", "7", "40"]
    assert read_nwb(path, "intervals/natural_images").identical(made)
    assert read_nwb(path, "units", table="natural_images").identical(made)
    assert read_nwb(path).stimulus_id.values.tolist() == ["go", "stop"]  # trials come first
    edges = [[1000 * a, 1000 * b] for a, b in zip(START, STOP, strict=True)]
    np.testing.assert_allclose(
        made.rate, by_hand(trains, edges)[..., 0] / (STOP - START)[:, None], rtol=1e-12
    )


def test_a_unit_that_was_not_observed_has_no_rate(tmp_path, trains):
    file = nwb_files.new()
    observed = [[[0.0, 10.0]], [[0.0, START[3] - 0.01]], [[START[1], STOP[1]], [START[5], 9.0]]]
    nwb_files.add_units(file, trains[:3], observed=observed)
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS)
    made = read_nwb(nwb_files.write(file, tmp_path / "obs.nwb"))
    missing = np.isnan(made.rate.values)
    assert np.flatnonzero(~missing[:, 0]).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(~missing[:, 1]).tolist() == [0, 1, 2]
    assert np.flatnonzero(~missing[:, 2]).tolist() == [1, 5, 6]


def test_observation_in_pieces_without_a_gap_is_one():
    """Some files have an interval for each trial or acquisition: a window may reach into the next."""
    edges = np.array([[1.0, 3.0], [4.0, 6.0], [8.0, 9.5], [0.5, 2.5]])
    pieces = np.array([[2.0, 5.0], [0.0, 2.0], [6.0, np.nan], [3.0, 4.0], [8.0, 9.0], [9.0, 10.0]])
    assert _observed(pieces, edges)[:, 0].tolist() == [True, False, True, True]
    assert not _observed(np.zeros((0, 2)), edges).any()


@pytest.mark.parametrize("last_s, missing", [(20.0, 0), (5.3, 2), (4.5, 3)])
def test_presentations_after_the_recording_are_no_silence(tmp_path, trains, caplog, last_s, missing):
    """The last three begin at 5, 5.7 and 6.4 s; 150 spikes/s tell that all units at once were not silent."""
    file = nwb_files.new()
    nwb_files.add_units(file, [train[train < last_s] for train in trains])
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS)
    made = read_nwb(nwb_files.write(file, tmp_path / "ended.nwb"))
    assert np.isnan(made.rate.values).all(1).tolist() == [False] * (7 - missing) + [True] * missing
    assert (f"{missing} of 7 presentations lie before" in caplog.text) == bool(missing)


def test_rows_without_a_stimulus_are_left_out_and_counted(tmp_path, trains, caplog):
    file = nwb_files.new()
    nwb_files.add_units(file, trains)
    frame = np.asarray([3.0, np.nan, 3.0, 11.0, np.nan, 3.0, 11.0])
    nwb_files.add_intervals(file, "scenes", START, STOP, frame=frame)
    made = read_nwb(nwb_files.write(file, tmp_path / "blank.nwb"))
    assert made.stimulus_id.values.tolist() == ["3", "3", "11", "3", "11"]
    assert made.attrs["intervals_left_out"] == 2
    assert "2 of 7 intervals of scenes have no stimulus or no time" in caplog.text
    np.testing.assert_allclose(made.start_time, START[[0, 2, 3, 5, 6]])


def test_columns_that_tell_the_same_stimuli_apart_are_one(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_units(file, trains)
    number = [IDS.index(one) for one in IDS]
    nwb_files.add_trials(file, START, STOP, image_name=IDS, image_id=number)
    path = nwb_files.write(file, tmp_path / "both.nwb")
    assert read_nwb(path).stimulus_id.values.tolist() == [str(n) for n in number]
    assert read_nwb(path, stimulus_column="image_name").stimulus_id.values.tolist() == IDS


def test_areas_come_from_columns_or_groups(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_electrodes(file, ["x"])
    group = file.electrode_groups["array"]
    for train in trains[:2]:
        file.add_unit(spike_times=train, electrode_group=group)
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS)
    assert set(read_nwb(nwb_files.write(file, tmp_path / "g.nwb")).population.values) == {"V4"}
    file = nwb_files.new(subject=None, session_id=None)
    nwb_files.add_units(file, trains[:2])
    file.add_unit_column(name="brain_area", description="area", data=["V1/V2", "nan"])
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS)
    made = read_nwb(nwb_files.write(file, tmp_path / "c.nwb"))
    assert made.population.values.tolist() == ["V1-V2", "unknown"]
    assert "animal" not in made.coords and set(made.session.values) == {"made for a test"}


def test_nothing_in_a_file_is_run(tmp_path, trains):
    """A column of pickled bytes is a column of bytes."""
    marker = tmp_path / "was_run"
    payload = f"cos\nsystem\n(S'touch {marker}'\ntR."
    file = nwb_files.new(notes=payload)
    nwb_files.add_units(file, trains)
    nwb_files.add_trials(file, START, STOP, stimulus_id=IDS, payload=[payload] * 7)
    made = read_nwb(nwb_files.write(file, tmp_path / "p.nwb"))
    assert made.payload.values[0] == payload and not marker.exists()


def test_links_to_absent_files_do_not_hinder(tmp_path, trains, path):
    import h5py

    with h5py.File(path, "a") as file:
        file["acquisition/raw"] = h5py.ExternalLink("absent.nwb", "/acquisition/raw")
    assert read_nwb(path).sizes["presentation"] == 7


def test_the_file_is_released_and_unchanged(path):
    before = path.read_bytes()
    read_nwb(path)
    assert path.read_bytes() == before
    with NWBHDF5IO(str(path), "a") as io:  # refused while it is open elsewhere
        io.read()


def test_importing_the_reader_loads_no_pynwb():
    code = "import cortex_sim.neural.nwb, sys; sys.exit('pynwb' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
