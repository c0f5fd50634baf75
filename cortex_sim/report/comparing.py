"""Every model against every data set by every metric: evaluations, controls, and the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.chance import Chance, RawScores, moved, shares
from cortex_sim.compare.course import Course, TimeBin, aligned, compared_bins
from cortex_sim.compare.metric import Evaluation
from cortex_sim.compare.predictivity import PredictivityEvaluation
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.scores import ScoreRow, score_of
from cortex_sim.errors import DataError
from cortex_sim.report.entries import Entry
from cortex_sim.report.metrics import Named

PERMUTATIONS = 10  # of all seeds of a model together
Neural = Responses | Dissimilarities
Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Cell:
    """One population of one model, one data set, one metric.

    Parameters
    ----------
    entry, population, data, metric : str
    evaluations : tuple of Evaluation
        One for each training seed.
    chance : Chance, optional
        Over all seeds.
    untrained : float, optional
        Score of the same networks with their initial weights, the mean over seeds.
    time_bin : (start, end), optional
        In ms, where responses in one time bin are compared.
    reason : str, optional
        Why a time bin has no score; there are no evaluations then.
    """

    entry: str
    population: str
    data: str
    metric: Named
    evaluations: tuple[Evaluation, ...]
    chance: Chance | None = None
    untrained: float | None = None
    time_bin: TimeBin | None = None
    reason: str | None = None

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(np.mean([one.score() for one in self.evaluations]))

    @property
    def raw(self) -> float:
        """Mean of the raw scores over seeds."""
        return float(np.mean([one.raw() for one in self.evaluations]))


@dataclass(frozen=True)
class Settings:
    """How scores are computed.

    Parameters
    ----------
    seed : int
        Of folds, halves of repeats and resamples.
    level : float
        Of the intervals.
    resamples : int
    controls : bool
        Whether controls are computed: shifted, permuted, untrained. They take two to three times as long.
    """

    seed: int = 0
    level: float = 0.95
    resamples: int = 1000
    controls: bool = True


def compared(
    entries: Sequence[Entry],
    data: Mapping[str, Neural | Course],
    metrics: Sequence[Named],
    settings: Settings | None = None,
    progress: Progress = lambda said: None,
) -> list[Cell]:
    """Evaluate every population of every model on every data set by every metric that can be computed.

    Parameters
    ----------
    entries : sequence of Entry
    data : mapping of str to Responses, Dissimilarities or Course
        A `Course`, and an entry that has time, give one cell for each time bin.
    metrics : sequence of Named
    settings : Settings, optional
    progress : callable
        Called with what comes next.

    Raises
    ------
    DataError
        If no metric can be computed for some data, stimuli of the data were not presented, or time bins
        do not fit.
    """
    settings = settings or Settings()
    found: list[Cell] = []
    for label, neural in data.items():
        for entry in entries:
            bins = neural.bins if isinstance(neural, Course) else ()
            compared_bins(entry.name, entry.members[0].bins, label, bins)
    for label, neural in data.items():
        able = [one for one in metrics if not isinstance(neural, Dissimilarities) or one.name == "rsa"]
        if not able:
            raise DataError(
                f"{label}: holds RDMs, which only rsa compares; give --metric rsa, or the responses"
            )
        for entry in entries:
            for population in entry.populations:
                progress(f"{label}: {entry.name} {population}")
                found += _cells(entry, population, label, neural, able, settings)
    return found


@dataclass(eq=False)
class _Gathered:
    """Results that become one cell, network by network; a time bin without a score keeps the reason."""

    evaluations: list[Evaluation] = field(default_factory=list)
    orders: list[RawScores] = field(default_factory=list)
    untrained: list[float] = field(default_factory=list)
    reason: str | None = None


def _cells(
    entry: Entry,
    population: str,
    label: str,
    neural: Neural | Course,
    metrics: Sequence[Named],
    settings: Settings,
) -> Iterator[Cell]:
    """The cells of one population and one data set; its responses are read once."""
    found: dict[tuple[str, TimeBin | None], _Gathered] = {}
    permutations = shares(PERMUTATIONS, len(entry.members))
    for number, member in enumerate(entry.members):
        for time, model, data in aligned(member.read(population), neural):
            for one in metrics:
                place = found.setdefault((one.name, time), _Gathered())
                with _reason_kept(place, time):
                    own = _evaluated(one, model, data, settings)
                    own.score()  # a ceiling that cannot be divided by is refused here
                    place.evaluations.append(own)
                    if settings.controls:
                        how = {"permutations": permutations[number], "seed": settings.seed, "network": number}
                        place.orders.append(moved(one.metric, model, data, own, **how).scores)
    for member in entry.untrained if settings.controls else ():
        for time, model, data in aligned(member.read(population), neural):
            for one in metrics:
                place = found[one.name, time]
                with _reason_kept(place, time):
                    place.untrained.append(_evaluated(one, model, data, settings).score())
    for one in metrics:
        mine = {time: of for (name, time), of in found.items() if name == one.name}
        if all(of.reason for of in mine.values()):
            time, first = next(iter(mine.items()))
            assert time is not None
            raise DataError(
                f"{label}: no time bin has a score; {time[0]:g} to {time[1]:g} ms: {first.reason}"
            )
        for time, of in mine.items():
            yield _cell(Cell(entry.name, population, label, one, (), time_bin=time, reason=of.reason), of)


@contextmanager
def _reason_kept(place: _Gathered, time: TimeBin | None) -> Iterator[None]:
    """In a time bin, keep why it has no score, as before any response; without time, let the error pass."""
    try:
        yield
    except DataError as reason:
        if time is None:
            raise
        place.reason = place.reason or str(reason)


def _cell(bare: Cell, of: _Gathered) -> Cell:
    if of.reason:
        return bare
    return replace(
        bare,
        evaluations=tuple(of.evaluations),
        chance=Chance.of(of.orders) if of.orders else None,
        untrained=float(np.mean(of.untrained)) if of.untrained else None,
    )


def _evaluated(one: Named, model: Responses, neural: Neural, settings: Settings) -> Evaluation:
    """The evaluation, without the fitted mappings, which for a wide population take 100 MB."""
    found = one.metric.evaluate(model, neural, seed=settings.seed)
    if isinstance(found, PredictivityEvaluation):
        return replace(found, held_out=replace(found.held_out, fitted=()))
    return found


def row(cell: Cell, neural: Neural | Course, settings: Settings) -> ScoreRow:
    """One line of the table: score, interval, ceiling, controls, and what they were computed from."""
    if isinstance(neural, Course) and cell.time_bin is not None:
        neural = neural.at(cell.time_bin)
    assert not isinstance(neural, Course)
    known = interval(cell.evaluations, level=settings.level, resamples=settings.resamples, seed=settings.seed)
    return score_of(
        cell.evaluations,
        known,
        recording=cell.entry,
        population=cell.population,
        data=cell.data,
        metric=cell.metric.name,
        convention=cell.metric.metric.convention,
        neural=neural,
        chance=cell.chance,
        untrained=cell.untrained,
        time_bin=cell.time_bin,
    )
