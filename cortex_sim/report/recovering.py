"""Model recovery as part of a comparison: whether such data could tell these models apart, and what would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cortex_sim.compare.metric import Metric
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.recovery import Recovery, recover
from cortex_sim.compare.reduction import coordinates
from cortex_sim.compare.responses import Dissimilarities, Responses, matched
from cortex_sim.compare.separating import LEVEL, verdict
from cortex_sim.errors import DataError
from cortex_sim.report.entries import Entry
from cortex_sim.report.metrics import Named
from cortex_sim.report.ranking import Ranking

Neural = Responses | Dissimilarities
SPLITS = 50  # of the repeats of simulated data, for their reliability
BOUND = 64  # multiple of the stimuli beyond which nothing is extrapolated


@dataclass(frozen=True, eq=False)
class Recovered:
    """Recovery for one data set and metric, or why there is none.

    Parameters
    ----------
    data, metric : str
    recovery : Recovery, optional
    sentences : list of str
        The verdict, and how many stimuli would separate the models; or the reason.
    winner : str, optional
        The model that may be named.
    """

    data: str
    metric: str
    recovery: Recovery | None
    sentences: list[str]
    winner: str | None = None

    def as_data(self) -> dict[str, Any]:
        """As plain data."""
        found = self.recovery
        return {
            "data": self.data,
            "metric": self.metric,
            "models": None if found is None else list(found.rules),
            "confusion": None if found is None else found.confusion.tolist(),
            "accuracy": None if found is None else found.accuracy,
            "simulations": None if found is None else found.simulations,
            "winner": self.winner,
            "said": self.sentences,
        }


def recovered(
    entries: Sequence[Entry],
    neural: Neural,
    ranking: Ranking,
    metric: Named,
    simulations: int,
    seed: int,
    progress: Callable[[str], None] = lambda said: None,
) -> Recovered:
    """Simulate data from the first seed of every model, and see which model wins which data.

    Parameters
    ----------
    entries : sequence of Entry
    neural : Responses or Dissimilarities
    ranking : Ranking
        Of the same models by the same metric, for the verdict.
    metric : Named
    simulations : int
        Simulations from each model.
    """
    quick = _quick(metric.metric)
    candidates = {entry.name: _populations(entry, neural, quick) for entry in entries}
    label, name = ranking.data, ranking.metric

    def counted(done: int, of: int) -> None:
        progress(f"recovery, {label}, {name}: {done} of {of}")

    try:
        found = recover(quick, candidates, neural, simulations=simulations, seed=seed, progress=counted)
    except DataError as reason:
        return Recovered(label, name, None, [f"{label}, {name}: recovery is unknown: {reason}"])
    scores = {one: interval.score for one, interval in ranking.intervals.items()}
    said = verdict(scores, found, comparison=ranking.comparison)
    sentences = [f"{label}, {name}: {said.sentence}"]
    if found.accuracy < LEVEL:
        sentences.append(f"{label}, {name}: {_would_do(found)}")
    return Recovered(label, name, found, sentences, said.winner)


def _quick(metric: Metric) -> Metric:
    return replace(metric, splits=min(metric.splits, SPLITS)) if isinstance(metric, Predictivity) else metric


def _populations(entry: Entry, neural: Neural, metric: Metric) -> dict[str, Responses]:
    """Of the first seed; for regressions in as few coordinates as there are stimuli, which changes no fit."""
    found = {}
    for population in entry.populations:
        model = matched(entry.members[0].responses(population), neural)[0]
        if isinstance(metric, Predictivity):
            model = replace(model, values=coordinates(model.values), repeats=None, units={})
        found[population] = model
    return found


def _would_do(found: Recovery) -> str:
    """How many stimuli would recover the true model often enough, extrapolated."""
    factor = 2
    while factor <= BOUND:
        accuracy = found.extrapolated(factor)
        if accuracy >= LEVEL:
            return (
                f"{factor * found.stimuli} stimuli, {factor} times as many, would recover the true model in "
                f"{accuracy:.0%} of experiments (extrapolated)"
            )
        factor *= 2
    return (
        f"no number of stimuli up to {BOUND} times as many would recover the true model in {LEVEL:.0%} of "
        f"experiments ({found.extrapolated(BOUND):.0%}, extrapolated); another metric or other stimuli might"
    )
