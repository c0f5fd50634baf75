"""Repeats of stimuli in two halves, and data to which noise like their own is added."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.responses import Array, Responses

LEAST_SHARE = 1e-6  # of signal: keeps the pattern of a neuroid without measurable signal


def repeated(responses: Responses, at_least: int = 2, stimuli: int = 4) -> Responses | None:
    """The stimuli with ``at_least`` repeats for every neuroid; None if fewer than ``stimuli`` have them."""
    if responses.repeats is None:
        return None
    enough = np.isfinite(responses.repeats).sum(axis=0).min(axis=1) >= at_least
    if enough.sum() < stimuli:
        return None
    return responses if enough.all() else responses.take(stimuli=enough)


def halves(repeats: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Each stimulus's repeats divided at random into two halves, shapes (repeat, stimulus, neuroid).

    Neuroids with the same missing repeats share the order, so noise that they share stays in one half.
    Missing repeats of a stimulus are NaN at the end of a half.
    """
    order = rng.permuted(np.tile(np.arange(len(repeats))[:, None], (1, repeats.shape[1])), axis=0)
    dealt = np.take_along_axis(repeats, order[:, :, None], axis=0)
    missing = np.isnan(dealt)
    if missing.any():
        dealt = np.take_along_axis(dealt, np.argsort(missing, axis=0, kind="stable"), axis=0)
    return dealt[0::2], dealt[1::2]


def mean_over_repeats(repeats: Array) -> Array:
    """Means over the repeats that exist, shape (stimulus, neuroid); every entry must have one."""
    return np.nansum(repeats, axis=0) / presented(repeats)


def presented(repeats: Array) -> NDArray[np.int64]:
    """Number of repeats that exist, shape (stimulus, neuroid)."""
    return np.isfinite(repeats).sum(axis=0)


def signal_share(repeats: Array) -> Array:
    """Share of signal in the variance of each neuroid's means over repeats, shape (neuroid,); may be below 0.

    1 − ⟨s²_within / R⟩ / s²(means): the within-stimulus variance over the number R of repeats estimates
    the noise of a mean (one-way random effects).
    """
    n, mean = presented(repeats), mean_over_repeats(repeats)
    within = np.nansum((repeats - mean) ** 2, axis=0) / (n - 1)
    return np.asarray(1 - (within / n).mean(axis=0) / mean.var(axis=0, ddof=1))


def noisy_copies(responses: Responses, splits: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Pairs of centred arrays (stimulus, neuroid): a surrogate of the true responses, and it with noise.

    A perfect model's score is the metric between the true responses and the data, but the former are
    unknown. The data replace them: each neuroid's means, scaled by √share to the variance of its signal
    (`signal_share`). Suitable noise is the difference of two halves, √(R₁R₂)/R (ȳ₁ − ȳ₂): it has the
    covariance of the noise in the means and is uncorrelated with them. Every stimulus needs two repeats.
    """
    repeats = responses.repeats
    assert repeats is not None
    mean = mean_over_repeats(repeats)
    share = np.clip(signal_share(repeats), LEAST_SHARE, 1.0)
    truth = (mean - mean.mean(axis=0)) * np.sqrt(share)
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        first, second = halves(repeats, rng)
        a, b = presented(first), presented(second)
        noise = np.sqrt(a * b) / (a + b) * (mean_over_repeats(first) - mean_over_repeats(second))
        noisy = truth + noise
        yield truth, noisy - noisy.mean(axis=0)
