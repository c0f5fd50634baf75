"""The population of a model that is most like the data, scored on stimuli on which it was not chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, require_count
from cortex_sim.compare.bootstrap import refitting
from cortex_sim.compare.crossed import groups_of
from cortex_sim.compare.metric import Evaluation, Metric, Numbers
from cortex_sim.compare.responses import Dissimilarities, Responses, require_labels
from cortex_sim.compare.streams import CHOICE
from cortex_sim.compare.uncertainty import Refit, compares_pairs
from cortex_sim.errors import DataError

FEWEST_STIMULI = 16  # of fewer, one half is too small to choose on


@dataclass(frozen=True)
class Part:
    """A population, and the stimuli that it is scored on; it was chosen on the others of its split."""

    population: str
    scored_on: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ChosenPopulation:
    """The best population of a model as one `Evaluation`: mean over parts of its score on their stimuli.

    Parameters
    ----------
    evaluations : mapping of str to Evaluation
        One for each population, by one metric on the same neural data.
    parts : tuple of Part
        Two for each split of the stimuli.
    """

    evaluations: Mapping[str, Evaluation]
    parts: tuple[Part, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the parts in which each population was chosen."""
        chosen = [part.population for part in self.parts]
        return {name: chosen.count(name) / len(chosen) for name in self.evaluations}

    @property
    def population(self) -> str:
        """The population that was chosen most often; if tied, the first."""
        return max(self.shares, key=self.shares.__getitem__)

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self._first.stimuli

    @property
    def units(self) -> int:
        """Number of units."""
        return self._first.units

    @property
    def known(self) -> Mapping[str, NDArray[Any]]:
        """What is known of the units."""
        return self._first.known

    @property
    def pairwise(self) -> bool:
        """Whether scores compare pairs of stimuli."""
        return compares_pairs(self._first)

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean over parts of the score; populations are not chosen again."""
        return self._mean(stimuli, units, raw=False)

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean over parts of the raw score; populations are not chosen again."""
        return self._mean(stimuli, units, raw=True)

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Ceiling of the neural data."""
        return self._first.ceiling

    @property
    def reliability(self) -> float | None:
        """Reliability of the neural data."""
        return self._first.reliability

    @property
    def _first(self) -> Evaluation:
        return self.evaluations[self.population]

    def _mean(self, stimuli: Numbers | None, units: Numbers | None, raw: bool) -> float:
        numbers = np.arange(self.stimuli) if stimuli is None else np.asarray(stimuli)
        found = []
        for part in self.parts:
            chosen = self.evaluations[part.population]
            on = numbers[part.scored_on[numbers]]
            found.append((chosen.raw if raw else chosen.score)(on, units))
        return float(np.mean(found))


def cross_fitted(
    evaluations: Mapping[str, Evaluation],
    *,
    splits: int = 2,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
    refits: Mapping[str, Refit] | None = None,
) -> ChosenPopulation:
    """Choose the best population on one half of the stimuli and score it on the other, both ways.

    The best of several scores is biased upwards on the stimuli on which it was chosen, the more so the more
    populations there are. Use it for every model alike, with one seed, even where a model has a single
    population, since scores on half of the stimuli may differ from those on all.

    Parameters
    ----------
    evaluations : mapping of str to Evaluation
        One for each population, by one metric on the same neural data.
    splits : int, default 2
        How often the stimuli are halved at random; each gives two parts.
    seed : int
        Draws the splits, which depend only on it and on the number of stimuli, or on ``groups``.
    groups : array of shape (stimulus,), optional
        Stimuli of one group (copies, neighbouring frames) stay in one half.
    refits : mapping of str to callable, optional
        See `refitting`. Populations are then chosen by fits to the choosing half alone. Without them the
        predictions for one half come from fits that include the other, which leaves a third of the bias where
        no population resembles the data (docs/metrics/inference.md); metrics without a fit need no refits.

    Raises
    ------
    DataError
        If there are no populations, or fewer than 16 stimuli or 4 groups.
    """
    require_count("choice of a population", splits=splits)
    require_count("choice of a population", minimum=0, seed=seed)
    if not evaluations:
        raise DataError("choice of a population: no evaluation; give one for each population")
    if groups is not None:
        require_labels("choice of a population: groups", np.asarray(groups))
    counts = {one.stimuli for one in evaluations.values()}
    if len(counts) != 1:
        raise DataError(
            f"choice of a population: evaluations must be of the same stimuli. Got "
            f"{listed(map(str, counts))} stimuli"
        )
    size = counts.pop()
    if size < FEWEST_STIMULI:
        raise DataError(
            f"choice of a population: needs at least {FEWEST_STIMULI} stimuli, to choose on one half and "
            f"score on the other. Got {size}; name the population instead"
        )
    parts = []
    for half in _halves(groups_of(groups, size), size, splits, np.random.default_rng([seed, CHOICE])):
        for scored_on in (half, ~half):
            parts.append(Part(_best(evaluations, refits, np.flatnonzero(~scored_on)), scored_on))
    return ChosenPopulation(dict(evaluations), tuple(parts))


def best_population(
    metric: Metric,
    populations: Mapping[str, Responses],
    neural: Responses | Dissimilarities,
    *,
    splits: int = 2,
    seed: int = 0,
) -> ChosenPopulation:
    """Evaluate every population and choose, by fits to the choosing half alone: see `cross_fitted`.

    Groups are those of the neural data. Each split costs two evaluations of every population with half of
    the stimuli; none for metrics without a fit (RSA, CKA), or a single population.
    """
    evaluations = {
        name: metric.evaluate(responses, neural, seed=seed) for name, responses in populations.items()
    }
    refits = None
    if len(evaluations) > 1 and not all(map(compares_pairs, evaluations.values())):
        refits = {name: refitting(metric, of, neural, seed=seed) for name, of in populations.items()}
    groups = getattr(neural, "groups", None)
    return cross_fitted(evaluations, splits=splits, seed=seed, groups=groups, refits=refits)


def choosing_again(
    metric: Metric,
    populations: Mapping[str, Responses],
    neural: Responses | Dissimilarities,
    *,
    splits: int = 2,
    seed: int = 0,
) -> Refit:
    """`best_population` as a function of the stimuli, for ``refit`` of `interval`: fits and choices again."""

    def refit(stimuli: Numbers) -> ChosenPopulation:
        some = {name: responses.take(stimuli) for name, responses in populations.items()}
        return best_population(metric, some, neural.take(stimuli), splits=splits, seed=seed)

    return refit


def _halves(
    groups: Sequence[NDArray[Any]], size: int, splits: int, rng: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """Masks of one half of the groups, for each split."""
    if len(groups) < 4:
        raise DataError(
            f"choice of a population: needs at least 4 groups of stimuli. Got {len(groups)}; give finer "
            f"groups, or name the population instead"
        )
    masks = []
    for _ in range(splits):
        half = np.zeros(size, bool)
        half[np.concatenate([groups[i] for i in rng.permutation(len(groups))[: len(groups) // 2]])] = True
        masks.append(half)
    return masks


def _best(evaluations: Mapping[str, Evaluation], refits: Mapping[str, Refit] | None, stimuli: Numbers) -> str:
    if refits is None:
        scores = {name: one.score(stimuli) for name, one in evaluations.items()}
    else:
        scores = {name: refits[name](stimuli).score() for name in evaluations}
    return max(scores, key=scores.__getitem__)
