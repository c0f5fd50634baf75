"""The top-down credit assignment network: from the state of the top to credit for every population.

    base    b      the error, or a contrast of output rates and target      (`cortex_sim.credit.context`)
    scale   s = rms(b)                                                       per presentation
    top     c_L = b + s · (correction by the network)
    channel g   = broadcast of b + s · (correction by the network),  then  g ← g · rms(c_L)/rms(g)
    credit  c_l = D_l g_l                                                    (`cortex_sim.credit.kernels`)

These are the equations of `DenseCredit` and `SharedCredit`: the network starts as a fixed broadcast, to which
trained weights add a correction. Everything is proportional to s: without a base there is no credit. A
user-defined form defines its own ``credits``. All of this is per presentation, so that the update of a batch
is the mean over its presentations.

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

SMALL = 1e-12  # added under square roots, to keep their slope finite at zero
RESIDUAL = 0.05  # of the last layers' weights before training


def rms(x: Array) -> Array:
    """Root mean square over units, of each presentation: (…, presentation, 1); never 0."""
    xp = array_namespace(x)
    return xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + SMALL)


def scale(x: Array) -> Array:
    """As `rms`, but 0 where all units are 0: without a base there is no credit."""
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
        Number K of channels.
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
    """What a credit network needs for one population, drawn again for every bottom-up network.

    ``diffusion`` is D (unit, K); ``addresses`` are (K, outputs), or None if the form has none; ``level`` is
    the index of the set of channels that the population receives.
    """

    diffusion: Array
    addresses: Array | None
    level: int


class CreditNetwork(Protocol):
    """A credit network without its parameters: a frozen dataclass whose settings are data."""

    @property
    def outputs(self) -> int | None:
        """Number of top units that it fits; None for any number."""

    @property
    def context(self) -> Any:
        """The `Context`: what it reads."""

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """Its sets of channels. Hidden population i of n, the lowest first, receives set ⌊i·len(sets)/n⌋."""

    @property
    def addressed(self) -> bool:
        """Whether every channel has an address α: one number per output, drawn with the bottom-up network."""

    @property
    def gated(self) -> bool:
        """Whether credit is multiplied by f′ at the unit."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name, including those of the context.

        If set i has a `Learned` kernel, its D is "diffusion_i".
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

        ``placed``, ``rates`` (…, presentation, unit) and the returned channels have one entry per hidden
        population. Leading axes are those of networks that learn in parallel.
        """


def level_of(index: int, count: int, levels: int) -> int:
    """Index of the set of channels that hidden population ``index`` of ``count`` receives."""
    return index * levels // count


def check_outputs(network: CreditNetwork, outputs: int, top: str = "the network") -> None:
    """Raise `DeclarationError` if a credit network was trained for another number of outputs."""
    if network.outputs not in (None, outputs):
        raise DeclarationError(
            f"credit network: trained for {network.outputs} output units, but {top} has {outputs}; use one "
            f"of the shared form, or train one for {outputs}"
        )


def place(
    network: CreditNetwork, shapes: Sequence[Shape], outputs: int, rng: np.random.Generator
) -> list[Placed]:
    """Kernels, and addresses if it has any, for hidden populations of these shapes, the lowest first."""
    check_outputs(network, outputs)
    if not network.sets:
        raise DeclarationError(
            f"credit network {type(network).__name__}: gives credit only to the top; use a rule that "
            "carries it down: layered_of_trained_top or backprop_of_trained_top"
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
    """D (…, unit, K) of a population: drawn, or learned and interpolated to the population's units."""
    learned = f"diffusion_{placed.level}"
    return placed.diffusion @ parameters[learned] if learned in parameters else placed.diffusion


def pooled(placed: Sequence[Placed], rates: Sequence[Array]) -> Array:
    """Mean hidden rate around each channel, |D|ᵀr / |D|ᵀ1, averaged over populations."""
    total: Any = 0.0
    for p, r in zip(placed, rates, strict=True):
        near = abs(p.diffusion)
        total = total + (r @ near) / array_namespace(near).sum(near, axis=-2, keepdims=True)
    return total / len(placed)
