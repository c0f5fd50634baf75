"""The neural side of a comparison: data from files, by session or time bin, and the stimuli they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.compare.from_recordings import by_session, to_dissimilarities, to_responses
from cortex_sim.data.archive import described
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.stimulus_files import USUAL
from cortex_sim.errors import DataError
from cortex_sim.neural import address, load
from cortex_sim.report.comparing import Neural

if TYPE_CHECKING:
    import xarray as xr

Window = tuple[float, float]


def neural_data(
    given: list[str], *, window_ms: Window | None = None, session: str | None = None
) -> dict[str, Neural]:
    """Data sets by the names that tables give them.

    Parameters
    ----------
    given : list of str
        Each ``FILE`` or ``FILE:KEY``, see `cortex_sim.neural.load`. Several sessions in one file are several
        data sets.
    window_ms : (start, end), optional
        Of spike times, or of the time bins to average.
    session : str, optional
        This session alone.
    """
    found: dict[str, Neural] = {}
    for one in given:
        place = address(one)
        stem = place.key or place.file.stem
        for label, data in _read(one, stem, window_ms, session).items():
            if label in found:
                raise DataError(f"{one}: neural data called {label} are there already; give other files")
            found[label] = data
    return found


def _read(given: str, stem: str, window_ms: Window | None, session: str | None) -> dict[str, Neural]:
    loaded = load(given, session=session) if window_ms is None else _in_window(given, window_ms, session)
    if "dissimilarity" in loaded:
        return {stem: to_dissimilarities(loaded, name=stem)}
    time = window_ms if loaded.sizes.get("time_bin", 1) > 1 else None
    sessions = set(loaded["session"].values.astype(str)) if "session" in loaded.coords else set()
    if len(sessions) < 2:
        return {stem: to_responses(loaded, name=stem, time_ms=time)}
    names = dict.fromkeys(loaded["session"].values.astype(str).tolist())
    each = by_session(loaded, name=stem, time_ms=time)
    return {f"{stem} {name}": data for name, data in zip(names, each, strict=True)}


def _in_window(given: str, window_ms: Window, session: str | None) -> xr.Dataset:
    """Spike times counted in the window; of binned data those with bins that fill it."""
    start, end = window_ms
    try:
        return load(given, session=session, window_ms=window_ms, bin_ms=end - start)
    except DataError as reason:  # perhaps because these are no spike times
        loaded = load(given, session=session)
        if "time_bin" not in loaded.dims:
            raise DataError(f"{given}: --window-ms {start:g} {end:g}: {reason}") from None
    edges = {float(t) for name in ("time_bin_start", "time_bin_end") for t in loaded[name].values}
    if not {start, end} <= edges:
        raise DataError(
            f"{given}: --window-ms {start:g} {end:g} must begin and end with a time bin; bins are "
            f"{float(loaded['time_bin_start'][0]):g} to {float(loaded['time_bin_end'][-1]):g} ms, "
            f"{float(loaded['time_bin_end'][0] - loaded['time_bin_start'][0]):g} ms each"
        )
    return loaded


def stimuli_of(stimuli: str | None, neural: list[str]) -> StimulusSet | None:
    """The stimuli given, else those that the first file of neural data holds; None if it holds none."""
    from cortex_sim.data import stimuli as read_stimuli

    if stimuli is not None:
        return read_stimuli(stimuli)
    file = address(neural[0]).file
    if file.suffix.lower() != ".npz":
        return None
    held = set(described(file))
    return read_stimuli(file) if held & set(USUAL) or {"jpeg", "offset"} <= held else None
