"""Constraints of a projection's weights: bounds, signs, row sums, and a learning rate per synapse.

They belong to the projection, like regularisers. Initial weights satisfy them, and so do the weights after
every step, whichever rule and optimiser took it: `cortex_sim.allowed` says how.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.arrays import FixedArray, checked
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

Limits = tuple[np.ndarray, np.ndarray]


def _number_or_array(owner: str, setting: str, value: Any) -> Any:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if math.isnan(value):
            raise DeclarationError(f"{owner}: {setting} is NaN; give a number or an array of numbers")
        return float(value)
    if isinstance(value, FixedArray):
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        return FixedArray(checked(f"{owner}: {setting}", value))
    raise DeclarationError(f"{owner}: {setting} must be a number or an array. Got {value!r}")


def _projections(given: Any) -> tuple[str, ...]:
    """Names of the projections that share a total, sorted; none, or several."""
    several = isinstance(given, (list, tuple, set, frozenset))
    names = [getattr(one, "name", one) for one in given] if several else [given]
    if not several or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise DeclarationError(
            "RowNorm: over must list the projections that share the total, once each, such as "
            f'["left->V1", "right->V1"]. Got {given!r}'
        )
    if len(names) == 1:
        raise DeclarationError(
            f"RowNorm: over names only {names[0]}; name all projections that share the total, or leave over "
            "out"
        )
    return tuple(sorted(names))


@register("constraint", "bounds")
@dataclass(frozen=True)
class Bounds:
    """low ≤ w_ij ≤ high: a weight that would exceed a bound stays at the bound.

    Parameters
    ----------
    low, high : float or array of the weights' shape, default 0.0 and no bound
        Smallest and largest weight; None means no bound. An array gives one per synapse.
    """

    low: Any = 0.0
    high: Any = None

    def __post_init__(self) -> None:
        for setting, value in (("low", self.low), ("high", self.high)):
            if value is not None:
                object.__setattr__(self, setting, _number_or_array("Bounds", setting, value))
        if self.low is None and self.high is None:
            raise DeclarationError("Bounds: give low, high, or both")
        low, high = self.limits((), 0)
        if low.shape == high.shape and (low >= high).all():
            raise DeclarationError(f"Bounds: low must be below high. Got {self.low!r} and {self.high!r}")

    def limits(self, shape: tuple[int, ...], senders: int) -> Limits:
        """Smallest and largest weights, as numbers or arrays of the weights' shape."""
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray(low, dtype=float), np.asarray(high, dtype=float)


@register("constraint", "dale")
@dataclass(frozen=True)
class Dale:
    """The sign belongs to the pre unit: its weights are all ≥ 0 or, if it is inhibitory, all ≤ 0.

    A weight that would change its sign stops at 0. All projections from one population that carry `Dale`
    must name the same inhibitory units.

    Parameters
    ----------
    inhibitory : sequence of int, or float, default ()
        Inhibitory pre units (for a convolution, channels); all others are excitatory. A number between 0 and
        1 is their share, taken from the end: with ``Dale(inhibitory=0.2)`` the last fifth is inhibitory.

    References
    ----------
    Eccles, Fatt & Koketsu (1954), doi:10.1113/jphysiol.1954.sp005226.
    """

    inhibitory: Any = ()

    def __post_init__(self) -> None:
        given = self.inhibitory
        if isinstance(given, float):
            if not 0 <= given <= 1:
                raise DeclarationError(
                    f"Dale: inhibitory must be a share between 0 and 1, or a list of units. Got {given}"
                )
            return
        try:
            units = tuple(int(unit) for unit in np.asarray(given, dtype=int).ravel())
            fits = np.ndim(given) == 1 and np.array_equal(np.asarray(given, dtype=float), np.array(units))
        except (TypeError, ValueError):
            units, fits = (), False
        if not fits or any(unit < 0 for unit in units) or len(set(units)) < len(units):
            raise DeclarationError(
                f"Dale: inhibitory must list each unit once, such as [8, 9], or be a share such as 0.2. "
                f"Got {given!r}"
            )
        object.__setattr__(self, "inhibitory", tuple(sorted(units)))

    def signs(self, senders: int) -> np.ndarray:
        """1 for each excitatory and −1 for each inhibitory sender, of shape (sender,)."""
        signs = np.ones(senders)
        if isinstance(self.inhibitory, float):
            signs[senders - round(self.inhibitory * senders) :] = -1
        else:
            signs[list(self.inhibitory)] = -1
        return signs

    def limits(self, shape: tuple[int, ...], senders: int) -> Limits:
        """Smallest and largest weights, one per sender."""
        signs = self.signs(senders)
        return np.where(signs > 0, 0.0, -np.inf), np.where(signs > 0, np.inf, 0.0)


