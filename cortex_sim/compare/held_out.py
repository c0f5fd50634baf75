"""Responses predicted for stimuli that were held out, and how they correlate with those recorded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from cortex_sim.compare.folds import Numbers
from cortex_sim.compare.responses import ROUNDING, Array

STILL = 1e-12  # variance, relative to that over all stimuli, below which a neuroid does not vary


class Fitted(Protocol):
    """A mapping from features to responses, fitted."""

    def predict(self, x: Array) -> Array:
        """Responses, shape (stimulus, neuroid), to features x (stimulus, feature)."""
        ...


class Regression(Protocol):
    """A way to fit such a mapping."""

    def fit(self, x: Array, y: Array, inner: Numbers) -> Any:
        """A `Fitted` from features x (stimulus, feature) and responses y (stimulus, neuroid).

        Stimuli with the same number in ``inner`` are left out together where settings are chosen.
        """
        ...


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions for every stimulus, by a mapping fitted without it.

    Parameters
    ----------
    predictions : array of shape (stimulus, neuroid)
    observed : array of shape (stimulus, neuroid)
    folds : array of shape (stimulus,)
        Numbers from 0.
    baseline : array of shape (fold, neuroid)
        Mean response to the training stimuli.
    spread : array of shape (fold, neuroid)
        Standard deviation of the predictions for the training stimuli.
    fitted : tuple of Fitted
        One for each fold.
    """

    predictions: Array
    observed: Array
    folds: Numbers
    baseline: Array
    spread: Array
    fitted: tuple[Any, ...]

    def correlations(self, stimuli: Numbers | None = None) -> Array:
        """Pearson r of each neuroid over these stimuli, shape (neuroid,), by number, perhaps repeated.

        Both sides are deviations from the fold's training mean, and the predicted ones are in units of their
        standard deviation over the training stimuli. Where mappings of all folds agree this changes nothing.
        Without it a model that predicts nothing has r below 0: the training mean is high where the mean of
        what is held out is low, and mappings are weakest where what they found in the training stimuli is
        opposed to what is held out (r = -.15 for 30 random features, 200 stimuli and ridge; with it, .00).

        r is 0 where the predictions do not vary, and NaN where the recorded responses do not.
        """
        n = len(self.folds)
        counts = np.ones(n) if stimuli is None else np.bincount(stimuli, minlength=n).astype(float)
        x, y, xx, yy, xy, z, zz = (counts @ self._products).reshape(7, -1) / counts.sum()
        spread_x, spread_y = xx - x * x, yy - y * y
        varies = (spread_x > STILL) & (spread_y > STILL)
        size = np.sqrt(np.where(varies, spread_x * spread_y, 1.0))
        r = np.clip(np.where(varies, (xy - x * y) / size, 0.0), -1.0, 1.0)
        return np.where(zz - z * z > STILL, r, np.nan)

    @cached_property
    def _products(self) -> Array:
        """x, y, x², y², xy, and z, z² of the responses, (stimulus, 7 neuroid): a sample is one product."""
        baseline, spread = self.baseline[self.folds], self.spread[self.folds]
        still = spread <= 1e-12 * np.abs(self.predictions)
        x = np.where(still, 0.0, self.predictions - baseline) / np.where(still, 1.0, spread)
        x, y = _standardised(x), _standardised(self.observed - baseline)
        z = _standardised(self.observed)
        return np.hstack([x, y, x * x, y * y, x * y, z, z * z])


def _standardised(values: Array) -> Array:
    centred = values - values.mean(0)
    size = centred.std(0)
    moves = size > ROUNDING * np.abs(values).max(0)
    return np.where(moves, centred, 0.0) / np.where(moves, size, 1.0)


def cross_validated(
    x: Array, y: Array, folds: Numbers, regression: Regression, same: Numbers | None = None
) -> HeldOut:
    """Fit to all folds but one and predict that one, for each fold in turn.

    Settings are chosen by leaving out the remaining folds one by one, so that stimuli of one fold stay
    together here too; with two folds, by leaving out one stimulus at a time.

    Parameters
    ----------
    x : array of shape (stimulus, feature)
    y : array of shape (stimulus, neuroid)
    folds : array of shape (stimulus,)
        Numbers from 0, none missing.
    regression : Regression
    same : array of shape (stimulus,), optional
        Equal numbers for copies of one stimulus; by default there are none.
    """
    same = np.arange(len(x)) if same is None else same
    count = int(folds.max()) + 1
    predictions = np.empty_like(y)
    baseline, spread = np.empty((count, y.shape[1])), np.empty((count, y.shape[1]))

    def fit(fold: int) -> Any:
        out = folds == fold
        inner = folds[~out] if count > 2 else same[~out]
        mapping = regression.fit(x[~out], y[~out], inner)
        predictions[out] = mapping.predict(x[out])
        baseline[fold], spread[fold] = y[~out].mean(0), mapping.predict(x[~out]).std(0)
        return mapping

    fitted = _side_by_side(fit, count)
    return HeldOut(predictions, y, folds, baseline, spread, tuple(fitted))


def _side_by_side(work: Callable[[int], Any], count: int) -> list[Any]:
    """Results of ``work`` for 0 … count − 1, as many at a time as there are threads for linear algebra.

    Each runs on one thread: the matrices of a fold are too small for several. On two cores with other work,
    ten folds of PLS took 48 s one at a time on one thread, and 334 s with two threads for each product.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = max(
        (pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1
    )
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(count)))
