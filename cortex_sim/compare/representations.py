"""What the metrics that compare representations share: checks, copies of stimuli, conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import look_up, require_known
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.responses import ROUNDING, Array, Dissimilarities, Responses
from cortex_sim.errors import DataError

Bounds = tuple[float, float]


def check_stimuli(
    metric: str, model: Responses, neural: Responses | Dissimilarities, at_least: int = 3
) -> None:
    """Raise `DataError` unless both have the same stimuli in the same order, ``at_least`` of them."""
    if tuple(model.stimuli) != tuple(neural.stimuli):
        raise DataError(
            f"{metric}: {model.name} ({len(model)} stimuli) and {neural.name} ({len(neural)}) must have the "
            f"same stimuli in the same order; use matched(model, neural)"
        )
    if len(neural) < at_least:
        raise DataError(f"{metric}: needs at least {at_least} stimuli. {neural.name} has {len(neural)}")


def require_responses(metric: str, neural: Responses | Dissimilarities) -> Responses:
    """``neural`` if it holds responses of neuroids, else `DataError`."""
    if isinstance(neural, Responses):
        return neural
    raise DataError(
        f"{metric}: needs responses of neuroids, but {neural.name} holds RDMs; give the responses, or use rsa"
    )


def constant(values: Array) -> NDArray[np.bool_]:
    """Which columns of values (stimulus, neuroid) vary by no more than rounding."""
    scale = np.abs(values).max(axis=0, initial=0.0)
    return np.asarray(np.ptp(values, axis=0) <= ROUNDING * scale)


def varying(metric: str, responses: Responses, at_least: int = 1) -> tuple[Responses, int]:
    """Responses without constant neuroids, and how many those were.

    Raises
    ------
    DataError
        If fewer than ``at_least`` neuroids vary over stimuli.
    """
    flat = constant(responses.values)
    left = int((~flat).sum())
    if left < at_least:
        raise DataError(
            f"{metric}: {left} of {responses.neuroids} neuroids of {responses.name} vary over the "
            f"{len(responses)} stimuli, and {at_least} must; choose another population or more stimuli"
        )
    return (responses.take(neuroids=~flat) if flat.any() else responses), int(flat.sum())


def check_numbers(numbers: Numbers, of: int) -> None:
    """Raise `DataError` unless there are numbers of stimuli or units, from 0 to ``of`` − 1."""
    if not len(numbers):
        raise DataError(f"this sample holds none of the {of} stimuli or units; draw some")
    if np.min(numbers) < 0 or np.max(numbers) >= of:
        raise DataError(
            f"this sample numbers stimuli or units from {np.min(numbers)} to {np.max(numbers)}; must be from "
            f"0 to {of - 1}"
        )


def counts(numbers: Numbers | None, of: int) -> Array:
    """How often each of ``of`` stimuli or units occurs among ``numbers``; once each for None.

    Raises
    ------
    DataError
        If there are no numbers, so that no score is defined, or some are out of range.
    """
    if numbers is None:
        return np.ones(of)
    check_numbers(numbers, of)
    return np.bincount(np.asarray(numbers), minlength=of).astype(np.float64)


def _raw(raw: float, ceiling: Bounds | None) -> float:
    return raw


def _over_ceiling(raw: float, ceiling: Bounds | None) -> float:
    if ceiling is None:
        raise DataError(
            'convention "over_ceiling": these data have no ceiling, which requires repeats of the stimuli '
            'or RDMs of several subjects; use convention "raw"'
        )
    if ceiling[0] <= 0:
        raise DataError(
            f'convention "over_ceiling": the ceiling is {ceiling[0]:.2f}, so these data are not reliable; '
            f'use convention "raw", or more repeats'
        )
    return raw / ceiling[0]


#: Conventions by name: the raw value, or that divided by the lower bound of the ceiling.
CONVENTIONS: Mapping[str, Callable[[float, Bounds | None], float]] = {
    "raw": _raw,
    "over_ceiling": _over_ceiling,
}


def left_out(excluded: Mapping[str, int]) -> list[str]:
    """Sentences on constant neuroids that were left out, of the model and of the data."""
    return [
        f"neuroids of the {'model' if whose == 'model' else 'data'} left out: {count}, whose response is the "
        f"same to all stimuli"
        for whose, count in excluded.items()
        if count
    ]


def why_above_one(score: float) -> str | None:
    """One sentence on a score above 1 after division by the ceiling; None for others."""
    if score <= 1:
        return None
    return (
        f"score {score:.2f} is above 1: the ceiling is an estimate and may be too low by chance, because it "
        f"is a lower bound between subjects, or because RDMs are noisy"
    )


def check_convention(name: str) -> None:
    """Raise `DataError` unless a convention has this name."""
    require_known("convention", name, CONVENTIONS, DataError)


def scored(convention: str, raw: float, ceiling: Callable[[], Bounds | None]) -> float:
    """The score by a convention; the ceiling is computed only if it is used."""
    if convention == "raw":
        return raw
    return look_up("convention", convention, CONVENTIONS, DataError)(raw, ceiling())
