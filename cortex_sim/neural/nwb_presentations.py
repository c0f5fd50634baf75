"""Presentations of stimuli in an NWB file: which stimulus each interval presented, and when."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, look_up
from cortex_sim.errors import DataError
from cortex_sim.neural.spikes import Binning

# Columns that usually hold the stimulus, by name without underscores; those of the second row are used only
# where there is none of the first.
USUAL = (
    (
        *("stimulusid", "stimulusname", "stimulus", "stimulusindex", "stimulusnumber", "stimuluslabel"),
        *("stimid", "stimname", "stim", "stimindex"),
        *("imageid", "imagename", "image", "imageindex", "imagenumber"),
    ),
    (
        *("imagefile", "filename", "picture", "objectid", "objectname", "object"),
        *("conditionid", "condition", "frame"),
    ),
)
MS = 1000.0  # NWB's times are in s

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Presentations:
    """Stimuli and time windows of the presentations.

    Parameters
    ----------
    stimulus_id : list of str
    onset_ms, stop_ms : arrays of shape (presentation,)
        Time 0 of each presentation on the session's clock, and the end of its interval.
    known : mapping of str to array of shape (presentation,)
        The table's other columns.
    left_out : int
        Rows of the table without a stimulus identity or without times.
    """

    stimulus_id: list[str]
    onset_ms: NDArray[np.float64]
    stop_ms: NDArray[np.float64]
    known: Mapping[str, NDArray[Any]]
    left_out: int


@dataclass(frozen=True, eq=False)
class Windows:
    """Time windows in which responses are measured.

    Parameters
    ----------
    onset_ms : array of shape (presentation,)
    relative_ms : array of shape (presentation, time_bin + 1)
        Edges of the bins, relative to the onset.
    binned : bool
        Whether the bins are an axis of the responses; otherwise there is a single window.
    """

    onset_ms: NDArray[np.float64]
    relative_ms: NDArray[np.float64]
    binned: bool

    @property
    def edges_ms(self) -> NDArray[np.float64]:
        """Edges of the bins on the session's clock, shape (presentation, time_bin + 1)."""
        return self.onset_ms[:, None] + self.relative_ms

    @property
    def common(self) -> NDArray[np.float64] | None:
        """Edges relative to the onset if the same in every presentation, shape (time_bin + 1,), else None."""
        first = self.relative_ms[0]
        return (
            first
            if np.array_equal(self.relative_ms, np.broadcast_to(first, self.relative_ms.shape))
            else None
        )


def presentations(path: Path, table: Any, align: str, column: str | None) -> Presentations:
    """Read a table of intervals.

    Parameters
    ----------
    path : Path
    table : pynwb.epoch.TimeIntervals
    align : str
        Column with the time of stimulus onset, in s.
    column : str, optional
        Column with stimulus identities; by default the one with a usual name.

    Raises
    ------
    DataError
        If there is no such column, no interval, or an interval that ends before it starts.
    """
    columns = _columns(table)
    name = _stimulus_column(path, table.name, columns) if column is None else column
    values = look_up(f"column of {table.name} in {path}", name, columns, DataError)
    onset = look_up(f"column of {table.name} in {path}", align, columns, DataError)
    if onset.dtype.kind not in "iuf":
        raise DataError(
            f"neural data {path}: column {align} of {table.name} holds no times; choose another as align"
        )
    stop, onset = columns["stop_time"].astype(float), onset.astype(float)
    ids = _identities(values)
    kept = np.asarray([bool(one) for one in ids], dtype=bool) & np.isfinite(onset) & np.isfinite(stop)
    _require_some(path, table.name, kept)
    if (stop < columns["start_time"].astype(float))[kept].any():
        raise DataError(
            f"neural data {path}: intervals of {table.name} end before they start; check the file"
        )
    left_out = int((~kept).sum())
    if left_out:
        log.warning(
            "neural data %s: %d of %d intervals of %s have no stimulus or no time, and are left out",
            *(path, left_out, len(kept), table.name),
        )
    return Presentations(
        [one for one, keep in zip(ids, kept, strict=True) if keep],
        onset[kept] * MS,
        stop[kept] * MS,
        {key: of[kept] for key, of in columns.items() if key != name},
        left_out,
    )


