"""Credit from a layered, plastic credit network (`cortex_sim.credit.layered`) in many inner runs at once.

Top-down weights B are stored transposed, in the layout (channel, input) of the paired bottom-up weights, so
that B u is the same product as backpropagation's Wᵀ u, patch by patch where the layer is a convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cortex_sim.credit.layered import LayeredCredit
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.plastic import Taken, of_each_run
from cortex_sim.tdca.inner.rules import Fixed, Moment, chained
from cortex_sim.tdca.inner.step import Step


@register("inner_rule", "layered")
@dataclass(frozen=True)
class Layered:
    """u_l = (B_l u_{l+1}) ∘ f′(a_l), B ← (1 − λ_B) B + κ Δᵀ.

    Parameters
    ----------
    credit_network : LayeredCredit or str
    """

    credit_network: Any = field(default_factory=LayeredCredit)
    stands_for: ClassVar[str] = "kolen_pollack"  # the plasticity rule whose settings it trains
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "credit_network", make("credit_network", self.credit_network))

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """κ, λ_W, λ_B and the scale of initial B, before training; shares of readings are drawn apart."""
        return LayeredCredit(self.credit_network.mirror).draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """Zeros in the shape of B, in the layout of W, of the layers above the lowest; see `initial`."""
        return [np.zeros((layer.post[0], _inputs(body, i))) for i, layer in _above(body)]

    def initial(self, body: Architecture, seed: int, step: Step) -> list[np.ndarray]:
        """Initial B without its trained scale: random as in the declared network, or by the mirror phase."""
        drawn = body.with_free_feedback.initial_weights(seed)
        found = []
        for _, layer in _above(body):
            op, name = layer.operator, layer.projection.reverse_name
            if self.credit_network.mirror:
                rng = stream(seed, f"mirror {name}")
                spontaneous = rng.normal(size=(self.credit_network.mirror, int(np.prod(layer.pre))))
                w = op.matrix(drawn[layer.link.name])
                found.append(self.credit_network.initial(w, op.patches(spontaneous)))
            else:
                found.append(np.array(op.feedback_matrix(drawn[name]).T))
        return found

    def scaled(self, parameters: dict[str, Tensor], held: Fixed, new: Tensor) -> Fixed:
        """Initial B times its trained scale."""
        size = torch.where(new, parameters["log_scale"].exp(), 1.0)
        return [b * of_each_run(size) for b in held]

    def forgetting(self, parameters: dict[str, Tensor]) -> Tensor:
        """λ_W."""
        return parameters["log_decay_up"].exp()

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        return chained(body, moment, fixed)

    def learned(self, body: Architecture, parameters: dict[str, Tensor], held: Fixed, taken: Taken) -> Fixed:
        """B after the step: (1 − λ_B) B plus κ times the change Δ of its paired weights."""
        kept = of_each_run(1 - parameters["log_decay_down"].exp())
        gain = of_each_run(parameters["log_gain"].exp())
        return [kept * b + gain * delta for b, delta in zip(held, taken.deltas[1:], strict=True)]


def _above(body: Architecture) -> list[tuple[int, Any]]:
    return list(enumerate(body.layers))[1:]


def _inputs(body: Architecture, layer: int) -> int:
    shape = body.net.weight_shape(body.layers[layer].projection)
    return int(np.prod(shape[1:]))
