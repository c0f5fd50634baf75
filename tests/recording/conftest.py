"""Recordings to write as NWB, and a file of the laboratory to append to."""

import numpy as np
import nwb_files
import pytest
import xarray as xr
from nwb_written import BINS, PRESENTATIONS, SHAPES

import cortex_sim as cs
from cortex_sim.recording import make_recording


@pytest.fixture
def rates():
    """Rates and credits at equilibrium, one value per presentation."""
    net = cs.Network("two areas")
    for name, shape in SHAPES.items():
        net.population(name, shape=shape)
    rng = np.random.default_rng(0)
    values = {
        variable: {name: rng.normal(size=(PRESENTATIONS, *shape)) for name, shape in SHAPES.items()}
        for variable in ("rate", "credit")
    }
    return make_recording(
        net,
        values,
        stimulus_id=[f"im{i % 4}" for i in range(PRESENTATIONS)],
        descriptors={"angle_deg": 30.0 * np.arange(PRESENTATIONS), "name": list("abcdefghijk")},
        attributes={
            "network": "two areas",
            "rule": '{"exact": "gait", "cut": {"a": [1, 2]}}',
            "seed": 3,
        },
    )


@pytest.fixture
def binned(rates):
    """The same in time bins of 25 ms, from 50 ms before onset."""
    rng = np.random.default_rng(1)
    ramp = xr.DataArray(rng.normal(size=BINS), dims="time_bin")
    start = 25.0 * np.arange(BINS) - 50
    made = rates.copy()
    for variable in ("rate", "credit"):
        made[variable] = (rates[variable] * ramp).assign_attrs(rates[variable].attrs)
    phase = ["settle", "settle", "learn", "learn"]
    return made.assign_coords(
        time_bin_start=("time_bin", start),
        time_bin_end=("time_bin", start + 25),
        phase=("time_bin", phase),
    )


@pytest.fixture
def lab_file(tmp_path):
    """An NWB file of a laboratory, with units and trials."""
    rng = np.random.default_rng(2)
    file = nwb_files.new()
    nwb_files.add_units(file, [np.sort(rng.uniform(0, 9, size=60)) for _ in range(3)])
    nwb_files.add_trials(file, np.arange(8.0), np.arange(8.0) + 0.5, stimulus_id=list("abcdabcd"))
    file.create_processing_module(name="behavior", description="nothing yet")
    return nwb_files.write(file, tmp_path / "lab.nwb")
