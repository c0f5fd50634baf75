"""Spike times to rates in time bins: bin width, window and alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError

DEFAULT_BIN_MS = 20.0
SECONDS = "if times are in seconds, save them as time_s"
ENOUGH = 20.0  # spikes expected in a bin that holds none, which happens by chance once in e^20


@dataclass(frozen=True)
class Binning:
    """How spike times become rates.

    Parameters
    ----------
    bin_ms : float, optional
        Width of the time bins in ms; 20 by default.
    window_ms : (start, end), optional
        Relative to the alignment; a whole number of bins long. By default, all whole bins within the
        recorded time.
    align : float or str, optional
        The time of stimulus onset on the clock of the spike times, in ms, or the name of the array with the
        onset in each trial: in ms, or in s if the name ends with "_s" (NWB: name of a column, always in s).
        By default 0 (NWB: "start_time").

    Notes
    -----
    Bins are half-open, [start, end): a spike at the end of one bin counts in the next, a spike at the end of
    the window in none. Rates are counts divided by the width, in spikes/s.
    """

    bin_ms: float | None = None
    window_ms: tuple[float, float] | None = None
    align: float | str | None = None

    def __post_init__(self) -> None:
        if self.bin_ms is not None and not (_is_number(self.bin_ms) and self.bin_ms > 0):
            raise DataError(
                f"bin_ms must be the width of time bins in ms, a positive number. Got {self.bin_ms!r}"
            )
        if self.window_ms is not None:
            window = self.window_ms
            fine = isinstance(window, Sequence) and not isinstance(window, str) and len(window) == 2
            if not (fine and all(map(_is_number, window)) and window[0] < window[1]):
                raise DataError(f"window_ms must be (start, end) in ms, start before end. Got {window!r}")
        if not (self.align is None or isinstance(self.align, str) or _is_number(self.align)):
            raise DataError(f"align must be a time in ms, or the name of an onset array. Got {self.align!r}")

    @property
    def given(self) -> list[str]:
        """Names of the settings that are not left at their default."""
        return [name for name in ("bin_ms", "window_ms", "align") if getattr(self, name) is not None]

    @property
    def width_ms(self) -> float:
        """Width of the time bins."""
        return DEFAULT_BIN_MS if self.bin_ms is None else float(self.bin_ms)

    def edges(self, source: str, recorded_ms: tuple[float, float]) -> NDArray[np.float64]:
        """Edges of the time bins, one more than there are bins, in ms.

        Parameters
        ----------
        source : str
            Name of the data in error messages.
        recorded_ms : (start, end)
            Time from the first to the last spike.

        Raises
        ------
        DataError
            If the window is not a whole number of bins, or no bin fits the recorded time.
        """
        width = self.width_ms
        if self.window_ms is None:
            first, last = math.ceil(recorded_ms[0] / width - 1e-9), math.floor(recorded_ms[1] / width + 1e-9)
            if last <= first:
                raise DataError(
                    f"neural data {source}: no bin of {width:g} ms fits the recorded time, "
                    f"{recorded_ms[0]:g} to {recorded_ms[1]:g} ms; give bin_ms, or window_ms=(start, end) "
                    f"({SECONDS})"
                )
            return width * np.arange(first, last + 1, dtype=np.float64)
        start, end = map(float, self.window_ms)
        count = round((end - start) / width)
        fits = start + max(1, count) * width
        if count < 1 or abs(count * width - (end - start)) > 1e-6 * width:
            raise DataError(
                f"neural data {source}: the window {start:g} to {end:g} ms is not a whole number of "
                f"bins of {width:g} ms; give window_ms=({start:g}, {fits:g}), or bin_ms"
            )
        return start + width * np.arange(count + 1, dtype=np.float64)


def counts(
    times_ms: NDArray[Any],
    presentation: NDArray[Any],
    neuroid: NDArray[Any],
    shape: tuple[int, int],
    edges: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Spikes in each bin [edge, next edge), of shape (presentation, neuroid, time_bin).

    Parameters
    ----------
    times_ms, presentation, neuroid : arrays of shape (spike,)
        When each spike occurred, in which presentation, of which neuroid.
    shape : (presentations, neuroids)
    edges : array of shape (time_bin + 1,)
        Ascending.
    """
    bins = len(edges) - 1
    at = np.searchsorted(edges, times_ms, side="right") - 1
    inside = (at >= 0) & (at < bins)
    where = np.ravel_multi_index((presentation[inside], neuroid[inside], at[inside]), (*shape, bins))
    return np.bincount(where, minlength=math.prod(shape) * bins).reshape(*shape, bins)


def require_times_in_ms(source: str, times_ms: NDArray[Any], edges: NDArray[np.float64]) -> None:
    """Raise `DataError` if the window has no spike or was not all recorded, or the times cannot be in ms.

    Parameters
    ----------
    source : str
    times_ms : array of shape (spike,)
        Relative to the alignment.
    edges : array of shape (time_bin + 1,)
    """
    first, last, window = float(times_ms.min()), float(times_ms.max()), (float(edges[0]), float(edges[-1]))
    ran = f"spike times run from {first:g} to {last:g} ms, the window from {window[0]:g} to {window[1]:g} ms"
    if not ((times_ms >= window[0]) & (times_ms < window[1])).any():
        raise DataError(
            f"neural data {source}: no spike lies in the window ({ran}); give another window_ms or align "
            f"({SECONDS})"
        )
    if len(times_ms) > 1 and last - first < 0.02 * (window[1] - window[0]):
        raise DataError(f"neural data {source}: spike times look like seconds, not ms ({ran}); {SECONDS}")
    expected = len(times_ms) / max(last - first, 1e-9) * np.diff(edges)
    beyond = ((edges[:-1] > last) | (edges[1:] <= first)) & (expected > ENOUGH)
    if beyond.any():
        raise DataError(
            f"neural data {source}: {int(beyond.sum())} of {len(beyond)} time bins lie outside the recorded "
            f"time ({ran}); give a window_ms within it"
        )


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )
