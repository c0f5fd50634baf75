"""Whatever arrays a file holds under documented names, it is read or refused in one line."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cortex_sim import neural
from cortex_sim.compare.from_recordings import to_dissimilarities, to_responses
from cortex_sim.errors import DataError

NAMES = ["response", "response_mean", "response_repeats", "stimulus_id", "neuroid_id", "session", "animal"]
NAMES += ["time_bin_start", "time_bin_end", "units", "measure", "subjects", "rdm", "mine", "images", "jpeg"]
NAMES += [
    "offset",
    "time_ms",
    "time_s",
    "neuron",
    "trial",
    "trials_per_neuron",
    "condition_index",
    "conditions",
]
NAMES += ["neuron_names", "repetition", "population"]

sizes = st.sampled_from([1, 2, 3, 6])  # few sizes, so that many shapes fit each other by chance
shapes = st.lists(sizes, max_size=4).map(tuple)
numbers = st.one_of(
    hnp.arrays(np.float64, shapes, elements=st.sampled_from([0.0, 1.0, 2.5, -1.0, np.nan, np.inf])),
    hnp.arrays(np.int64, shapes, elements=st.integers(-1, 5)),
    hnp.arrays(np.dtype("U2"), shapes, elements=st.sampled_from(["a", "b", "c", ""])),
    hnp.arrays(np.bool_, shapes),
)
files = st.dictionaries(st.sampled_from(NAMES), numbers, min_size=1, max_size=6)


@given(arrays=files, key=st.sampled_from([None, "mine", "rdm"]), window=st.sampled_from([None, (0, 4)]))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_read_or_refused(tmp_path, arrays, key, window):
    path = tmp_path / "any.npz"
    np.savez(path, **arrays)
    given_key = f"{path}:{key}" if key in arrays else path
    try:
        loaded = neural.load(given_key, window_ms=window, bin_ms=None if window is None else 2)
    except DataError as exception:
        assert "\n" not in str(exception) and "any.npz" in str(exception)
        return
    if "dissimilarity" in loaded:
        assert to_dissimilarities(loaded).values.shape == loaded.dissimilarity.shape
    elif "time_bin" not in loaded.dims and "session" not in loaded.coords:
        assert np.isfinite(to_responses(loaded).values).all()
    assert isinstance(loaded, xr.Dataset)
