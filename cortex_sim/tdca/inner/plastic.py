"""Inner rules whose top-down weights learn during an inner run, and what they meet after each step."""

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
        The batch, as the rule met it.
    read : list of Tensor
        What the synapses of each layer read, (run, place, input).
    deltas : list of Tensor
        Δ of every layer's weights, (run, channel, input).
    step : Step
        What turns changes into weight updates.
    eta : Tensor of shape (run, role, part)
        Its rates; role 0 is that of hidden populations.
    done : Tensor of shape (run,)
        Steps taken before.
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
        """The same, times their trained scale in the inner runs that are ``new`` (run,) bool."""

    def forgetting(self, parameters: dict[str, Tensor]) -> Tensor:
        """λ_W, of shape () or (run,): what bottom-up weights forget in a step."""

    def learned(self, body: Architecture, parameters: dict[str, Tensor], held: Fixed, taken: Taken) -> Fixed:
        """Top-down weights after the step."""


def plastic_part(rule: InnerRule) -> PlasticRule | None:
    """The rule itself, or the one that is spoiled, where its top-down weights learn during an inner run."""
    own = rule.rule if isinstance(rule, Altered) else rule
    return own if isinstance(own, PlasticRule) else None


def of_each_run(p: Tensor) -> Tensor:
    """A scalar parameter, () or (run,), beside weights (run, post, input)."""
    return p[..., None, None]
