"""Recordings in netCDF: our own, Brain-Score's, and those of other writers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import cortex_sim as cs
from cortex_sim import neural
from cortex_sim.errors import DataError
from cortex_sim.recording import make_recording, save

PRESENTATIONS, NEUROIDS, BINS = 6, 5, 2


@pytest.fixture
def rate():
    return np.random.default_rng(0).random((PRESENTATIONS, NEUROIDS, BINS))


def assembly(rate, ids="image_id", dims=("presentation", "neuroid", "time_bin"), name=None):
    """A DataAssembly as BrainIO makes it: every dimension a MultiIndex of its coordinates."""
    indexes = {
        "presentation": {
            ids: list("abcabc"),
            "repetition": [0, 0, 0, 1, 1, 1],
            "object_name": list("xyzxyz"),
        },
        "neuroid": {
            "neuroid_id": [f"M_{i}" for i in range(NEUROIDS)],
            "region": ["V4"] * 2 + ["IT"] * 3,
            "animal": ["Chabo"] * 4 + ["Tito"],
        },
        "time_bin": {"time_bin_start": [70, 120], "time_bin_end": [120, 170]},
    }
    data = xr.DataArray(rate, dims=("presentation", "neuroid", "time_bin"), name=name)
    for dim, levels in indexes.items():
        index = pd.MultiIndex.from_arrays(list(levels.values()), names=list(levels))
        data = data.assign_coords(xr.Coordinates.from_pandas_multiindex(index, dim))
    data.attrs["stimulus_set_identifier"] = "hvm"
    return data.transpose(*dims)


def write_as_brainio(data, path, compress=True, engine="netcdf4"):
    """Its write_netcdf: every MultiIndex is reset, which leaves a coordinate per level."""
    flat = data.reset_index(["presentation", "neuroid", "time_bin"])
    if compress:
        whole = flat.to_dataset(name="data", promote_attrs=True)
        whole.to_netcdf(path, engine=engine, encoding={"data": {"zlib": True, "complevel": 1}})
    else:
        flat.to_netcdf(path, engine=engine)
    return path


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
@pytest.mark.parametrize("ids", ["image_id", "stimulus_id"])
@pytest.mark.parametrize("form", ["data", "dicarlo.MajajHong2015", "nameless"])
def test_files_of_brain_score(tmp_path, rate, engine, ids, form):
    name = None if form == "nameless" else form
    data = assembly(rate, ids, dims=("neuroid", "presentation", "time_bin"), name=name)
    path = write_as_brainio(data, tmp_path / "assy.nc", compress=form == "data", engine=engine)
    loaded = neural.load(path, stimuli=list("abcd"))
    np.testing.assert_array_equal(loaded.rate.values, rate)
    assert loaded.rate.dims == ("presentation", "neuroid", "time_bin")
    assert loaded.stimulus_id.values.tolist() == list("abcabc")
    assert loaded.repetition.values.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.object_name.values.tolist() == list("xyzxyz")
    assert loaded.neuroid_id.values.tolist() == [f"M_{i}" for i in range(NEUROIDS)]
    assert loaded.population.values.tolist() == ["V4", "V4", "IT", "IT", "IT"]
    assert loaded.animal.values.tolist() == ["Chabo"] * 4 + ["Tito"]
    assert loaded.time_bin_start.values.tolist() == [70, 120]
    if form == "data":
        assert loaded.attrs["stimulus_set_identifier"] == "hvm"


def test_an_index_with_one_level_may_be_named_like_its_dimension(tmp_path, rate):
    whole = xr.Dataset(
        {"data": (("presentation", "neuroid"), rate[..., 0])},
        {"presentation_": ("presentation", list("abcdef")), "neuroid_": ("neuroid", list("vwxyz"))},
    )
    whole.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    whole.set_index(presentation="presentation_", neuroid="neuroid_").to_netcdf(
        tmp_path / "b.nc", engine="h5netcdf"
    )
    for name in ("a.nc", "b.nc"):
        loaded = neural.load(tmp_path / name)
        assert loaded.stimulus_id.values.tolist() == list("abcdef")
        assert loaded.neuroid_id.values.tolist() == list("vwxyz")


@pytest.fixture
def recording():
    net = cs.Network("two")
    net.population("V1", 3), net.population("IT", 2)
    rng = np.random.default_rng(1)
    rates = {"V1": rng.normal(size=(4, 3)), "IT": rng.normal(size=(4, 2))}
    ids = ["a", "b", "a", "c"]
    return make_recording(
        net, {"rate": rates, "credit": rates}, stimulus_id=ids, attributes={"network": "two"}
    )


def test_our_own_recordings(tmp_path, recording):
    save(recording, tmp_path / "rec.nc")
    loaded = neural.load(tmp_path / "rec.nc")
    for name in ("rate", "stimulus_id", "repetition", "population", "neuroid_id", "channel"):
        np.testing.assert_array_equal(loaded[name], recording[name])
    assert loaded.attrs["network"] == "two" and loaded.rate.attrs["units"] == "1"
    credit = neural.load(f"{tmp_path / 'rec.nc'}:credit")
    np.testing.assert_array_equal(credit.rate, recording.credit)


def test_netcdf4_reads_and_saves_our_recordings(tmp_path, recording):
    """The library that most other programs use; what it has written is read like the original."""
    save(recording, tmp_path / "rec.nc")
    with xr.open_dataset(tmp_path / "rec.nc", engine="netcdf4") as opened:
        xr.testing.assert_equal(opened.load(), recording)
        opened.to_netcdf(tmp_path / "again.nc", engine="netcdf4")
    found, again = (neural.load(tmp_path / name) for name in ("rec.nc", "again.nc"))
    xr.testing.assert_equal(again, found)
    assert again.rate.attrs["units"] == "1" and again.attrs["network"] == "two"


def test_what_is_loaded_can_be_saved_and_loaded_again(tmp_path, rate):
    loaded = neural.load(write_as_brainio(assembly(rate), tmp_path / "assy.nc"))
    save(loaded, tmp_path / "again.nc")
    again = neural.load(tmp_path / "again.nc")
    xr.testing.assert_equal(again, loaded)
    assert again.attrs["constant_neuroids"] == loaded.attrs["constant_neuroids"]
    np.savez(tmp_path / "r.npz", rdms=np.random.default_rng(0).random((2, 3, 10)))
    rdms = neural.load(tmp_path / "r.npz")
    save(rdms, tmp_path / "rdms.nc")
    xr.testing.assert_equal(neural.load(tmp_path / "rdms.nc"), rdms)


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
def test_netcdf_with_the_suffix_of_hdf5(tmp_path, rate, suffix):
    path = write_as_brainio(assembly(rate), tmp_path / f"assy.{suffix}")
    np.testing.assert_array_equal(neural.load(path).rate.values, rate)


@pytest.mark.parametrize("written", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_classic_netcdf(tmp_path, rate, written):
    flat = assembly(rate).reset_index(["presentation", "neuroid", "time_bin"]).to_dataset(name="data")
    flat.to_netcdf(tmp_path / "old.nc", format=written, engine="scipy")
    loaded = neural.load(tmp_path / "old.nc")
    np.testing.assert_array_equal(loaded.rate.values, rate)
    assert loaded.stimulus_id.values.tolist() == list("abcabc")


def plain(rate, **coords):
    return xr.Dataset(
        {"a": (("presentation", "neuroid"), rate[..., 0])},
        {"stimulus_id": ("presentation", list("abcdef")), **coords},
    )


WRONG = {
    "two variables": (lambda r: plain(r).assign(b=plain(r).a + 1), "", "which variable? Give"),
    "no such variable": (plain, ":c", "has no variable 'c', but a, stimulus_id"),
    "a variable of other dimensions": (plain, ":stimulus_id", "stimulus_id has dimensions ('presentation',)"),
    "no stimuli": (lambda r: plain(r).drop_vars("stimulus_id"), "", "does not say which stimulus"),
    "other dimensions": (lambda r: plain(r).rename(neuroid="unit"), "", "holds a ('presentation', 'unit')"),
    "time without times": (
        lambda r: xr.Dataset({"a": (("presentation", "neuroid", "time_bin"), r)}, plain(r).coords),
        "",
        "has time bins without time_bin_start and time_bin_end",
    ),
    "text": (
        lambda r: plain(r).assign(a=(("presentation", "neuroid"), np.full((6, 5), "x"))),
        "",
        "give numbers",
    ),
    "no variable": (lambda r: xr.Dataset(), "", "holds no variable"),
    "RDMs without ids": (
        lambda r: xr.Dataset({"dissimilarity": (("rdm", "pair"), np.ones((1, 3)))}),
        "",
        "the coordinate stimulus_id (stimulus)",
    ),
    "too large": (plain, "", "the limit is"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, rate, wrong):
    make, key, said = WRONG[wrong]
    make(rate).to_netcdf(tmp_path / "w.nc", engine="h5netcdf")
    limit = {"max_bytes": 100} if wrong == "too large" else {}
    with pytest.raises(DataError) as caught:
        neural.load(f"{tmp_path / 'w.nc'}{key}", **limit)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_binning_needs_spike_times(tmp_path, rate):
    plain(rate).to_netcdf(tmp_path / "w.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="this file holds no spike times; leave out window_ms"):
        neural.load(tmp_path / "w.nc", window_ms=(0, 10))


def test_time_bins_without_units_that_look_like_seconds_are_refused(tmp_path, rate):
    data = xr.Dataset({"rate": (("presentation", "neuroid", "time_bin"), rate)}, plain(rate).coords)
    starts = 0.05 * np.arange(rate.shape[2])
    for units in ({}, {"units": "s"}):
        times = {"time_bin_start": starts, "time_bin_end": starts + 0.05}
        known = {name: ("time_bin", values, units) for name, values in times.items()}
        data.assign_coords(known).to_netcdf(tmp_path / f"{len(units)}.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="have no units, and look like seconds"):
        neural.load(tmp_path / "0.nc")
    assert neural.load(tmp_path / "1.nc").time_bin_end.values[0] == pytest.approx(50.0)