@register("constraint", "row_norm")
@dataclass(frozen=True)
class RowNorm:
    """Each post unit's weights keep their sum, Σ_j w_ij = total, or their length, √Σ_j w_ij² = total.

    Multiplicative: a row is scaled, so that large weights lose more. Subtractive: every existing synapse
    loses the same amount, which sharpens differences until weights reach their bounds. With `Bounds` or
    `Dale`, synapses at a bound stay there and the others compensate, so both constraints hold exactly.

    With ``over``, the weights of several projections onto one population share one total and compete for
    it, such as those from two eyes. Each of these projections carries the same `RowNorm`.

    Parameters
    ----------
    total : float or array of shape (post,), default 1.0
        Sum or length of each row.
    method : {"multiplicative", "subtractive"}, default "multiplicative"
    norm : {"sum", "length"}, default "sum"
        A length can only be kept multiplicatively.
    over : sequence of projections or their names, default ()
        All bottom-up or recurrent projections that share the total; by default each has its own.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> eyes = cs.Network("two eyes")
    >>> both = cs.RowNorm(3.0, "subtractive", over=["left->V1", "right->V1"])
    >>> v1 = eyes.population("V1", 5)
    >>> for eye in ("left", "right"):
    ...     source = eyes.population(eye, 7)
    ...     up = eyes.bottom_up(source, v1, plasticity="hebbian", constraint=[cs.Bounds(0, 1), both])
    >>> w = eyes.initial_weights(seed=0)
    >>> (w["left->V1"].sum(1) + w["right->V1"].sum(1)).round(12).tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0]

    References
    ----------
    Miller & MacKay (1994), Neural Comput. 6, doi:10.1162/neco.1994.6.1.100: S1 (subtractive), M1 and M2
    (multiplicative, sum and length).
    """

    total: Any = 1.0
    method: str = "multiplicative"
    norm: str = "sum"
    over: Any = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", _number_or_array("RowNorm", "total", self.total))
        object.__setattr__(self, "over", _projections(self.over))
        for setting, known in (("method", ("multiplicative", "subtractive")), ("norm", ("sum", "length"))):
            if getattr(self, setting) not in known:
                raise DeclarationError(
                    f"RowNorm: {setting} must be {' or '.join(map(repr, known))}. "
                    f"Got {getattr(self, setting)!r}"
                )
        if (self.method, self.norm) == ("subtractive", "length"):
            raise DeclarationError(
                'RowNorm: a length can only be kept by scaling; use method="multiplicative", or norm="sum"'
            )
        total = np.asarray(self.total)
        if not np.isfinite(total).all() or (self.norm == "length" and (total <= 0).any()):
            raise DeclarationError(
                f"RowNorm: total must be finite, and positive if it is a length. Got {self.total!r}"
            )
        if self.method == "multiplicative" and (total == 0).any():
            raise DeclarationError(
                'RowNorm: a total of 0 cannot be kept by scaling; use method="subtractive"'
            )


@register("constraint", "learning_rates")
@dataclass(frozen=True)
class LearningRates:
    """Each synapse has its own learning rate, η_ij = values_ij·η; with 0 it does not learn.

    The step itself is scaled, after the optimiser, so that Adam cannot undo it. A `RowNorm` on the same
    projection then moves the whole row, including synapses with rate 0.

    Parameters
    ----------
    values : array of the weights' shape
        Learning rates relative to η; 0 or more.
    """

    values: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _number_or_array("LearningRates", "values", self.values))
        if (np.asarray(self.values) < 0).any():
            raise DeclarationError(
                "LearningRates: values must be 0 or more; a negative rate would unlearn. "
                f"Got {np.asarray(self.values).min():g}"
            )
