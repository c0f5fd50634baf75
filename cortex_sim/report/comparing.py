"""Every model against every data set by every metric: evaluations, controls, and the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.chance import Chance, RawScores, moved, shares
from cortex_sim.compare.metric import Evaluation
from cortex_sim.compare.predictivity import PredictivityEvaluation
from cortex_sim.compare.responses import Dissimilarities, Responses, matched
from cortex_sim.compare.scores import ScoreRow, score_of
from cortex_sim.errors import DataError
from cortex_sim.report.entries import Entry, Member
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
    """

    entry: str
    population: str
    data: str
    metric: Named
    evaluations: tuple[Evaluation, ...]
    chance: Chance | None = None
    untrained: float | None = None

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(np.mean([one.score() for one in self.evaluations]))


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
    data: Mapping[str, Neural],
    metrics: Sequence[Named],
    settings: Settings | None = None,
    progress: Progress = lambda said: None,
) -> list[Cell]:
    """Evaluate every population of every model on every data set by every metric that can be computed.

    Parameters
    ----------
    entries : sequence of Entry
    data : mapping of str to Responses or Dissimilarities
    metrics : sequence of Named
    settings : Settings, optional
    progress : callable
        Called with what comes next.

    Raises
    ------
    DataError
        If no metric can be computed for some data, or stimuli of the data were not presented.
    """
    settings = settings or Settings()
    found: list[Cell] = []
    for label, neural in data.items():
        able = [one for one in metrics if isinstance(neural, Responses) or one.name == "rsa"]
        if not able:
            raise DataError(
                f"{label}: are RDMs, which rsa alone reads; give --metric rsa, or the responses themselves"
            )
        for entry in entries:
            for population in entry.populations:
                progress(f"{label}: {entry.name} {population}")
                found += _cells(entry, population, label, neural, able, settings)
    return found


def _cells(
    entry: Entry, population: str, label: str, neural: Neural, metrics: Sequence[Named], settings: Settings
) -> Iterator[Cell]:
    """The cells of one population and one data set; its responses are read once."""
    evaluations: dict[str, list[Evaluation]] = {one.name: [] for one in metrics}
    controls: dict[str, list[RawScores]] = {one.name: [] for one in metrics}
    permutations = shares(PERMUTATIONS, len(entry.members))
    for number, member in enumerate(entry.members):
        model = _matched(member, population, neural)
        for one in metrics:
            found = _evaluated(one, model, neural, settings)
            evaluations[one.name].append(found)
            if settings.controls:
                how = {"permutations": permutations[number], "seed": settings.seed, "network": number}
                controls[one.name].append(moved(one.metric, model, neural, found, **how).scores)
    bare: dict[str, list[float]] = {one.name: [] for one in metrics}
    for member in entry.untrained if settings.controls else ():
        model = _matched(member, population, neural)
        for one in metrics:
            bare[one.name].append(_evaluated(one, model, neural, settings).score())
    for one in metrics:
        untrained = float(np.mean(bare[one.name])) if bare[one.name] else None
        yield Cell(
            entry.name,
            population,
            label,
            one,
            tuple(evaluations[one.name]),
            Chance.of(controls[one.name]) if settings.controls else None,
            untrained,
        )


def _matched(member: Member, population: str, neural: Neural) -> Responses:
    return matched(member.read(population), neural)[0]


def _evaluated(one: Named, model: Responses, neural: Neural, settings: Settings) -> Evaluation:
    """The evaluation, without the fitted mappings, which for a wide population take 100 MB."""
    found = one.metric.evaluate(model, neural, seed=settings.seed)
    if isinstance(found, PredictivityEvaluation):
        return replace(found, held_out=replace(found.held_out, fitted=()))
    return found


def row(cell: Cell, neural: Neural, settings: Settings) -> ScoreRow:
    """One line of the table: score, interval, ceiling, controls, and what they were computed from."""
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
    )
