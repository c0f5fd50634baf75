"""Recordings of many seeds and settings in one netCDF file, with dims setting and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from cortex_sim.checks import counted
from cortex_sim.errors import DataError, RunError
from cortex_sim.recording.files import open_lazily
from cortex_sim.recording.guarded import growing

SETTING, SEED = "setting", "seed"


def gather(
    recordings: Sequence[Sequence[Path]],
    labels: Sequence[str],
    seeds: Sequence[int],
    columns: Mapping[str, Sequence[Any]],
    path: Path,
) -> None:
    """Write all recordings into one file, whole or not at all, with one variable of one recording in memory.

    Parameters
    ----------
    recordings : sequence of sequences of Path
        By setting, then by seed.
    labels : sequence of str
        Of the settings.
    seeds : sequence of int
    columns : mapping of name to values
        What each setting consists of; they become coordinates of ``setting``.
    path : Path

    Raises
    ------
    RunError
        If the recordings have different sizes, axes or types.
    DataError
        If one cannot be read.
    """
    first, shared, attributes = _common(recordings, labels, seeds)
    with growing(path) as guard, h5netcdf.File(guard, "w") as file:
        file.dimensions = {
            SETTING: len(labels),
            SEED: len(seeds),
            **{str(d): n for d, n in first.sizes.items()},
        }
        _labels(file, labels, seeds, columns)
        for name, variable in first.variables.items():
            lead = () if name in shared else (SETTING, SEED)
            _create(file, str(name), variable, lead)
        for number, (i, j) in enumerate(np.ndindex(len(labels), len(seeds))):
            with open_lazily(recordings[i][j]) as found:
                for name in first.variables:
                    if name not in shared:
                        file.variables[str(name)][i, j] = _plain(_read(found, name, recordings[i][j]))
                    elif not number:
                        file.variables[str(name)][...] = _plain(first[name].values)
        for name, value in attributes.items():
            file.attrs[name] = value


def opened(path: Path) -> xr.Dataset:
    """The gathered file, whose values are read when they are used."""
    found = open_lazily(path)
    return found.set_coords([n for n in found.data_vars if _is_coordinate(str(n), found[n])])


def _is_coordinate(name: str, variable: xr.DataArray) -> bool:
    measured = {"neuroid"} <= set(variable.dims) and variable.dtype.kind == "f"
    return not measured and not name.startswith("weight:")


def _common(
    recordings: Sequence[Sequence[Path]], labels: Sequence[str], seeds: Sequence[int]
) -> tuple[xr.Dataset, set[Any], dict[str, Any]]:
    """The first recording, whose sizes the others must have; coordinates and attributes that all share.

    Only its coordinates are in memory.
    """
    with open_lazily(recordings[0][0]) as first:
        for name in first.coords:
            first[name].load()
    shared, attributes = set(first.coords), dict(first.attrs)
    for (label, seed), path in zip(product(labels, seeds), chain(*recordings), strict=True):
        if path == recordings[0][0]:
            continue
        with open_lazily(path) as other:
            ours, theirs = f"{label}, seed {seed}", f"{labels[0]}, seed {seeds[0]}"
            if dict(other.sizes) != dict(first.sizes) or set(other.variables) != set(first.variables):
                raise RunError(
                    f"sweep: the recording of {ours} has sizes {_said(other)}, that of "
                    f"{theirs} has {_said(first)}, so they do not form one dataset; they "
                    f"are kept one by one, such as {path}"
                )
            for name, form in _forms(first).items():
                if form != _forms(other)[name]:
                    raise RunError(
                        f"sweep: {name} of the recording of {ours} is {_forms(other)[name]}, that of "
                        f"{theirs} is {form}, so they do not form one dataset; they are kept one by one, "
                        f"such as {path}"
                    )
            shared = {name for name in shared if np.array_equal(first[name].values, other[name].values)}
            attributes = {
                name: value
                for name, value in attributes.items()
                if name in other.attrs and np.array_equal(other.attrs[name], value)
            }
    return first, shared, {str(name): value for name, value in attributes.items()}


def _read(recording: xr.Dataset, name: Any, path: Path) -> np.ndarray:
    try:
        return np.asarray(recording[name].values)
    except (OSError, ValueError, KeyError) as exception:
        raise DataError(f"recording {path}: {name} cannot be read ({exception})") from None


def _forms(recording: xr.Dataset) -> dict[Any, tuple[str, ...]]:
    """Type and axes of every variable; texts may differ in length."""
    return {
        name: (v.dtype.kind if v.dtype.kind in "OUS" else str(v.dtype), *map(str, v.dims))
        for name, v in recording.variables.items()
    }


def _said(recording: xr.Dataset) -> str:
    return ", ".join(counted(size, str(dim)) for dim, size in recording.sizes.items() if ":" not in str(dim))


def _create(file: Any, name: str, variable: xr.Variable, lead: tuple[str, ...]) -> None:
    text = variable.dtype.kind in "OUS"
    made = file.create_variable(
        name,
        (*lead, *map(str, variable.dims)),
        dtype=h5py.string_dtype() if text else variable.dtype,
    )
    for key, value in variable.attrs.items():
        made.attrs[key] = value


def _labels(
    file: Any, labels: Sequence[str], seeds: Sequence[int], columns: Mapping[str, Sequence[Any]]
) -> None:
    file.create_variable(SETTING, (SETTING,), dtype=h5py.string_dtype())[...] = _plain(
        np.asarray(labels, dtype=str)
    )
    file.create_variable(SEED, (SEED,), dtype=np.int64)[...] = np.asarray(seeds, dtype=np.int64)
    for name, values in columns.items():
        numbers = all(map(_is_float64, values))
        array = np.asarray(values, dtype=np.float64) if numbers else np.asarray([str(v) for v in values])
        kind = np.float64 if numbers else h5py.string_dtype()
        file.create_variable(f"setting_{name}", (SETTING,), dtype=kind)[...] = _plain(array)


def _is_float64(value: Any) -> bool:
    """Whether a setting is a number that float64 holds exactly; others, such as long seeds, become text."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return abs(int(value)) <= 2**53
    return isinstance(value, (float, np.floating))


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(object) if values.dtype.kind == "U" else values
