"""A study: every run once, resumed after an interruption, merged into one tidy file."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
from small_trajectories import TINY

from cortex_sim import recording
from cortex_sim.errors import DataError, RunError
from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.architectures import PLACES
from cortex_sim.trajectories.design import Design
from cortex_sim.trajectories.study import load, study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, study(TINY, folder, report=lambda _: None)


def test_the_file_is_tidy_and_has_no_nan(done, tmp_path):
    _, found = done
    assert found["value"].dims == ("run", "snapshot", "population", "statistic")
    assert found["value"].shape == (4, 3, 3, len(statistics.names()))
    assert found["measured"].shape == (2, *found["value"].shape)
    assert found["population"].values.tolist() == list(PLACES)
    assert found["step"].values.tolist() == [0, 1, 3]
    assert sorted(zip(found["rule"].values, found["architecture"].values, strict=True)) == sorted(
        (rule, net) for rule in TINY.rules for net in ("narrow", "deep")
    )
    for name, values in found.variables.items():
        if values.dtype.kind == "f":
            assert not np.isnan(values.values).any(), name
    deep = found.isel(run=found["architecture"].values == "deep")
    np.testing.assert_allclose(deep["depth"].values[0], [0, 1 / 3, 1])
    np.testing.assert_array_equal(deep["units"].values[0], [13, 9, 6])
    recording.save(found, tmp_path / "study.nc")
    assert load(tmp_path / "study.nc").equals(found)


def test_the_file_is_read_by_the_netcdf_library(done, tmp_path):
    recording.save(done[1], tmp_path / "study.nc")
    with xr.open_dataset(tmp_path / "study.nc", engine="netcdf4") as opened:
        assert opened["rule"].values.tolist() == done[1]["rule"].values.tolist()
        np.testing.assert_array_equal(opened["value"].values, done[1]["value"].values)


def test_a_study_that_was_killed_continues_and_ends_the_same(done, tmp_path):
    folder, whole = done
    shutil.copytree(folder, tmp_path / "killed")
    lost = TINY.runs[2]
    shutil.rmtree(tmp_path / "killed" / lost.key)
    (tmp_path / "killed" / lost.key / "run").mkdir(parents=True)
    (tmp_path / "killed" / lost.key / "run" / "trajectory.nc.part").write_bytes(b"half")
    said = []
    again = study(TINY, tmp_path / "killed", report=said.append)
    assert again.identical(whole)
    assert sum("already done" in line for line in said) == 3


def test_another_design_repeats_what_it_changes(done, tmp_path):
    folder, whole = done
    shutil.copytree(folder, tmp_path / "other")
    said = []
    other = study(TINY.replace(probes=12), tmp_path / "other", report=said.append)
    assert sum("done again" in line for line in said) == 4
    assert not np.array_equal(other["value"].values, whole["value"].values)


def test_runs_that_diverge_are_left_out_and_listed(tmp_path):
    design = TINY.replace(rates=(0.05, 1e20), architectures=TINY.architectures[1:], steps=(0, 30))
    found = study(design, tmp_path, report=lambda _: None)
    assert set(found["rate"].values) == {0.05}
    listed = json.loads(found.attrs["diverged"])
    assert listed == [run.key for run in design.runs if run.rate == 1e20]


def test_a_missing_trajectory_is_reported(done, tmp_path):
    shutil.copytree(done[0], tmp_path / "broken")
    key = TINY.runs[0].key
    (tmp_path / "broken" / key / "run" / "trajectory.nc").unlink()
    with pytest.raises(RunError, match=f"missing or damaged.*remove .*{key} and run the study again"):
        study(TINY, tmp_path / "broken", report=lambda _: None)


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file; make it with"):
        load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "text.nc")
    xr.Dataset({"value": ("run", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="needs a variable value with dimensions run, snapshot"):
        load(tmp_path / "other.nc")


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"rules": ("backprob",)}, "unknown rule 'backprob' .did you mean 'backprop'"),
        ({"steps": (1, 2)}, "steps must increase from 0"),
        ({"steps": (0, 4, 2)}, "steps must increase from 0"),
        ({"seeds": (0, 0)}, "seeds must have at least one entry, and none twice"),
        ({"rates": ()}, "rates must have at least one"),
        ({"conditions": TINY.conditions[1:]}, "first condition must be FULL"),
    ],
)
def test_designs_that_make_no_sense_are_refused(settings, match):
    with pytest.raises(DataError, match=match):
        TINY.replace(**settings)


def test_every_rule_gets_the_same_rates_and_seeds():
    runs = Design().runs
    per_rule = {}
    for run in runs:
        per_rule.setdefault(run.rule, set()).add((run.architecture.name, run.seed, run.rate))
    assert len(set(map(frozenset, per_rule.values()))) == 1
    assert len({run.key for run in runs}) == len(runs)
    assert {run.seed for run in runs[: len(runs) // 3]} == {0}  # a study cut short is balanced


def test_data_count_by_content(tmp_path):
    own = tmp_path / "own.npz"
    design, run = TINY.replace(data=str(own)), TINY.runs[0]
    own.write_bytes(b"one")
    first = design.configuration(run)
    own.write_bytes(b"another")
    assert design.configuration(run) != first
    assert TINY.configuration(run)["data"] == "digits"