def windows(
    path: Path, shown: Presentations, bin_ms: float | None, window_ms: tuple[float, float] | None
) -> Windows:
    """Windows relative to each onset: a common one, or until the end of each interval.

    Raises
    ------
    DataError
        If an interval ends before its onset, or intervals of different durations are to be binned.
    """
    if window_ms is not None:
        binning = Binning(bin_ms=bin_ms, window_ms=window_ms)
        start, end = map(float, window_ms)
        edges = np.asarray([start, end]) if bin_ms is None else binning.edges(str(path), (start, end))
        relative = np.tile(edges, (len(shown.onset_ms), 1))
        return Windows(shown.onset_ms, relative, bin_ms is not None)
    lasts = shown.stop_ms - shown.onset_ms
    shortest, longest = float(lasts.min()), float(lasts.max())
    if shortest <= 0:
        raise DataError(
            f"neural data {path}: {int((lasts <= 0).sum())} of {len(lasts)} presentations end at or before "
            f"their onset; give window_ms=(start, end) in ms after the onset"
        )
    if bin_ms is None:
        return Windows(shown.onset_ms, np.stack([np.zeros_like(lasts), lasts], axis=1), False)
    count = math.floor(shortest / bin_ms + 1e-9)  # 1e-9: 3 * 0.1 is less than 0.3
    if longest - shortest >= bin_ms or not count:
        raise DataError(
            f"neural data {path}: presentations last {shortest:g} to {longest:g} ms, so they have different "
            f"numbers of bins of {bin_ms:g} ms, or none; give window_ms=(start, end) in ms after the onset"
        )
    edges = bin_ms * np.arange(count + 1, dtype=np.float64)
    return Windows(shown.onset_ms, np.tile(edges, (len(lasts), 1)), True)


def has_stimuli(table: Any) -> bool:
    """Whether a table has a column with a usual name for stimuli."""
    return bool(_usual(_columns(table)))


def _columns(table: Any) -> dict[str, NDArray[Any]]:
    """Columns with one number or text per row."""
    from hdmf.common import DynamicTableRegion, VectorIndex

    found = {}
    for name in table.colnames:
        column = table[name]
        if not isinstance(column, (VectorIndex, DynamicTableRegion)):
            values = np.asarray(column[:])
            if values.ndim == 1 and (values.dtype.kind in "biufSU" or _is_text(values)):
                found[name] = values.astype(str) if values.dtype.kind in "OSU" else values
    return found


def _is_text(values: NDArray[Any]) -> bool:
    return all(isinstance(one, str) for one in values.tolist())


def _usual(columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """Columns with the most usual names, in the order of those names."""
    plain = {name.lower().replace("_", ""): name for name in columns}
    for names in USUAL:
        found = [plain[name] for name in names if name in plain]
        if found:
            return found
    return []


def _stimulus_column(path: Path, table: str, columns: Mapping[str, NDArray[Any]]) -> str:
    found = _usual(columns)
    if not found or any(not _same_partition(columns[found[0]], columns[name]) for name in found[1:]):
        why = f"may be {listed(found)}" if found else "none has a usual name"
        raise DataError(
            f"neural data {path}: which column of {table} holds the stimulus? ({why}); give stimulus_column, "
            f"one of {listed(set(columns) - {'start_time', 'stop_time'})}"
        )
    return found[0]


def _same_partition(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two columns distinguish the same stimuli, such as a number and a name."""
    pairs = set(zip(_identities(one), _identities(other), strict=True))
    return len(pairs) == len(set(_identities(one))) == len(set(_identities(other)))


def _identities(values: NDArray[Any]) -> list[str]:
    """Text for each value, whole numbers without a point; empty where there is none.

    Unlike in other files, a fraction is an identity too: the column may be the angle of a grating, and a
    user of an NWB file cannot change it.
    """
    if values.dtype.kind == "f":
        return [
            "" if not math.isfinite(v) else f"{int(v)}" if v == int(v) else repr(v) for v in values.tolist()
        ]
    return [str(value).strip() for value in values.tolist()]


def _require_some(path: Path, table: str, kept: NDArray[np.bool_]) -> None:
    if not kept.any():
        what = "no row has a stimulus and a time" if len(kept) else "it has no rows"
        raise DataError(f"neural data {path}: intervals {table} present no stimulus: {what}")
