"""Responses in .npz and plain HDF5 files: every documented key, and what is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from cortex_sim import data, neural
from cortex_sim.errors import DataError

STIMULI, REPEATS, NEUROIDS, BINS = 5, 3, 7, 2  # distinct primes: a transposed axis cannot pass


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def save_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            array = np.asarray(values)
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return path


FORMATS = [("npz", save_npz), ("h5", save_hdf5), ("hdf5", save_hdf5)]


@pytest.fixture(params=FORMATS, ids=lambda f: f[0])
def stored(request, tmp_path):
    suffix, save = request.param
    return lambda **arrays: save(tmp_path / f"v4.{suffix}", **arrays)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_presentations_with_ids(stored, rng):
    rate = rng.random((6, NEUROIDS))
    path = stored(
        response=rate,
        stimulus_id=np.array(["b", "a", "b", "c", "a", "b"]),
        neuroid_id=np.array([f"n{i}" for i in range(NEUROIDS)]),
        session=np.array(["s1"] * 3 + ["s2"] * 4),
        animal="M1",
        population="V4",
        depth=np.arange(7.0),
        block=np.arange(6),  # a name of recordings themselves: not taken
        contrast=np.arange(6.0),
        units="Hz",
    )
    loaded = neural.load(path)
    assert loaded.rate.dims == ("presentation", "neuroid")
    np.testing.assert_array_equal(loaded.rate.values, rate)
    assert loaded.stimulus_id.values.tolist() == ["b", "a", "b", "c", "a", "b"]
    assert loaded.repetition.values.tolist() == [0, 0, 1, 0, 1, 2]
    assert loaded.neuroid_id.values.tolist() == [f"n{i}" for i in range(NEUROIDS)]
    assert loaded.session.values.tolist() == ["s1"] * 3 + ["s2"] * 4
    assert set(loaded.animal.values) == {"M1"} and set(loaded.population.values) == {"V4"}
    assert loaded.depth.dims == ("neuroid",) and loaded.contrast.dims == ("presentation",)
    assert "block" not in loaded.coords
    assert loaded.rate.attrs["units"] == "spikes/s" and loaded.attrs["name"] == "v4"
    assert not any(name in loaded.indexes for name in loaded.coords)  # plain coordinates, no MultiIndex


def test_means_are_numbered_like_the_stimuli_of_the_file(tmp_path, rng):
    path = save_npz(
        tmp_path / "v4.npz",
        images=rng.integers(0, 255, (STIMULI, 8, 8), dtype=np.uint8),
        response_mean=rng.normal(size=(STIMULI, NEUROIDS)).astype(np.float32),
    )
    stimuli = data.stimuli(path)
    loaded = neural.load(path, stimuli=stimuli)
    assert tuple(loaded.stimulus_id.values) == stimuli.ids == ("0", "1", "2", "3", "4")
    assert loaded.rate.dtype == np.float64 and loaded.rate.attrs["units"] == "1"
    assert neural.load(path, stimuli=path).equals(loaded)  # a path to the stimuli serves too


def test_numeric_ids_are_the_same_texts_on_both_sides(tmp_path, rng):
    ids = np.array([7, 11, 13, 2, 3])
    path = save_npz(
        tmp_path / "v4.npz",
        images=rng.integers(0, 255, (STIMULI, 8, 8), dtype=np.uint8),
        stimulus_id=ids,
        response_mean=rng.normal(size=(STIMULI, NEUROIDS)),
    )
    assert neural.load(path).stimulus_id.values.tolist() == list(data.stimuli(path).ids)


def test_repeats_keep_their_missing_ones(stored, rng):
    rate = rng.poisson(5.0, (STIMULI, REPEATS, NEUROIDS)).astype(float)
    rate[1, 2], rate[4, 1:, :3] = np.nan, np.nan
    path = stored(
        response_repeats=rate, response_mean=np.nanmean(rate, 1), kind=np.array(list("abaab")), units="counts"
    )
    loaded = neural.load(path)
    assert loaded.sizes == {"presentation": STIMULI * REPEATS, "neuroid": NEUROIDS}
    assert loaded.rate.attrs["units"] == "spike count"
    for stimulus, repeat in np.ndindex(STIMULI, REPEATS):
        here = (loaded.stimulus_id == str(stimulus)) & (loaded.repetition == repeat)
        np.testing.assert_array_equal(loaded.rate[here.values][0], rate[stimulus, repeat])
        assert loaded.kind[here.values].item() == "abaab"[stimulus]
    assert neural.load(f"{path}:response_mean").sizes["presentation"] == STIMULI


def test_time_bins(stored, rng):
    rate = rng.random((STIMULI, NEUROIDS, BINS))
    bins = {"time_bin_start": np.array([0.0, 50.0]), "time_bin_end": np.array([50.0, 100.0])}
    loaded = neural.load(stored(response_mean=rate, **bins))
    assert loaded.rate.dims == ("presentation", "neuroid", "time_bin")
    np.testing.assert_array_equal(loaded.rate.values, rate)
    assert loaded.time_bin_end.values.tolist() == [50.0, 100.0] and loaded.time_bin_end.units == "ms"


def test_repeats_with_time_bins(stored, rng):
    rate = rng.random((STIMULI, REPEATS, NEUROIDS, BINS))
    bins = {"time_bin_start": np.array([0.0, 50.0]), "time_bin_end": np.array([50.0, 100.0])}
    loaded = neural.load(stored(response_repeats=rate, **bins))
    np.testing.assert_array_equal(loaded.rate.values.reshape(rate.shape), rate)
    assert loaded.repetition.values.tolist() == [0, 1, 2] * STIMULI


@pytest.mark.parametrize("name", ["mine", "area/v4"])
def test_a_key_names_any_array(tmp_path, rng, name):
    rate = rng.random((STIMULI, NEUROIDS))
    path = save_hdf5(
        tmp_path / "a.h5", **{name: rate, "other": rate[:3], "stimulus_id": np.array(list("abcde"))}
    )
    np.testing.assert_array_equal(neural.load(f"{path}:{name}").rate.values, rate)


def test_labels_are_given_or_choose(stored, rng):
    rate = rng.random((STIMULI, NEUROIDS))
    loaded = neural.load(stored(response_mean=rate), session=210325, animal="M2", units="spikes/s")
    assert set(loaded.session.values) == {"210325"} and set(loaded.animal.values) == {"M2"}
    assert loaded.rate.units == "spikes/s"


def test_a_session_is_chosen_with_its_own_presentations(stored, rng):
    rate = rng.random((6, NEUROIDS))
    session = np.array(["s1"] * 3 + ["s2"] * 4)
    rate[:2, session == "s2"], rate[2:, session == "s1"] = np.nan, np.nan
    path = stored(response=rate, stimulus_id=np.array(list("ababcd")), session=session)
    assert neural.load(path).sizes["presentation"] == 6  # each neuroid has all stimuli of its session
    one, two = (neural.load(path, session=name) for name in ("s1", "s2"))
    np.testing.assert_array_equal(one.rate.values, rate[:2, :3])
    np.testing.assert_array_equal(two.rate.values, rate[2:, 3:])
    with pytest.raises(DataError, match=r"has no session 's3'; known: s1, s2"):
        neural.load(path, session="s3")


def test_sessions_of_presentations(stored, rng):
    rate = rng.random((6, NEUROIDS))
    path = stored(response=rate, stimulus_id=np.array(list("ababcd")), session=np.array(list("xxyyyy")))
    loaded = neural.load(path)
    assert loaded.session.dims == ("presentation",) and loaded.session.values.tolist() == list("xxyyyy")
    np.testing.assert_array_equal(neural.load(path, session="y").rate.values, rate[2:])


WRONG = {
    "no ids": ({"response": np.ones((6, 7))}, "response has 6 presentations, but stimulus_id is missing"),
    "ids of another length": (
        {"response": np.ones((6, 7)), "stimulus_id": np.array(["a", "b"])},
        "response has 6 stimuli, but stimulus_id has 2 entries",
    ),
    "ids with an axis too many": (
        {"response": np.ones((6, 7)), "stimulus_id": np.zeros((6, 2))},
        "stimulus_id has shape (6, 2)",
    ),
    "pictures of another number": (
        {"response_mean": np.eye(6, 7), "images": np.zeros((5, 8, 8), np.uint8)},
        "response_mean has 6 stimuli, but the file holds 5 pictures",
    ),
    "means of one stimulus twice": (
        {"response_mean": np.eye(2, 7), "stimulus_id": np.array(["a", "a"])},
        "stimulus_id holds 'a' more than once, but response_mean has one row per stimulus",
    ),
    "neuroid ids of another length": (
        {"response_mean": np.eye(6, 7), "neuroid_id": np.arange(6)},
        "neuroid_id has shape (6,) and holds numbers; response_mean has 7 neuroids",
    ),
    "one axis": ({"response": np.ones(6), "stimulus_id": np.arange(6)}, "give (presentation, neuroid)"),
    "three axes without time": (
        {"response": np.ones((6, 7, 2)), "stimulus_id": np.arange(6)},
        "if axes are (stimulus, repeat, neuroid), rename it response_repeats",
    ),
    "two axes of repeats": (
        {"response_repeats": np.ones((6, 7))},
        "give (stimulus, repeat, neuroid[, time_bin])",
    ),
    "half of the time": (
        {"response_mean": np.ones((6, 7, 2)), "time_bin_start": np.arange(2)},
        "has time_bin_start alone",
    ),
    "time of another length": (
        {
            "response_mean": np.ones((6, 7, 2)),
            "time_bin_start": np.arange(3),
            "time_bin_end": np.ones(3),
        },
        "response_mean has 2 time bins",
    ),
    "text": ({"response_mean": np.array([["a", "b"]])}, "response_mean has shape (1, 2) and holds text"),
    "nothing": ({"response_mean": np.zeros((0, 7))}, "response_mean has shape (0, 7)"),
    "no known array": ({"a": np.ones((2, 3, 4)), "b": np.ones((2, 3))}, "which array? Give"),
    "two units": ({"response_mean": np.eye(6, 7), "units": np.array(["Hz", "1"])}, "units has shape (2,)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused_in_one_line(stored, wrong):
    arrays, said = WRONG[wrong]
    with pytest.raises(DataError) as caught:
        neural.load(stored(**arrays))
    message = str(caught.value)
    assert said in message and "\n" not in message and "v4." in message


def test_a_key_that_is_not_there_lists_those_that_are(stored):
    with pytest.raises(DataError, match="has no array 'respones', but response, stimulus_id"):
        neural.load(f"{stored(response=np.eye(3), stimulus_id=np.arange(3))}:respones")


@pytest.mark.parametrize("setting", [{"bin_ms": 10}, {"window_ms": (0, 100)}, {"align": 0}])
def test_binning_needs_spike_times(stored, setting):
    path = stored(response_mean=np.eye(5, 7))
    with pytest.raises(DataError, match=f"holds no spike times; leave out {next(iter(setting))}"):
        neural.load(path, **setting)


def square(rng, **arrays):
    return {"response": rng.random((6, 6)), "stimulus_id": np.array(list("abcabc")), **arrays}


@pytest.mark.parametrize("name", ["session", "animal"])
def test_a_length_that_fits_both_dimensions_is_ambiguous(stored, rng, name):
    labels = np.array(list("xxyyyy"))
    with pytest.raises(DataError) as refused:
        neural.load(stored(**square(rng, **{name: labels})))
    assert f"may describe either; rename it neuroid_{name} or presentation_{name}" in str(refused.value)
    for dim in ("neuroid", "presentation"):
        loaded = neural.load(stored(**square(rng, **{f"{dim}_{name}": labels})))
        assert loaded[name].dims == (dim,) and loaded[name].values.tolist() == list("xxyyyy")
        assert f"{dim}_{name}" not in loaded.coords
    loaded = neural.load(stored(**square(rng, **{name: "x"})))
    assert loaded[name].dims == ("neuroid",) and set(loaded[name].values) == {"x"}


def test_a_name_says_the_dimension_in_any_file(stored, rng):
    arrays = {"response": rng.random((6, 7)), "stimulus_id": np.arange(6)}
    loaded = neural.load(stored(**arrays, presentation_session=np.array(list("xxyyyy"))))
    assert loaded.session.dims == ("presentation",)
    with pytest.raises(DataError, match=r"neuroid_session has shape \(6,\).* 7 neuroids"):
        neural.load(stored(**arrays, neuroid_session=np.array(list("xxyyyy"))))
    with pytest.raises(DataError, match=r"presentation_session has shape \(7,\).* 6 rows"):
        neural.load(stored(**arrays, presentation_session=np.arange(7)))
    with pytest.raises(DataError, match="holds presentation_session, session; save one of them"):
        neural.load(stored(**arrays, session="a", presentation_session=np.arange(6)))


def test_descriptors_that_fit_both_dimensions_need_a_name_that_says_which(stored, rng, caplog):
    path = stored(
        **square(
            rng, depth=np.arange(6.0), neuroid_depth=np.arange(6.0), presentation_contrast=np.arange(6.0)
        )
    )
    loaded = neural.load(path)
    assert loaded.neuroid_depth.dims == ("neuroid",)
    assert loaded.presentation_contrast.dims == ("presentation",)
    assert "depth" not in loaded.coords and "depth may describe either and is left out" in caplog.text
