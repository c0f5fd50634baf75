"""Confidence intervals of scores: over stimuli, units, sessions, animals and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.crossed import Factor
from cortex_sim.compare.metric import Evaluation, Metric, Numbers
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.uncertainty import SEEDS, Compared, Refit, checked_over, uncertainty
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Interval:
    """A confidence interval, and how it was computed.

    Parameters
    ----------
    low, high : float
    level : float
        Such as 0.95.
    score : float
        The score itself: the mean over seeds where there are several.
    error : float
        Standard error.
    freedom : float
        Degrees of freedom of the t distribution.
    over : tuple of str
        The factors that were resampled, such as "stimuli".
    method : str
        How it was computed, for captions.
    refused : int
        Resamples left out because the metric was undefined for them; at most one in twenty.
    """

    low: float
    high: float
    level: float
    score: float
    error: float
    freedom: float
    over: tuple[str, ...]
    method: str
    refused: int = 0

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def refitting(
    metric: Metric, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
) -> Refit:
    """The metric as a function of the stimuli that it is computed from, for `interval`'s ``refit``.

    ``model`` and ``neural`` have the same stimuli in the same order (`matched`).
    """

    def refit(stimuli: Numbers) -> Evaluation:
        return metric.evaluate(model.take(stimuli), neural.take(stimuli), seed=seed)

    return refit


def interval(
    evaluation: Evaluation | Sequence[Evaluation],
    *,
    over: str | Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    refit: Refit | Sequence[Refit] | None = None,
    splits: int = 20,
    groups: NDArray[Any] | None = None,
    raw: bool = False,
) -> Interval:
    """Confidence interval of a score: score ± t · standard error.

    In a share ``level`` of experiments it contains the expected score: the mean over experiments with other
    stimuli, other noise, and other samples of whatever else ``over`` names.

    Parameters
    ----------
    evaluation : Evaluation, or sequence of Evaluation
        Several if one rule was trained from several seeds; all by one metric on the same neural data.
    over : str or sequence of str, optional
        Some of "stimuli", "seeds", and one of "units" (neuroids or RDMs), "sessions" and "animals" (all
        their units together, where the evaluation records them). By default "stimuli", and "seeds" where
        there are several evaluations.
    level : float, default 0.95
    resamples : int, default 1000
    seed : int
        Draws the resamples.
    refit : callable, or one for each seed, optional
        See `refitting`. The metric is then fitted again to halves of the stimuli, and the interval includes
        the variability due to the training set. Without it, held-out predictions are resampled.
    splits : int, default 20
        How often the stimuli are halved for ``refit``; each time costs two evaluations with half the stimuli.
    groups : array of shape (stimulus,), optional
        Stimuli of one group (frames of a film, say) are drawn together.
    raw : bool, default False
        The interval of the raw score, which is not divided by a ceiling.

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        If there are too few of what is resampled, or the metric is undefined for too many resamples.

    Notes
    -----
    The variance over stimuli is estimated in one of three ways. (1) By a bootstrap of the held-out
    predictions, which are fitted once; it leaves out how predictions vary with the training set. (2) With
    ``refit``, by the variance between halves of the stimuli, each fitted alone (`half_samples`). (3) For
    RSA, CKA and other evaluations whose attribute ``pairwise`` is true, by the same without a fit, corrected
    for the excess that comes from comparing pairs of stimuli. Crossed factors are combined so that
    interactions count once (`crossed_variance`). Measured coverage: docs/metrics/inference.md.
    """
    evaluations = list(evaluation) if isinstance(evaluation, Sequence) else [evaluation]
    refits = one_for_each(refit, len(evaluations))
    names = checked_over(over, len(evaluations))
    compared = Compared(evaluations, *seed_means([len(evaluations)]), raw=raw)
    found, method = uncertainty(
        compared, names, resamples=resamples, seed=seed, refits=refits, splits=splits, groups=groups
    )
    score, error, freedom = float(compared.statistics[0]), float(found.total[0] ** 0.5), found.freedom[0]
    reach = quantile(level, freedom) * error
    return Interval(
        low=score - reach,
        high=score + reach,
        level=level,
        score=score,
        error=error,
        freedom=float(freedom),
        over=names,
        method=f"{method}; t with {freedom:.0f} degrees of freedom",
        refused=found.refused,
    )


def quantile(level: float, freedom: float) -> float:
    """Half the width of an interval at this level, in standard errors."""
    from scipy.stats import t

    if not 0 < level < 1:
        raise DataError(f"interval: level must lie between 0 and 1. Got {level!r}")
    return float(t.ppf((1 + level) / 2, freedom))


def one_for_each(refit: Refit | Sequence[Refit] | None, evaluations: int) -> list[Refit] | None:
    """The refits as a list, one for each evaluation."""
    if refit is None:
        return None
    found = [refit] if callable(refit) else list(refit)
    if len(found) != evaluations:
        raise DataError(
            f"interval: refit must be one function per evaluation. Got {len(found)} for {evaluations}"
        )
    return found


def seed_means(seeds: Sequence[int], paired: bool = False) -> tuple[Any, Factor | None]:
    """Weights (rule, evaluation) of the means over each rule's seeds, and the factor that resamples seeds.

    Parameters
    ----------
    seeds : sequence of int
        Number of evaluations of each rule; those of one rule follow each other.
    paired : bool
        Whether rules share seeds, so that the same seeds are drawn for all.
    """
    starts = np.cumsum([0, *seeds])
    weights = np.zeros((len(seeds), starts[-1]))
    for rule, count in enumerate(seeds):
        weights[rule, starts[rule] : starts[rule + 1]] = 1 / count
    if min(seeds) < 2:
        return weights, None

    def draw(rng: np.random.Generator) -> Any:
        drawn = np.zeros_like(weights)
        for rule, count in enumerate(seeds):
            if rule == 0 or not paired:
                which = rng.integers(count, size=count - 1)
            np.add.at(drawn[rule], starts[rule] + which, 1 / (count - 1))
        return drawn

    return weights, Factor(SEEDS, min(seeds), draw, min(seeds) - 1)
