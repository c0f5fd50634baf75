"""Presentations without a stimulus, numbers that a file holds as floating point, and times in other units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cortex_sim import data, neural
from cortex_sim.compare.from_recordings import to_responses
from cortex_sim.compare.responses import Responses
from cortex_sim.data.identities import identities
from cortex_sim.errors import DataError
from cortex_sim.neural.in_memory import from_memory

RATE = np.random.default_rng(3).random((6, 4))


def in_npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


def in_netcdf(folder, ids, **encoding):
    made = xr.Dataset({"rate": (("presentation", "neuroid"), RATE)}, {"stimulus_id": ("presentation", ids)})
    made.stimulus_id.encoding.update(encoding)
    made.to_netcdf(folder / "d.nc", engine="h5netcdf")
    return folder / "d.nc"


@pytest.mark.parametrize(
    "ids", [np.array([1.0, np.nan, np.nan, 1, 2, 3]), np.array(["a", "", " ", "b", "c", "d"])]
)
def test_presentations_without_a_stimulus_are_not_repeats_of_one(tmp_path, ids):
    for file in (in_npz(tmp_path, response=RATE, stimulus_id=ids), in_netcdf(tmp_path, ids)):
        with pytest.raises(
            DataError, match="2 of 6 entries of stimulus_id are empty or NaN, such as entry 1"
        ):
            neural.load(file)


def test_rdms_need_the_identity_of_every_stimulus(tmp_path):
    file = in_npz(tmp_path, rdm=np.array([1.0, 2, 3]), stimulus_id=np.array([1.0, np.nan, 2]))
    with pytest.raises(DataError, match="1 of 3 entries of stimulus_id are empty or NaN"):
        neural.load(file)


def test_whole_numbers_with_a_fill_value_stay_whole(tmp_path):
    """xarray makes floating-point numbers of them, whose text would be "1.0"."""
    file = in_netcdf(tmp_path, np.array([1, 2, 3, 1, 2, 3]), dtype="i4", _FillValue=-1)
    assert neural.load(file, stimuli=["1", "2", "3"]).stimulus_id.values.tolist() == list("123123")


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_what_is_missing_in_a_table_is_no_stimulus(missing):
    """Two of pandas' NA would else be two repeats of a stimulus "<NA>"."""
    assert identities("x", ["a", missing, 2]) == ["a", "", "2"]
    ids = np.array(["a", missing, missing, "b", "c", "d"], dtype=object)
    given = xr.Dataset({"rate": (("presentation", "neuroid"), RATE)}, {"stimulus_id": ("presentation", ids)})
    with pytest.raises(DataError, match="2 of 6 entries of stimulus_id are empty or NaN, such as entry 1"):
        from_memory(given, "of a table")


@pytest.mark.parametrize("kind", ["S2", object])
def test_bytes_are_their_text_in_memory_as_in_files(kind, tmp_path):
    ids = np.array(["a", "b", "é", "a", "b", "é"])
    as_bytes = np.array([one.encode() for one in ids], dtype=kind)
    given = xr.Dataset(
        {"rate": (("presentation", "neuroid"), RATE)}, {"stimulus_id": ("presentation", as_bytes)}
    )
    for found in (from_memory(given, "of bytes"), neural.load(in_netcdf(tmp_path, ids))):
        assert found.stimulus_id.values.tolist() == ids.tolist()


def test_a_missing_whole_number_is_refused(tmp_path):
    file = in_netcdf(tmp_path, np.array([1.0, 2, np.nan, 1, 2, 3]), dtype="i4", _FillValue=-1)
    with pytest.raises(DataError, match="1 of 6 entries of stimulus_id are empty or NaN, such as entry 2"):
        neural.load(file)


@pytest.mark.parametrize(
    ("units", "factor", "width"), [("s", 1000, 0.1), ("ms", 1, 0.1), (None, 1, 10), ("furlongs", None, 0.1)]
)
def test_time_bins_are_in_ms_whatever_the_file_counts_in(tmp_path, units, factor, width):
    known = {} if units is None else {"units": units}
    edges = width * np.arange(4)
    made = xr.Dataset(
        {"rate": (("presentation", "neuroid", "time_bin"), RATE.reshape(2, 4, 3))},
        {
            "stimulus_id": ("presentation", ["a", "b"]),
            "time_bin_start": ("time_bin", edges[:-1], known),
            "time_bin_end": ("time_bin", edges[1:], known),
        },
    )
    made.to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    if factor is None:
        with pytest.raises(DataError, match="time_bin_start has the units 'furlongs'; give times in ms or s"):
            neural.load(tmp_path / "d.nc")
    else:
        found = neural.load(tmp_path / "d.nc")
        np.testing.assert_allclose(found.time_bin_end, edges[1:] * factor)


