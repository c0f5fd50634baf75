"""Decoding: which stimulus, or which class of stimuli, can be read from single repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import require_count
from cortex_sim.compare.responses import Array, Responses
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Decoding:
    """Accuracy of a classifier on repeats that it was not trained on.

    Parameters
    ----------
    accuracy : float
        Share of trials assigned to their class.
    chance : float
        Share of the most frequent class.
    classes, trials, neuroids : int
        ``neuroids`` counts those that vary.
    """

    accuracy: float
    chance: float
    classes: int
    trials: int
    neuroids: int


def decode(
    responses: Responses,
    labels: ArrayLike | None = None,
    *,
    folds: int = 5,
    across: ArrayLike | None = None,
    simultaneous: bool = False,
    seed: int = 0,
) -> Decoding:
    """Cross-validated accuracy of linear discriminant analysis on single repeats.

    The classifier is scikit-learn's, with Ledoit and Wolf's shrinkage of the covariance, which is what many
    neuroids and few trials need. All classes have the same prior.

    Parameters
    ----------
    responses : Responses
        With repeats.
    labels : array of shape (stimulus,), optional
        Class of each stimulus; by default each is its own.
    folds : int, default 5
        Number of folds into which repeats are divided; every stimulus is in each fold.
    across : array of shape (stimulus,), optional
        Group of each stimulus. In place of ``folds``, one group at a time is held out with all its repeats:
        to test, say, whether the code for an object generalises to a position that was not trained.
    simultaneous : bool, default False
        False: repeats of every neuroid are combined in random order, as for neuroids recorded one after the
        other; correlations between neuroids' noise are lost. True: a trial is a repeat that was measured for
        all neuroids.
    seed : int, default 0
        Draws the order.

    Raises
    ------
    DataError
        If there are no repeats, fewer than ``folds``, or fewer than 2 classes.
    """
    require_count("decode", minimum=2, folds=folds)
    classes = np.arange(len(responses)) if labels is None else _of_stimuli(responses, "labels", labels)
    rng = np.random.default_rng(seed)
    x, stimulus, number = (_together if simultaneous else _combined)(responses, rng)
    if across is None:
        fewest = int(np.bincount(stimulus, minlength=len(responses)).min())
        if fewest < folds:
            raise DataError(
                f"responses {responses.name}: {folds} folds need as many repeats of every stimulus. Got "
                f"{fewest}; use fewer folds"
            )
        fold = number % folds
    else:
        fold = _of_stimuli(responses, "across", across)[stimulus]
    y = classes[stimulus]
    if len(np.unique(y)) < 2 or len(np.unique(fold)) < 2:
        raise DataError(
            f"responses {responses.name}: decoding needs at least 2 classes and 2 folds; label the stimuli"
        )
    _, frequencies = np.unique(y, return_counts=True)
    moves = np.ptp(x, axis=0) > 0
    correct = sum(_correct(x[:, moves], y, fold == one) for one in np.unique(fold))
    chance = float(frequencies.max() / len(y))
    return Decoding(correct / len(y), chance, len(frequencies), len(y), int(moves.sum()))


def decode_over_time(
    responses: Sequence[Responses], labels: ArrayLike | None = None, **settings: Any
) -> list[Decoding]:
    """Decoding in each time bin, with the same trials and folds; see `decode` and `by_time_bin`."""
    return [decode(one, labels, **settings) for one in responses]


def _of_stimuli(responses: Responses, what: str, given: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(given)
    if array.shape != (len(responses),):
        raise DataError(
            f"responses {responses.name}: {what} must have one entry for each of {len(responses)} stimuli. "
            f"Got shape {array.shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        at = int(np.argmin(np.isfinite(array)))
        raise DataError(f"responses {responses.name}: {what} is {array[at]} in entry {at}; give its class")
    return np.unique(array, return_inverse=True)[1].reshape(-1)


def _repeats(responses: Responses) -> Array:
    if responses.repeats is None:
        raise DataError(
            f"responses {responses.name}: no repeats, so there are no trials to decode; give "
            f"Responses(repeats=...) of shape (repeat, stimulus, neuroid)"
        )
    return np.asarray(responses.repeats, dtype=np.float64)


Trials = tuple[Array, NDArray[np.int64], NDArray[np.int64]]


def _combined(responses: Responses, rng: np.random.Generator) -> Trials:
    """Trials (trial, neuroid) combined from different repeats, their stimulus, and number within it."""
    repeats = _repeats(responses)
    order = rng.random(repeats.shape)
    order[~np.isfinite(repeats)] = np.inf  # those that were not measured come last
    each = int(np.isfinite(repeats).sum(0).min())
    mixed = np.take_along_axis(repeats, order.argsort(axis=0), axis=0)[:each]
    stimulus = np.tile(np.arange(len(responses)), each)
    return mixed.reshape(-1, responses.neuroids), stimulus, np.repeat(np.arange(each), len(responses))


def _together(responses: Responses, rng: np.random.Generator) -> Trials:
    """Trials in which every neuroid was measured, their stimulus, and number within it."""
    repeats = rng.permutation(_repeats(responses))
    complete = np.isfinite(repeats).all(axis=2)
    number = complete.cumsum(axis=0) - 1
    return repeats[complete], np.nonzero(complete)[1], number[complete]


def _correct(x: Array, y: NDArray[np.int64], out: NDArray[np.bool_]) -> float:
    """How many of the held-out trials are assigned to their class."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    known, counts = np.unique(y[~out], return_counts=True)
    moves = np.ptp(x[~out], axis=0) > 0
    if not moves.any() or len(known) < 2:  # nothing distinguishes classes: chance
        return float(np.isin(y[out], known[counts.argmax()]).sum())
    classifier = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(len(known), 1 / len(known))
    )
    classifier.fit(x[~out][:, moves], y[~out])
    return float((classifier.predict(x[out][:, moves]) == y[out]).sum())
