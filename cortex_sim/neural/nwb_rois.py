"""Response series of regions of interest (ROIs) in an NWB file, such as dF/F, as means in time windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.errors import DataError
from cortex_sim.neural.nwb_presentations import MS, Windows
from cortex_sim.neural.nwb_units import UNKNOWN, area_name

_WHOLE_BYTES = 2**29  # a series of up to this size is read at once, which is faster
_SLACK_S = 1e-9
_COVERED = 0.5  # share of a window that must have samples: some frames may be dropped, not most of a window


def roi_means(path: Path, series: Sequence[Any], windows: Windows) -> NDArray[np.float64]:
    """Mean of the samples in each window, shape (presentation, neuroid, time_bin), in the series' unit.

    NaN where a window is not within the recorded time, where less than half of it has samples (timestamps may
    have gaps), or where all of a ROI's samples in it are NaN. ROIs of several series, one per plane, are
    concatenated.

    Raises
    ------
    DataError
        If windows are shorter than the time between samples, or none is within the recorded time; or the
        numbers of columns and ROIs of a series differ, or it has infinite samples.
    """
    for one in series:
        _require_columns(path, one)
    return np.concatenate([_means(path, one, windows) for one in series], axis=1)


def roi_coordinates(series: Sequence[Any]) -> dict[str, list[str]]:
    """Name, area and plane of each ROI, and its compartment where the segmentation has such a column."""
    found: dict[str, list[str]] = {"neuroid_id": [], "population": [], "plane": [], "compartment": []}
    planes = [_plane(one) for one in series]
    for one, name in zip(series, planes, strict=True):
        rows, table = np.asarray(one.rois.data[:]).tolist(), one.rois.table
        plane = table.imaging_plane
        ids = np.asarray(table.id[:])
        prefix = name if planes.count(name) == 1 else one.name
        found["neuroid_id"] += [f"{prefix}/{ids[row]}" for row in rows]
        found["plane"] += [name] * len(rows)
        found["population"] += [UNKNOWN if plane is None else area_name(plane.location)] * len(rows)
        held = table["compartment"][:] if "compartment" in table.colnames else None
        found["compartment"] += [UNKNOWN if held is None else str(held[row]) for row in rows]
    return found


def _plane(series: Any) -> str:
    """The imaging plane; where a file names none, the segmentation."""
    table = series.rois.table
    return str(table.name if table.imaging_plane is None else table.imaging_plane.name)


def unit_of(path: Path, series: Sequence[Any]) -> str:
    """The unit of the responses.

    Raises
    ------
    DataError
        If the series have different units.
    """
    units = {str(one.unit) for one in series}
    if len(units) > 1:
        raise DataError(
            f"neural data {path}: response series have different units, {listed(units)}; give one as key"
        )
    return units.pop()


def _require_columns(path: Path, series: Any) -> None:
    shape, rois = tuple(series.data.shape), len(series.rois.data)
    if len(shape) not in (1, 2) or (shape[1] if len(shape) == 2 else 1) != rois:
        raise DataError(
            f"neural data {path}: {series.name} has shape {shape} and names {rois} ROIs; NWB has samples in "
            f"rows and ROIs in columns, so transpose its data or correct its rois"
        )


def _means(path: Path, series: Any, windows: Windows) -> NDArray[np.float64]:
    times = _times(path, series)
    edges = windows.edges_ms / MS
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    _require_samples(path, series.name, times, edges, step)
    data, large = series.data, np.prod(series.data.shape) * 8 > _WHOLE_BYTES
    held = data if large else np.asarray(data[:])
    bounds = np.searchsorted(times, edges - _SLACK_S)
    recorded = (edges[:, :-1] >= times[0] - _SLACK_S) & (edges[:, 1:] <= times[-1] + step + _SLACK_S)
    recorded &= np.diff(bounds, axis=1) * step >= _COVERED * np.diff(edges, axis=1) - _SLACK_S
    rois = 1 if len(data.shape) == 1 else data.shape[1]
    found = np.full((len(edges), rois, edges.shape[1] - 1), np.nan)
    for presentation, at in enumerate(bounds):
        samples = np.asarray(held[at[0] : at[-1]], dtype=np.float64).reshape(-1, rois)
        for time_bin in np.flatnonzero(recorded[presentation]):
            inside = samples[at[time_bin] - at[0] : at[time_bin + 1] - at[0]]
            found[presentation, :, time_bin] = _mean(inside)
    if np.isinf(found).any():
        raise DataError(
            f"neural data {path}: {series.name} has infinite samples, such as dF/F where F0 is 0; leave out "
            f"these ROIs, or mark the samples with NaN"
        )
    return found * float(series.conversion) + float(series.offset or 0.0)


def _mean(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the samples that are not NaN; NaN where all are."""
    valid = ~np.isnan(samples)
    count = valid.sum(0)
    infinite = np.isinf(samples)
    total = np.where(valid & ~infinite, samples, 0.0).sum(0) + np.where(infinite.any(0), np.inf, 0.0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _times(path: Path, series: Any) -> NDArray[np.float64]:
    """Time of each sample, in s."""
    samples = series.data.shape[0]
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    elif series.rate:
        times = float(series.starting_time or 0.0) + np.arange(samples) / float(series.rate)
    else:
        times = np.zeros(0)
    if len(times) != samples or not samples or not (np.diff(times) > 0).all():
        raise DataError(
            f"neural data {path}: {series.name} has {samples} samples and {len(times)} times; each sample "
            f"needs a time, later than the one before"
        )
    return times


def _require_samples(
    path: Path, name: str, times: NDArray[np.float64], edges: NDArray[np.float64], step: float
) -> None:
    narrowest = float(np.diff(edges, axis=1).min())
    if narrowest < step * (1 - 1e-6):
        raise DataError(
            f"neural data {path}: windows of {narrowest * MS:g} ms are shorter than the {step * MS:g} ms "
            f"between samples of {name}; give a longer bin_ms or window_ms"
        )
    if not ((edges[:, 0] >= times[0] - _SLACK_S) & (edges[:, -1] <= times[-1] + step + _SLACK_S)).any():
        raise DataError(
            f"neural data {path}: no presentation is within the recorded time of {name} (samples from "
            f"{times[0]:g} to {times[-1]:g} s, presentations from {edges.min():g} to {edges.max():g} s); "
            f"give both in s after the start of the session, as NWB requires"
        )
