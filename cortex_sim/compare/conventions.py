"""Named conventions for dividing a predictivity by what the data's reliability allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cortex_sim.checks import look_up
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError

OURS = "signed_r2_per_neuroid"


@dataclass(frozen=True)
class Convention:
    """One way to turn correlations and reliabilities of neuroids into a score.

    Parameters
    ----------
    name : str
    formula : str
        For tables, with r the correlation of a neuroid and ρ its reliability.
    score : callable
        From r and ρ, both of shape (neuroid,), to the score.
    ceiled : bool
        Whether it divides by the reliability, so that it needs repeats.
    """

    name: str
    formula: str
    score: Callable[[Array, Array], float]
    ceiled: bool = True


def _signed_r2_per_neuroid(r: Array, reliability: Array) -> float:
    return float(np.median(explained_per_neuroid(r, reliability)))


def _brainscore_vision(r: Array, reliability: Array) -> float:
    return float(np.median(r) ** 2 / np.median(reliability))


def _brainscore_before(r: Array, reliability: Array) -> float:
    return float((np.median(r) / np.median(reliability)) ** 2)


def _raw(r: Array, reliability: Array) -> float:
    return float(np.median(r))


def explained_per_neuroid(r: Array, reliability: Array) -> Array:
    """sign(r) r²/ρ of each neuroid: the explained share of the variance that can be explained, signed."""
    return np.sign(r) * r**2 / reliability


#: The conventions, by name.
CONVENTIONS: dict[str, Convention] = {
    one.name: one
    for one in (
        Convention(OURS, "median of sign(r) r²/ρ", _signed_r2_per_neuroid),
        Convention("brainscore_vision_2.4.2", "(median r)² / median ρ", _brainscore_vision),
        Convention("brainscore_before", "(median r / median ρ)²", _brainscore_before),
        Convention("raw", "median r", _raw, ceiled=False),
    )
}


def convention(name: str) -> Convention:
    """The convention of that name; the error lists the known ones."""
    return look_up("convention", name, CONVENTIONS, DataError)


def why_above_one(name: str, score: float, noisy: int, neuroids: int) -> str | None:
    """One sentence on a ceiled score above 1, or None where there is nothing to explain.

    Parameters
    ----------
    name : str
        The convention.
    score : float
    noisy, neuroids : int
        Number of neuroids whose own r²/ρ is above 1, and of all neuroids.
    """
    if not CONVENTIONS[name].ceiled or score <= 1:
        return None
    reason = (
        "this convention divides by ρ where √ρ is the largest correlation that a model can have"
        if name == "brainscore_before"
        else "the reliability is an estimate, and too low here by chance, or because the model predicts "
        "noise that repeats do not share, as happens where neighbouring presentations leak between folds"
    )
    return f"score {score:.2f} is above 1 ({noisy} of {neuroids} neuroids above 1): {reason}"
