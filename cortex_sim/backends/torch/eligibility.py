"""Eligibility traces of one projection, carried forward from step to step.

ε ← (1 − p) ε + p r_pre, e = f′(a) ε, and below the top ē ← (1 − p_L) ē + p_L e, with e of the previous step:
a signal takes one step to the readout. Symbols are those of `cortex_sim.rules.e_prop`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cortex_sim.backends.torch.settling import Carrier, Values, rate_of
from cortex_sim.backends.torch.steps import Link, Step
from cortex_sim.backends.torch.unrolling import Moment
from cortex_sim.operators import DenseOperator, Operator


class Slope:
    """∂r/∂a of a population after one step, (presentation, *shape), computed when called, once."""

    def __init__(self, step: Step, carrier: Carrier, moment: Moment, dtype: torch.dtype) -> None:
        self._given = step, carrier, moment.drives[step.name], moment.gains.get(step.name)
        self._dtype = dtype
        self._found: Tensor | None = None

    def __call__(self) -> Tensor:
        """The derivative of each unit's rate with respect to its own drive."""
        if self._found is None:
            step, carrier, a, g = self._given
            with torch.enable_grad():
                a = a.detach().requires_grad_()
                r = rate_of(step, a, g, carrier, None)
                self._found = torch.autograd.grad(r.sum(), a)[0].to(self._dtype)
        return self._found


class Trace(Protocol):
    """The trace that a projection (or the bias) keeps of its activity, and its change by credit."""

    def move(self, r_pre: Tensor, began: Slope) -> None:
        """Advance by one step, which read rates ``r_pre`` (presentation, *pre) and began at slope f′."""

    def change(self, c: Tensor, began: Slope | None, now: Slope) -> Tensor:
        """Credit times trace, summed over presentations, in the shape of the weights.

        ``began`` and ``now`` are f′ at the drives before and after the step; ``began`` is None at the first.
        """


@dataclass
class Factored:
    """ē_ij = f′(a_i) ε_j: one number per pre unit, for any connector, where the readout has no leak.

    Parameters
    ----------
    operator : Operator
    w : Tensor
        Weights, which give the change its shape.
    pace : float
        p of the post population.
    late : bool
        Whether credit multiplies the trace of the previous step, as below the top.
    """

    operator: Operator
    w: Tensor
    pace: float
    late: bool
    _now: Tensor | None = None
    _before: Tensor | None = None

    def move(self, r_pre: Tensor, began: Slope) -> None:
        """ε ← (1 − p) ε + p r_pre."""
        self._before = self._now
        self._now = self.pace * r_pre if self._now is None else torch.lerp(self._now, r_pre, self.pace)

    def change(self, c: Tensor, began: Slope | None, now: Slope) -> Tensor:
        """Σ (c f′) εᵀ over presentations (and places, where synapses share a weight)."""
        epsilon, slope = (self._before, began) if self.late else (self._now, now)
        if epsilon is None or slope is None:
            return torch.zeros_like(self.w)
        u = c * slope()
        if self.operator.synapses == "all":
            return (u.flatten(1).T @ epsilon.flatten(1)).reshape(self.w.shape).to(self.w.dtype)
        with torch.enable_grad():  # the drive is linear in w: its product with u gives the sum
            w = self.w.detach().to(epsilon.dtype).requires_grad_()
            drive = self.operator.drive(epsilon, w, None)
            (found,) = torch.autograd.grad(drive, w, u.reshape(drive.shape))
        return found.to(self.w.dtype)


