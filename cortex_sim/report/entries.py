"""What is compared with neural data: recordings, runs, models by name, and the baselines pixels and gabor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.checks import listed, require_known
from cortex_sim.compare.course import Course, TimeBin, span, time_bins, to_course
from cortex_sim.compare.responses import Responses
from cortex_sim.data.fitting import View
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.responding import Candidate

BASELINES = ("pixels", "gabor")
Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Member:
    """Responses of one network, read when they are requested.

    Parameters
    ----------
    populations : tuple of str
    read : callable
        From a population's name to its `Responses`, or their `Course` where there are ``bins``.
    seed : int, optional
        Of its training.
    bins : tuple of (start, end)
        Time bins, in ms, in which it is compared; none where its responses have no time.
    windowed : bool
        Whether its time bins were averaged in a window.
    """

    populations: tuple[str, ...]
    read: Callable[[str], Responses | Course]
    seed: int | None = None
    bins: tuple[TimeBin, ...] = ()
    windowed: bool = False

    def responses(self, population: str) -> Responses:
        """Responses of a member without time bins."""
        found = self.read(population)
        assert isinstance(found, Responses)
        return found


@dataclass(frozen=True, eq=False)
class Entry:
    """One model in a comparison, with a member for each training seed.

    Parameters
    ----------
    name : str
        Its name in tables.
    members : tuple of Member
        All with the same populations.
    untrained : tuple of Member
        The same networks with their initial weights, in the same order; none where there is no network.
    """

    name: str
    members: tuple[Member, ...]
    untrained: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        for member in self.members[1:]:
            if member.populations != self.members[0].populations:
                raise DataError(
                    f"{self.name}: its seeds differ in populations, {listed(self.members[0].populations)} "
                    f"and {listed(member.populations)}; give different models a different NAME="
                )
            if member.bins != self.members[0].bins:
                raise DataError(f"{self.name}: its seeds differ in time bins; record all with one every_ms")

    @property
    def populations(self) -> tuple[str, ...]:
        """Populations of every member."""
        return self.members[0].populations


@dataclass(frozen=True)
class Showing:
    """How stimuli are shown to networks.

    Parameters
    ----------
    stimuli : StimulusSet, optional
        Needed by everything but recordings.
    populations : tuple of str
        Which to record; by default all but the stimulated one.
    like : str, optional
        Run or data set whose preprocessing is used for models that have none, such as untrained ones.
    view : View
    cache : path, optional
        Folder in which responses are kept; by default ``responses/`` in a run's own directory.
    untrained : bool
        Whether trained networks are also shown the stimuli with their initial weights.
    over_time : bool
        Whether recordings with time bins are compared bin by bin.
    window_ms : (start, end), optional
        Window of recordings, in ms, that is averaged instead.
    """

    stimuli: StimulusSet | None = None
    populations: tuple[str, ...] = ()
    like: str | None = None
    view: View = field(default_factory=View)
    cache: Path | None = None
    untrained: bool = True
    over_time: bool = False
    window_ms: TimeBin | None = None


def entries(given: Sequence[str], showing: Showing, progress: Progress = lambda said: None) -> list[Entry]:
    """Everything that is compared, in the order given.

    Runs that differ in their seed alone are members of one entry, as are all with the same ``NAME=``.

    Parameters
    ----------
    given : sequence of str
        Each ``[NAME=]`` and a recording (``.nc``), a run directory or checkpoint, a model's name, ``pixels``
        or ``gabor``.
    showing : Showing
    progress : callable
        Called with what is being presented.

    Raises
    ------
    DataError
        If there is nothing of that name, stimuli are needed and missing, or populations are unknown.
    """
    named = [_named(one) for one in given]
    grouped: dict[str, list[tuple[Member, Member | None]]] = {}
    for label, (name, place) in zip(_labels(named), named, strict=True):
        progress(f"{label}: {place}")
        grouped.setdefault(label, []).append(_members(place, name or place, showing))
    return [
        Entry(label, tuple(member for member, _ in of), tuple(bare for _, bare in of if bare is not None))
        for label, of in grouped.items()
    ]


def require_shown(given: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse recordings of one set of stimuli where data sets have their own stimuli."""
    recorded = [one for one in given if one.endswith(".nc")]
    if recorded and labels:
        raise DataError(
            f"{listed(recorded)}: holds responses to one set of stimuli, but {listed(labels)} has its "
            f"own, perhaps under the same numbers; compare recordings with one file at a time, or give "
            f"--stimuli"
        )


def _named(given: str) -> tuple[str | None, str]:
    """``NAME=PLACE``, or a place whose name is found."""
    name, equals, place = given.partition("=")
    if equals and not Path(given).exists() and re.fullmatch(r"[^=/:\\]+", name):
        if not place:
            raise DataError(f"{given}: give NAME=RECORDING, NAME=RUN or NAME=MODEL")
        return name, place
    return None, given


def _labels(named: Sequence[tuple[str | None, str]]) -> list[str]:
    """A name for each: given, or the rule of a run (with its model where rules occur under several)."""
    settings = [None if name else _settings(place) for name, place in named]
    models = {one["model"] for one in settings if one}
    found = []
    for (name, place), one in zip(named, settings, strict=True):
        if one is None:
            found.append(name or (Path(place).stem if place.endswith(".nc") else place))
        else:
            rule = one["rule"] or "declared"
            found.append(rule if len(models) == 1 else f"{one['model']} {rule}")
    return list(_distinguished(found, settings, [place for _, place in named]))