def test_presentations_are_no_rdms_although_their_number_fits(tmp_path):
    """10 neuroids are as many as the pairs of 5 stimuli, but ids that repeat are of presentations."""
    rates = np.random.default_rng(0).random((10, 10))
    file = in_npz(tmp_path, rates=rates, stimulus_id=np.tile(np.arange(5), 2))
    np.testing.assert_array_equal(neural.load(f"{file}:rates").rate, rates)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16, np.uint8, object, str])
def test_one_is_one_however_it_is_stored(tmp_path, dtype):
    """MATLAB and pandas save whole numbers as floating point."""
    ids = np.array([3, 1, 2, 3, 1, 2])
    stored = ids.astype(str) if dtype is str else ids.astype(dtype)
    expected = list("312312")
    if dtype is not object:
        file = in_npz(tmp_path, response=RATE, stimulus_id=stored)
        assert neural.load(file, stimuli=["1", "2", "3"]).stimulus_id.values.tolist() == expected
    made = xr.Dataset(
        {"rate": (("presentation", "neuroid"), RATE)}, {"stimulus_id": ("presentation", stored)}
    )
    assert to_responses(made).stimuli == ("3", "1", "2")
    assert Responses("V4", stored[:3], RATE[:3]).stimuli == ("3", "1", "2")


def test_pictures_and_responses_of_one_file_have_the_same_ids(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 8), dtype=np.uint8)
    file = in_npz(tmp_path, response_mean=RATE[:3], images=pictures, stimulus_id=np.array([3.0, 1.0, 2.0]))
    shown = data.stimuli(file)
    assert list(shown.ids) == ["3", "1", "2"]
    assert neural.load(file, stimuli=shown).stimulus_id.values.tolist() == ["3", "1", "2"]
    assert neural.load(file, stimuli=np.array([1.0, 2.0, 3.0])).sizes["presentation"] == 3


@pytest.mark.parametrize(
    "wrong, said",
    [
        (np.array([1, 1.5, 2, 3, 4, 5]), "holds 1.5, which is not a whole number; save ids as text"),
        (np.array([1, np.inf, 2, 3, 4, 5]), "holds inf, which is not a whole number"),
        (np.float32([1, 2**24 + 2, 2, 3, 4, 5]), "holds .*too large to be distinguished from the next"),
        (np.array([1, 2.0**53, 2, 3, 4, 5]), "holds .*too large to be distinguished from the next"),
    ],
)
def test_numbers_that_are_no_identities_are_refused(tmp_path, wrong, said):
    for file in (in_npz(tmp_path, response=RATE, stimulus_id=wrong), in_netcdf(tmp_path, wrong)):
        with pytest.raises(DataError, match=f"d.n.*: stimulus_id {said}"):
            neural.load(file)
    with pytest.raises(DataError, match=said):
        Responses("V4", wrong, RATE)
    file = in_npz(tmp_path, images=np.zeros((6, 8, 8), np.uint8), ids=wrong)
    with pytest.raises(DataError, match=said):
        data.stimuli(file)


def test_responses_need_an_identity_for_every_row():
    with pytest.raises(DataError, match="V4: 1 of .* stimulus ids are empty or NaN"):
        Responses("V4", [1.0, np.nan, 2.0], RATE[:3])


@pytest.mark.parametrize(
    ("rates", "word"), [(RATE.astype(str), "text"), (RATE + 1j, "complex numbers")], ids=["text", "complex"]
)
def test_rates_are_real_numbers(rates, word):
    """Else the imaginary part would be dropped, and text read as numbers."""
    given = xr.Dataset(
        {"rate": (("presentation", "neuroid"), rates)}, {"stimulus_id": ("presentation", list("abcdef"))}
    )
    for take in (lambda: to_responses(given, name="odd"), lambda: from_memory(given, "odd")):
        with pytest.raises(DataError, match=f"odd: rate holds {word}, where real numbers belong; convert"):
            take()
