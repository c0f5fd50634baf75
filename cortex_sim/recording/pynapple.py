"""Recordings as time series of pynapple, a package for analysing neural data."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.recording.extras import imported
from cortex_sim.recording.timeline import sample_rows, timeline, variables

_GAP_S = 1e-6  # pynapple's intervals must not touch


def to_pynapple(recording: xr.Dataset, presentation_ms: float | None = None) -> dict[str, Any]:
    """Time series of every variable, and the interval of every presentation, in s.

    Presentations are laid out one after another; samples are at the centres of time bins. The series have
    one column per neuroid, named by ``neuroid_id``, with the coordinates of neuroids as metadata. The
    intervals each end 1 µs before the next begins, and have ``stimulus_id``, ``repetition`` and the other
    coordinates of presentations as metadata. A coordinate whose name pynapple uses itself gets a trailing
    underscore.

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
    intervals = nap.IntervalSet(time.start, time.stop - _GAP_S)
    _describe(intervals, recording, "presentation")
    made: dict[str, Any] = {"presentations": intervals}
    whole = nap.IntervalSet(0.0, time.stop[-1])
    columns = _names(recording)
    for variable in variables(recording):
        values = np.concatenate([rows for _, rows in sample_rows(recording, variable)])
        series = nap.TsdFrame(t=time.samples, d=values, columns=columns, time_support=whole)
        _describe(series, recording, "neuroid")
        made[variable] = series
    return made


def _names(recording: xr.Dataset) -> list[Any]:
    """Names of neuroids; numbers if they have no names, or share some."""
    if "neuroid_id" in recording.coords:
        names = recording["neuroid_id"].values.astype(str).tolist()
        if len(set(names)) == len(names):
            return list(names)
    return list(range(recording.sizes["neuroid"]))


def _describe(series: Any, recording: xr.Dataset, dim: str) -> None:
    """Attach the coordinates of a dimension; a name that pynapple cannot hold is changed."""
    taken = set(dir(series))
    found = {}
    for name, coordinate in recording.coords.items():
        if coordinate.dims == (dim,) and name != dim:
            plain = re.sub(r"\W", "_", str(name))
            plain = f"_{plain}" if plain[0].isdigit() else plain
            plain = f"{plain}_" if plain in taken else plain
            while plain in found:  # coordinates "a b" and "a_b"
                plain += "_"
            words = coordinate.dtype.kind in "OUS"
            values = coordinate.values.astype(str) if words else coordinate.values
            found[plain] = values
    series.set_info(found)
