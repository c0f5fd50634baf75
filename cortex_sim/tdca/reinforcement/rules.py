"""Credit in reinforcement learning beside the rules for presentations: what is compared, what is a control."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cortex_sim.credit import DenseCredit, TopSignals
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.rules import Fixed, Moment, TopDownCredit, chained
from cortex_sim.tdca.reinforcement.signals import OBSERVATION


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
        received = TopSignals(moment.rates[-1], moment.goal, moment.error)
        top, _ = self.credit_network.credits(parameters, received, [])
        return chained(body, replace(moment, error=top), moment.weights[1:])


@register("inner_rule", "misread")
@dataclass(frozen=True)
class Misread:
    """A control: the credit network reads the observations of other steps, shuffled within an inner run.

    Parameters
    ----------
    rule : InnerRule or str
    """

    rule: Any = field(default_factory=TopDownCredit)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", make("inner_rule", self.rule))

    @property
    def gated(self) -> bool:
        """As of the rule."""
        return self.rule.gated

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """As of the rule."""
        return self.rule.draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """As of the rule."""
        return self.rule.fixed(body, rng)

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """The rule's, of shuffled observations."""
        generator = torch.Generator().manual_seed(moment.number)  # another order at every update
        goal, first = moment.goal, body.outputs + OBSERVATION
        order = torch.randperm(goal.shape[1], generator=generator)
        mixed = torch.cat((goal[..., :first], goal[:, order, first:]), -1)
        return self.rule.credits(body, parameters, fixed, replace(moment, goal=mixed))
