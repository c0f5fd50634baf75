"""Broken or unfit NWB files: one clear line each."""

import sys

import h5py
import numpy as np
import nwb_files
import pytest

from cortex_sim.errors import DataError
from cortex_sim.neural.nwb import read_nwb

START = 0.5 * np.arange(16)
IDS = [f"im{i % 4}" for i in range(16)]


@pytest.fixture
def trains():
    rng = np.random.default_rng(0)
    return [np.sort([0.002, *rng.uniform(0, 10, size=80)]) for _ in range(3)]


def made(tmp_path, trains=None, start=START, stop=None, name="broken.nwb", **columns):
    file = nwb_files.new()
    if trains is not None:
        nwb_files.add_units(file, trains)
    if start is not None:
        stop = start + 0.3 if stop is None else stop
        nwb_files.add_trials(file, start, stop, **(columns or {"stimulus_id": IDS}))
    return nwb_files.write(file, tmp_path / name)


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """A file that is read only, by tests of settings."""
    rng = np.random.default_rng(1)
    trains = [np.sort(rng.uniform(0, 10, size=80)) for _ in range(2)]
    return made(tmp_path_factory.mktemp("fine"), trains)


def refused(path, **settings):
    """The single line of the error."""
    with pytest.raises(DataError) as raised:
        read_nwb(path, **settings)
    message = str(raised.value)
    assert "\n" not in message and "broken.nwb" in message
    return message


def test_a_file_that_fits_is_read(fine):
    assert read_nwb(fine).rate.shape == (16, 2)


@pytest.mark.parametrize(
    "content, wrong",
    [(b"", "not a valid NWB file"), (b"not hdf5 at all", "not a valid NWB file"), (None, "no such file")],
)
def test_no_nwb_file(tmp_path, content, wrong):
    path = tmp_path / "broken.nwb"
    if content is not None:
        path.write_bytes(content)
    assert wrong in refused(path)


def test_a_folder(tmp_path):
    (tmp_path / "broken.nwb").mkdir()
    assert "is a folder" in refused(tmp_path / "broken.nwb")


def test_another_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "broken.nwb", "w") as file:
        file["rate"] = np.zeros((2, 3))
    assert "not a valid NWB file (Missing NWB version" in refused(tmp_path / "broken.nwb")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file(fine, tmp_path, share):
    path = tmp_path / "broken.nwb"
    path.write_bytes(fine.read_bytes()[: int(share * fine.stat().st_size)])
    assert "not a valid NWB file" in refused(path)


def test_no_responses(tmp_path):
    assert "neither a Units table with spike times nor a RoiResponseSeries" in refused(made(tmp_path))


def test_units_without_spike_times(tmp_path):
    file = nwb_files.new()
    file.add_unit_column(name="depth", description="depth")
    file.add_unit(depth=3.0)
    nwb_files.add_trials(file, START, START + 0.3, stimulus_id=IDS)
    assert "its units have no spike times" in refused(nwb_files.write(file, tmp_path / "broken.nwb"))


def test_no_intervals(tmp_path, trains):
    assert "no trials and no other intervals" in refused(made(tmp_path, trains, start=None))


def test_units_without_spikes(tmp_path):
    assert "its units have no spikes" in refused(made(tmp_path, [[], []]))


def test_spikes_that_are_not_finite(tmp_path, trains):
    trains[1][7] = np.nan
    assert "spike times that are not finite" in refused(made(tmp_path, trains))


@pytest.mark.parametrize("what, factor", [("spikes", 1000), ("spikes", 30000), ("trials", 1000)])
def test_wrong_units_of_time(tmp_path, trains, what, factor):
    if what == "spikes":
        path = made(tmp_path, [factor * train for train in trains])
    else:
        path = made(tmp_path, trains, start=factor * START, stop=factor * (START + 0.3))
    assert "not on one clock in seconds (spike times run from" in refused(path)


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_spikes_outside_the_presentations(tmp_path, trains, shift):
    assert "not on one clock in seconds" in refused(made(tmp_path, [train + shift for train in trains]))


def test_no_column_of_stimuli(tmp_path, trains):
    message = refused(made(tmp_path, trains, contrast=np.arange(16.0), side=IDS))
    assert "which column of trials holds the stimulus?" in message
    assert "give stimulus_column, one of contrast, side" in message


def test_several_columns_of_stimuli(tmp_path, trains):
    path = made(tmp_path, trains, stimulus_name=["images"] * 16, image_name=IDS)
    assert "may be image_name, stimulus_name" in refused(path)
    assert read_nwb(path, stimulus_column="image_name").stimulus_id.values.tolist() == IDS


@pytest.mark.parametrize("argument", ["stimulus_column", "align"])
def test_a_column_that_does_not_exist(fine, argument):
    message = refused(fine, **{argument: "stimulus_idd"})
    assert "unknown column of trials" in message and "did you mean 'stimulus_id'?" in message


def test_aligned_by_text(fine):
    assert "holds no times" in refused(fine, align="stimulus_id")


def test_no_row_with_a_stimulus(tmp_path, trains):
    assert "present no stimulus" in refused(made(tmp_path, trains, stimulus_id=[""] * 16))


def test_intervals_that_end_before_they_start(tmp_path, trains):
    assert "end before they start" in refused(made(tmp_path, trains, stop=START - 0.1))


def test_intervals_without_duration(tmp_path, trains):
    path = made(tmp_path, trains, stop=START)
    assert "16 of 16 presentations end at or before their onset; give window_ms" in refused(path)
    assert read_nwb(path, window_ms=(0, 200)).rate.any()


def test_bins_of_intervals_with_different_durations(tmp_path, trains):
    stop = START + np.linspace(0.1, 0.4, 16)
    message = refused(made(tmp_path, trains, stop=stop), bin_ms=50)
    assert "last 100 to 400 ms, so they have different numbers of bins of 50 ms" in message


def test_several_tables_of_presentations(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_units(file, trains)
    for name in ("images", "gratings"):
        nwb_files.add_intervals(file, name, START, START + 0.3, stimulus_id=IDS)
    path = nwb_files.write(file, tmp_path / "broken.nwb")
    assert (
        "which intervals are presentations of stimuli? Give one as key, or as table: gratings, images"
        in refused(path)
    )
    assert "unknown intervals" in refused(path, key="units", table="image")
    assert "holds no 'trials'; it holds gratings, images, units" in refused(path, key="trials")


@pytest.mark.parametrize("bin_ms", [0, -5, np.nan, True, "20"])
def test_a_bin_without_width(fine, bin_ms):
    assert "bin_ms must be a positive number" in refused(fine, bin_ms=bin_ms)


@pytest.mark.parametrize("window", [(100, 50), (0,), 7, "ab", (0, np.inf)])
def test_a_window_without_width(fine, window):
    with pytest.raises(DataError, match=r"window_ms must be \(start, end\) in ms"):
        read_nwb(fine, window_ms=window)


def test_a_window_that_is_no_whole_number_of_bins(fine):
    assert "is not a whole number of bins" in refused(fine, bin_ms=30, window_ms=(0, 100))


def test_no_unit_was_observed(tmp_path, trains):
    file = nwb_files.new()
    nwb_files.add_units(file, trains, observed=[[[0.0, 0.2]]] * 3)
    nwb_files.add_trials(file, START, START + 0.3, stimulus_id=IDS)
    assert "no unit was observed" in refused(nwb_files.write(file, tmp_path / "broken.nwb"))


def test_without_pynwb(fine, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(DataError, match=r"pip install 'cortex-sim\[nwb\]'"):
        read_nwb(fine)
