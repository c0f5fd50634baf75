"""Objectives: what is minimised at the top population. Credit there is c_L = −∂E/∂r_L, per presentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import LATER, register


class Objective(Protocol):
    """Value E for one presentation, and the credit it gives the top population."""

    def value(self, r: Array, target: Array) -> Array:
        """E of shape (presentation,), from r and target of shape (presentation, unit)."""

    def credit(self, r: Array, target: Array) -> Array:
        """c_L = −∂E/∂r_L of shape (presentation, unit)."""


@register("objective", "cross_entropy")
@dataclass(frozen=True)
class CrossEntropy:
    """E = −weight·Σ target·log softmax(r). The softmax is part of E: c_L = weight·(target − softmax(r)).

    Parameters
    ----------
    weight : float, default 1.0
        Factor on E, and thus on all credit; ½ gives the output target of arXiv 2102.11598's code.
    label_smoothing : float, default 0.0
        Share s of every target that is spread evenly over the K units: target ← (1 − s)·target + s/K; at
        least 0 and below 1. It also enters E in evaluations.

    References
    ----------
    Szegedy et al. (2016), arXiv 1512.00567, section 7, for label smoothing.
    """

    weight: float = 1.0
    label_smoothing: float = field(default=0.0, metadata=LATER)

    def __post_init__(self) -> None:
        require_positive(self, weight=self.weight)
        s = self.label_smoothing
        if isinstance(s, bool) or not isinstance(s, (int, float)) or not 0 <= s < 1:
            raise DeclarationError(f"CrossEntropy: label_smoothing must be at least 0 and below 1. Got {s!r}")

    def smoothed(self, target: Array) -> Array:
        """Targets (…, unit) with the share ``label_smoothing`` spread evenly over the units."""
        if not self.label_smoothing:
            return target
        return (1 - self.label_smoothing) * target + self.label_smoothing / target.shape[-1]

    def value(self, r: Array, target: Array) -> Array:
        """E of shape (presentation,)."""
        xp = array_namespace(r)
        target = self.smoothed(target)
        shifted = r - xp.max(r, axis=1, keepdims=True)
        log_total = xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))
        return -self.weight * xp.sum(target * (shifted - log_total), axis=1)

    def credit(self, r: Array, target: Array) -> Array:
        """c_L = weight·(target − softmax(r)), for targets that sum to 1."""
        xp = array_namespace(r)
        target = self.smoothed(target)
        grown = xp.exp(r - xp.max(r, axis=1, keepdims=True))
        return self.weight * (target - grown / xp.sum(grown, axis=1, keepdims=True))


@register("objective", "squared_error")
@dataclass(frozen=True)
class SquaredError:
    """E = ½ weight·‖r − target‖².

    Parameters
    ----------
    weight : float, default 1.0
        Factor on E, and thus on all credit; ½ gives the output target of arXiv 2102.11598's code.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, weight=self.weight)

    def value(self, r: Array, target: Array) -> Array:
        """E of shape (presentation,)."""
        return 0.5 * self.weight * array_namespace(r).sum((r - target) ** 2, axis=1)

    def credit(self, r: Array, target: Array) -> Array:
        """c_L = weight·(target − r)."""
        return self.weight * (target - r)


def complaint(objective: Objective | None, targets: np.ndarray, also: str = "") -> str:
    """Message on what is wrong with targets (row, unit); empty if nothing is.

    Only for probabilities is the credit of cross-entropy its gradient. ``also`` names other targets that the
    caller accepts.
    """
    if not isinstance(objective, CrossEntropy):
        return ""
    sums = targets.sum(axis=1)
    wrong = (targets < 0).any(axis=1) | (np.abs(sums - 1) > 1e-6)
    if not wrong.any():
        return ""
    row = int(np.argmax(wrong))
    return (
        f"CrossEntropy takes probabilities, which are 0 or more and sum to 1{also}; give such targets, or "
        f"declare SquaredError(). Got the sum {sums[row]:g} and the smallest value {targets[row].min():g} "
        f"in row {row}"
    )
