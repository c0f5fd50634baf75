"""Rules in which a credit network gives the credit of the top, and hidden credit is carried down from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from cortex_sim.checks import require_count
from cortex_sim.credit import DenseCredit, LayeredCredit, TopSignals
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.plastic import Taken
from cortex_sim.tdca.inner.rules import Fixed, Moment, chained
from cortex_sim.tdca.inner.step import Step


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
    received = TopSignals(moment.rates[-1], moment.goal, moment.error, moment.time)
    top: Tensor = network.credits(parameters, received, [])[0]
    return top


@register("inner_rule", "layered_of_trained_top")
@dataclass(frozen=True)
class LayeredOfTrainedTop:
    """The credit network's credit at the top, carried down by separate, plastic top-down weights.

    c_L as in `BackpropOfTrainedTop`; below, u_l = (B_l u_{l+1}) ∘ f′(a_l), B ← (1 − λ_B) B + κ Δᵀ, as in
    `cortex_sim.credit.layered`: no bottom-up weight is read.

    Parameters
    ----------
    credit_network : CreditNetwork or str
        Only its credit of the top is used.
    mirror : int, default 320
        Spontaneous presentations from which top-down weights are initialised; 0: they start random.
    """

    credit_network: Any = field(default_factory=DenseCredit)
    mirror: int = 320
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "credit_network", make("credit_network", self.credit_network))
        require_count(self, minimum=0, mirror=self.mirror)

    @property
    def layered(self) -> Layered:
        """The rule that carries credit down."""
        return Layered(LayeredCredit(self.mirror))

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters of both before training."""
        return {**self.credit_network.draw(seed), **self.layered.draw(seed)}

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """As in `layered`."""
        return self.layered.fixed(body, rng)

    def initial(self, body: Architecture, seed: int, step: Step) -> list[np.ndarray]:
        """As in `layered`."""
        return self.layered.initial(body, seed, step)

    def scaled(self, parameters: dict[str, Tensor], held: Fixed, new: Tensor) -> Fixed:
        """As in `layered`."""
        return self.layered.scaled(parameters, held, new)

    def forgetting(self, parameters: dict[str, Tensor]) -> Tensor:
        """As in `layered`."""
        return self.layered.forgetting(parameters)

    def learned(self, body: Architecture, parameters: dict[str, Tensor], held: Fixed, taken: Taken) -> Fixed:
        """As in `layered`."""
        return self.layered.learned(body, parameters, held, taken)

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        top = trained_top(self.credit_network, parameters, moment)
        return chained(body, replace(moment, error=top), fixed)
