"""Correction of p values for the number of comparisons, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from cortex_sim.checks import look_up
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError


def holm(p: Array) -> Array:
    """Holm's step-down adjustment: controls the probability of any false positive, for any dependence.

    With p in ascending order, the i-th of m becomes max over j ≤ i of (m − j + 1) p_j, at most 1.

    References
    ----------
    Holm (1979), Scand. J. Stat. 6.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def fdr(p: Array) -> Array:
    """Benjamini and Hochberg's adjustment: controls the expected share of false positives among positives.

    References
    ----------
    Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57.
    """
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p))


def none(p: Array) -> Array:
    """The p values as they are."""
    return p.copy()


#: Corrections by name.
CORRECTIONS: dict[str, Callable[[Array], Array]] = {"holm": holm, "fdr": fdr, "none": none}


def adjusted(p: ArrayLike, correction: str = "holm") -> Array:
    """P values adjusted for their number by "holm", "fdr" or "none", in the shape given."""
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"correction {correction}: p values must be a list of numbers from 0 to 1. Got {p!r}")
    return look_up("correction", correction, CORRECTIONS, DataError)(values)
