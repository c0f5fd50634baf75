"""Model recovery: whether these data, under this metric, could tell these rules apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, require_count
from cortex_sim.compare.choosing import cross_fitted
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.responses import Array, Dissimilarities, Responses, matched
from cortex_sim.compare.side_by_side import evaluated_on_each
from cortex_sim.compare.simulated import noise_of, recorded, simulated_rdms, tuned_like
from cortex_sim.compare.streams import SIMULATED
from cortex_sim.errors import DataError

Populations = Mapping[str, Responses]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Recovery:
    """Which candidate scored best for recordings simulated from each candidate.

    Parameters
    ----------
    rules : tuple of str
        Candidates.
    scores : array of shape (truth, simulation, candidate)
        Score of each candidate for each recording simulated from each truth.
    sources : tuple of str
        The population of each candidate from which recordings were simulated.
    neuroids, stimuli : int
    repeats : int, optional
    """

    rules: tuple[str, ...]
    scores: Array
    sources: tuple[str, ...]
    neuroids: int
    stimuli: int
    repeats: int | None

    @property
    def simulations(self) -> int:
        """Recordings simulated from each candidate."""
        return int(self.scores.shape[1])

    @property
    def confusion(self) -> Array:
        """Share of recordings from one candidate for which another scored best, (truth, best); ties split."""
        best = self.scores == self.scores.max(axis=2, keepdims=True)
        return np.asarray((best / best.sum(axis=2, keepdims=True)).mean(axis=1))

    @property
    def accuracy(self) -> float:
        """Share of recordings for which the true candidate scored best."""
        return float(np.diag(self.confusion).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % interval of the accuracy, given the number of simulations (Wilson 1927)."""
        return _wilson(self.accuracy, len(self.rules) * self.simulations)

    def trusted(self, rule: str) -> float:
        """Share of recordings from this rule among those for which it scored best; 0 if there is none.

        It is the probability that the winner is the true candidate, if one of them is and all are equally
        likely.
        """
        at = self._number(rule)
        won = self.confusion[:, at].sum()
        return float(self.confusion[at, at] / won) if won else 0.0

    @property
    def apart(self) -> Array:
        """How often two candidates are distinguished, shape (candidate, candidate), 1 on the diagonal.

        Mean over recordings from the one and from the other of whether the true one of the two scored higher;
        ties count half. Unlike `accuracy` it is not raised by other candidates that are easy to tell apart.
        """
        lead = self.scores[:, :, :, None] - self.scores[:, :, None, :]  # (truth, simulation, one, other)
        higher = ((lead > 0) + 0.5 * (lead == 0)).mean(axis=1)
        right = np.array([higher[truth, truth] for truth in range(len(self.rules))])
        right = (right + right.T) / 2
        np.fill_diagonal(right, 1.0)
        return right

    @property
    def closest(self) -> tuple[str, str]:
        """The two candidates that are distinguished least often."""
        one, other = np.unravel_index(int(self.apart.argmin()), self.apart.shape)
        return self.rules[one], self.rules[other]

    def extrapolated(self, factor: float) -> float:
        """Accuracy with ``factor`` times as many stimuli: see `lengthened`."""
        return self.lengthened(factor).accuracy

    def lengthened(self, factor: float, draws: int = 4000, seed: int = 0) -> Recovery:
        """With ``factor`` times as many stimuli, if scores keep their means and vary as 1/√n.

        Scores are drawn from normal distributions with the means and covariances of the simulated ones.
        """
        rng = np.random.default_rng(seed)
        drawn = [
            rng.multivariate_normal(
                scores.mean(axis=0), np.atleast_2d(np.cov(scores.T)) / factor, size=draws, method="eigh"
            )
            for scores in self.scores
        ]
        return replace(self, scores=np.stack(drawn), stimuli=round(self.stimuli * factor))

    def table(self) -> str:
        """The confusion matrix as text: a row for each truth, a column for the best candidate."""
        width = max(8, *(len(rule) for rule in self.rules)) + 1
        head = "truth".ljust(width) + "".join(rule.rjust(width) for rule in self.rules)
        rows = [
            rule.ljust(width) + "".join(f"{share:{width}.2f}" for share in shares)
            for rule, shares in zip(self.rules, self.confusion, strict=True)
        ]
        low, high = self.bounds
        last = f"recovered {self.accuracy:.2f} ({low:.2f} to {high:.2f}); chance {1 / len(self.rules):.2f}"
        return "\n".join([head, *rows, last])

    def _number(self, rule: str) -> int:
        if rule not in self.rules:
            raise DataError(f"recovery: no candidate {rule!r}; known: {listed(self.rules)}")
        return self.rules.index(rule)


