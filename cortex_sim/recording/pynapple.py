"""Recordings as time series of pynapple, a package for analysing neural data."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.recording.extras import imported
from cortex_sim.recording.timeline import sample_rows, timeline, variables

_GAP_S = 1e-6  # pynapple's intervals must not touch


def to_pynapple(recording: xr.Dataset, presentation_ms: float | None = None) -> dict[str, Any]:
    """Time series of every variable, and the interval of every presentation, in s.

    Presentations are laid out one after another; samples are at the centres of time bins. The series have
    one column per neuroid, named by ``neuroid_id``, with the neuroids' other coordinates as metadata.
    The intervals end 1 µs before the next begins, and have ``stimulus_id``, ``repetition`` and the
    presentations' other coordinates as metadata.

    Parameters
    ----------
    recording : xarray.Dataset
    presentation_ms : float, optional
        Duration of a presentation where the recording has no time bins; by default nominally 100 ms.

    Returns
    -------
    dict
        "rate" (and "credit", "drive") : `pynapple.TsdFrame` of shape (sample, neuroid);
        "presentations" : `pynapple.IntervalSet`.

    Raises
    ------
    DataError
        If pynapple is missing or the recording is not one.
    """
    nap = imported("pynapple", "pynapple", "to_pynapple")
    time = timeline(recording, presentation_ms)
    intervals = nap.IntervalSet(
        time.start, time.stop - _GAP_S, metadata=_metadata(recording, "presentation", {"start", "end"})
    )
    whole = nap.IntervalSet(0.0, time.stop[-1])
    columns = _names(recording)
    about = _metadata(recording, "neuroid", {"neuroid_id"})
    made: dict[str, Any] = {"presentations": intervals}
    for variable in variables(recording):
        values = np.concatenate([rows for _, rows in sample_rows(recording, variable)])
        made[variable] = nap.TsdFrame(
            t=time.samples, d=values, columns=columns, metadata=about, time_support=whole
        )
    return made


def _names(recording: xr.Dataset) -> list[Any]:
    if "neuroid_id" in recording.coords:
        return list(recording["neuroid_id"].values.astype(str).tolist())
    return list(range(recording.sizes["neuroid"]))


def _metadata(recording: xr.Dataset, dim: str, left_out: set[str]) -> dict[str, np.ndarray]:
    """Coordinates of a dimension; names that pynapple keeps for itself get an underscore."""
    found = {}
    for name, coordinate in recording.coords.items():
        if coordinate.dims == (dim,) and name not in left_out | {dim}:
            words = coordinate.dtype.kind in "OUS"
            found[str(name)] = coordinate.values.astype(str) if words else coordinate.values
    return found
