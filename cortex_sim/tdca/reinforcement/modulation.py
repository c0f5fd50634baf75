"""A credit network that scales REINFORCE's credit, and so cannot prefer one action to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count
from cortex_sim.credit import ChannelSet, Placed, TopSignals
from cortex_sim.credit.context import Parameters
from cortex_sim.credit.network import through
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register
from cortex_sim.tdca.reinforcement.signals import ActionContext


@register("credit_network", "modulated")
@dataclass(frozen=True)
class ModulatedCredit:
    """c_L = b · exp(Σ_j v_j tanh(w_j · x + d_j)): a trained gain on what the context broadcasts.

    x holds 1 − 2π(a), with π(a) the probability of the action taken, and the context's other signals. It does
    not say which action was taken, and credit has the direction of b: in the same circumstances all actions
    get the same gain, so that the network cannot hold a policy, even if it reads the observation. Before
    training v is 0 and credit is b. Only the top receives credit from it.

    Parameters
    ----------
    hidden : int, default 8
        Number of tanh units.
    context : ActionContext or str
        The signals that it reads.
    """

    hidden: int = 8
    context: Any = field(default_factory=ActionContext)
    outputs: ClassVar[int | None] = None
    sets: ClassVar[tuple[ChannelSet, ...]] = ()
    addressed: ClassVar[bool] = False
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, hidden=self.hidden)
        object.__setattr__(self, "context", make("context", self.context))
        if not isinstance(self.context, ActionContext):
            raise DeclarationError(
                f"ModulatedCredit: needs a context of actions and outcomes; give context: {{name: actions}}. "
                f"Got {type(self.context).__name__}"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name."""
        h, signals = self.hidden, self.context.signals(1)
        own = {"gain": (h, sum(signals.values())), "gain_bias": (1, h), "gain_out": (1, h)}
        return {**self.context.parameters, **own}

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: random w and d, and v = 0."""
        shapes = self.shapes()
        drawn = stream(seed, "credit gain").normal(size=shapes["gain"])
        bias = 0.5 * stream(seed, "credit gain_bias").normal(size=shapes["gain_bias"])
        own = {"gain": drawn, "gain_bias": bias, "gain_out": np.zeros(shapes["gain_out"])}
        return {**self.context.draw(), **own}

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, (…, presentation, action); no channels."""
        base = self.context.base(parameters, received)
        xp = array_namespace(base)
        action, *others = self.context.seen(received).values()
        surprise = xp.sum(xp.abs(action), axis=-1, keepdims=True)  # 2(1 − π(a))
        x = xp.concat([surprise - 1.0, *others], axis=-1)
        h = xp.tanh(through(parameters["gain"], x) + parameters["gain_bias"])
        gain: Any = xp.exp(through(parameters["gain_out"], h))
        return gain * base, []
