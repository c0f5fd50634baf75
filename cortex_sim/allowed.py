"""Which weights a projection may have: synapses and constraints as one set, and the projection onto it.

After each step the weights w are clipped to their bounds. Where rows keep a sum or a length, they are first
shifted (w − t) or scaled (t·w), row by row, by the one t at which the clipped row has that sum or length. So
bounds, signs and sums hold together, whichever rule or optimiser took the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.constraints import Dale, LearningRates, RowNorm
from cortex_sim.errors import CortexSimError, DeclarationError, RunError
from cortex_sim.rules.base import PerSynapse

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection

_STEPS = 200  # at most, in the search for t; usually fewer than ten are needed
_SAME = 1e-6  # relative: float32 weights on a float64 backend


@dataclass(frozen=True, eq=False)
class Allowed:
    """The set of weights of one projection, as the matrix that rules see, (post, input).

    Parameters
    ----------
    name : str
        Of the projection.
    low, high : array of shape (post, input)
        Both 0 where there is no synapse.
    rates : array of shape (post, input) or None
        Learning rate of each synapse, relative to η.
    total : array of shape (post, 1) or None
        Sum or length of each row.
    norm : RowNorm or None
        Whether the total is a sum or a length, and how it is kept.
    word : str
        Name of the first constraint, for messages.
    """

    name: str
    low: Array
    high: Array
    rates: Array | None = None
    total: Array | None = None
    norm: RowNorm | None = None
    word: str = ""

    @property
    def exists(self) -> Array:
        """Which synapses exist, bool of shape (post, input)."""
        return ~((self.low == 0) & (self.high == 0))

    def enforced(self, w: Array) -> Array:
        """Weights w (post, input) after the constraints are enforced; a new array.

        Raises
        ------
        RunError
            If scaling cannot give a row its total, since too many of its weights are 0.
        """
        xp = array_namespace(w)
        if self.norm is None:
            return _clipped(w, self.low, self.high)
        # t is searched for in float64, whatever the precision of the weights.
        wide = xp.astype(w, xp.float64)
        with np.errstate(all="ignore"):  # rows without a free synapse, for which bisection is used
            found = _Row(self, wide).solved()
        return _clipped(xp.astype(found, w.dtype), self.low, self.high)

    def scaled(self, step: Array) -> Array:
        """A step of the weights, scaled by the learning rate of each synapse."""
        return step if self.rates is None else self.rates * step

    def only_where_synapses_are(self, kinds: Mapping[str, Any], moved: dict[str, Array]) -> dict[str, Array]:
        """Rates of change of a rule's state; per-synapse variables have 0 where there is no synapse."""
        return {n: self.exists * x if isinstance(kinds[n], PerSynapse) else x for n, x in moved.items()}

    def complaint(self, w: np.ndarray) -> str:
        """Message on what is wrong with given weights; empty if nothing is."""
        slack = _SAME * (1 + np.abs(w))
        outside = (w < self.low - slack) | (w > self.high + slack)
        absent = w[~self.exists]
        if absent.any():
            return f"{np.count_nonzero(absent)} weights are not zero where there is no synapse; set them to 0"
        if outside.any():
            i, j = np.argwhere(outside)[0]
            return (
                f"{outside.sum()} weights are outside their bounds, the first in row {i}, input {j}: "
                f"{w[i, j]:.4g}, allowed from {self.low[i, j]:.4g} to {self.high[i, j]:.4g}; clip them"
            )
        if self.norm is not None and self.total is not None:
            found = w.sum(1) if self.norm.norm == "sum" else np.sqrt((w * w).sum(1))
            off = np.abs(found - self.total[:, 0]) > _SAME * (np.abs(self.total[:, 0]) + np.abs(w).sum(1))
            if off.any():
                i = int(np.argmax(off))
                return (
                    f"the {self.norm.norm} of row {i} is {found[i]:.6g}, but RowNorm keeps it at "
                    f"{self.total[i, 0]:.6g}; rescale the rows first"
                )
        return ""

    def require(self, w: np.ndarray, exception_type: type[CortexSimError]) -> None:
        """Raise where given weights, (post, input), are not allowed."""
        wrong = self.complaint(w)
        if wrong:
            raise exception_type(f"projection {self.name}: {wrong}")


