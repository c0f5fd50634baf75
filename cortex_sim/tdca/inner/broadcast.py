"""Credit from K channels with plastic diffusion (`cortex_sim.credit.broadcast`) in many inner runs at once.

``fixed`` holds D of every hidden population, then the running means of its step, population by population.
If the energy of rates normalises the step, they are those of Dᵀ, a readout of the population onto channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.kernels import diffusion
from cortex_sim.credit.network import check_outputs
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.plastic import Taken, of_each_run
from cortex_sim.tdca.inner.rules import Fixed, Moment
from cortex_sim.tdca.inner.step import Local, Step


@register("inner_rule", "broadcast")
@dataclass(frozen=True)
class Broadcast:
    """c_l = D_l M c_L, D plastic.

    Parameters
    ----------
    credit_network : BroadcastCredit or str
    """

    credit_network: Any = field(default_factory=BroadcastCredit)
    stands_for: ClassVar[str] = "plastic_diffusion"  # the plasticity rule whose settings it trains
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "credit_network", make("credit_network", self.credit_network))

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """M, κ, λ_W, λ_D and the scale of initial D, before training; shares of readings are drawn apart."""
        own = self.credit_network
        return BroadcastCredit(own.outputs, own.channels, own.kernel, energy=own.energy).draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """D of every hidden population (unit, channel), as its kernel gives it."""
        own = self.credit_network
        check_outputs(own, body.outputs)
        return [diffusion(own.kernel, shape, own.channels, rng) for shape in body.hidden]

    def initial(self, body: Architecture, seed: int, step: Step) -> list[np.ndarray]:
        """D as in `fixed`, each population's from its own random stream, and running means at zero."""
        own = self.credit_network
        check_outputs(own, body.outputs)
        kernels = [
            diffusion(own.kernel, layer.post, own.channels, stream(seed, f"TDCA {name}->{name}"))
            for layer in body.layers[:-1]
            for name in (layer.step.name,)
        ]
        sides = [d.T.shape if own.energy == "rates" else d.shape for d in kernels]
        still = step.state(
            [torch.zeros(1, *both) for both in sides], [torch.zeros(1, 1, post) for post, _ in sides]
        )
        means = [still[name][i][0].numpy() for i in range(len(kernels)) for name in step.names]
        return [*kernels, *means]

    def scaled(self, parameters: dict[str, Tensor], held: Fixed, new: Tensor) -> Fixed:
        """Initial D times its trained scale; running means are still zero."""
        size = torch.where(new, parameters["log_scale"].exp(), 1.0)
        return [d * of_each_run(size) for d in held]

    def forgetting(self, parameters: dict[str, Tensor]) -> Tensor:
        """λ_W."""
        return parameters["log_decay_up"].exp()

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        g = _channels(parameters, moment)
        below = [torch.bmm(g, d.transpose(1, 2)) for d in fixed[: len(body.hidden)]]
        return [*below, moment.error]

    def learned(self, body: Architecture, parameters: dict[str, Tensor], held: Fixed, taken: Taken) -> Fixed:
        """D after the step from its change ⟨x gᵀ⟩, and its running means."""
        turned = self.credit_network.energy == "rates"
        count, names = len(body.hidden), taken.step.names
        kept = of_each_run(1 - parameters["log_decay_down"].exp())
        gain = of_each_run(parameters["log_gain"].exp())
        g = _channels(parameters, taken.moment)
        kernels, means = [], []
        for i, d in enumerate(held[:count]):
            own = held[count + i * len(names) : count + (i + 1) * len(names)]
            x = _rates(body, taken, i)
            post, pre = (g, x) if turned else (x, g)
            nothing = d.new_zeros(len(d), post.shape[2], pre.shape[2])
            local = Local(nothing, nothing[:, None, :, 0], post, pre, g.shape[1])
            delta, _, after = taken.step.take(
                taken.eta[:, int(turned)], taken.done, local, dict(zip(names, own, strict=True))
            )
            kernels.append(kept * d + gain * (delta.transpose(1, 2) if turned else delta))
            means += [after[name] for name in names]
        return [*kernels, *means]


def _channels(parameters: dict[str, Tensor], moment: Moment) -> Tensor:
    """Channels g = M c_L, (run, presentation, channel)."""
    return moment.error @ parameters["broadcast"].swapaxes(-1, -2)


def _rates(body: Architecture, taken: Taken, hidden: int) -> Tensor:
    """Rates of a hidden population as the synapses above read them; as they are if those read patches."""
    read = taken.read[hidden + 1]
    rates = taken.moment.rates[hidden + 1]
    return read if read.shape == rates.shape else rates
