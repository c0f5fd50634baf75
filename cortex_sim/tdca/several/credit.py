"""The shared network at the top of a network that learns from targets or from reward: it scales the credit.

    c_L = b exp(o₂),   o = V tanh(W i + b₁) + c

with b the credit of the top without the network: A (a − π), where a is the action taken (with targets, the
right class), π the softmax of rates, and A the outcome (with targets, 1). Inputs i have the names, order and
meaning of those on functions; an input without a meaning here is 0:

    input                         functions                       targets and reward
    scaled gradient               m̂ / √v̂                          A, the standardised outcome
    time left                     1 − 2t                          1 − 2t
    value relative to the best    in [0, 1], 0 the best           1 − 2π(a), −1 if a was certain
    size of the gradient          ¼ log, relative to the first    ¼ log |b|, relative to uniform π and A = 1

All units of the top have one gain, whichever action was taken: it can hold neither a policy nor a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cortex_sim.arrays import Array
from cortex_sim.checks import require_count
from cortex_sim.credit import ChannelSet, ErrorContext, Placed, TopSignals
from cortex_sim.credit.context import Parameters
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import make, register
from cortex_sim.tdca.functions.first_order import INPUTS
from cortex_sim.tdca.functions.network import SmallNetwork
from cortex_sim.tdca.reinforcement.signals import ActionContext, choice

_SMALL = 1e-10  # inside the logarithm, which has a finite slope without credit


@register("credit_network", "slotted")
@dataclass(frozen=True)
class SlottedCredit:
    """Credit of the top by the equations above. Before training V and c are 0, and credit is b.

    Parameters
    ----------
    hidden : int, default 12
        Hidden units.
    context : ErrorContext, ActionContext or str
        Context that gives b and A: ``error`` for targets, ``actions`` for reward.
    """

    hidden: int = 12
    context: Any = field(default_factory=ErrorContext)
    outputs: ClassVar[int | None] = None
    sets: ClassVar[tuple[ChannelSet, ...]] = ()
    addressed: ClassVar[bool] = False
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, hidden=self.hidden)
        object.__setattr__(self, "context", make("context", self.context))
        if not isinstance(self.context, (ErrorContext, ActionContext)):
            raise DeclarationError(
                "SlottedCredit: context must be error, for targets, or actions, for reward. "
                f"Got {type(self.context).__name__}"
            )

    @property
    def network(self) -> SmallNetwork:
        """The network, whose parameters are part of φ."""
        return SmallNetwork(len(INPUTS), self.hidden)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name."""
        return {**self.context.parameters, **self.network.shapes()}

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training."""
        return {**self.context.draw(), **self.network.draw(seed)}

    def inputs(self, received: TopSignals) -> Tensor:
        """Inputs i of every presentation, (run, input, presentation)."""
        action: Any = choice(received.rates, received.goal)
        one = action.new_ones((*action.shape[:-1], 1))
        outcome: Any = self.context.seen(received).get("outcome", one)
        time: Any = received.time
        uniform = 1 - 1 / action.shape[-1]  # ‖a − π‖² where all of π are equal
        size = outcome.square() * action.square().sum(-1, keepdim=True) / uniform
        known = {
            "scaled gradient": outcome,
            "time left": 0 * one if time is None else (1 - 2 * time[..., None, None]) * one,
            "value relative to the best": action.abs().sum(-1, keepdim=True) - 1,  # 2(1 − π(a)) − 1
            "size of the gradient": torch.log(size + _SMALL) / 8,
        }
        return torch.cat([known.get(name, 0 * one) for name in INPUTS], -1).transpose(-1, -2)

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, (run, presentation, unit); no channels."""
        base: Any = self.context.base(parameters, received)
        runs, own = len(base), self.network.shapes()
        given: dict[str, Any] = {name: parameters[name] for name in own}
        named = {name: given[name].expand(runs, *shape) for name, shape in own.items()}
        _, gain = self.network.outputs(named, self.inputs(received))
        return base * torch.exp(gain)[..., None], []
