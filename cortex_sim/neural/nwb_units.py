"""Spike times of an NWB file's units as rates."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError
from cortex_sim.neural.nwb_presentations import MS, Windows
from cortex_sim.neural.spikes import ENOUGH, counts

log = logging.getLogger(__name__)
_NS = 6  # decimals of a ms: spikes on a grid, such as 1 ms, stay on it after conversion from s

UNKNOWN = "unknown"
_AREAS = ("location", "brain_area", "brain_region", "area", "region", "structure")


def unit_rates(path: Path, units: Any, windows: Windows) -> NDArray[np.float64]:
    """Spikes/s of shape (presentation, neuroid, time_bin); NaN where a unit was not observed.

    That is said by ``obs_intervals``. Without these, presentations before the first or after the last spike
    of all units count as not recorded, with a warning, unless so few spikes were expected there that there
    may be none by chance.

    Raises
    ------
    DataError
        If units have no spike times, a time is not finite, or presentations are on another clock.
    """
    if "spike_times" not in units.colnames or not len(units):
        raise DataError(f"neural data {path}: its units have no spike times")
    trains = [np.sort(np.asarray(units["spike_times"][i], dtype=np.float64)) * MS for i in range(len(units))]
    _require_same_clock(path, trains, windows)
    presentations, edges = windows.relative_ms.shape
    rates = np.empty((presentations, len(trains), edges - 1))
    for i, train in enumerate(trains):
        rates[:, i] = _rates(train, windows)
    if "obs_intervals" in units.colnames:
        for i in range(len(units)):
            observed = np.asarray(units["obs_intervals"][i], dtype=float).reshape(-1, 2) * MS
            rates[:, i][~_observed(observed, windows.edges_ms)] = np.nan
    else:
        rates[_not_recorded(path, trains, windows)] = np.nan
    if np.isnan(rates).all():
        raise DataError(f"neural data {path}: no unit was observed during any presentation (obs_intervals)")
    return rates


def unit_coordinates(units: Any) -> dict[str, list[str]]:
    """Name and area of each unit."""
    areas, ids = _areas(units), units.id[:].tolist()
    prefixes = ["unit" if area == UNKNOWN else area for area in areas]
    return {
        "neuroid_id": [f"{prefix}/{one}" for prefix, one in zip(prefixes, ids, strict=True)],
        "population": areas,
    }


def _rates(train: NDArray[np.float64], windows: Windows) -> NDArray[np.float64]:
    """Spikes/s of one unit, shape (presentation, time_bin)."""
    edges = windows.edges_ms
    first, last = np.searchsorted(train, [edges[:, 0] - 1e-3, edges[:, -1] + 1e-3])
    held = last - first
    presentation = np.repeat(np.arange(len(edges)), held)
    spike = np.arange(held.sum()) + np.repeat(first - (np.cumsum(held) - held), held)
    after = np.round(train[spike] - windows.onset_ms[presentation], _NS)
    if windows.common is not None:
        within = np.round(windows.common, _NS)
        found = counts(after, presentation, np.zeros_like(presentation), (len(edges), 1), within)[:, 0]
    else:  # one window per presentation, each with its own end
        start, stop = np.round(windows.relative_ms[presentation], _NS).T
        inside = (after >= start) & (after < stop)
        found = np.bincount(presentation[inside], minlength=len(edges))[:, None]
    return np.asarray(found / np.diff(windows.relative_ms, axis=1) * MS, dtype=np.float64)


def _observed(intervals: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each bin lies within an interval, or several without a gap, shape (presentation, time_bin)."""
    intervals = _without_seams(intervals)
    start, end = edges[:, :-1, None], edges[:, 1:, None]
    within = (intervals[:, 0] <= start + 1e-3) & (end <= intervals[:, 1] + 1e-3)
    return np.asarray(within.any(-1), dtype=bool)


def _not_recorded(path: Path, trains: list[NDArray[np.float64]], windows: Windows) -> NDArray[np.bool_]:
    """Presentations while nothing was recorded, as the spikes of all units together tell, (presentation,)."""
    spikes, edges = np.concatenate(trains), windows.edges_ms
    first, last = float(spikes.min()), float(spikes.max())
    beyond = np.asarray((edges[:, 0] > last) | (edges[:, -1] <= first), dtype=bool)
    expected = len(spikes) / max(last - first, 1e-9) * (edges[:, -1] - edges[:, 0])[beyond].sum()
    if expected <= ENOUGH:
        return np.zeros_like(beyond)
    log.warning(
        "neural data %s: %d of %d presentations lie before the first or after the last spike of all units, "
        "and count as not recorded (NaN); if the units were silent, give them obs_intervals",
        *(path, int(beyond.sum()), len(beyond)),
    )
    return beyond


def _without_seams(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intervals that overlap, or follow each other without a gap, as one; shape (interval, 2)."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reached = np.fmax.accumulate(ordered[:, 1])  # an end that is NaN ends nothing
    first = np.flatnonzero(np.r_[True, ordered[1:, 0] > reached[:-1] + 1e-3][: len(ordered)])
    last = np.r_[first[1:] - 1, len(ordered) - 1][: len(first)]
    return np.stack([ordered[first, 0], reached[last]], axis=1)


def _require_same_clock(path: Path, trains: list[NDArray[np.float64]], windows: Windows) -> None:
    """Raise if spikes and presentations cannot be in seconds of one clock."""
    spikes = np.concatenate(trains) / MS
    if not len(spikes) or not np.isfinite(spikes).all():
        what = "spike times that are not finite" if len(spikes) else "no spikes"
        raise DataError(f"neural data {path}: its units have {what}")
    first, last = float(spikes.min()), float(spikes.max())
    edges = windows.edges_ms / MS
    begin, end = float(edges[:, 0].min()), float(edges[:, -1].max())
    ran = f"spike times run from {first:g} to {last:g} s, presentations from {begin:g} to {end:g} s"
    after_recording = np.mean(edges[:, 0] > last)
    slow = float(np.median([len(train) for train in trains])) / max(last - first, 1e-9)
    if last < begin or first > end or after_recording > 0.5 or (last > 100 * end and slow < 0.1):
        raise DataError(
            f"neural data {path}: spike times and presentations are not on one clock in seconds ({ran}); "
            f"give both in s after the start of the session, as NWB requires, not in ms or samples"
        )


def _areas(units: Any) -> list[str]:
    """Brain area of each unit: its own column, else its electrodes', else its electrode group's."""
    for name in _AREAS:
        if name in units.colnames:
            return [area_name(one) for one in units[name][:]]
    if "electrodes" in units.colnames:
        return [_area_of(units["electrodes"][i]) for i in range(len(units))]
    if "electrode_group" in units.colnames:
        return [area_name(group.location) for group in units["electrode_group"][:]]
    return [UNKNOWN] * len(units)


def _area_of(electrodes: Any) -> str:
    """The areas of a unit's electrodes; several are joined by "+"."""
    if "location" not in electrodes or not len(electrodes):
        return UNKNOWN
    return "+".join(dict.fromkeys(area_name(one) for one in electrodes["location"]))


def area_name(given: object) -> str:
    """A brain area as the name of a population."""
    plain = " ".join(str(given).replace("/", "-").split())
    return UNKNOWN if plain.lower() in ("", "unknown", "nan", "none") else plain
