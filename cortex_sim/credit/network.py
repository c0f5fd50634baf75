"""The top-down credit assignment network: from the state of the top to credit for every population.

    base    b      the error, or a contrast of output rates and target      (`cortex_sim.credit.context`)
    scale   s = rms(b)                                                       of one presentation
    top     c_L = b + s · (correction by the network)
    channel g   = broadcast of b + s · (correction by the network),  then  g ← g · rms(c_L)/rms(g)
    credit  c_l = D_l g_l                                                    (`cortex_sim.credit.kernels`)

These are the equations of `DenseCredit` and `SharedCredit`: the network starts as a fixed broadcast and
adds to it by trained weights. Everything is proportional to s: no base, no credit. A user-defined form has
``credits`` of its own. All of it is per presentation, so that the update of a batch is the mean over its
presentations.

The paper (arXiv 2208.01416) states that such a network exists and what it replaces; its inputs, form and
sizes here are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_flag
from cortex_sim.connectors import Shape
from cortex_sim.credit.context import Parameters, TopSignals
from cortex_sim.credit.kernels import Learned, Ring, diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import make, register

SMALL = 1e-12  # under the square roots: keeps their slope finite at zero
RESIDUAL = 0.05  # of the last layers' weights before training


def rms(x: Array) -> Array:
    """Root mean square over units, of each presentation: (…, presentation, 1); never 0."""
    xp = array_namespace(x)
    return xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + SMALL)


def scale(x: Array) -> Array:
    """The same, but 0 where all units are 0: no base, no credit."""
    mean = array_namespace(x).mean(x * x, axis=-1, keepdims=True)
    return mean / (mean + SMALL) ** 0.5


def through(weights: Array, x: Array) -> Array:
    """W x from weights (…, post, pre) and x (…, presentation, pre)."""
    return x @ weights.swapaxes(-1, -2)


@register("channel_set", "channels")
@dataclass(frozen=True)
class ChannelSet:
    """Channels of credit that one or several hidden populations receive.

    Parameters
    ----------
    count : int, default 16
        K.
    kernel : Kernel or str, default Ring()
        How channels spread over the units of a population.
    signs : bool, default False
        Whether each unit has its own receptor sign for credit.
    """

    count: int = 16
    kernel: Any = field(default_factory=Ring)
    signs: bool = False

    def __post_init__(self) -> None:
        require_count(self, count=self.count)
        require_flag(self, signs=self.signs)
        object.__setattr__(self, "kernel", make("kernel", self.kernel))


@dataclass(frozen=True)
class Placed:
    """What a credit network needs of one population, redrawn whenever the bottom-up network changes.

    ``diffusion`` D (unit, K); ``addresses`` (K, outputs) where the form has any, else None; ``level`` is
    the index of the set of channels that it receives.
    """

    diffusion: Array
    addresses: Array | None
    level: int


class CreditNetwork(Protocol):
    """A credit network without its parameters: a frozen dataclass, whose settings are data."""

    @property
    def outputs(self) -> int | None:
        """Number of top units that it is made for; None for any number."""

    @property
    def context(self) -> Any:
        """What it reads: a `Context`."""

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """Its channels. Hidden population i of n, the lowest first, receives set ⌊i·len(sets)/n⌋."""

    @property
    def addressed(self) -> bool:
        """Whether every channel has an address α, a number for each output, drawn with the network below."""

    @property
    def gated(self) -> bool:
        """Whether credit is multiplied by f′ at the unit."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name, the context's among them.

        Where set i has a `Learned` kernel, its D is "diffusion_i".
        """

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training, float64."""

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, (…, presentation, output), and of each channel, (…, presentation, K).

        ``placed`` and ``rates`` (…, presentation, unit) are those of the hidden populations, and so are the
        channels that come back. Leading axes are those of networks that learn in parallel.
        """


def level_of(index: int, count: int, levels: int) -> int:
    """Index of the set of channels that hidden population ``index`` of ``count`` receives."""
    return index * levels // count


def check_outputs(network: CreditNetwork, outputs: int, top: str = "the network") -> None:
    """Raise `DeclarationError` where a credit network was made for another number of outputs."""
    if network.outputs not in (None, outputs):
        raise DeclarationError(
            f"credit network: trained for {network.outputs} output units, {top} has {outputs}; use one of "
            f"the shared form, or train one for {outputs}"
        )


def place(
    network: CreditNetwork, shapes: Sequence[Shape], outputs: int, rng: np.random.Generator
) -> list[Placed]:
    """Kernels, and addresses where it has any, for hidden populations of these shapes, the lowest first."""
    check_outputs(network, outputs)
    if not network.sets:
        raise DeclarationError(
            f"credit network {type(network).__name__}: gives credit to the top alone; use a rule that "
            "carries it down, layered_of_trained_top or backprop_of_trained_top"
        )
    placed = []
    for i, shape in enumerate(shapes):
        level = level_of(i, len(shapes), len(network.sets))
        channel_set = network.sets[level]
        if isinstance(channel_set.kernel, Learned):
            d = channel_set.kernel.interpolated(shape)
        else:
            d = diffusion(channel_set.kernel, shape, channel_set.count, rng, channel_set.signs)
        addresses = rng.normal(size=(channel_set.count, outputs)) if network.addressed else None
        placed.append(Placed(d, addresses, level))
    return placed


def spread(parameters: Parameters, placed: Placed) -> Array:
    """D (…, unit, K) of a population: drawn, or learned and interpolated to its units."""
    learned = f"diffusion_{placed.level}"
    return placed.diffusion @ parameters[learned] if learned in parameters else placed.diffusion


def pooled(placed: Sequence[Placed], rates: Sequence[Array]) -> Array:
    """Mean hidden rate around each channel, |D|ᵀr / |D|ᵀ1, averaged over populations."""
    total: Any = 0.0
    for p, r in zip(placed, rates, strict=True):
        near = abs(p.diffusion)
        total = total + (r @ near) / array_namespace(near).sum(near, axis=-2, keepdims=True)
    return total / len(placed)
