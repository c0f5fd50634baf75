"""Tables of a recording in an NWB file: neuroids, presentations, time bins, attributes.

Every coordinate of the recording becomes a column; a name that the format reserves gets a trailing
underscore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.recording.timeline import Timeline

MEANING = {
    "stimulus_id": "which stimulus was presented",
    "repetition": "how often the stimulus had been presented before",
    "arm": "condition of the experiment",
    "stage": "trial or probe",
    "block": "block of trials",
    "trial": "trial within its arm and stage",
    "population": "population (area) of the neuroid",
    "neuroid_id": "name of the neuroid",
    "channel": "channel (feature map) of the neuroid; -1 in a population without channels",
    "row": "row of the neuroid in its channel; -1 in a population without rows",
    "column": "column of the neuroid in its channel; -1 in a population without columns",
    "phase": "phase of the protocol in which the bin ends",
    "time_bin_start": "start of the bin after stimulus onset, in ms",
    "time_bin_end": "end of the bin after stimulus onset, in ms",
}


def neuroid_table(recording: xr.Dataset, series: Sequence[str], columns: NDArray[np.int64]) -> Any:
    """One row per neuroid: its coordinates, and where its values are (end of a series' name, and column)."""
    made = {
        **_coordinates(recording, "neuroid"),
        "series": (np.asarray(series, dtype=str), "series that holds the neuroid, after VARIABLE_"),
        "series_column": (columns, "column of that series, from 0"),
    }
    about = "Neuroids (model units or recorded units), one row each, and the series that holds their values."
    return _table("neuroids", about, made)


def presentation_table(recording: xr.Dataset, time: Timeline, name: str) -> Any:
    """One row per presentation: when it was, what was presented, and all that is known about it."""
    from pynwb.epoch import TimeIntervals

    made = {
        "start_time": (time.start, "start of the presentation, in s"),
        "stop_time": (time.stop, "end of the presentation, in s"),
        "stimulus_onset_time": (time.start + time.onset_s, "time 0 of the time bins, in s"),
        **_coordinates(recording, "presentation"),
    }
    about = "Presentations of stimuli, one row each, laid out one after another."
    return _table(name, about, made, TimeIntervals)


def bin_table(recording: xr.Dataset) -> Any:
    """One row per time bin; None without time bins."""
    if "time_bin" not in recording["rate"].dims:
        return None
    about = "Time bins of every presentation, relative to stimulus onset."
    return _table("time_bins", about, _coordinates(recording, "time_bin"))


def attribute_table(recording: xr.Dataset, variables: Sequence[str]) -> Any:
    """Attributes of the recording and of its variables, and single coordinates, as text."""
    rows: list[tuple[str, str]] = []
    single = {name: of.values.item() for name, of in recording.coords.items() if not of.dims}
    for name, value in {**single, **recording.attrs}.items():
        rows += _rows(str(name), value)
    for variable in variables:
        for name, value in recording[variable].attrs.items():
            rows += _rows(f"{variable}.{name}", value)
    rows = [(name, value) for name, value in rows if value not in ("", "None")]
    if not rows:
        return None
    names, values = zip(*rows, strict=True)
    made = {
        "attribute": (np.asarray(names, dtype=str), "name of the attribute"),
        "value": (np.asarray(values, dtype=str), "its value"),
    }
    return _table("attributes", "What is known about the recording: network, rule, seed, versions.", made)


def _coordinates(recording: xr.Dataset, dim: str) -> dict[str, tuple[NDArray[Any], str]]:
    found = {}
    for name, coordinate in recording.coords.items():
        if coordinate.dims == (dim,) and name != dim:
            about = MEANING.get(str(name)) or coordinate.attrs.get("long_name") or f"{name}, as recorded"
            column = _free(str(name))
            while column in found:  # coordinates "a/b" and "a_b"
                column += "_"
            found[column] = (_compact(coordinate.values), str(about))
    return found


def _free(name: str) -> str:
    """A column's name for a coordinate: not one that the format reserves."""
    plain = name.replace("/", "_").replace("\\", "_").replace(":", "_")
    return f"{plain}_" if _is_reserved(plain) else plain


def coordinate_name(column: str) -> str:
    """The coordinate that a column was written for."""
    plain = column.removesuffix("_")
    return plain if _is_reserved(plain) else column


def _is_reserved(name: str) -> bool:
    from pynwb.epoch import TimeIntervals

    kept = {"start_time", "stop_time", "stimulus_onset_time", "series", "series_column"}
    return name in kept or hasattr(TimeIntervals, name)


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """Text, numbers or truth values, whole numbers in as few bytes as they need."""
    if values.dtype.kind in "iu":
        smallest = np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
        return values.astype(smallest) if smallest.kind in "iu" else values
    return values if values.dtype.kind in "bf" else values.astype(str)


def _table(
    name: str, about: str, columns: Mapping[str, tuple[NDArray[Any], str]], kind: type | None = None
) -> Any:
    from hdmf.common import DynamicTable, VectorData

    made = [
        VectorData(
            name=column,
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            data=list(values) if values.dtype.kind == "U" else values,
        )
        for column, (values, meaning) in columns.items()
    ]
    return (kind or DynamicTable)(name=name, description=about, columns=made, colnames=list(columns))


def _rows(name: str, value: Any) -> list[tuple[str, str]]:
    """Rows for one attribute; JSON objects are unpacked, since no text in a table may be a dictionary."""
    if isinstance(value, str):
        try:
            read = json.loads(value)
        except ValueError:
            return [(name, value)]
        return _rows(name, read) if isinstance(read, (dict, list)) else [(name, value)]
    if isinstance(value, Mapping):
        return [row for key, inner in value.items() for row in _rows(f"{name}.{key}", inner)]
    if isinstance(value, (list, tuple)) and any(isinstance(inner, (dict, list, tuple)) for inner in value):
        return [row for i, inner in enumerate(value) for row in _rows(f"{name}.{i}", inner)]
    plain = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    return [(name, json.dumps(plain, default=str) if isinstance(plain, (list, tuple)) else str(plain))]