def _clipped(w: Array, low: Array, high: Array) -> Array:
    xp = array_namespace(w)
    return xp.minimum(xp.maximum(w, low), high)


class _Row:
    """Search for the shift or factor t at which each row, once clipped, has its total."""

    norm: Any

    def __init__(self, allowed: Allowed, w: Array) -> None:
        self.xp = array_namespace(w)
        self.norm = allowed.norm
        total: Any = allowed.total
        flip = 1.0
        if self.norm.method == "multiplicative" and self.norm.norm == "sum":
            flip = self.xp.sign(total)  # weights ≤ 0 with a negative total: use their sizes
        low, high = allowed.low * flip, allowed.high * flip
        self.low, self.high = self.xp.minimum(low, high), self.xp.maximum(low, high)
        self.w, self.total, self.flip, self.name = w * flip, total * flip, flip, allowed.name
        self.shifts = self.norm.method == "subtractive"
        self.exists = allowed.exists

    def moved(self, t: Array) -> Array:
        """Rows shifted or scaled by t, then clipped."""
        return _clipped(self.w - t if self.shifts else self.w * t, self.low, self.high)

    def excess(self, x: Array) -> Array:
        """Sum (or squared length) of each row above its total, (post, 1); falls with shift t, else rises."""
        if self.norm.norm == "length":
            return self.xp.sum(x * x, axis=1, keepdims=True) - self.total**2
        return self.xp.sum(x, axis=1, keepdims=True) - self.total

    def at_once(self, t: Array) -> Array:
        """The t that solves a row if its free synapses stay within bounds; NaN where none is free."""
        raw = self.w - t if self.shifts else self.w * t
        free = self.xp.astype((raw > self.low) & (raw < self.high) & self.exists, raw.dtype)
        held = (1 - free) * self.moved(t)
        w = free * self.w
        if self.shifts:
            count = self.xp.sum(free, axis=1, keepdims=True)
            return (self.xp.sum(w + held, axis=1, keepdims=True) - self.total) / count
        if self.norm.norm == "length":
            rest = self.total**2 - self.xp.sum(held * held, axis=1, keepdims=True)
            return (rest / self.xp.sum(w * w, axis=1, keepdims=True)) ** 0.5
        rest = self.total - self.xp.sum(held, axis=1, keepdims=True)
        return rest / self.xp.sum(w, axis=1, keepdims=True)

    def solved(self) -> Array:
        """Rows with their totals: t solved exactly for the free synapses, safeguarded by bisection."""
        xp = self.xp
        size = xp.max(xp.abs(self.w), axis=1, keepdims=True) + xp.abs(self.total) + 1
        for bound in (self.low, self.high):
            finite = xp.where(xp.isfinite(bound), xp.abs(bound), xp.zeros_like(bound))
            size = size + xp.max(finite, axis=1, keepdims=True)
        far = (self.w.shape[1] + 2) * size
        least = -far if self.shifts else xp.zeros_like(far)
        most = far if self.shifts else xp.full_like(far, float("inf"))
        t = xp.zeros_like(far) if self.shifts else xp.ones_like(far)
        for _ in range(_STEPS):
            x = self.moved(t)
            excess = self.excess(x)
            scale = xp.sum(xp.abs(x), axis=1, keepdims=True) + xp.abs(self.total)
            scale = scale**2 if self.norm.norm == "length" else scale
            off = ~(xp.abs(excess) <= 1e-14 * scale)
            if not bool(xp.any(off)):
                return x * self.flip
            above = excess < 0 if self.shifts else excess > 0  # t is too large
            most, least = xp.where(above, t, most), xp.where(above, least, t)
            exact = self.at_once(t)
            inside = (exact > least) & (exact < most)
            between = xp.where(xp.isfinite(most), (least + most) / 2, 2 * t + 1)
            t = xp.where(off, xp.where(inside, exact, between), t)
        return self._nearly(x, excess, scale)

    def _nearly(self, x: Array, excess: Array, scale: Array) -> Array:
        """Rows as near to their totals as rounding allows; an error if one is still far from its total."""
        off = ~(self.xp.abs(excess) <= 1e-12 * scale)
        if bool(self.xp.any(off)):
            row = int(self.xp.argmax(self.xp.astype(off, self.xp.int64)))
            raise RunError(
                f"projection {self.name}: row {row} cannot keep the total of its RowNorm, since too many of "
                'its weights are 0 or not finite; use a smaller learning rate, or method="subtractive"'
            )
        return x * self.flip