def recover(
    metric: Metric,
    candidates: Mapping[str, Responses | Populations],
    neural: Responses | Dissimilarities,
    *,
    simulations: int = 20,
    readout: str | None = None,
    reliability: Any = None,
    repeats: int | None = None,
    stimuli: int | None = None,
    splits: int = 2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Recovery:
    """Simulate recordings from every candidate, evaluate all candidates on each, and count who scores best.

    The population that a candidate is scored by is chosen for each simulated recording as in the analysis of
    the real data (`cross_fitted`). Recordings are simulated from the population that is chosen for the real
    data.

    Parameters
    ----------
    metric : Metric
    candidates : mapping of str to Responses, or to a mapping of populations
        At least two. All with the stimuli of the neural data, perhaps with more.
    neural : Responses or Dissimilarities
        The real data: their number of neuroids, stimuli and repeats, reliability and noise are simulated.
    simulations : int, default 20
        Recordings from each candidate.
    readout : {"fitted", "random", "contrasts", "units"}, optional
        See `tuned_like`; by default the one that keeps what the metric compares (its attribute ``readout``),
        fitted for a regression.
    reliability : float or array of shape (neuroid,), optional
        Of data without repeats (`noise_of`); for RDMs the agreement of subjects (`simulated_rdms`).
    repeats, stimuli : int, optional
        Numbers other than the data's. More stimuli than the data's must be among those of the candidates.
    splits : int
        Number of splits of the stimuli by which populations are chosen.
    seed : int
    progress : callable, optional
        Called with the number of simulations done and their total.

    Raises
    ------
    DataError
        If there are fewer than two candidates, or the noise of the data is unknown.
    """
    require_count("recovery", minimum=2, simulations=simulations)
    populations = _as_populations(candidates)
    size = len(neural) if stimuli is None else stimuli
    order = _own_stimuli_first(populations, neural, size)
    populations = {rule: _taken(of, order) for rule, of in populations.items()}
    sources = [_source(metric, of, neural, splits, seed) for of in populations.values()]
    simulate = _simulator(metric, neural, readout, reliability, repeats, seed)
    drawn = []
    for truth, (of, source) in enumerate(zip(populations.values(), sources, strict=True)):
        for number in range(simulations):
            rng = np.random.default_rng([seed, SIMULATED, truth, number])
            chosen = _some(len(order), len(neural), size, rng)
            drawn.append((chosen, simulate(of[source], rng).take(chosen)))
    if size == len(neural):  # the same stimuli in all recordings
        scores = _together(metric, populations, [data for _, data in drawn], splits, seed, progress)
    else:
        scores = np.empty((len(drawn), len(populations)))
        for number, (chosen, data) in enumerate(drawn):
            scores[number] = [
                _scored(metric, _taken(others, chosen), data, splits, number)
                for others in populations.values()
            ]
            if progress is not None:
                progress(number + 1, len(drawn))
    finite = np.isfinite(scores).all(axis=0)
    if not finite.all():
        raise DataError(
            f"recovery: candidate {list(populations)[int(np.argmin(finite))]} has no finite score for a "
            f"simulated recording; leave it out, or use another metric"
        )
    found = scores.reshape(len(populations), simulations, len(populations))
    units = neural.neuroids if isinstance(neural, Responses) else len(neural.values)
    return Recovery(tuple(populations), found, tuple(sources), units, size, repeats or _repeats_of(neural))


def _as_populations(candidates: Mapping[str, Responses | Populations]) -> dict[str, Populations]:
    if len(candidates) < 2:
        raise DataError(f"recovery: give at least two candidates. Got {listed(candidates)}")
    return {rule: {"": of} if isinstance(of, Responses) else dict(of) for rule, of in candidates.items()}


def _own_stimuli_first(
    populations: Mapping[str, Populations], neural: Responses | Dissimilarities, size: int
) -> list[str]:
    """Ids of the stimuli that may be simulated: the data's first, then others presented to all candidates."""
    require_count("recovery", minimum=2, stimuli=size)
    everyone = [responses for of in populations.values() for responses in of.values()]
    for responses in everyone:
        matched(responses, neural)  # refuses stimuli that were not presented
    own = set(neural.stimuli)
    shared = set.intersection(*(set(responses.stimuli) for responses in everyone)) - own
    order = [*neural.stimuli, *(one for one in everyone[0].stimuli if one in shared)]
    if size > len(order):
        raise DataError(
            f"recovery: {size} stimuli cannot be simulated, since only {len(order)} were presented to all "
            f"candidates; present more stimuli to them, or extrapolate (`needed`)"
        )
    return order if size > len(neural) else order[: len(neural)]


def _taken(populations: Populations, stimuli: Sequence[str] | NDArray[np.int64]) -> Populations:
    """All populations for these stimuli, by id or by number."""
    found = {}
    for name, responses in populations.items():
        at = {stimulus: i for i, stimulus in enumerate(responses.stimuli)}
        found[name] = responses.take([at[one] if isinstance(one, str) else one for one in stimuli])
    return found


def _some(known: int, own: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which stimuli one recording has: all of the data's if there are enough, else some, drawn at random."""
    if size == own:
        return np.arange(own)
    return np.sort(rng.permutation(known)[:size])


def _source(
    metric: Metric, populations: Populations, neural: Responses | Dissimilarities, splits: int, seed: int
) -> str:
    """The population that is chosen for the real data."""
    if len(populations) == 1:
        return next(iter(populations))
    own = [str(stimulus) for stimulus in neural.stimuli]
    evaluations = {
        name: metric.evaluate(responses, neural, seed=seed)
        for name, responses in _taken(populations, own).items()
    }
    return cross_fitted(evaluations, splits=splits, seed=seed, groups=_groups(neural)).population


def _groups(neural: Responses | Dissimilarities) -> NDArray[Any] | None:
    return neural.groups if isinstance(neural, Responses) else None


def _together(
    metric: Metric,
    populations: Mapping[str, Populations],
    recordings: Sequence[Responses | Dissimilarities],
    splits: int,
    seed: int,
    progress: Progress | None,
) -> Array:
    """Score of each candidate for each recording, shape (recording, candidate); a candidate at a time."""
    scores = np.empty((len(recordings), len(populations)))
    groups = _groups(recordings[0])
    for column, of in enumerate(populations.values()):
        each = {name: evaluated_on_each(metric, model, recordings, seed=seed) for name, model in of.items()}
        for number in range(len(recordings)):
            some = {name: found[number] for name, found in each.items()}
            scores[number, column] = cross_fitted(some, splits=splits, seed=number, groups=groups).score()
        if progress is not None:
            progress((column + 1) * len(recordings) // len(populations), len(recordings))
    return scores


def _scored(
    metric: Metric, populations: Populations, data: Responses | Dissimilarities, splits: int, seed: int
) -> float:
    """The score of a candidate, by the population that is chosen for these data."""
    evaluations: dict[str, Evaluation] = {
        name: metric.evaluate(responses, data, seed=seed) for name, responses in populations.items()
    }
    return cross_fitted(evaluations, splits=splits, seed=seed, groups=_groups(data)).score()


def _simulator(
    metric: Metric,
    neural: Responses | Dissimilarities,
    readout: str | None,
    reliability: Any,
    repeats: int | None,
    seed: int,
) -> Callable[[Responses, np.random.Generator], Responses | Dissimilarities]:
    """Function of a population and a generator that returns a recording of all its stimuli."""
    if isinstance(neural, Dissimilarities):
        if repeats is not None or readout is not None:
            raise DataError(
                f"RDMs {neural.name}: repeats, or a readout other than the measure's own, cannot be "
                f"simulated for RDMs; give the responses themselves"
            )
        return lambda model, rng: simulated_rdms(model, neural, agreement=reliability, rng=rng)
    noise = noise_of(neural, reliability=reliability, repeats=repeats, seed=seed)
    how = str(getattr(metric, "readout", "fitted")) if readout is None else readout

    def simulate(model: Responses, rng: np.random.Generator) -> Responses:
        return recorded(model, tuned_like(model, neural, how, rng), noise, rng, neural)

    return simulate


def _repeats_of(neural: Responses | Dissimilarities) -> int | None:
    repeats = neural.repeats if isinstance(neural, Responses) else None
    return None if repeats is None else len(repeats)


def _wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a share of n."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - reach), min(1.0, centre + reach)
