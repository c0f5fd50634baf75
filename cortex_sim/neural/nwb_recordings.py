"""Recordings that this package wrote as NWB, read back with all their coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.errors import DataError
from cortex_sim.recording.nwb_series import UNITS
from cortex_sim.recording.nwb_tables import coordinate_name

_PLAIN = {written: units for units, written in UNITS.items()}
_TIMES = ("start_time", "stop_time", "stimulus_onset_time", "series", "series_column")


def read_recording(path: Path, content: Any, module: Any) -> xr.Dataset:
    """The recording in a processing module.

    Raises
    ------
    DataError
        If a series or the table of presentations is missing.
    """
    table = (content.intervals or {}).get(f"{module.name}_presentations") or content.trials
    if table is None:
        raise DataError(
            f"neural data {path}: the recording {module.name} has no table of presentations; save it again "
            f"with cortex_sim.recording.save_nwb"
        )
    neuroids = module["neuroids"]
    bins = module["time_bins"] if "time_bins" in module.data_interfaces else None
    dims = ("presentation", "neuroid", "time_bin")[: 2 if bins is None else 3]
    shape = (len(table), len(neuroids), 1 if bins is None else len(bins))
    blocks = np.asarray(neuroids["series"][:]).astype(str)
    columns = np.asarray(neuroids["series_column"][:]).astype(int)
    data = {}
    for variable in _variables(path, module, blocks):
        values = _values(path, module, variable, blocks, columns, shape)
        units = module[f"{variable}_{blocks[0]}"].unit
        data[variable] = (
            dims,
            values[..., 0] if bins is None else values,
            {"units": _PLAIN.get(units, units)},
        )
    coordinates = _coordinates(table, "presentation") | _coordinates(neuroids, "neuroid")
    if bins is not None:
        coordinates |= _coordinates(bins, "time_bin")
    made = xr.Dataset(data, coordinates)
    _add_attributes(made, module)
    return made


def _variables(path: Path, module: Any, blocks: NDArray[Any]) -> list[str]:
    """Variables that have a series for every block of neuroids."""
    first, names = f"_{blocks[0]}", set(module.data_interfaces)
    starts = [name.removesuffix(first) for name in names if name.endswith(first)]
    found = sorted(start for start in starts if {f"{start}_{block}" for block in blocks} <= names)
    if "rate" not in found:
        raise DataError(
            f"neural data {path}: the recording {module.name} has no series of rates; save it again "
            f"with cortex_sim.recording.save_nwb"
        )
    return found


def _values(
    path: Path,
    module: Any,
    variable: str,
    blocks: NDArray[Any],
    columns: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> NDArray[Any]:
    """Values of shape (presentation, neuroid, time_bin)."""
    made = np.empty(shape, dtype=module[f"{variable}_{blocks[0]}"].data.dtype)
    for block in dict.fromkeys(blocks.tolist()):
        series = module[f"{variable}_{block}"]
        samples = np.asarray(series.data[:])
        if len(samples) != shape[0] * shape[2]:
            raise DataError(
                f"neural data {path}: {series.name} has {len(samples)} samples, not {shape[0] * shape[2]}: "
                f"{shape[0]} presentations with {shape[2]} time bins"
            )
        members = np.flatnonzero(blocks == block)
        taken = samples[:, columns[members]].reshape(shape[0], shape[2], len(members))
        made[:, members] = np.moveaxis(taken, 1, 2)
    return made


def _coordinates(table: Any, dim: str) -> dict[str, Any]:
    found = {}
    for column in table.colnames:
        if column not in _TIMES:
            values = np.asarray(table[column][:])
            kind = values.dtype.kind
            values = values.astype(np.int64 if kind in "iu" else str if kind in "OSU" else values.dtype)
            found[coordinate_name(column)] = (dim, values)
    return found


def _add_attributes(made: xr.Dataset, module: Any) -> None:
    if "attributes" not in module.data_interfaces:
        return
    rows = module["attributes"].to_dataframe()
    for name, value in zip(rows["attribute"], rows["value"], strict=True):
        variable, _, attribute = str(name).partition(".")
        of = made[variable].attrs if attribute and variable in made else made.attrs
        of[attribute if of is not made.attrs else str(name)] = str(value)
