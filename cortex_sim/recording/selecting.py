"""Selecting from a recording in one line, by its coordinates."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.errors import DataError

# Argument: coordinate, and the dimension along which it selects.
_NAMES = {
    "population": ("population", "neuroid"),
    "neuroid": ("neuroid_id", "neuroid"),
    "arm": ("arm", "presentation"),
    "stage": ("stage", "presentation"),
    "stimulus": ("stimulus_id", "presentation"),
    "trial": ("trial", "presentation"),
    "block": ("block", "presentation"),
    "phase": ("phase", "time_bin"),
}


def select(
    recording: xr.Dataset,
    *,
    population: str | Iterable[str] | None = None,
    neuroid: str | Iterable[str] | None = None,
    arm: str | Iterable[str] | None = None,
    stage: str | Iterable[str] | None = None,
    stimulus: str | Iterable[str] | None = None,
    trial: int | Iterable[int] | None = None,
    block: int | Iterable[int] | None = None,
    phase: str | Iterable[str] | None = None,
    time_ms: float | tuple[float, float] | None = None,
) -> xr.Dataset:
    """The part of a recording that satisfies all given criteria.

    Parameters
    ----------
    recording : xarray.Dataset
    population, neuroid : str or list of str
        Populations ("V1"), single units ("V1/17").
    arm, stage, stimulus, trial, block : one or a list
        Of the presentations; ``arm`` selects the snapshots of weights too.
    phase : str or list of str
        Phases in which time bins end.
    time_ms : float or (start, end)
        The time bin that contains a time, or those between two times, in ms within the trial.

    Returns
    -------
    xarray.Dataset
        In the order of the recording; dimensions stay, with fewer entries.

    Raises
    ------
    DataError
        If a value does not occur (the message lists those that do), the recording has no such
        coordinate, or nothing is left.

    Examples
    --------
    >>> import numpy as np
    >>> import cortex_sim as cs
    >>> from cortex_sim.recording import make_recording, select
    >>> net = cs.Network("two")
    >>> v1, it = net.population("V1", 3), net.population("IT", 2)
    >>> rates = {"V1": np.zeros((4, 3)), "IT": np.ones((4, 2))}
    >>> select(make_recording(net, {"rate": rates}), population="IT").rate.shape
    (4, 2)
    """
    asked = {
        "population": population,
        "neuroid": neuroid,
        "arm": arm,
        "stage": stage,
        "stimulus": stimulus,
        "trial": trial,
        "block": block,
        "phase": phase,
    }
    kept: dict[str, np.ndarray] = {}
    for what, values in asked.items():
        if values is not None:
            coordinate, dim = _NAMES[what]
            _narrow(kept, dim, _among(recording, what, coordinate, values))
    if arm is not None and "snapshot_arm" in recording.coords:
        chosen = np.isin(recording["snapshot_arm"].values.astype(str), np.asarray(_listed(arm)))
        _narrow(kept, "snapshot", chosen)
    if time_ms is not None:
        _narrow(kept, "time_bin", _within(recording, time_ms))
    for dim, mask in kept.items():
        if dim != "snapshot" and not mask.any():
            said = {**asked, "time_ms": time_ms}
            given = ", ".join(f"{what}={value!r}" for what, value in said.items() if value is not None)
            raise DataError(f"select: no {dim} satisfies {given} together, only each of them separately")
    return recording.isel({dim: np.flatnonzero(mask) for dim, mask in kept.items()})


def _narrow(kept: dict[str, np.ndarray], dim: str, mask: np.ndarray) -> None:
    kept[dim] = kept[dim] & mask if dim in kept else mask


def _listed(values: Any) -> list[Any]:
    return [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)


def _among(recording: xr.Dataset, what: str, coordinate: str, values: Any) -> np.ndarray:
    """Whether each entry is one of the values; one that does not occur is an error."""
    if coordinate not in recording.coords:
        raise DataError(
            f"select: the recording has no {what}; it has {', '.join(map(str, recording.coords))}"
        )
    entries = recording[coordinate].values
    words = entries.dtype.kind in "OU"
    entries = entries.astype(str) if words else entries
    known = dict.fromkeys(entries.tolist())
    for value in _listed(values):
        if value not in known:
            near = get_close_matches(str(value), [str(k) for k in known], n=1) if words else []
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise DataError(f"select: no {what} {value!r}{hint}; known: {_abridged(list(known))}")
    return np.isin(entries, np.asarray(_listed(values)))


def _within(recording: xr.Dataset, time_ms: Any) -> np.ndarray:
    if "time_bin_start" not in recording.coords:
        raise DataError("select: time_ms needs time bins; this recording has one value per presentation")
    start, end = recording["time_bin_start"].values, recording["time_bin_end"].values
    if np.ndim(time_ms) == 0:
        mask = (start <= time_ms) & (time_ms < end)
    elif np.shape(time_ms) == (2,):
        mask = (start >= time_ms[0]) & (end <= time_ms[1])
    else:
        raise DataError(f"select: time_ms must be one time or (start, end). Got {time_ms!r}")
    if not mask.any():
        raise DataError(
            f"select: no time bin in time_ms={time_ms!r}; bins go from {start.min():g} to {end.max():g} ms"
        )
    return mask


def _abridged(known: list[Any]) -> str:
    shown = [str(value) for value in known]
    if len(shown) > 12:
        shown = [*shown[:6], "…", shown[-1]]
    return ", ".join(shown)
