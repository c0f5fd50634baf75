"""Recordings as netCDF: written whole or not at all, read whole or lazily."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from cortex_sim.checks import require_path
from cortex_sim.errors import DataError, RunError
from cortex_sim.recording.guarded import growing


def save(recording: xr.Dataset, path: str | Path) -> None:
    """Write a recording as netCDF, whole or not at all.

    Parameters
    ----------
    recording : xarray.Dataset
    path : str or Path
        Usually ends in ".nc"; an existing file is replaced.

    Raises
    ------
    DataError
        If it cannot be written, for example on a full disk; nothing is left behind.
    """
    try:
        with growing(require_path("file", path, DataError)) as file:
            recording.to_netcdf(file, engine="h5netcdf")
    except RunError as exception:
        raise DataError(f"recording {exception}") from None


def open_lazily(path: str | Path) -> xr.Dataset:
    """Open a recording whose values are read from the file only when they are used.

    Use it as ``with open_lazily(path) as recording:``, or close it, to release the file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If the file is missing, damaged or not a recording.
    """
    if not require_path("recording", path, DataError).is_file():
        raise DataError(f"recording {path}: no such file; give the path of a recording")
    try:
        recording = xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False)
    except (OSError, ValueError, KeyError) as exception:
        raise DataError(f"recording {path}: cannot be read ({exception})") from None
    if not _is_recording(recording):
        recording.close()
        raise DataError(f"recording {path}: needs a variable rate (presentation, neuroid)")
    return recording


def _is_recording(held: xr.Dataset) -> bool:
    """Whether a file holds rates by presentation and neuroid, or else weights or the state of rules."""
    if "rate" in held:
        return set(held["rate"].dims) >= {"presentation", "neuroid"}
    sampled = any("->" in str(name) for name in held.data_vars)
    return sampled and {"stimulus_id", "population"} <= set(held.coords)


def load(path: str | Path) -> xr.Dataset:
    """Read a recording into memory.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If the file is missing, damaged or not a recording.
    """
    with open_lazily(path) as opened:
        try:
            return opened.load()
        except (OSError, ValueError, KeyError) as exception:
            raise DataError(f"recording {path}: cannot be read ({exception})") from None
