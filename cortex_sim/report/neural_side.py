"""The neural side of a comparison: data from files, by session or time bin, and the stimuli they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cortex_sim.checks import listed
from cortex_sim.compare.course import Course, span, time_bins, to_course
from cortex_sim.compare.from_recordings import to_dissimilarities, to_responses
from cortex_sim.data.archive import described
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.stimulus_files import USUAL
from cortex_sim.errors import DataError
from cortex_sim.neural import address, load
from cortex_sim.recording.selecting import select
from cortex_sim.report.comparing import Neural
from cortex_sim.report.entries import require_edges

if TYPE_CHECKING:
    import xarray as xr

Window = tuple[float, float]


def neural_data(
    given: list[str],
    *,
    window_ms: Window | None = None,
    session: str | None = None,
    over_time: bool = False,
    bin_ms: float | None = None,
    by_animal: bool = False,
) -> dict[str, Neural | Course]:
    """Data sets by the names that tables give them.

    Parameters
    ----------
    given : list of str
        Each ``FILE`` or ``FILE:KEY``, see `cortex_sim.neural.load`. Several sessions in one file are several
        data sets.
    window_ms : (start, end), optional
        Window, in ms, of the spike times or time bins to average; with ``over_time``, to compare bin by bin.
    session : str, optional
        Only this session.
    over_time : bool, default False
        Whether data with time bins stay as they are, as a `Course`.
    bin_ms : float, optional
        Width of these bins, in ms, for spike times.
    by_animal : bool, default False
        Whether sessions of different animals are separate data sets, even if they share a name.
    """
    if bin_ms is not None and not over_time:
        raise DataError(f"--bin-ms {bin_ms:g}: is for --over-time; for one window give --window-ms START END")
    found: dict[str, Neural | Course] = {}
    for one in given:
        place = address(one)
        stem = place.key or place.file.stem
        loaded = (
            _in_bins(one, window_ms, session, bin_ms)
            if over_time
            else load(one, session=session)
            if window_ms is None
            else _in_window(one, window_ms, session)
        )
        for label, data in data_sets(loaded, stem, window_ms, over_time, by_animal).items():
            if label in found:
                raise DataError(
                    f"{one}: neural data called {label} are given twice; rename one of the files or arrays, "
                    "or leave one out"
                )
            found[label] = data
    return found


def data_sets(
    loaded: xr.Dataset,
    stem: str,
    window_ms: Window | None = None,
    over_time: bool = False,
    by_animal: bool = False,
) -> dict[str, Neural | Course]:
    """The sessions of loaded data, by name, each as responses or bin by bin; or RDMs.

    Parameters
    ----------
    loaded : xarray.Dataset
    stem : str
        The name of the data, to which those of sessions are added where there are several.
    window_ms : (start, end), optional
        Window, in ms, of the time bins to average; with ``over_time``, ``loaded`` has only those to compare.
    over_time, by_animal : bool
    """
    if "dissimilarity" in loaded:
        return {stem: to_dissimilarities(loaded, name=stem)}
    bins = time_bins(loaded) if loaded.sizes.get("time_bin", 1) > 1 else ()
    if bins and not over_time and window_ms is None:
        raise DataError(
            f"{stem}: has {len(bins)} time bins ({span(bins)}); average them in a window with --window-ms "
            f"START END, or compare bin by bin with --over-time"
        )

    def one(name: str, session: str | None) -> Neural | Course:
        if bins and over_time:
            return to_course(loaded, name=name, session=session)
        return to_responses(loaded, name=name, session=session, time_ms=window_ms if bins else None)

    if by_animal:
        loaded = _by_animal(loaded)
    sessions = dict.fromkeys(loaded["session"].values.astype(str)) if "session" in loaded.coords else {}
    if len(sessions) < 2:
        return {stem: one(stem, None)}
    return {f"{stem} {session}": one(f"{stem} {session}", session) for session in sessions}


def _by_animal(loaded: xr.Dataset) -> xr.Dataset:
    """Sessions named by their animal too, where there are several animals."""
    if "animal" not in loaded.coords or len(set(loaded["animal"].values.astype(str).tolist())) < 2:
        return loaded
    animal = loaded["animal"]
    if "session" not in loaded.coords:
        return loaded.assign_coords(session=animal)
    if loaded["session"].dims != animal.dims:
        raise DataError("--pool: animal and session must both be of neuroids, or both of presentations")
    pairs = zip(animal.values.astype(str), loaded["session"].values.astype(str), strict=True)
    return loaded.assign_coords(session=(animal.dims, [f"{one} {session}" for one, session in pairs]))


def require_time(data: Mapping[str, Neural | Course], models: bool) -> None:
    """Refuse a comparison over time where nothing has time; ``models``: whether a model has."""
    if not models and not any(isinstance(one, Course) for one in data.values()):
        raise DataError(
            f"--over-time: {listed(data)} and the models have no time bins; give --bin-ms MS for spike "
            f"times, or leave --over-time out"
        )


def _in_bins(given: str, window_ms: Window | None, session: str | None, bin_ms: float | None) -> xr.Dataset:
    """Spike times counted in bins; for binned data, the bins in the window."""
    try:
        return load(given, session=session, bin_ms=bin_ms, window_ms=window_ms)
    except DataError:  # perhaps because these are not spike times
        if bin_ms is not None or window_ms is None:
            raise
        loaded = load(given, session=session)
        if "time_bin" not in loaded.dims:
            raise
    require_edges(f"{given}: --window-ms", time_bins(loaded), window_ms)
    return select(loaded, time_ms=window_ms)


def _in_window(given: str, window_ms: Window, session: str | None) -> xr.Dataset:
    """Spike times counted in the window; for binned data, the bins that fill it."""
    start, end = window_ms
    try:
        return load(given, session=session, window_ms=window_ms, bin_ms=end - start)
    except DataError as reason:  # perhaps because these are not spike times
        loaded = load(given, session=session)
        if "time_bin" not in loaded.dims:
            raise DataError(f"{given}: --window-ms {start:g} {end:g}: {reason}") from None
    require_edges(f"{given}: --window-ms", time_bins(loaded), window_ms)
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


def own_stimuli(files: Mapping[str, str]) -> dict[str, StimulusSet]:
    """Stimuli of data sets whose files hold others than the first; their ids may be the same numbers.

    Parameters
    ----------
    files : mapping of str to str
        Label of each data set to ``FILE`` or ``FILE:KEY``.
    """
    first = None
    held: dict[str, StimulusSet | None] = {}
    found = {}
    for label, given in files.items():
        place = str(address(given).file)
        first = first or place
        if place != first:
            if place not in held:
                held[place] = stimuli_of(None, [given])
            own = held[place]
            if own is not None:
                found[label] = own
    return found


def files_of(labels: Mapping[str, Neural | Course], given: list[str]) -> dict[str, str]:
    """The file that each data set came from."""
    stems = {address(one).key or address(one).file.stem: one for one in given}
    return {
        label: max(
            (one for one in stems.items() if f"{label} ".startswith(f"{one[0]} ")),
            key=lambda one: len(one[0]),
        )[1]
        for label in labels
    }
