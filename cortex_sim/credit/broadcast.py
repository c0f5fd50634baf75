"""Broadcast of K channels whose diffusion is plastic.

    g = M c_L,    c_l = D_l g,    u_l = c_l ∘ f′(a_l)
    W ← (1 − λ_W) W + Δ,    D_l ← (1 − λ_D) D_l + κ Δ(⟨x_l gᵀ⟩)

with c_L the error at the top, M trained by the outer loop, Δ(·) the step that bottom-up weights take from
their change too, and x_l what synapses onto the next population read of population l. Each synapse of D needs
the rate of its unit and the channel that arrives. Where the top reads x_l, its own weights move along
⟨c_L x_lᵀ⟩, so that D approaches Wᵀ Mᵀ: the closer MᵀM is to the identity, which takes as many channels as
outputs, the closer credit comes to Wᵀ c_L. Below that, credit of several populations is still one broadcast.

Δ(·) is normalised by an energy (`cortex_sim.tdca.inner.step`). With that of the rates x_l, and with the top's
rates of learning, D_l is the transpose of what a readout of x_l onto the channels learns. With that of the
credit g nothing bounds the loop through several populations: larger rates make D larger, that makes credit
larger, and that makes rates larger.

The form is ours; that credit diffuses is the paper's (arXiv 2208.01416).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.checks import require_count, require_flag, require_known
from cortex_sim.credit.context import ErrorContext, Parameters, TopSignals
from cortex_sim.credit.kernels import Learned, Ring
from cortex_sim.credit.layered import SHARES, PlasticValues, plastic_values, share_parameters
from cortex_sim.credit.network import ChannelSet, Placed, through
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register

#: Outer parameters before training, beside M: κ, λ_W, λ_D, and a factor on initial D.
_START = {"log_gain": 0.0, "log_decay_up": log(5e-4), "log_decay_down": log(5e-4), "log_scale": 0.0}
#: By what normalises D's step: κ before training.
ENERGIES = {"rates": 1.0, "credit": 0.3}


@register("credit_network", "broadcast")
@dataclass(frozen=True)
class BroadcastCredit:
    """K channels, a trained combination of errors at the top, spread by plastic weights.

    Parameters
    ----------
    outputs : int, default 10
        Units of the top population; fixed by training.
    channels : int, default 16
        K.
    kernel : Kernel or str, default Ring()
        How channels spread over the units of a population before D has learned.
    decorrelated : bool, default False
        Whether it was trained with synapses that read decorrelated rates, whose shares are then among its
        parameters.
    energy : {"rates", "credit"}, default "rates"
        What normalises the step of D: the energy of the rates x_l that it follows, and then its rate of
        learning is the top's; or that of the credit g that it carries, and then it is that of hidden ones.
    """

    outputs: int = 10
    channels: int = 16
    kernel: Any = field(default_factory=Ring)
    decorrelated: bool = False
    energy: str = "rates"
    context: ClassVar[ErrorContext] = ErrorContext()
    addressed: ClassVar[bool] = False
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, outputs=self.outputs, channels=self.channels)
        require_flag(self, decorrelated=self.decorrelated)
        require_known("energy of BroadcastCredit", self.energy, ENERGIES)
        object.__setattr__(self, "kernel", make("kernel", self.kernel))
        if isinstance(self.kernel, Learned):
            raise DeclarationError(
                "BroadcastCredit: its D learns in every network anew, so a kernel that the outer loop trains "
                "has no place in it; use Ring() or another one that is drawn"
            )

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """One, which all hidden populations receive, each through a D of its own."""
        return (ChannelSet(self.channels, self.kernel),)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name."""
        scalars = dict.fromkeys([*_START, *(SHARES if self.decorrelated else ())], ())
        return {"broadcast": (self.channels, self.outputs), **scalars}

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: M normal, with MᵀM the identity on average."""
        drawn = stream(seed, "credit broadcast").normal(size=(self.channels, self.outputs))
        start = _START | {"log_gain": log(ENERGIES[self.energy])}
        scalars = {name: np.array(value) for name, value in start.items()}
        shares = share_parameters() if self.decorrelated else {}
        return {"broadcast": drawn / np.sqrt(self.channels), **scalars, **shares}

    def values(self, parameters: Mapping[str, Array]) -> PlasticValues:
        """κ, λ_W, λ_D, the scale of initial D and shares; see `cortex_sim.credit.layered.plastic_values`."""
        return plastic_values("broadcast", parameters)

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, which is its error, and g = M c_L for each hidden population."""
        g = through(parameters["broadcast"], received.error)
        return received.error, [g for _ in placed]
