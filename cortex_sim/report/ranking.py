"""Models against each other: the best population of each, chosen on other stimuli, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cortex_sim.compare.bootstrap import Interval, interval
from cortex_sim.compare.choosing import FEWEST_STIMULI, ChosenPopulation, cross_fitted
from cortex_sim.compare.paired import Comparison, Difference, paired
from cortex_sim.report.comparing import Cell, Settings


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best population of every model for one data set and metric.

    Parameters
    ----------
    data, metric : str
    chosen : dict of str to tuple of ChosenPopulation
        Of each model, one for each seed; of pooled scores, for each data set and seed.
    intervals : dict of str to Interval
        Of each model's cross-fitted score.
    comparison : Comparison, optional
        All pairs of models; None where there is one.
    raw : bool
        Whether raw scores are ranked, since some of the pooled data have no ceiled ones.
    """

    data: str
    metric: str
    chosen: dict[str, tuple[ChosenPopulation, ...]]
    intervals: dict[str, Interval]
    comparison: Comparison | None
    raw: bool = False

    @property
    def leader(self) -> str:
        """The model with the highest score."""
        return max(self.intervals, key=lambda name: self.intervals[name].score)

    @property
    def rivals(self) -> list[str]:
        """Models from which the leader does not differ by the corrected test."""
        if self.comparison is None:
            return []
        others = [name for name in self.intervals if name != self.leader]
        return [name for name in others if self.comparison.between(self.leader, name).adjusted > 0.05]

    def population(self, name: str) -> str:
        """The population of a model that was chosen most often; the first of equals."""
        chosen = [one.population for one in self.chosen[name]]
        return max(chosen, key=chosen.count)

    @property
    def differences(self) -> list[dict[str, Any]]:
        """Every pair of models, the first's score minus the second's, as plain data."""
        return [] if self.comparison is None else [_as_data(one) for one in self.comparison.differences]

    def as_data(self) -> dict[str, Any]:
        """As plain data."""
        chosen = [
            {
                "recording": name,
                "population": self.population(name),
                "score": found.score,
                "ci_low": found.low,
                "ci_high": found.high,
            }
            for name, found in self.intervals.items()
        ]
        how = None if self.comparison is None else self.comparison.correction
        return {
            "data": self.data,
            "metric": self.metric,
            "best": chosen,
            "differences": self.differences,
            "correction": how,
        }

    def sentence(self) -> str:
        """Who scores best, and from whom it does not differ."""
        lead, found = self.leader, self.intervals[self.leader]
        raw = ", raw" if self.raw else ""
        said = (
            f"{self.data}, {self.metric}: {lead} scores best, {found.score:.3f} ({found.low:.3f} to "
            f"{found.high:.3f}{raw}), with {self.population(lead)}, chosen on other stimuli"
        )
        if self.comparison is None:
            return said
        if not self.rivals:
            return f"{said}; it differs from all others ({self.comparison.correction}-corrected)"
        rivals = ", ".join(self.rivals)
        return f"{said}; it does not differ from {rivals} ({self.comparison.correction}-corrected)"


def _as_data(one: Difference) -> dict[str, Any]:
    return {
        "first": one.first,
        "second": one.second,
        "difference": one.difference,
        "ci_low": one.low,
        "ci_high": one.high,
        "p": one.p,
        "p_adjusted": one.adjusted,
    }


def ranked(cells: Sequence[Cell], settings: Settings) -> list[Ranking]:
    """One ranking for each data set and metric; none over time, or with too few stimuli to choose on."""
    found = []
    cells = [cell for cell in cells if cell.time_bin is None]
    for data, metric in dict.fromkeys((cell.data, cell.metric.name) for cell in cells):
        mine = [cell for cell in cells if (cell.data, cell.metric.name) == (data, metric)]
        if mine[0].evaluations[0].stimuli >= FEWEST_STIMULI:
            found.append(_ranking(data, metric, mine, settings))
    return found


def _ranking(data: str, metric: str, cells: Sequence[Cell], settings: Settings) -> Ranking:
    how: dict[str, Any] = {"level": settings.level, "resamples": settings.resamples, "seed": settings.seed}
    chosen = {}
    for name in dict.fromkeys(cell.entry for cell in cells):
        of = [cell for cell in cells if cell.entry == name]
        seeds = range(len(of[0].evaluations))
        chosen[name] = tuple(
            cross_fitted({cell.population: cell.evaluations[i] for cell in of}, seed=settings.seed)
            for i in seeds
        )
    intervals = {name: interval(list(of), **how) for name, of in chosen.items()}
    comparison = paired({name: list(of) for name, of in chosen.items()}, **how) if len(chosen) > 1 else None
    return Ranking(data, metric, chosen, intervals, comparison)
