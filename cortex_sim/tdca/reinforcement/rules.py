"""Rules of which the credit network trains the credit of the top, and hidden credit is carried down from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from cortex_sim.credit import DenseCredit, TopSignals
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.rules import Fixed, Moment, chained


@register("inner_rule", "backprop_of_trained_top")
@dataclass(frozen=True)
class BackpropOfTrainedTop:
    """The credit network's credit at the top, propagated to hidden populations by backpropagation.

    Parameters
    ----------
    credit_network : CreditNetwork or str
        Only its credit of the top is used.
    """

    credit_network: Any = field(default_factory=DenseCredit)
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "credit_network", make("credit_network", self.credit_network))

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """The credit network's parameters before training."""
        return self.credit_network.draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """Nothing is drawn."""
        return []

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        top = trained_top(self.credit_network, parameters, moment)
        return chained(body, replace(moment, error=top), moment.weights[1:])


def trained_top(network: Any, parameters: dict[str, Tensor], moment: Moment) -> Tensor:
    """A credit network's credit of the top alone, (run, presentation, unit)."""
    received = TopSignals(moment.rates[-1], moment.goal, moment.error)
    top: Tensor = network.credits(parameters, received, [])[0]
    return top


@register("inner_rule", "layered_of_trained_top")
@dataclass(frozen=True)
class LayeredOfTrainedTop(Layered):
    """The credit network's credit at the top, carried down by plastic top-down weights of its own.

    c_L as of `BackpropOfTrainedTop`; below, u_l = (B_l u_{l+1}) ∘ f′(a_l), B ← (1 − λ_B) B + κ Δᵀ, as in
    `cortex_sim.credit.layered`: no bottom-up weight is read.

    Parameters
    ----------
    credit_network : LayeredCredit or str
        The top-down weights.
    top_network : CreditNetwork or str
        Only its credit of the top is used.
    """

    top_network: Any = field(default_factory=DenseCredit)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "top_network", make("credit_network", self.top_network))

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters of both before training."""
        return {**self.top_network.draw(seed), **super().draw(seed)}

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        return chained(body, replace(moment, error=trained_top(self.top_network, parameters, moment)), fixed)
