"""The linear algebra of a connector: upward W r, downward Wᵀ u, and the matrix that a rule sees.

Every connector is a matrix w (post channel, input) applied at one place or at many. A place reads some pre
units (its patch) and drives one unit of every post channel:

    patches    r (…, presentation, pre unit)   -> (…, presentation · place, input)
    by_place   a (…, presentation, post unit)  -> (…, presentation · place, channel)
    placed     the inverse of by_place
    gathered   x (…, presentation · place, input) -> (…, presentation, pre unit), summed over places

so that W r = placed(patches(r) wᵀ) and Wᵀ u = gathered(by_place(u) w), whatever the connector. A rule acts on
w with every place as a separate presentation. Arrays are numpy's or torch's, with any leading axes.

With several `groups`, w is that many matrices of the same shape, stacked: the rows (post channels) of each
read different inputs. `blocks` separates them as (group, channel, input), and the arrays by place then have
an axis of groups before that of presentations and places. Rules act on each group separately
(`cortex_sim.operators.grouping`).

An operator need not be linear. `at` gives its linear map at given rates, and credit passes down through that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from math import prod
from typing import Any

from cortex_sim.arrays import Array
from cortex_sim.capabilities import connector_of
from cortex_sim.connectors import Shape
from cortex_sim.errors import BuildError


@dataclass(frozen=True)
class Operator:
    """A connector between populations of two shapes; this base class is a matrix between all units.

    A subclass overrides what differs. A connector with weights defines `patches`, `by_place`, `placed`,
    `gathered` and `places`; one without weights defines `up` and `down`.

    Parameters
    ----------
    pre, post : tuple of int
        Shapes of the populations, in the bottom-up direction.
    """

    pre: Shape
    post: Shape

    #: Its name in messages.
    called = "connector"
    #: Whether there are weights.
    weighted = True
    #: How units are connected synapse by synapse: "all", "one_to_one", or "" where synapses share weights.
    synapses = ""
    #: Whether one weight belongs to several synapses, at different places.
    shares_weights = True
    #: Whether feedback weights have the shape of the bottom-up ones, rather than (post, pre).
    feedback_like_weights = True
    #: Whether `drive` adds the post population's bias itself.
    adds_bias = False
    #: Number of matrices of which the weights consist, each with its own inputs.
    groups = 1
    #: Whether `up` is linear, so that `down` does not depend on rates.
    linear = True
    #: Whether the backward pass may compute an inverse as WᵀM or MWᵀ, so that B is not needed.
    takes_gram = False

    @property
    def places(self) -> int:
        """Number of places at which the matrix is applied."""
        return 1

    # -- places -------------------------------------------------------------------------------------

    def patches(self, r: Array) -> Array:
        """Inputs of each place, (…, presentation · place, input)."""
        return r

    def by_place(self, a: Array) -> Array:
        """Post units by place, (…, presentation · place, channel)."""
        return a

    def placed(self, a: Array) -> Array:
        """Post units (…, presentation, post unit), from values by place."""
        return a

    def gathered(self, x: Array) -> Array:
        """Sum over the places that read a pre unit, (…, presentation, pre unit)."""
        return x

    def blocks(self, w: Array) -> Array:
        """The matrix w (…, channel, input) by groups, (…, group, channel, input); with one group w itself."""
        if self.groups == 1:
            return w
        return w.reshape(*w.shape[:-2], self.groups, -1, w.shape[-1])

    def by_presentation(self, x: Array) -> Array:
        """Values by place, ordered by presentation: (…, presentation, [group ·] place · input)."""
        if self.groups == 1:
            return x.reshape(*x.shape[:-2], -1, self.places * x.shape[-1])
        grouped = x.reshape(*x.shape[:-2], -1, self.places, x.shape[-1]).swapaxes(-3, -4)
        return grouped.reshape(*x.shape[:-3], -1, self.groups * self.places * x.shape[-1])

    def of_presentations(self, x: Array, inputs: int) -> Array:
        """The inverse of `by_presentation`, (…, [group,] presentation · place, input)."""
        if self.groups == 1:
            return x.reshape(*x.shape[:-2], -1, inputs)
        grouped = x.reshape(*x.shape[:-1], self.groups, self.places, inputs).swapaxes(-3, -4)
        return grouped.reshape(*x.shape[:-2], self.groups, -1, inputs)

    # -- the two directions -------------------------------------------------------------------------

    def up(self, r: Array, w: Array) -> Array:
        """W r, (…, presentation, post unit), from the matrix w (…, channel, input)."""
        return self.placed(self.patches(r) @ self.blocks(w).swapaxes(-1, -2))

    def down(self, u: Array, w: Array) -> Array:
        """Wᵀ u, (…, presentation, pre unit), from the matrix w (…, channel, input)."""
        return self.gathered(self.by_place(u) @ self.blocks(w))

    def at(self, r: Array) -> Operator:
        """The linear map of this operator at rates r (…, presentation, pre unit); itself if it is linear."""
        return self

    # -- shapes of weights --------------------------------------------------------------------------

    def matrix(self, weights: Array) -> Array:
        """Weights in the connector's own shape as the matrix (channel, input), sharing memory."""
        return weights.reshape(len(weights), -1)

    def feedback_matrix(self, feedback: Array) -> Array:
        """Feedback weights in their own shape as rules of top-down projections see them, (input, channel)."""
        return feedback.reshape(len(feedback), -1).T if self.feedback_like_weights else feedback

    def as_feedback(self, matrix: Array, like: tuple[int, ...]) -> Array:
        """The inverse of `feedback_matrix`, in shape ``like``."""
        return (matrix.T if self.feedback_like_weights else matrix).reshape(like)

    # -- on torch, for training ---------------------------------------------------------------------

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """W r + b of rates (presentation, *pre), in autograd's graph; ``bias`` only where `adds_bias`."""
        return self.up(r.flatten(1), None if w is None else self.matrix(w))

    def drive_with_feedback(self, r: Any, w: Any, bias: Any, b: Any, rule: Any) -> Any:
        """The same, with a backward pass that carries B u down; ``rule`` is that of B if it reads credit."""
        from cortex_sim.operators.autograd import ThroughOperator

        return ThroughOperator.apply(r.flatten(1), w, b, self, rule)

    def drive_with_gram(self, r: Any, w: Any, bias: Any, m: Any) -> Any:
        """The same with B = WᵀM or MWᵀ, where `takes_gram`."""
        raise BuildError(
            f"{type(self).__name__} says takes_gram = True, so it needs drive_with_gram(r, w, bias, m); "
            "define it, or leave takes_gram out"
        )


@singledispatch
def operator_of(connector: Any, pre: Shape, post: Shape) -> Operator:
    """Operator of a connector between populations of shapes ``pre`` and ``post``.

    A connector's type is registered with ``@operator_of.register``; a user-defined connector may bring a
    method ``operator(pre, post)`` instead.

    Raises
    ------
    BuildError
        If the connector has no operator.
    """
    own: Callable[[Shape, Shape], Operator] | None = connector_of(connector).operator
    if own is None:
        raise without_operator(connector)
    return own(pre, post)


def without_operator(connector: Any) -> BuildError:
    """The message for a connector without an operator."""
    return BuildError(
        f"{type(connector).__name__} has no operator, so no backend can run it; give the class a method "
        "operator(pre, post) that returns a cortex_sim.operators.Operator, or use Dense, Conv2d or Identity"
    )


def units(shape: Shape) -> int:
    """Number of units of a population of this shape."""
    return prod(shape)
