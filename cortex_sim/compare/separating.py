"""Whether a winner may be named, and how many stimuli or repeats would distinguish rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex_sim.checks import listed, look_up
from cortex_sim.compare.metric import Metric
from cortex_sim.compare.paired import Comparison
from cortex_sim.compare.recovery import Populations, Progress, Recovery, recover
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError

LEVEL = 0.8  # recovery below which no winner is named
STEPS = (1, 2, 4, 8, 16)  # multiples of the data's number that are tried
BOUND = 64  # multiple beyond which nothing is extrapolated


@dataclass(frozen=True)
class Verdict:
    """The winner, if one may be named.

    Parameters
    ----------
    best : str
        The rule with the highest score.
    winner : str, optional
        The rule with the highest score, if recovery allows it to be named.
    trusted : float
        See `Recovery.trusted`.
    sentence : str
        The verdict in words, for the report.
    """

    best: str
    winner: str | None
    trusted: float
    sentence: str


def verdict(
    scores: Mapping[str, float],
    recovery: Recovery,
    *,
    level: float = LEVEL,
    comparison: Comparison | None = None,
    alpha: float = 0.05,
) -> Verdict:
    """Name the best rule, unless data like these would often name a wrong one.

    A winner needs that (1) recordings simulated from the candidates are recovered as often as ``level``,
    (2) among simulated recordings for which the best rule scored best, as large a share came from it, and
    (3) where a comparison is given, it differs from the second best.

    Parameters
    ----------
    scores : mapping of str to float
        Scores on the real data.
    recovery : Recovery
        Recovery of the same rules.
    level : float, default 0.8
    comparison : Comparison, optional
        See `paired`.
    alpha : float, default 0.05
        Significance level for its adjusted p values.
    """
    if set(scores) != set(recovery.rules):
        raise DataError(
            f"verdict: scores must be those of the candidates of the recovery, {listed(recovery.rules)}. "
            f"Got {listed(scores)}"
        )
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    best, trusted = ranked[0], recovery.trusted(ranked[0])
    against = _against(recovery, best, trusted, level)
    if comparison is not None:
        found = comparison.between(best, ranked[1])
        if found.adjusted > alpha:
            against.append(
                f"its lead over {ranked[1]} is {found.difference:.3f} ({found.low:.3f} to {found.high:.3f}, "
                f"p = {found.adjusted:.2g}, {comparison.correction})"
            )
    start = f"{best} scores highest ({scores[best]:.3f})"
    if against:
        return Verdict(best, None, trusted, f"{start}, but no winner is named: {'; '.join(against)}.")
    return Verdict(
        best, best, trusted,
        f"{start}; data like these recover the true rule in {recovery.accuracy:.0%} of simulations, and it "
        f"is {best} in {trusted:.0%} of those that {best} wins.",
    )  # fmt: skip


def reaches(share: float, level: float) -> bool:
    """Whether a share of counts is at least the level, up to rounding."""
    return share >= level - 1e-9


def _against(recovery: Recovery, best: str, trusted: float, level: float) -> list[str]:
    against = []
    if not reaches(recovery.accuracy, level):
        low, high = recovery.bounds
        against.append(
            f"data like these recover the true rule in {recovery.accuracy:.0%} of simulations "
            f"({low:.0%} to {high:.0%}), below {level:.0%}"
        )
    if not reaches(trusted, level):
        against.append(
            f"of the simulated recordings that {best} wins, {trusted:.0%} came from it, below {level:.0%}"
        )
    return against


@dataclass(frozen=True)
class Tried:
    """Recovery with one number of stimuli or repeats.

    Parameters
    ----------
    number : int
    accuracy : float
        Recovery over all candidates.
    apart : float
        How often the two candidates that are closest are distinguished.
    simulated : bool
        False where it is extrapolated.
    """

    number: int
    accuracy: float
    apart: float
    simulated: bool

    @classmethod
    def of(cls, recovery: Recovery, number: int, simulated: bool = True) -> Tried:
        """From one recovery."""
        return cls(number, recovery.accuracy, float(recovery.apart.min()), simulated)


@dataclass(frozen=True)
class Needed:
    """How many stimuli or repeats would separate the candidates.

    Parameters
    ----------
    what : {"stimuli", "repeats"}
    number : int, optional
        The smallest number tried for which any two candidates are distinguished as often as ``level``.
    tried : tuple of Tried
    level : float
    closest : tuple of str
        The two candidates that were closest with the last number tried.
    """

    what: str
    number: int | None
    tried: tuple[Tried, ...]
    level: float
    closest: tuple[str, str]

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        last = self.tried[-1]
        if self.number is None:
            return (
                f"No number of {self.what} up to {last.number} would tell {' and '.join(self.closest)} apart "
                f"in {self.level:.0%} of experiments ({last.apart:.0%} with {last.number}"
                f"{'' if last.simulated else ', extrapolated'}); another metric or other stimuli might."
            )
        at = next(one for one in self.tried if one.number == self.number)
        how = "simulated" if at.simulated else "extrapolated"
        share = f"{at.apart:.0%} of experiments ({how})"
        return f"{self.number} {self.what} would tell any two of these rules apart in {share} or more."


def needed(
    metric: Metric,
    candidates: Mapping[str, Responses | Populations],
    neural: Responses | Dissimilarities,
    *,
    over: str = "stimuli",
    level: float = LEVEL,
    steps: Sequence[float] = STEPS,
    bound: float = BOUND,
    progress: Progress | None = None,
    **settings: Any,
) -> Needed:
    """Find how many stimuli, or repeats of each, would distinguish any two candidates often enough.

    Recovery is simulated with multiples of the data's number until the two closest candidates are
    distinguished (`Recovery.apart`). More stimuli can be simulated only where the candidates responded to
    them; for larger numbers, scores are extrapolated from the largest simulated number
    (`Recovery.lengthened`), which ignores that fits improve with more stimuli.

    Parameters
    ----------
    metric, candidates, neural
        As for `recover`.
    over : {"stimuli", "repeats"}
    level : float, default 0.8
    steps : sequence of float
        Multiples of the data's number, ascending.
    bound : float, default 64
        Multiple up to which stimuli are extrapolated.
    progress : callable, optional
    **settings
        Settings of `recover`.
    """
    return look_up("over", over, SEARCHES, DataError)(
        metric, candidates, neural, level, steps, bound, {**settings, "progress": progress}
    )


def _repeats(
    metric: Metric,
    candidates: Mapping[str, Responses | Populations],
    neural: Responses | Dissimilarities,
    level: float,
    steps: Sequence[float],
    bound: float,
    settings: Mapping[str, Any],
) -> Needed:
    own = None if isinstance(neural, Dissimilarities) else neural.repeats
    if own is None:
        raise DataError(f"{neural.name}: no repeats, so their number cannot be varied; use over='stimuli'")
    tried: list[Tried] = []
    for step in steps:
        number = max(1, round(len(own) * step))
        found = recover(metric, candidates, neural, repeats=number, **settings)
        tried.append(Tried.of(found, number))
        if reaches(tried[-1].apart, level):
            return Needed("repeats", number, tuple(tried), level, found.closest)
    return Needed("repeats", None, tuple(tried), level, found.closest)


def _stimuli(
    metric: Metric,
    candidates: Mapping[str, Responses | Populations],
    neural: Responses | Dissimilarities,
    level: float,
    steps: Sequence[float],
    bound: float,
    settings: Mapping[str, Any],
) -> Needed:
    own, available = len(neural), _presented(candidates)
    tried: list[Tried] = []
    last: Recovery | None = None
    for step in steps:
        number = round(own * step)
        if number > available and last is not None:
            break
        last = recover(metric, candidates, neural, stimuli=number, **settings)
        tried.append(Tried.of(last, number))
        if reaches(tried[-1].apart, level):
            return Needed("stimuli", number, tuple(tried), level, last.closest)
    assert last is not None
    number = last.stimuli
    while number * 2 <= own * bound:
        number *= 2
        tried.append(Tried.of(last.lengthened(number / last.stimuli), number, simulated=False))
        if reaches(tried[-1].apart, level):
            return Needed("stimuli", number, tuple(tried), level, last.closest)
    return Needed("stimuli", None, tuple(tried), level, last.closest)


SEARCHES = {"stimuli": _stimuli, "repeats": _repeats}


def _presented(candidates: Mapping[str, Responses | Populations]) -> int:
    """Number of stimuli that all candidates responded to."""
    every = [
        set(responses.stimuli)
        for of in candidates.values()
        for responses in ([of] if isinstance(of, Responses) else of.values())
    ]
    return len(set.intersection(*every))
