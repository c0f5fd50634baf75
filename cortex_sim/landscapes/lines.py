"""An objective along the straight line between two points, and whether a barrier separates them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cortex_sim.errors import DeclarationError

Array = np.ndarray
Objective = Callable[[Array], Array]
"""Function of points (point, parameter) that returns their objective (point,)."""


def along(objective: Objective, start: Array, end: Array, points: int = 21) -> Array:
    """Objective at evenly spaced points from start to end, both included, (point,).

    Parameters
    ----------
    objective : callable
    start, end : array of shape (parameter,)
    points : int, default 21
        At least 3.
    """
    if points < 3:
        raise DeclarationError(f"along: points must be at least 3, ends included. Got {points!r}")
    if np.shape(start) != np.shape(end) or np.ndim(start) != 1:
        raise DeclarationError(
            f"along: start has shape {np.shape(start)}, end {np.shape(end)}; give two vectors of equal length"
        )
    share = np.linspace(0, 1, points)[:, None]
    return np.asarray(objective((1 - share) * start + share * end))


def barrier(values: Array) -> float:
    """Height above the line between the ends: max over α of L(α) − ((1 − α) L(0) + α L(1)); at least 0.

    L(α) is the objective at the share α of the way, as from `along`. A barrier of 0 is linear mode
    connectivity: the ends are in one basin, as far as a straight line shows.

    References
    ----------
    Frankle, Dziugaite, Roy and Carbin (2020), arXiv 1912.05671; in this form Entezari, Sedghi, Saukh and
    Neyshabur (2022), arXiv 2110.06296, definition 2.
    """
    values = np.asarray(values, dtype=float)
    share = np.linspace(0, 1, len(values))
    return float(np.max(values - ((1 - share) * values[0] + share * values[-1])))


def climb(values: Array) -> float:
    """The largest rise on the way, max over α < β of L(β) − L(α); 0 if the objective never rises."""
    values = np.asarray(values, dtype=float)
    return float(np.max(values - np.minimum.accumulate(values)))


def crosses(values: Array, height: float) -> bool:
    """Whether a value between the ends is more than ``height`` above both.

    References
    ----------
    Xing, Arpit, Tsirigotis and Bengio (2018), arXiv 1802.08770, who ask this between successive iterates.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 3 or np.isnan(values).any():
        raise DeclarationError(
            f"crosses: needs at least 3 values, ends included, none of them NaN. Got {values.tolist()}"
        )
    return bool(values[1:-1].max() > max(values[0], values[-1]) + height)