def allowed_of(net: Network, p: Projection) -> Allowed | None:
    """The weights that a projection may have; None if any are allowed.

    Raises
    ------
    DeclarationError
        If its constraints contradict each other, its synapses, or the shape of its weights.
    """
    shape = net.weight_shape(p)
    exists = net.wiring(p)
    if not shape or p.source.tied or not (p.constraints or exists is not None):
        return None
    return _merged(p.name, p.constraints, _Form.of(net, p, shape), _Hashed(exists))


@dataclass(frozen=True)
class _Form:
    """Shapes of a projection's weights, as declared and as rules see them, and its number of senders."""

    shape: tuple[int, ...]
    matrix: tuple[int, int]
    transposed: bool
    senders: int
    pre: str
    groups: int  # of rows; each group reads its own inputs

    @classmethod
    def of(cls, net: Network, p: Projection, shape: tuple[int, ...]) -> _Form:
        op, template = net.operator(p), np.empty(shape)
        seen = op.feedback_matrix(template) if p.is_top_down else op.matrix(template)
        pre = net.ends(p)[0]
        units = int(np.prod(pre))
        groups = 1 if p.is_top_down else op.groups
        senders = units if seen.shape[1] == units and groups == 1 else pre[0]
        return cls(shape, seen.shape, p.is_top_down and op.feedback_like_weights, senders, p.pre, groups)

    def as_matrix(self, values: np.ndarray) -> np.ndarray:
        """An array of the weights' declared shape, reshaped to the matrix that rules see."""
        flat = values.reshape(len(values), -1)
        return flat.T if self.transposed else flat


class _Hashed:
    """An array as part of a cache key, compared by its content."""

    def __init__(self, array: np.ndarray | None) -> None:
        self.array = array
        self._key = b"" if array is None else np.packbits(array).tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=256)
def _merged(name: str, constraints: tuple[Any, ...], form: _Form, exists: _Hashed) -> Allowed:
    low, high = np.full(form.matrix, -np.inf), np.full(form.matrix, np.inf)
    norm: RowNorm | None = None
    rates: np.ndarray | None = None
    for part in constraints:
        word = type(part).__name__
        if isinstance(part, RowNorm):
            norm = None if part.over else part  # see cortex_sim.joined
        elif isinstance(part, LearningRates):
            rates = _fitted(name, f"{word}: values", np.asarray(part.values), form)
        else:
            _check_senders(name, part, form)
            below, above = (
                _fitted(name, word, values, form) for values in part.limits(form.shape, form.senders)
            )
            low, high = np.maximum(low, below), np.minimum(high, above)
    empty = low > high
    if empty.any():
        raise DeclarationError(
            f"projection {name}: {_words(constraints)} leave no possible weight for input "
            f"{np.argwhere(empty)[0][1]}: its lower bound is above its upper one; change one of them"
        )
    if exists.array is not None:
        outside = exists.array & (low == 0) & (high == 0)
        if not outside.any():
            low, high = np.where(exists.array, low, 0.0), np.where(exists.array, high, 0.0)
    stuck = (low == 0) & (high == 0) & (True if exists.array is None else exists.array)
    if stuck.any():
        raise DeclarationError(
            f"projection {name}: {_words(constraints)} leave synapses from input "
            f"{np.argwhere(stuck)[0][1]} no weight but 0; "
            "remove these synapses with a mask, or give bounds of both signs, such as Bounds(-1, 1)"
        )
    total = None if norm is None else totals(name, norm, low, high)
    word = type(constraints[0]).__name__ if constraints else "its wiring"
    return Allowed(name, low, high, rates, total, norm, word)


