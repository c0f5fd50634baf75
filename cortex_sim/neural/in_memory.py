"""Neural data made in memory, completed and checked like data from files."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.data.real_numbers import require_real
from cortex_sim.errors import DataError
from cortex_sim.neural.checking import checked
from cortex_sim.neural.shape import repetitions


def from_memory(data: xr.Dataset, source: str) -> xr.Dataset:
    """The same data, checked as `cortex_sim.neural.load` checks files.

    Neuroids without ids are numbered, and so are repetitions.

    Parameters
    ----------
    data : xarray.Dataset
        With ``rate`` (presentation, neuroid[, time_bin]), in any order, or ``dissimilarity`` (rdm, pair).
    source : str
        Its name in error messages.

    Raises
    ------
    DataError
        If a coordinate is missing, or as for `cortex_sim.neural.load`.
    """
    if "dissimilarity" in data:
        _require(data, source, "stimulus_id", "stimulus")
        return checked(data, source)
    if "rate" not in data or not {"presentation", "neuroid"} <= set(data["rate"].dims):
        raise DataError(
            f"neural data {source}: needs a variable rate (presentation, neuroid), has "
            f"{listed(map(str, data.data_vars))}"
        )
    require_real(f"neural data {source}: rate", data["rate"].dtype)
    _require(data, source, "stimulus_id", "presentation")
    ids = identities(f"neural data {source}: stimulus_id", data["stimulus_id"].values)
    known: dict[str, Any] = {"stimulus_id": ("presentation", np.asarray(ids, dtype=np.str_))}
    if "repetition" not in data.coords:
        known["repetition"] = ("presentation", repetitions(ids))
    if "neuroid_id" not in data.coords:
        known["neuroid_id"] = ("neuroid", np.arange(data.sizes["neuroid"]).astype(np.str_))
    if "time_bin" in data["rate"].dims:
        for edge in ("time_bin_start", "time_bin_end"):
            _require(data, source, edge, "time_bin")
    dims = ("presentation", "neuroid", "time_bin", ...)
    return checked(data.assign_coords(known).transpose(*dims, missing_dims="ignore"), source)


def _require(data: xr.Dataset, source: str, name: str, dim: str) -> None:
    if name not in data.coords or data[name].dims != (dim,):
        raise DataError(
            f"neural data {source}: needs the coordinate {name} ({dim}), has {listed(map(str, data.coords))}"
        )
