"""Dense credit network: two layers of tanh units between the context and the channels of every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_flag
from cortex_sim.credit.context import ErrorContext, Parameters, TopSignals
from cortex_sim.credit.kernels import Learned, Ring, diffusion
from cortex_sim.credit.network import RESIDUAL, ChannelSet, Placed, pooled, rms, scale, through
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register


@register("credit_network", "dense")
@dataclass(frozen=True)
class DenseCredit:
    """Context → two layers of tanh units → K channels for each hidden population, and credit for the top.

    Parameters
    ----------
    outputs : int, default 10
        Units of the top population; fixed by training.
    channels : int or sequence of int, default 16
        Number K of channels, the same for all levels or one for each.
    hidden : int, default 32
        Units in each of the two layers.
    context : Context or str, default "error"
        What it reads: "error", "raw" or a context.
    kernel : Kernel or str, or a sequence of them, default Ring()
        How channels spread, the same for all levels or one for each.
    signs : bool, default False
        Whether each unit has its own receptor sign for credit.
    levels : int, default 1
        Number of sets of channels. Hidden population i of n receives set ⌊i·levels/n⌋.
    pooled : bool, default False
        Whether it also reads the mean hidden rate around each channel, |D|ᵀr / |D|ᵀ1.
    gated : bool, default True
        Whether credit is multiplied by f′ at the unit, as in every supervised rule.
    """

    outputs: int = 10
    channels: Any = 16
    hidden: int = 32
    context: Any = field(default_factory=ErrorContext)
    kernel: Any = field(default_factory=Ring)
    signs: bool = False
    levels: int = 1
    pooled: bool = False
    gated: bool = True
    addressed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_count(self, outputs=self.outputs, hidden=self.hidden, levels=self.levels)
        require_flag(self, signs=self.signs, pooled=self.pooled, gated=self.gated)
        object.__setattr__(self, "context", make("context", self.context))
        _for_each_level(self)
        learned = any(isinstance(kernel, Learned) for kernel in self.kernel)
        if learned and (self.pooled or self.signs):
            raise DeclarationError(
                "DenseCredit: a learned kernel has its own signs and no neighbourhoods to pool over; leave "
                "out signs and pooled, or use Ring()"
            )
        if self.pooled and len(set(self.channels)) > 1:
            raise DeclarationError(
                f"DenseCredit: pooled rates need equally many channels at all levels. Got {self.channels}"
            )

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """One set for each level."""
        both = zip(self.channels, self.kernel, strict=True)
        return tuple(ChannelSet(count, kernel, self.signs) for count, kernel in both)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name; weights (post, pre), biases (1, unit)."""
        seen = sum(self.context.signals(self.outputs).values()) + (self.channels[0] if self.pooled else 0)
        h = self.hidden
        found = dict(self.context.parameters)
        found |= {"context": (h, seen), "context_bias": (1, h), "hidden": (h, h), "hidden_bias": (1, h)}
        found["top"] = (self.outputs, h)
        for level, k in enumerate(self.channels):
            found |= {f"broadcast_{level}": (k, self.outputs), f"channels_{level}": (k, h)}
            if isinstance(self.kernel[level], Learned):
                found[f"diffusion_{level}"] = (self.kernel[level].units, k)
        return found

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: a random broadcast, and a network that initially adds little."""
        found = self.context.draw()
        for name, shape in self.shapes().items():
            if name in found:
                continue
            drawn = stream(seed, f"credit {name}").normal(size=shape)
            if name.endswith("_bias"):
                drawn = np.zeros(shape)
            elif name == "context":
                drawn = drawn / np.sqrt(2)
            elif name.startswith("diffusion"):
                ring = Ring(self.kernel[int(name.split("_")[1])].width)
                drawn = diffusion(ring, shape[:1], shape[1], stream(seed, name))
            elif not name.startswith("broadcast"):
                drawn = drawn / np.sqrt(self.hidden) * (1 if name == "hidden" else RESIDUAL)
            found[name] = drawn
        return found

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, and channels of each hidden population; ``rates`` are used only if pooled."""
        xp = array_namespace(received.goal)
        base = self.context.base(parameters, received)
        seen = list(self.context.seen(received).values())
        if self.pooled:
            seen.append(pooled(placed, rates))
        x = xp.concat(seen, axis=-1)
        h = xp.tanh(through(parameters["context"], x) + parameters["context_bias"])
        h = xp.tanh(through(parameters["hidden"], h) + parameters["hidden_bias"])
        s = scale(base)
        top = base + s * through(parameters["top"], h)
        channels: dict[int, Array] = {}
        for level in {p.level for p in placed}:
            g = through(parameters[f"broadcast_{level}"], base)
            g = g + s * through(parameters[f"channels_{level}"], h)
            channels[level] = g * (rms(top) / rms(g))
        return top, [channels[p.level] for p in placed]


def _for_each_level(network: DenseCredit) -> None:
    """Spread ``channels`` and ``kernel`` to all levels, or refuse another number of them."""
    given = network.channels
    channels = tuple(given) if isinstance(given, (list, tuple)) else (given,) * network.levels
    several = isinstance(network.kernel, (list, tuple))
    kernels = tuple(network.kernel) if several else (network.kernel,) * network.levels
    for name, found in (("channels", channels), ("kernel", kernels)):
        if len(found) != network.levels:
            raise DeclarationError(
                f"DenseCredit: {name} must have one value per level, {network.levels}. Got {len(found)}"
            )
    for k in channels:
        require_count(network, channels=k)
    object.__setattr__(network, "channels", channels)
    object.__setattr__(network, "kernel", tuple(make("kernel", kernel) for kernel in kernels))
