"""Recordings: coordinates a neurophysiologist can select by, and a file that keeps them."""

import numpy as np
import pytest
import xarray as xr

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.errors import DataError

SHAPES = {"retina": (2, 3, 5), "V1": (7, 3, 5), "IT": (3,)}


@pytest.fixture
def net():
    made = cs.Network("small")
    for name, shape in SHAPES.items():
        made.population(name, shape=shape)
    made.bottom_up("retina", "V1", cs.Conv2d(kernel=3, padding=1))
    made.bottom_up("V1", "IT", plasticity="backprop")
    made.objective("IT", "cross_entropy")
    return made


@pytest.fixture
def rates():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(11, *shape)) for name, shape in SHAPES.items()}


@pytest.fixture
def made(net, rates):
    return recording.make_recording(net, {"rate": rates}, attributes={"network": "small"})


def test_every_unit_stands_at_its_place(made, rates):
    assert dict(made.sizes) == {"presentation": 11, "neuroid": 30 + 105 + 3}
    for name, shape in SHAPES.items():
        chosen = made.isel(neuroid=made.population.values == name)
        assert chosen.neuroid_id.values.tolist() == [f"{name}/{i}" for i in range(np.prod(shape))]
        for unit in range(0, int(np.prod(shape)), 7):
            one = chosen.isel(neuroid=unit)
            place = (int(one.channel), int(one.row), int(one.column))
            where = place if len(shape) == 3 else unit
            np.testing.assert_array_equal(one.rate, rates[name][(slice(None), *np.atleast_1d(where))])
            assert (place == (-1, -1, -1)) == (len(shape) == 1)


def test_population_without_credit_has_credit_zero(net, rates):
    made = recording.make_recording(net, {"rate": rates, "credit": {"IT": rates["IT"]}})
    silent = made.credit.values[:, made.population.values != "IT"]
    assert not silent.any()
    assert made.credit.shape == made.rate.shape
    assert not np.isnan(made.credit).any()


def test_units_and_names_are_written_beside(made):
    assert made.rate.attrs["units"] == "1"
    assert "rate" in made.rate.attrs["long_name"]
    assert made.attrs == {"network": "small"}


def test_repetitions_are_counted(net, rates):
    shown = ["a", "b", "a", "a", "b", "c", "c", "d", "e", "f", "a"]
    made = recording.make_recording(net, {"rate": rates}, stimulus_id=shown)
    assert made.stimulus_id.values.tolist() == shown
    assert made.repetition.values.tolist() == [0, 0, 1, 2, 1, 0, 1, 0, 0, 0, 3]


def test_file_keeps_everything(made, tmp_path):
    recording.save(made, tmp_path / "a.nc")
    again = recording.load(tmp_path / "a.nc")
    xr.testing.assert_identical(again, made)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_file_is_netcdf_for_others(made, tmp_path):
    recording.save(made, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        assert opened.neuroid_id.values[47] == "V1/17"


def test_what_cannot_be_written_leaves_nothing(made, tmp_path):
    (tmp_path / "a.nc").mkdir()
    with pytest.raises(DataError, match=r"a.nc: cannot be written"):
        recording.save(made, tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"nowhere/a.nc: cannot be written"):
        recording.save(made, tmp_path / "nowhere" / "a.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_what_cannot_be_read_says_so(made, tmp_path):
    recording.save(made, tmp_path / "a.nc")
    (tmp_path / "cut.nc").write_bytes((tmp_path / "a.nc").read_bytes()[:-3000])
    (tmp_path / "noise.nc").write_bytes(b"no netCDF at all")
    recording.save(made.drop_vars("rate"), tmp_path / "rateless.nc")
    with pytest.raises(DataError, match=r"none.nc: no such file"):
        recording.load(tmp_path / "none.nc")
    for name in ("cut", "noise"):
        with pytest.raises(DataError, match=rf"{name}.nc: cannot be read"):
            recording.load(tmp_path / f"{name}.nc")
    with pytest.raises(DataError, match=r"rateless.nc: needs a variable rate"):
        recording.load(tmp_path / "rateless.nc")


# -- from a model ---------------------------------------------------------------------------------


def test_model_records_itself(net, rates):
    model = cs.torch.build(net, seed=3)
    x, y = rates["retina"].astype(np.float32), np.arange(11) % 3
    recorded = model.respond(x, y, batch=4)
    np.testing.assert_array_equal(
        recorded.rate.values[:, recorded.population.values == "retina"], x.reshape(11, -1)
    )
    whole = model.respond(x, y, batch=100)
    for variable in ("rate", "drive", "credit"):
        np.testing.assert_allclose(recorded[variable], whole[variable], atol=1e-6)
    assert recorded.attrs == {
        "network": "small",
        "rule": "backprop",
        "seed": 3,
        "backend": "torch",
        "updates": 0,
        "cortex_sim_version": cs.__version__,
    }


def test_credit_at_the_top_is_that_of_the_objective(net, rates):
    model = cs.torch.build(net, seed=0, precision="64")
    y = np.arange(11) % 3
    recorded = model.respond(rates["retina"], y)
    at_top = recorded.population.values == "IT"
    r = recorded.rate.values[:, at_top]
    softmax = np.exp(r) / np.exp(r).sum(1, keepdims=True)
    np.testing.assert_allclose(recorded.credit.values[:, at_top], np.eye(3)[y] - softmax, atol=1e-12)


def test_model_refuses_what_does_not_fit(net):
    model = cs.torch.build(net)
    with pytest.raises(DataError, match="population retina expects"):
        model.respond(np.zeros((5, 7)))
    with pytest.raises(DataError, match="at least one presentation"):
        model.respond(np.zeros((0, 2, 3, 5)))
    with pytest.raises(DataError, match="labels from 0 to 2"):
        model.respond(np.zeros((5, 2, 3, 5)), np.full(5, 3))
    with pytest.raises(DataError):
        model.respond(np.zeros((5, 2, 3, 5)), np.zeros(4, int))