@dataclass
class BySynapse:
    """ε and ē of every synapse, (presentation, post, pre), of a matrix between all units.

    Parameters
    ----------
    w : Tensor of shape (post, pre)
    pace : float
        p of the post population.
    readout : float
        p_L, that of the readout.
    own : Tensor of shape (post,) or None
        w_ii of each post unit's synapse onto itself, where the trace includes it.
    late : bool
        Whether credit multiplies ē, as below the top, rather than e of the same step.
    """

    w: Tensor
    pace: float
    readout: float
    own: Tensor | None
    late: bool
    _epsilon: Tensor | None = None
    _bar: Tensor | None = None

    def move(self, r_pre: Tensor, began: Slope) -> None:
        """Advance ē with e of the previous step, then ε."""
        r = r_pre.flatten(1)[:, None]  # (presentation, 1, pre)
        slope = began().flatten(1)[:, :, None]  # (presentation, post, 1)
        if self._epsilon is None:
            self._epsilon = torch.zeros_like(r if self.own is None else slope * r)
        if self.late:
            e = slope * self._epsilon
            self._bar = self.readout * e if self._bar is None else torch.lerp(self._bar, e, self.readout)
        if self.own is None:
            self._epsilon = torch.lerp(self._epsilon, r, self.pace)
        else:
            kept = 1 - self.pace + self.pace * self.own[:, None] * slope
            self._epsilon = kept * self._epsilon + self.pace * r

    def change(self, c: Tensor, began: Slope | None, now: Slope) -> Tensor:
        """Σ c ē (at the top Σ c f′ ε) over presentations."""
        assert self._epsilon is not None
        credit = c.flatten(1)
        if self.late:
            assert self._bar is not None
            trace = self._bar
        else:
            credit = credit * now().flatten(1)
            trace = self._epsilon.expand(-1, credit.shape[1], -1)
        return torch.einsum("bi,bij->ij", credit, trace).reshape(self.w.shape).to(self.w.dtype)


@dataclass(frozen=True)
class Traces:
    """What the traces of a population's synapses depend on.

    Parameters
    ----------
    steps : tuple of Step
        All populations of the network.
    step : Step
        The population.
    dt_ms : float
    top : str
        Name of the top population.
    dtype : torch.dtype
        Precision of traces.
    """

    steps: tuple[Step, ...]
    step: Step
    dt_ms: float
    top: str
    dtype: torch.dtype

    def of(self, link: Link, weights: Values) -> Trace:
        """Trace of a projection that learns; initially 0."""
        return self._made(link, weights, link.operator, weights[link.name])

    def of_bias(self, link: Link, weights: Values, dtype: torch.dtype) -> Trace:
        """Trace of the bias, as of a pre unit with rate 1, by the rule of the projection ``link``."""
        w = weights[link.name]
        column = w.new_zeros(self.step.population.size, 1, dtype=dtype)
        return self._made(link, weights, DenseOperator((1,), (len(column),)), column)

    def readout(self, link: Link) -> float:
        """p_L, the share of ē that a step replaces."""
        top = next(step.population for step in self.steps if step.name == self.top)
        pace: float = link.projection.plasticity.pace(self.dt_ms, top.tau_ms)
        return pace

    def by_synapse(self, link: Link) -> bool:
        """Whether the trace of a projection has a number for every synapse."""
        follows = link.projection.plasticity.keeps.autapse and any(map(_onto_itself, self.step.inputs))
        return follows or (self.step.name != self.top and self.readout(link) != 1)

    def _made(self, link: Link, weights: Values, operator: Operator, w: Tensor) -> Trace:
        rule, late = link.projection.plasticity, self.step.name != self.top
        pace = rule.pace(self.dt_ms, self.step.population.tau_ms)
        if not self.by_synapse(link):
            return Factored(operator, w, pace, late)
        own = self._own(weights) if rule.keeps.autapse else None
        return BySynapse(w, pace, self.readout(link), own, late)

    def _own(self, weights: Values) -> Tensor | None:
        """w_ii of each unit's synapses onto itself, (unit,); None where there are none."""
        found = [weights[link.name].diagonal() for link in self.step.inputs if _onto_itself(link)]
        return torch.stack(found).sum(0).to(self.dtype) if found else None


def _onto_itself(link: Link) -> bool:
    return link.projection.pre == link.projection.post and link.operator.weighted