def _distinguished(
    labels: Sequence[str], settings: Sequence[Mapping[str, Any] | None], places: Sequence[str]
) -> Iterator[str]:
    """Runs of one rule whose settings differ in more than the seed are named by their directory too."""
    kinds: dict[str, list[Any]] = {}
    for label, one in zip(labels, settings, strict=True):
        if one is not None:
            kind = {key: value for key, value in one.items() if key != "seed"}
            kinds.setdefault(label, [])
            if kind not in kinds[label]:
                kinds[label].append(kind)
    for label, one, place in zip(labels, settings, places, strict=True):
        yield f"{label} ({place})" if one is not None and len(kinds[label]) > 1 else label


def _settings(place: str) -> Mapping[str, Any] | None:
    """Settings of a run, without what does not affect its result; None for what is not a run."""
    from cortex_sim.runs.directory import RUN
    from cortex_sim.training.run import saved_settings

    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    if place.endswith(".nc") or not (folder / RUN).is_file():
        return None
    free = ("threads", "device", "checkpoint_every")
    return {k: v for k, v in saved_settings(folder).as_dict().items() if k not in free}


def _members(place: str, name: str, showing: Showing) -> tuple[Member, Member | None]:
    if place in BASELINES:
        return _baseline(place, _stimuli(place, showing)), None
    if place.endswith(".nc"):
        return _recorded(place, name, showing), None
    shown = _network(place, showing.like)
    trained = _presented(shown, showing)
    bare = _presented(shown.untrained(), showing) if shown.trained and showing.untrained else None
    return trained, bare


def _network(place: str, like: str | None) -> Candidate:
    """The network of a place; ``like`` is for what holds no preprocessing, such as an untrained model."""
    from cortex_sim.responding import candidate

    if like is not None and Path(place).exists():
        try:
            return candidate(place)
        except DataError:  # it holds none, or is wrong in another way, which is reported below
            pass
    return candidate(place, like=like)


def _stimuli(place: str, showing: Showing) -> StimulusSet:
    if showing.stimuli is None:
        raise DataError(
            f"{place}: needs the stimuli, but the neural data do not hold them; give --stimuli (a folder of "
            f"pictures, FILE.npy, FILE.npz[:ARRAY])"
        )
    return showing.stimuli


def _baseline(name: str, stimuli: StimulusSet) -> Member:
    from cortex_sim.compare.baselines import gabor_responses, pixel_responses

    made = {"pixels": pixel_responses, "gabor": gabor_responses}[name]
    return Member((name,), lambda population: made(stimuli))


def _recorded(place: str, name: str, showing: Showing) -> Member:
    from cortex_sim.recording import load

    recording = load(place)
    return of_recording(recording, name, showing, recording.attrs.get("seed"))


def _presented(shown: Candidate, showing: Showing) -> Member:
    from cortex_sim.responding import respond_to

    stimuli = _stimuli(shown.name, showing)
    known = [name for name in shown.net.populations if name != shown.stimulated]
    for name in showing.populations:
        require_known(f"population of {shown.name}", name, dict.fromkeys(shown.net.populations), DataError)
    wanted = list(showing.populations) or known
    cache: Path | bool = showing.cache or shown.run is not None
    recording = respond_to(
        shown, stimuli, populations=wanted, variables=["rate"], view=showing.view, cache=cache
    )
    return of_recording(recording, shown.name, showing, shown.seed)


def of_recording(recording: xr.Dataset, name: str, showing: Showing, seed: Any) -> Member:
    """The requested populations of a recording."""
    populations: tuple[str | None, ...] = (None,)
    if "population" in recording.coords:
        known = list(dict.fromkeys(recording["population"].values.astype(str).tolist()))
        for wanted in showing.populations:
            require_known(f"population of {name}", wanted, dict.fromkeys(known), DataError)
        populations = tuple(one for one in known if not showing.populations or one in showing.populations)
    bins = time_bins(recording) if recording.sizes.get("time_bin", 1) > 1 else ()
    if bins and showing.window_ms is not None:
        require_edges(f"{name}: --model-window-ms", bins, showing.window_ms)
    elif bins and not showing.over_time:
        raise DataError(
            f"{name}: has {len(bins)} time bins ({span(bins)}); average them in a window with "
            f"--model-window-ms START END, or compare bin by bin with --over-time"
        )
    windowed = bool(bins) and showing.window_ms is not None
    window = showing.window_ms if windowed else None
    return Member(
        tuple(one or name for one in populations),
        partial(_read, recording, name, None in populations, window, bool(bins) and not windowed),
        int(seed) if isinstance(seed, (int, float, str)) else None,
        () if windowed else bins,
        windowed,
    )


def require_edges(what: str, bins: Sequence[TimeBin], window_ms: TimeBin) -> None:
    """Refuse a window that does not begin and end with a time bin."""
    start, end = window_ms
    if start >= end or not {start, end} <= {time for one in bins for time in one}:
        raise DataError(
            f"{what} {start:g} {end:g} must begin and end with a time bin; bins are {span(tuple(bins))}"
        )


def _read(
    recording: xr.Dataset, name: str, whole: bool, window: TimeBin | None, timed: bool, population: str
) -> Responses | Course:
    from cortex_sim.compare.from_recordings import to_responses

    wanted = None if whole else population
    if timed:
        return to_course(recording, name=name, population=wanted)
    return to_responses(recording, name=name, population=wanted, time_ms=window)
