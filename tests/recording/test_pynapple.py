"""Recordings handed to pynapple: values, times, intervals and what is known of each."""

import sys

import numpy as np
import pytest
import xarray as xr

from cortex_sim.errors import DataError
from cortex_sim.recording.pynapple import to_pynapple

IDS = ["a", "b", "a", "c", "b"]


@pytest.fixture
def binned():
    """5 presentations, 4 neuroids, 3 bins of 20 ms from 20 ms before onset."""
    values = np.random.default_rng(0).normal(size=(5, 4, 3))
    start, dims = 20.0 * np.arange(3) - 20, ("presentation", "neuroid", "time_bin")
    return xr.Dataset(
        {"rate": (dims, values), "drive": (dims, 2 * values)},
        {
            "stimulus_id": ("presentation", IDS),
            "repetition": ("presentation", [0, 0, 1, 0, 1]),
            "end": ("presentation", np.arange(5)),
            "contrast (%)": ("presentation", np.arange(5.0)),
            "neuroid_id": ("neuroid", ["V1/0", "V1/1", "IT/0", "IT/1"]),
            "population": ("neuroid", ["V1", "V1", "IT", "IT"]),
            "time_bin_start": ("time_bin", start),
            "time_bin_end": ("time_bin", start + 20),
        },
    )


@pytest.fixture(autouse=True)
def _pynapple():
    pytest.importorskip("pynapple")


def test_series_hold_every_value_at_its_time(binned):
    made = to_pynapple(binned)
    assert set(made) == {"rate", "drive", "presentations"}
    for p in range(5):
        for b in range(3):
            at = 0.060 * p + 0.020 * b + 0.010
            np.testing.assert_allclose(made["rate"].get(at), binned.rate[p, :, b])
            np.testing.assert_allclose(made["drive"].get(at), binned.drive[p, :, b])
    assert made["rate"].columns.tolist() == ["V1/0", "V1/1", "IT/0", "IT/1"]
    assert made["rate"].shape == (15, 4)


def test_intervals_select_presentations_and_metadata_neuroids(binned):
    made = to_pynapple(binned)
    shown = made["presentations"]
    np.testing.assert_allclose(shown.start, 0.06 * np.arange(5))
    np.testing.assert_allclose(shown.end, 0.06 * np.arange(1, 6), atol=2e-6)
    assert list(shown.stimulus_id) == IDS and list(shown.end_) == [0, 1, 2, 3, 4]
    assert list(shown["contrast____"]) == [0, 1, 2, 3, 4]
    chosen = made["rate"].restrict(shown[shown.stimulus_id == "b"])
    expected = binned.rate.transpose("presentation", "time_bin", "neuroid").values[[1, 4]].reshape(6, 4)
    np.testing.assert_array_equal(chosen.values, expected)
    areas = made["rate"][:, made["rate"].population == "IT"]
    np.testing.assert_array_equal(areas.values[:3], binned.rate[0, 2:].T)


def test_without_time_bins_a_presentation_is_one_sample(binned):
    made = to_pynapple(binned.mean("time_bin"), presentation_ms=500)
    np.testing.assert_allclose(made["rate"].t, 0.5 * np.arange(5) + 0.25)
    np.testing.assert_allclose(made["rate"].values, binned.rate.mean("time_bin"))


def test_neuroids_that_share_a_name_are_numbered(binned):
    twice = binned.assign_coords(neuroid_id=("neuroid", ["u/0", "u/1", "u/0", "u/1"]))
    made = to_pynapple(twice)["rate"]
    assert made.columns.tolist() == [0, 1, 2, 3] and list(made.neuroid_id) == ["u/0", "u/1", "u/0", "u/1"]


def test_names_that_become_one_are_kept_apart(binned):
    named = binned.assign_coords({"a b": ("neuroid", [1, 2, 3, 4]), "a_b": ("neuroid", [5, 6, 7, 8])})
    made = to_pynapple(named)["rate"]
    assert made["a_b"].tolist() == [1, 2, 3, 4] and made["a_b_"].tolist() == [5, 6, 7, 8]


def test_no_recording(binned):
    with pytest.raises(DataError, match="needs an xarray Dataset with a variable rate"):
        to_pynapple(binned.rate)


def test_without_pynapple(binned, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynapple", None)
    with pytest.raises(DataError, match=r"pip install 'cortex-sim\[pynapple\]'"):
        to_pynapple(binned)
