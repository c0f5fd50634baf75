"""Broadcast of K channels with plastic diffusion.

    g = M c_L,    c_l = D_l g,    u_l = c_l ∘ f′(a_l)
    W ← (1 − λ_W) W + Δ,    D_l ← (1 − λ_D) D_l + κ Δ(⟨x_l gᵀ⟩)

where c_L is the error at the top, M is trained by the outer loop, Δ(·) is the step that bottom-up weights
take from their change too, and x_l are the rates of population l as synapses onto the next population read
them. Each synapse of D needs only the rate of its unit and the channel that arrives. Weights from x_l onto
the top change along ⟨c_L x_lᵀ⟩, so that D approaches Wᵀ Mᵀ: the closer MᵀM is to the identity, which needs at
least as many channels as outputs, the closer credit comes to Wᵀ c_L. Populations further below all receive
the same broadcast.

Δ(·) is normalised by an energy (`cortex_sim.tdca.inner.step`). With the energy of the rates x_l, and with the
learning rates of the top, D_l is the transpose of what a readout of x_l onto the channels learns. With the
energy of the credit g nothing bounds the loop through several populations: larger rates increase D, which
increases credit, which increases rates.

The form is ours; that credit diffuses is from the paper (arXiv 2208.01416).
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

#: Outer parameters before training, besides M: κ, λ_W, λ_D, and a factor on initial D.
_START = {"log_gain": 0.0, "log_decay_up": log(5e-4), "log_decay_down": log(5e-4), "log_scale": 0.0}
#: κ before training, by what normalises D's step.
ENERGIES = {"rates": 1.0, "credit": 0.3}


@register("credit_network", "broadcast")
@dataclass(frozen=True)
class BroadcastCredit:
    """K channels that carry trained combinations of the top's errors, spread by plastic weights.

    Parameters
    ----------
    outputs : int, default 10
        Units of the top population; fixed by training.
    channels : int, default 16
        Number K of channels.
    kernel : Kernel or str, default Ring()
        How channels spread over the units of a population before D has learned.
    decorrelated : bool, default False
        Whether it is trained with synapses that read decorrelated rates; their shares are then among its
        parameters.
    energy : {"rates", "credit"}, default "rates"
        What normalises the step of D: the energy of the rates x_l, with the learning rate of the top, or the
        energy of the credit g, with the learning rate of hidden populations.
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
                "BroadcastCredit: every network learns its own D, so its kernel cannot be trained by the "
                "outer loop; use Ring() or another kernel that is drawn"
            )

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """One set, which all hidden populations receive, each through its own D."""
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
        """Credit of the top (its error), and g = M c_L for each hidden population."""
        g = through(parameters["broadcast"], received.error)
        return received.error, [g for _ in placed]
