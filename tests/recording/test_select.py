"""Selecting in one line: what fits stays, in order; what does not occur is named."""

import itertools

import numpy as np
import pytest
import xarray as xr

from cortex_sim.errors import DataError
from cortex_sim.recording import select


@pytest.fixture(scope="module")
def made():
    """Two arms of four presentations, populations of 3 and 2, four time bins of 10 ms."""
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "rate": (("presentation", "neuroid", "time_bin"), rng.normal(size=(8, 5, 4))),
            "weight:V1->IT": (("snapshot", "post:V1->IT", "pre:V1->IT"), rng.normal(size=(5, 2, 3))),
        },
        {
            "population": ("neuroid", ["V1"] * 3 + ["IT"] * 2),
            "neuroid_id": ("neuroid", ["V1/0", "V1/1", "V1/2", "IT/0", "IT/1"]),
            "arm": ("presentation", ["intact"] * 4 + ["cut"] * 4),
            "stage": ("presentation", ["probe", "trial", "trial", "probe"] * 2),
            "trial": ("presentation", [0, 0, 1, 1] * 2),
            "block": ("presentation", [0, 1, 1, 1] * 2),
            "stimulus_id": ("presentation", list("abca") * 2),
            "time_bin_start": ("time_bin", [0.0, 10.0, 20.0, 30.0]),
            "time_bin_end": ("time_bin", [10.0, 20.0, 30.0, 40.0]),
            "phase": ("time_bin", ["settle", "settle", "learn", "learn"]),
            "snapshot_arm": ("snapshot", ["intact"] * 3 + ["cut"] * 2),
        },
    )


CHOICES = [
    ({"population": "IT"}, {"neuroid": [3, 4]}),
    ({"population": ["IT", "V1"]}, {}),  # the order is the recording's
    ({"neuroid": ["IT/1", "V1/0"]}, {"neuroid": [0, 4]}),
    ({"population": "V1", "neuroid": ["IT/1", "V1/0"]}, {"neuroid": [0]}),
    ({"arm": "cut"}, {"presentation": [4, 5, 6, 7], "snapshot": [3, 4]}),
    ({"stage": "probe"}, {"presentation": [0, 3, 4, 7]}),
    ({"stimulus": ["b", "c"]}, {"presentation": [1, 2, 5, 6]}),
    ({"trial": 1, "stage": "trial"}, {"presentation": [2, 6]}),
    ({"trial": [0, 1], "block": np.int64(0)}, {"presentation": [0, 4]}),
    ({"phase": "learn"}, {"time_bin": [2, 3]}),
    ({"time_ms": 0.0}, {"time_bin": [0]}),
    ({"time_ms": 10.0}, {"time_bin": [1]}),  # a bin holds its start, not its end
    ({"time_ms": 39.9}, {"time_bin": [3]}),
    ({"time_ms": (5.0, 30.0)}, {"time_bin": [1, 2]}),
    ({"time_ms": (10, 40), "phase": "settle"}, {"time_bin": [1]}),
]


@pytest.mark.parametrize("asked, left", CHOICES, ids=str)
def test_what_fits_stays(asked, left, made):
    xr.testing.assert_identical(select(made, **asked), made.isel(left))


def test_choices_add_up(made):
    """Along different dimensions every pair of choices commutes."""
    for (first, one), (second, other) in itertools.combinations(CHOICES, 2):
        if not set(one) & set(other) and not set(first) & set(second):
            xr.testing.assert_identical(select(made, **first, **second), made.isel({**one, **other}))


WRONG = {
    "unknown": ({"population": "V1s"}, r"no population 'V1s' \(did you mean 'V1'\?\); known: V1, IT"),
    "far off": ({"arm": "xyz"}, "no arm 'xyz'; known: intact, cut"),
    "one of several": ({"neuroid": ["V1/0", "V1/7"]}, "no neuroid 'V1/7'"),
    "number": ({"trial": 5}, "no trial 5; known: 0, 1"),
    "phase": ({"phase": "learning"}, r"no phase 'learning' \(did you mean 'learn'\?\)"),
    "none together": (
        {"population": "V1", "neuroid": "IT/0"},
        "no neuroid satisfies population='V1', neuroid='IT/0'",
    ),
    "no time": ({"time_ms": 40.0}, "no time bin in time_ms=40.0; bins go from 0 to 40 ms"),
    "three times": ({"time_ms": (1, 2, 3)}, "time_ms must be one time or"),
    "phase and time": ({"time_ms": 5.0, "phase": "learn"}, "no time_bin satisfies .*time_ms=5.0"),
}


@pytest.mark.parametrize("asked, said", WRONG.values(), ids=WRONG)
def test_what_does_not_occur_is_named(asked, said, made):
    with pytest.raises(DataError, match=said):
        select(made, **asked)


def test_what_the_recording_has_not(made):
    settled = made.isel(time_bin=0).drop_vars(["phase", "time_bin_start", "time_bin_end"])
    with pytest.raises(DataError, match="has no phase; it has population"):
        select(settled, phase="learn")
    with pytest.raises(DataError, match="time_ms needs time bins"):
        select(settled, time_ms=3.0)


def test_long_lists_are_cut_short(made):
    many = xr.Dataset(
        {"rate": (("presentation", "neuroid"), np.zeros((1, 99)))},
        {"neuroid_id": ("neuroid", [f"V1/{i}" for i in range(99)])},
    )
    with pytest.raises(DataError, match=r"known: V1/0, V1/1, V1/2, V1/3, V1/4, V1/5, …, V1/98$"):
        select(many, neuroid="IT/0")
