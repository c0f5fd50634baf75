"""The neural side of a comparison: data from files, by session or time bin, and the stimuli they hold."""

from __future__ import annotations

from cortex_sim.compare.from_recordings import by_session, to_dissimilarities, to_responses
from cortex_sim.data.archive import described
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.stimulus_files import USUAL
from cortex_sim.errors import DataError
from cortex_sim.neural import address, load
from cortex_sim.report.comparing import Neural

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
    loaded = load(given, session=session)
    if "dissimilarity" in loaded:
        return {stem: to_dissimilarities(loaded, name=stem)}
    sessions = set(loaded["session"].values.astype(str)) if "session" in loaded.coords else set()
    if len(sessions) < 2:
        return {stem: to_responses(loaded, name=stem, time_ms=window_ms)}
    names = dict.fromkeys(loaded["session"].values.astype(str).tolist())
    each = by_session(loaded, name=stem, time_ms=window_ms)
    return {f"{stem} {name}": data for name, data in zip(names, each, strict=True)}


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
