"""Constraints of a projection's weights: bounds, signs, row sums, and a learning rate per synapse.

They belong to the projection, like regularisers. Initial weights satisfy them, and after every step of the
weights, whatever rule and optimiser took it, they are satisfied again: `cortex_sim.allowed` says how.
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
            raise DeclarationError(f"{owner}: {setting} is NaN; give a number, or an array of weights' shape")
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
            "RowNorm: over lists the projections that share the total, once each, such as "
            f'["left->V1", "right->V1"]. Got {given!r}'
        )
    if len(names) == 1:
        raise DeclarationError(
            f"RowNorm: over names {names[0]} alone; name all projections that share the total, or leave over "
            "out"
        )
    return tuple(sorted(names))


@register("constraint", "bounds")
@dataclass(frozen=True)
class Bounds:
    """low ≤ w_ij ≤ high: a weight that would pass a bound stays at it.

    Parameters
    ----------
    low, high : float or array of the weights' shape, default 0.0 and no bound
        Least and largest weight; None is no bound. An array holds one for each synapse.
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
        """Least and largest weights, numbers or arrays of the weights' shape."""
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray(low, dtype=float), np.asarray(high, dtype=float)


@register("constraint", "dale")
@dataclass(frozen=True)
class Dale:
    """The sign belongs to the pre unit: its weights are all ≥ 0, or, where it is inhibitory, all ≤ 0.

    A weight that would change its sign stays at 0. All projections from one population that carry `Dale`
    must name the same inhibitory units.

    Parameters
    ----------
    inhibitory : sequence of int, or float, default ()
        Inhibitory pre units (channels, of a convolution); all others are excitatory. A number between 0 and
        1 is their share: the last units are inhibitory, ``Dale(inhibitory=0.2)`` the last fifth.

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
                f"Dale: inhibitory must list units once each, such as [8, 9], or be a share such as 0.2. "
                f"Got {given!r}"
            )
        object.__setattr__(self, "inhibitory", tuple(sorted(units)))

    def signs(self, senders: int) -> np.ndarray:
        """1 of each excitatory, −1 of each inhibitory sender, (sender,)."""
        signs = np.ones(senders)
        if isinstance(self.inhibitory, float):
            signs[senders - round(self.inhibitory * senders) :] = -1
        else:
            signs[list(self.inhibitory)] = -1
        return signs

    def limits(self, shape: tuple[int, ...], senders: int) -> Limits:
        """Least and largest weights, one for each sender."""
        signs = self.signs(senders)
        return np.where(signs > 0, 0.0, -np.inf), np.where(signs > 0, np.inf, 0.0)


@register("constraint", "row_norm")
@dataclass(frozen=True)
class RowNorm:
    """What each post unit receives keeps its sum, Σ_j w_ij = total, or its length, √Σ_j w_ij² = total.

    Multiplicative: a row is scaled, so that large weights give up more. Subtractive: every synapse that
    exists gives up the same, which sharpens differences until weights reach their bounds. Beside `Bounds` or
    `Dale` synapses at a bound stay there and the others make up for them: both hold exactly.

    With ``over``, the weights of several projections onto one population keep the total together, so that
    they compete for it, such as those of two eyes. Each of them carries the same `RowNorm`.

    Parameters
    ----------
    total : float or array of shape (post,), default 1.0
        Sum or length of each row.
    method : {"multiplicative", "subtractive"}, default "multiplicative"
    norm : {"sum", "length"}, default "sum"
        Length is multiplicative only.
    over : sequence of projections, default ()
        Names of all bottom-up or recurrent projections that share the total; without, each has its own.

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
                'RowNorm: a length is kept by scaling; use method="multiplicative", or norm="sum"'
            )
        total = np.asarray(self.total)
        if not np.isfinite(total).all() or (self.norm == "length" and (total <= 0).any()):
            raise DeclarationError(
                f"RowNorm: total must be finite, and a length positive. Got {self.total!r}"
            )
        if self.method == "multiplicative" and (total == 0).any():
            raise DeclarationError(
                'RowNorm: a total of 0 cannot be kept by scaling; use method="subtractive"'
            )


@register("constraint", "learning_rates")
@dataclass(frozen=True)
class LearningRates:
    """Each synapse has a learning rate of its own, η_ij = values_ij·η; 0 keeps it as it is.

    It scales the step itself, the optimiser's included, so that Adam cannot undo it. A `RowNorm` beside it
    then moves the whole row, synapses with rate 0 too.

    Parameters
    ----------
    values : array of the weights' shape
        0 or more.
    """

    values: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _number_or_array("LearningRates", "values", self.values))
        if (np.asarray(self.values) < 0).any():
            raise DeclarationError(
                "LearningRates: values must be 0 or more; a negative rate would unlearn. "
                f"Got {np.asarray(self.values).min():g}"
            )
