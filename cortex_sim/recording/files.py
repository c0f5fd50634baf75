"""Recordings as netCDF: written whole or not at all, read whole or lazily."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from cortex_sim.errors import DataError


def save(recording: xr.Dataset, path: str | Path) -> None:
    """Write a recording as netCDF, whole or not at all."""
    part = Path(f"{path}.part")
    try:
        recording.to_netcdf(part, engine="h5netcdf")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"recording {path}: cannot be written ({error})") from None


def open_lazily(path: str | Path) -> xr.Dataset:
    """Open a recording whose values are read from the file only where they are looked at.

    Use it as ``with open_lazily(path) as recording:``, or close it, so that the file is let go.

    Raises
    ------
    DataError
        If the file is missing, damaged or no recording.
    """
    if not Path(path).is_file():
        raise DataError(f"recording {path}: no such file")
    try:
        recording = xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"recording {path}: cannot be read ({error})") from None
    if "rate" not in recording or not set(recording["rate"].dims) >= {"presentation", "neuroid"}:
        recording.close()
        raise DataError(f"recording {path}: needs a variable rate (presentation, neuroid)")
    return recording


def load(path: str | Path) -> xr.Dataset:
    """Read a recording into memory.

    Raises
    ------
    DataError
        If the file is missing, damaged or no recording.
    """
    with open_lazily(path) as opened:
        try:
            return opened.load()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"recording {path}: cannot be read ({error})") from None
