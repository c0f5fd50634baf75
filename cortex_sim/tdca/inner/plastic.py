"""Inner rules whose top-down weights learn during an inner run, and the step that they learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.rules import Fixed, InnerRule, Moment
from cortex_sim.tdca.inner.step import Step


@dataclass(frozen=True)
class Taken:
    """An inner step that was just taken.

    Parameters
    ----------
    moment : Moment
        The batch and the state of the network.
    read : list of Tensor
        Presynaptic rates as the synapses of each layer read them, (run, place, input).
    deltas : list of Tensor
        Δ of every layer's weights, (run, channel, input).
    step : Step
        The step that turns changes into weight updates.
    eta : Tensor of shape (run, role, part)
        Its learning rates; role 0 is hidden populations, 1 the top.
    done : Tensor of shape (run,)
        Number of steps taken before.
    """

    moment: Moment
    read: list[Tensor]
    deltas: list[Tensor]
    step: Step
    eta: Tensor
    done: Tensor


@runtime_checkable
class PlasticRule(InnerRule, Protocol):
    """An inner rule with top-down weights that learn; they and their running means are its ``fixed``."""

    def initial(self, body: Architecture, seed: int, step: Step) -> list[np.ndarray]:
        """Initial top-down weights of one inner run, in place of ``fixed(body, rng)``."""

    def scaled(self, parameters: dict[str, Tensor], held: Fixed, new: Tensor) -> Fixed:
        """Top-down weights, times their trained scale in the inner runs that are ``new`` (run,) bool."""

    def forgetting(self, parameters: dict[str, Tensor]) -> Tensor:
        """λ_W, of shape () or (run,): the fraction by which bottom-up weights decay in a step."""

    def learned(self, body: Architecture, parameters: dict[str, Tensor], held: Fixed, taken: Taken) -> Fixed:
        """Top-down weights after the step."""


def plastic_part(rule: InnerRule) -> PlasticRule | None:
    """The rule, or the one that `Altered` disrupts, if its top-down weights learn during an inner run."""
    own = rule.rule if isinstance(rule, Altered) else rule
    return own if isinstance(own, PlasticRule) else None


def of_each_run(p: Tensor) -> Tensor:
    """A scalar parameter, () or (run,), in a shape that broadcasts with weights (run, post, input)."""
    return p[..., None, None]