def _fitted(name: str, what: str, values: np.ndarray, form: _Form) -> np.ndarray:
    """A number, one value per sender, or an array of the weights' shape, broadcast to (post, input)."""
    if values.ndim == 0:
        return np.full(form.matrix, float(values))
    if values.shape == (form.senders,) and form.shape != values.shape:
        post, inputs = form.matrix
        by_group = np.repeat(values, form.groups * inputs // form.senders).reshape(form.groups, inputs)
        return np.repeat(by_group, post // form.groups, axis=0)
    if values.shape != form.shape:
        raise DeclarationError(
            f"projection {name}: {what} has shape {values.shape}, but its weights have shape {form.shape}; "
            "give one value, or an array of that shape"
        )
    return form.as_matrix(values)


def _check_senders(name: str, part: Any, form: _Form) -> None:
    if form.groups * form.matrix[1] % form.senders:
        raise DeclarationError(
            f"projection {name}: each post unit reads {form.matrix[1]} inputs from {form.senders} channels, "
            f"so {type(part).__name__} cannot assign each input to one sender; use Bounds()"
        )
    units = part.inhibitory if isinstance(part, Dale) and isinstance(part.inhibitory, tuple) else ()
    if units and units[-1] >= form.senders:
        raise DeclarationError(
            f"projection {name}: Dale names inhibitory unit {units[-1]}, but {form.pre} has {form.senders} "
            f"units or channels; give numbers below {form.senders}"
        )


def totals(name: str, norm: RowNorm, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Total of each row, (post, 1), for weights from ``low`` to ``high``, (post, input).

    Raises
    ------
    DeclarationError
        If the total has another shape, or some row cannot have it.
    """
    total = np.asarray(norm.total, dtype=float)
    if total.ndim and total.shape != (len(low),):
        raise DeclarationError(
            f"projection {name}: RowNorm: total has shape {total.shape}, but there are {len(low)} "
            f"rows; give a number, or an array of shape ({len(low)},)"
        )
    total = np.broadcast_to(total, (len(low),)).reshape(-1, 1).copy()
    by_sum = norm.norm == "sum"
    if norm.method == "multiplicative" and by_sum:
        one_sign = np.where(total > 0, (low >= 0).all(1, keepdims=True), (high <= 0).all(1, keepdims=True))
        if not one_sign.all():
            raise DeclarationError(
                f"projection {name}: RowNorm scales rows to the sum {total[~one_sign][0]:g}, which needs "
                "weights of that sign only, but their signs may change; add Bounds(0) or Dale(), or use "
                'method="subtractive" or norm="length"'
            )
    if not by_sum and ((low > 0) | (high < 0)).any():
        raise DeclarationError(
            f"projection {name}: RowNorm keeps a length, but the Bounds exclude 0; use bounds that include 0"
        )
    most = np.where(by_sum, high, np.maximum(high, -low) ** 2).sum(1, keepdims=True)
    least = low.sum(1, keepdims=True) if by_sum else np.zeros_like(most)
    wanted = total if by_sum else total**2
    out = (wanted > most * (1 + 1e-12)) | (wanted < least - 1e-12 * np.abs(least))
    if out.any():
        row = int(np.argmax(out))
        raise DeclarationError(
            f"projection {name}: RowNorm gives row {row} the {norm.norm} {total[row, 0]:g}, which its "
            f"{np.count_nonzero((low[row] != 0) | (high[row] != 0))} synapses cannot have within their "
            "bounds; give another total, wider bounds, or more synapses"
        )
    return total


def _words(constraints: tuple[Any, ...]) -> str:
    return " and ".join(type(part).__name__ for part in constraints)
