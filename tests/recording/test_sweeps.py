"""Gathering the runs of a sweep: values as they were, or a refusal that names the run."""

import numpy as np
import pytest
import xarray as xr

from cortex_sim.errors import RunError
from cortex_sim.recording import sweeps


def recording(path, seed, change=lambda made: made):
    rng = np.random.default_rng(seed)
    data = {"rate": (("presentation", "neuroid"), rng.normal(size=(4, 3)))}
    coords = {"stimulus_id": ("presentation", list("abcd")), "trial": ("presentation", rng.permutation(4))}
    made = change(xr.Dataset(data, coords, {"network": "small", "seed": seed}))
    made.to_netcdf(path, engine="h5netcdf")
    return made


def gathered(folder):
    sweeps.gather([[folder / "0.nc", folder / "1.nc"]], ["as declared"], [0, 1], {}, folder / "all.nc")
    with sweeps.opened(folder / "all.nc") as found:
        return found.load()


def test_every_run_is_in_its_place(tmp_path):
    each = [recording(tmp_path / f"{seed}.nc", seed) for seed in (0, 1)]
    found = gathered(tmp_path)
    for seed, one in enumerate(each):
        for name in ("rate", "trial", "stimulus_id"):
            np.testing.assert_array_equal(found.isel(setting=0, seed=seed)[name].values, one[name].values)
    assert found.stimulus_id.dims == ("presentation",) and found.trial.dims[:2] == ("setting", "seed")
    assert found.attrs == {"network": "small"}


def test_settings_are_numbers_where_float64_holds_them(tmp_path):
    for seed in (0, 1):
        recording(tmp_path / f"{seed}.nc", seed)
    values = {
        "eta": [0.1, 2],
        "width": list(np.arange(2)),
        "seed_of_noise": [2**53, 2**53 + 1],
        "gate": [True, 1],
    }
    runs = [[tmp_path / "0.nc"], [tmp_path / "1.nc"]]
    sweeps.gather(runs, ["one", "two"], [0], values, tmp_path / "all.nc")
    with sweeps.opened(tmp_path / "all.nc") as found:
        assert found.setting_eta.values.tolist() == [0.1, 2.0]
        assert found.setting_width.values.tolist() == [0.0, 1.0]
        assert found.setting_seed_of_noise.values.tolist() == ["9007199254740992", "9007199254740993"]
        assert found.setting_gate.values.tolist() == ["True", "1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.assign(rate=r.rate.astype(np.float32)), r"rate of the recording of as declared, seed 1"),
        (
            lambda r: r.assign(rate=r.rate.transpose()),
            r"seed 1 is \('float64', 'neuroid', ",
        ),
        (lambda r: r.isel(presentation=[0, 1]), r"has sizes 2 presentations, 3 neuroids, that of"),
    ],
    ids=["type", "axes", "sizes"],
)
def test_runs_that_make_no_one_dataset(tmp_path, change, message):
    """A run of another type would be converted to that of the first, to whole numbers too."""
    recording(tmp_path / "0.nc", 0)
    recording(tmp_path / "1.nc", 1, change)
    with pytest.raises(RunError, match=message):
        gathered(tmp_path)
    assert not (tmp_path / "all.nc").exists()
