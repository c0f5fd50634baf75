"""Presentations laid out one after another on one clock, for formats with a single time axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed, require_positive
from cortex_sim.errors import DataError

NOMINAL_MS = 100.0  # how long a presentation lasts where the recording has no time

_BLOCK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each presentation and each of its samples happened, in s.

    Parameters
    ----------
    span_s : float
        Duration of a presentation: all its time bins, and time 0.
    onset_s : float
        Time 0 of the bins, usually the onset of the stimulus, after the start of a presentation.
    within_s : array of shape (time_bin,)
        Centre of each bin after the start of its presentation.
    presentations : int
    step_s : float, optional
        Time from one sample to the next, where all are equally spaced.
    """

    span_s: float
    onset_s: float
    within_s: NDArray[np.float64]
    presentations: int
    step_s: float | None

    @property
    def start(self) -> NDArray[np.float64]:
        """Start of each presentation, shape (presentation,)."""
        return np.arange(self.presentations, dtype=np.float64) * self.span_s

    @property
    def stop(self) -> NDArray[np.float64]:
        """End of each presentation, shape (presentation,): the start of the next."""
        return np.arange(1, self.presentations + 1, dtype=np.float64) * self.span_s

    @property
    def samples(self) -> NDArray[np.float64]:
        """Time of each sample, the centre of its bin: presentation by presentation, bin by bin."""
        return (self.start[:, None] + self.within_s).ravel()

    def __len__(self) -> int:
        """Number of samples."""
        return self.presentations * len(self.within_s)


def timeline(recording: xr.Dataset, presentation_ms: float | None = None) -> Timeline:
    """Lay the presentations of a recording one after another, without gaps.

    Parameters
    ----------
    recording : xarray.Dataset
    presentation_ms : float, optional
        Duration of a presentation, for a recording without time bins; by default `NOMINAL_MS`.

    Raises
    ------
    DataError
        If it is not a recording, is empty, its time bins do not follow each other, or a duration is given
        although the bins define it.
    """
    _require_recording(recording)
    count = recording.sizes["presentation"]
    if "time_bin" not in recording["rate"].dims:
        span = NOMINAL_MS if presentation_ms is None else presentation_ms
        _require_duration(span)
        return Timeline(span / 1e3, 0.0, np.asarray([span / 2e3]), count, step_s=span / 1e3)
    if presentation_ms is not None:
        raise DataError(
            "recording: presentation_ms is for recordings without time bins; this one's time bins define how "
            "long a presentation lasts, so leave it out"
        )
    start, end = _bins(recording)
    first = min(float(start[0]), 0.0)
    span = max(float(end.max()), 0.0) - first
    within = (start + end) / 2 - first
    return Timeline(span / 1e3, -first / 1e3, within / 1e3, count, _step(within, span))


def _step(within: NDArray[np.float64], span: float) -> float | None:
    """Seconds between samples if they are equally spaced, across presentations too; from ms."""
    steps = np.diff([*within, within[0] + span])
    step = span / len(within)  # exact where the single differences are rounded
    return step / 1e3 if np.allclose(steps, step, rtol=1e-9, atol=0) else None


def sample_rows(recording: xr.Dataset, variable: str) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Values on one time axis, in blocks of bounded memory: first sample, and (sample, neuroid)."""
    values = recording[variable].transpose("presentation", ..., "neuroid")
    bins, neuroids = values.sizes.get("time_bin", 1), values.sizes["neuroid"]
    step = max(1, _BLOCK_BYTES // max(1, values.dtype.itemsize * bins * neuroids))
    for first in range(0, values.sizes["presentation"], step):
        block = np.asarray(values.isel(presentation=slice(first, first + step)).values)
        yield first * bins, block.reshape(-1, neuroids)


def variables(recording: xr.Dataset) -> list[str]:
    """Variables with the dimensions of the rate: itself, credit, drive."""
    return [
        str(name) for name, v in recording.data_vars.items() if set(v.dims) == set(recording["rate"].dims)
    ]


def _require_recording(recording: xr.Dataset) -> None:
    if not isinstance(recording, xr.Dataset) or "rate" not in recording:
        held = listed(map(str, recording)) if isinstance(recording, xr.Dataset) else type(recording).__name__
        raise DataError(f"recording: needs an xarray Dataset with a variable rate. Got {held}")
    dims = recording["rate"].dims
    if set(dims) - {"time_bin"} != {"presentation", "neuroid"}:
        raise DataError(f"recording: rate must have dims (presentation, neuroid[, time_bin]). Got {dims}")
    empty = [str(dim) for dim in dims if not recording.sizes[dim]]
    if empty:
        raise DataError(f"recording: it is empty, without any {listed(empty)}; record or select at least one")


def _require_duration(span: object) -> None:
    try:
        require_positive("recording", presentation_ms=span)  # type: ignore[arg-type]
    except ValueError as exception:
        raise DataError(str(exception)) from None


def _bins(recording: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    missing = [name for name in ("time_bin_start", "time_bin_end") if name not in recording.coords]
    if missing:
        raise DataError(f"recording: its time bins have no coordinate {listed(missing)}; give it, in ms")
    start, end = (recording[name].values.astype(float) for name in ("time_bin_start", "time_bin_end"))
    centres = (start + end) / 2
    if not (np.isfinite(centres).all() and (end > start).all() and (np.diff(centres) > 0).all()):
        raise DataError(
            "recording: time bins must be finite, end after they start, and follow each other; "
            "check time_bin_start and time_bin_end, or sort them with recording.sortby('time_bin_start')"
        )
    return start, end
