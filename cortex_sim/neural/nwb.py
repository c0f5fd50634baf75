"""Neural data from NWB files (Neurodata Without Borders): spikes or ROI responses to presented stimuli."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from cortex_sim.checks import listed, require_known, require_path, require_positive
from cortex_sim.errors import DataError, DeclarationError
from cortex_sim.neural.nwb_presentations import Presentations, Windows, has_stimuli, presentations, windows
from cortex_sim.neural.nwb_recordings import read_recording
from cortex_sim.neural.nwb_rois import roi_coordinates, roi_means, unit_of
from cortex_sim.neural.nwb_sources import (
    RECORDING,
    UNITS,
    Source,
    intervals,
    measured,
    named,
    opened,
    sources,
)
from cortex_sim.neural.nwb_units import UNKNOWN, unit_coordinates, unit_rates
from cortex_sim.neural.shape import recording
from cortex_sim.neural.spikes import Binning


def read_nwb(
    path: str | os.PathLike[str],
    key: str | None = None,
    *,
    bin_ms: float | None = None,
    window_ms: tuple[float, float] | None = None,
    align: str = "start_time",
    stimulus_column: str | None = None,
    table: str | None = None,
) -> xr.Dataset:
    """Responses to the presentations of stimuli in an NWB file.

    Spike times of a ``Units`` table become rates in spikes/s; of a ``RoiResponseSeries`` (dF/F, events) the
    mean in the window is taken. A recording that `cortex_sim.recording.save_nwb` wrote is read back.

    Parameters
    ----------
    path : str or path
    key : str, optional
        Name of the intervals in which stimuli were presented ("trials", "natural_images"), or of the
        responses ("units", "DfOverF", "processing/ophys/DfOverF/plane0"; a container with several series has
        one per plane). By default the only one of each; intervals named ``trials`` come first.
    bin_ms : float, optional
        Width of time bins in ms; without it, one value for the window.
    window_ms : (start, end), optional
        Relative to the onset, in ms; by default each interval until its end. Half-open: a spike at its end
        does not count.
    align : str, default "start_time"
        Column of the intervals with the onset of the stimulus, in s.
    stimulus_column : str, optional
        Column of the intervals that says which stimulus was presented; by default the one with a usual name.
    table : str, optional
        Name of the intervals, where ``key`` names the responses.

    Returns
    -------
    xarray.Dataset
        ``rate`` (presentation, neuroid[, time_bin]) in spikes/s or the series' unit; NaN where a unit was not
        observed (``obs_intervals``) or a ROI not imaged. Coordinates stimulus_id, repetition and the
        intervals' other columns; neuroid_id, session, and where known population (brain area), animal, and
        for ROIs plane and compartment; time_bin_start, time_bin_end in ms.

    Raises
    ------
    DataError
        If pynwb is missing, the file is invalid or lacks responses or intervals, several could be meant (the
        message lists them), or the times contradict each other.
    """
    file = require_path("neural data", path, DataError)
    _require_settings(file, bin_ms, window_ms)
    with opened(file) as content:
        found = sources(content)
        source, name = _meant(file, found, intervals(content, found), key, table)
        if source.kind == RECORDING:
            given = {"bin_ms": bin_ms, "window_ms": window_ms, "stimulus_column": stimulus_column}
            _refuse_settings(file, source, {**given, "table": table})
            return read_recording(file, content, source.containers[0])
        shown = presentations(file, intervals(content, found)[name], align, stimulus_column)
        when = windows(file, shown, bin_ms, window_ms)
        return _responses(file, content, source, shown, when, name)


def _meant(
    path: Path, found: Sequence[Source], tables: Mapping[str, Any], key: str | None, table: str | None
) -> tuple[Source, str]:
    """The responses, and the name of the intervals."""
    source = None if key is None else named(path, key, found)
    if key is not None and source is None:
        name = key.removeprefix("intervals/")
        if name not in tables:
            held = listed([*(one.path for one in found), *tables])
            raise DataError(f"neural data {path}: holds no {key!r}; it holds {held}")
        table = name if table is None else table
    source = measured(path, found) if source is None else source
    if source.kind == RECORDING:
        return source, ""
    if table is not None:
        require_known(f"intervals in {path}", table, tables, DataError)
        return source, table
    return source, _intervals_of(path, tables)


def _intervals_of(path: Path, tables: Mapping[str, Any]) -> str:
    """The intervals in which stimuli were presented, where none are named."""
    if not tables:
        raise DataError(
            f"neural data {path}: has no trials and no other intervals, so no times of presentations; add a "
            f"TimeIntervals table with start_time, stop_time and a column stimulus_id"
        )
    with_stimuli = [name for name, one in tables.items() if has_stimuli(one)]
    if "trials" in with_stimuli or list(tables) == ["trials"]:
        return "trials"
    if len(with_stimuli) == 1 or len(tables) == 1:
        return (with_stimuli or list(tables))[0]
    raise DataError(
        f"neural data {path}: which intervals are presentations of stimuli? Give one as key, or as table: "
        f"{listed(with_stimuli or tables)}"
    )


def _responses(
    path: Path, content: Any, source: Source, shown: Presentations, when: Windows, table: str
) -> xr.Dataset:
    if source.kind == UNITS:
        rates, units = unit_rates(path, source.containers[0], when), "spikes/s"
        neuroids = unit_coordinates(source.containers[0])
    else:
        rates, units = roi_means(path, source.containers, when), unit_of(path, source.containers)
        neuroids = roi_coordinates(source.containers)
    animal = getattr(content.subject, "subject_id", None)
    session = content.session_id or content.identifier
    for name, value in (("session", session), ("animal", animal)):
        neuroids[name] = [value or UNKNOWN] * rates.shape[1]
    edges = when.relative_ms[0]
    made = recording(
        path.stem,
        rates if when.binned else rates[..., 0],
        shown.stimulus_id,
        units=units,
        presentations={key: of for key, of in shown.known.items() if key not in _TAKEN},
        neuroids={key: of for key, of in neuroids.items() if set(of) != {UNKNOWN}},
        time_bins=(edges[:-1], edges[1:]) if when.binned else None,
        attributes={"responses": source.path, "intervals": table, "intervals_left_out": shown.left_out},
    )
    for name in {"start_time", "stop_time"} & set(made.coords):
        made[name].attrs["units"] = "s"
    if not when.binned and when.common is not None:
        made.attrs["window_ms"] = when.common.tolist()
    return made


#: Columns of intervals whose names a recording uses for something else.
_TAKEN = frozenset(
    (
        *("stimulus_id", "repetition", "presentation", "neuroid", "time_bin", "rate", "population"),
        *("neuroid_id", "session", "animal", "plane", "compartment", "time_bin_start", "time_bin_end"),
    )
)


def _require_settings(path: Path, bin_ms: float | None, window_ms: tuple[float, float] | None) -> None:
    try:
        if bin_ms is not None:
            require_positive(f"neural data {path}", bin_ms=bin_ms)
    except DeclarationError as exception:
        raise DataError(str(exception)) from None
    Binning(window_ms=window_ms)


def _refuse_settings(path: Path, source: Source, given: Mapping[str, object]) -> None:
    settings = [name for name, value in given.items() if value is not None]
    if settings:
        raise DataError(
            f"neural data {path}: {source.path} is a recording, which has its presentations and time bins "
            f"already; leave out {listed(settings)}"
        )
