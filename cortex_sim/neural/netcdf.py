"""Recordings in netCDF: of this package, of Brain-Score, and any with presentations and neuroids.

Brain-Score (its package BrainIO) cannot write a MultiIndex: every level becomes a coordinate along its
dimension; an index with a single level may be named like the dimension, with or without a trailing
underscore. The array is named ``data``, after the data set (``dicarlo.MajajHong2015``), or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.data.limits import MAX_BYTES
from cortex_sim.errors import DataError
from cortex_sim.neural.companions import TIME_BINS, look_like_seconds
from cortex_sim.neural.shape import rdms, recording
from cortex_sim.neural.stored import one_line, opened

FORM = "netCDF with a variable (presentation, neuroid) or (presentation, neuroid, time_bin)"
NEEDED, TIMED = {"presentation", "neuroid"}, {"presentation", "neuroid", "time_bin"}
STIMULI = ("stimulus_id", "image_id", "presentation_", "presentation")
NAMES = {  # what other programs call a coordinate, in order of preference
    "neuroid_id": ("neuroid_id", "neuroid_", "neuroid"),
    "population": ("population", "region"),
    "animal": ("animal", "subject"),
}
IN_MS = {"ms": 1.0, "millisecond": 1.0, "milliseconds": 1.0, "msec": 1.0, "": 1.0, "1": 1.0}
IN_MS |= {"s": 1000.0, "second": 1000.0, "seconds": 1000.0, "sec": 1000.0}


def read_netcdf(path: Path, key: str | None = None, *, max_bytes: int = MAX_BYTES) -> xr.Dataset:
    """Responses or RDMs from netCDF, classic or HDF5.

    Parameters
    ----------
    path : Path
    key : str, optional
        The variable; without it, ``rate``, or the only one with dimensions (presentation, neuroid[,
        time_bin]).
    max_bytes : int
        Larger variables are refused.

    Raises
    ------
    DataError
        If the file is damaged, has no such variable, or does not say which stimuli were presented.
    """
    held = _opened(path)
    try:
        if "dissimilarity" in held.variables and key in (None, "dissimilarity"):
            return _rdms(path, held, max_bytes)
        name = _variable(path, held, key)
        return _recording(path, held, name, max_bytes)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as exception:
        if isinstance(exception, DataError):
            raise
        raise DataError(
            f"neural data {path}: cannot be read ({one_line(exception)}); copy or download it again"
        ) from None
    finally:
        held.close()


def _opened(path: Path) -> xr.Dataset:
    with path.open("rb") as start:
        classic = start.read(3) == b"CDF"
    if not classic:
        with opened(path) as file:
            # Where this fails, h5netcdf would print a traceback and keep the damaged file open.
            file.attrs.get("_nc3_strict")
            file.visititems(lambda name, item: None)
    try:
        if classic:
            return xr.open_dataset(
                path, engine="scipy", decode_timedelta=False, decode_times=False, mmap=False
            )
        return xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False, decode_times=False)
    except Exception as exception:  # the reader of a damaged header may raise anything
        raise DataError(
            f"neural data {path}: not a readable netCDF file ({one_line(exception)}); copy or download "
            f"it again"
        ) from None


def _variable(path: Path, opened: xr.Dataset, key: str | None) -> Hashable:
    fitting = [n for n, v in opened.variables.items() if set(v.dims) in (NEEDED, TIMED) and len(v.dims) > 1]
    if key is not None:
        if key not in opened.variables:
            raise DataError(
                f"neural data {path}: has no variable {key!r}, but {listed(map(str, opened.variables))}"
            )
        if key not in fitting:
            raise DataError(
                f"neural data {path}: {key} has dimensions {opened[key].dims}; give one with "
                f"(presentation, neuroid) or (presentation, neuroid, time_bin), such as "
                f"{listed(map(str, fitting))}"
            )
        return key
    if "rate" in fitting:
        return "rate"
    if len(fitting) != 1:
        dims = ", ".join(f"{n} {v.dims}" for n, v in opened.data_vars.items()) or "no variable"
        if fitting:
            raise DataError(
                f"neural data {path}: which variable? Give {path}:KEY, one of {listed(map(str, fitting))}"
            )
        raise DataError(
            f"neural data {path}: needs a variable (presentation, neuroid) or (presentation, neuroid, "
            f"time_bin), but holds {dims}; rename dimensions with xarray"
        )
    return fitting[0]


def _recording(path: Path, opened: xr.Dataset, name: Hashable, max_bytes: int) -> xr.Dataset:
    variable = opened.variables[name]
    _require_room(path, str(name), variable, max_bytes)
    values = opened[name].transpose("presentation", "neuroid", ...).values
    if values.dtype.kind not in "biuf" or not values.size:
        raise DataError(
            f"neural data {path}: {name} has dtype {values.dtype} and shape {values.shape}; give numbers"
        )
    along = {
        dim: _coordinates(opened, dim, max_bytes, path) for dim in ("presentation", "neuroid", "time_bin")
    }
    presentations, neuroids, bins = along["presentation"], along["neuroid"], along["time_bin"]
    ids = _ids(path, presentations)
    for wanted, names in NAMES.items():
        found = next((n for n in names if n in neuroids), None)
        if found is not None:
            neuroids[wanted] = (
                neuroids.pop(found) if found in (wanted, "neuroid", "neuroid_") else neuroids[found]
            )
    return recording(
        str(opened.attrs.get("name", opened.attrs.get("identifier", path.stem))),
        values if values.dtype.kind == "f" else values.astype(np.float64),
        ids,
        units=variable.attrs.get("units"),
        repetition=presentations.pop("repetition", None),
        presentations={n: of for n, of in presentations.items() if n not in STIMULI},
        neuroids=neuroids,
        time_bins=_bins(path, opened, bins) if "time_bin" in variable.dims else None,
        attributes={**_attributes(opened), "array": str(name)},
    )


def _rdms(path: Path, opened: xr.Dataset, max_bytes: int) -> xr.Dataset:
    variable = opened.variables["dissimilarity"]
    if variable.dims != ("rdm", "pair") or "stimulus_id" not in opened.variables:
        raise DataError(
            f"neural data {path}: dissimilarity has dimensions {variable.dims}; give (rdm, pair), and the "
            f"coordinate stimulus_id (stimulus)"
        )
    _require_room(path, "dissimilarity", variable, max_bytes)
    attributes = _attributes(opened)
    return rdms(
        str(attributes.pop("name", path.stem)),
        variable.values.astype(np.float64),
        _whole(opened["stimulus_id"].variable, _text(opened["stimulus_id"].values)),
        measure=attributes.pop("measure", None),
        known=_coordinates(opened, "rdm", max_bytes, path),
        attributes=attributes,
    )


def _coordinates(opened: xr.Dataset, dim: str, max_bytes: int, path: Path) -> dict[str, Any]:
    """Everything with one number or text per entry of a dimension."""
    found: dict[str, Any] = {}
    for name, variable in opened.variables.items():
        if variable.dims == (dim,):
            _require_room(path, str(name), variable, max_bytes)
            values = _whole(variable, _text(variable.values))
            if values.dtype.kind in "biufU":
                found[str(name)] = values
    return found


def _ids(path: Path, presentations: dict[str, Any]) -> list[str]:
    for name in STIMULI:
        if name in presentations and (name in STIMULI[:2] or presentations[name].dtype.kind == "U"):
            return identities(f"neural data {path}: {name}", presentations[name])
    raise DataError(
        f"neural data {path}: does not say which stimulus was presented; give the coordinate stimulus_id "
        f"(presentation); has {listed(presentations)}"
    )


def _bins(path: Path, opened: xr.Dataset, bins: dict[str, Any]) -> tuple[Any, ...]:
    if not {"time_bin_start", "time_bin_end"} <= set(bins):
        raise DataError(
            f"neural data {path}: has time bins without time_bin_start and time_bin_end in ms; add both as "
            f"coordinates of time_bin (has {listed(bins)})"
        )
    start, end = (bins[name] * _ms(path, opened, name) for name in TIME_BINS)
    if not any("units" in opened[name].attrs for name in TIME_BINS) and look_like_seconds(start, end):
        raise DataError(
            f"neural data {path}: time_bin_start and time_bin_end have no units, and look like seconds; give "
            f"them the attribute units, 's' or 'ms'"
        )
    return start, end


def _ms(path: Path, opened: xr.Dataset, name: str) -> float:
    """Milliseconds in one unit of a time."""
    units = str(opened[name].attrs.get("units", "ms")).strip().lower()
    if units not in IN_MS:
        raise DataError(
            f"neural data {path}: {name} has the units {units!r}; give times in ms or s, with that as units"
        )
    return IN_MS[units]


def _attributes(opened: xr.Dataset) -> dict[str, Any]:
    """Attributes of the file that netCDF can store; results of earlier checks are left out."""
    return {
        str(name): value
        for name, value in opened.attrs.items()
        if name not in ("name", "constant_neuroids")
        and isinstance(value, (str, int, float, np.number, np.ndarray))
    }


def _require_room(path: Path, name: str, variable: xr.Variable, max_bytes: int) -> None:
    size = math.prod(variable.shape) * max(8, variable.dtype.itemsize)
    if size > max_bytes:
        raise DataError(
            f"neural data {path}: {name} of shape {variable.shape} would take {size / 2**30:.3g} GiB, the "
            f"limit is {max_bytes / 2**30:.3g} GiB; save fewer presentations or neuroids"
        )


def _whole(variable: xr.Variable, values: np.ndarray) -> np.ndarray:
    """Values as integers where they became floating-point numbers only to mark missing ones as NaN."""
    stored = variable.encoding.get("dtype")
    scaled = {"scale_factor", "add_offset"} & set(variable.encoding)
    if values.dtype.kind != "f" or scaled or stored is None or np.dtype(stored).kind not in "iu":
        return values
    return values.astype(np.int64) if np.isfinite(values).all() else values


def _text(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O" and all(isinstance(one, (str, bytes)) for one in values.ravel().tolist()):
        return np.asarray(
            [o.decode("utf-8", "replace") if isinstance(o, bytes) else o for o in values.tolist()]
        )
    return values
