"""The top-down credit assignment network: from what stands at the top to credit for every population.

    base    b      the error, or a contrast of output rates and target      (`cortex_sim.credit.context`)
    scale   s = rms(b)                                                       of one presentation
    top     c_L = b + s · (what the network adds)
    channel g   = broadcast of b + s · (what the network adds),  then  g ← g · rms(c_L)/rms(g)
    credit  c_l = D_l g_l                                                    (`cortex_sim.credit.kernels`)

The network starts as a fixed broadcast and adds to it by trained weights. Everything is proportional to s:
no base, no credit. All of it is per presentation, so a batch's update is the mean of its presentations'.

The paper (arXiv 2208.01416) states that such a network exists and what it replaces; its inputs, form and
sizes here are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_flag
from cortex_sim.connectors import Shape
from cortex_sim.credit.context import ErrorContext, Parameters, Told
from cortex_sim.credit.kernels import Learned, Ring, diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register

_SMALL = 1e-12  # under the square roots: keeps their slope finite at zero
_RESIDUAL = 0.05  # of the last layers' weights before training


def rms(x: Array) -> Array:
    """Root mean square over units, of each presentation: (…, presentation, 1); never 0."""
    xp = array_namespace(x)
    return xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + _SMALL)


def scale(x: Array) -> Array:
    """The same, but 0 where all units are: no base, no credit."""
    mean = array_namespace(x).mean(x * x, axis=-1, keepdims=True)
    return mean / (mean + _SMALL) ** 0.5


def _through(weights: Array, x: Array) -> Array:
    """W x from weights (…, post, pre) and x (…, presentation, pre)."""
    return x @ weights.swapaxes(-1, -2)


@dataclass(frozen=True)
class Placed:
    """What a credit network needs of one population, drawn anew whenever the bottom-up network changes.

    ``diffusion`` D (unit, K); ``addresses`` (K, outputs) of the shared form, else None; ``level`` says
    which of the network's sets of channels it hears.
    """

    diffusion: Array
    addresses: Array | None
    level: int


class CreditNetwork(Protocol):
    """A credit network apart from its parameters."""

    @property
    def context(self) -> Any:
        """What it reads."""

    @property
    def kernel(self) -> Any:
        """How its channels spread; one, or one for each level."""

    @property
    def signs(self) -> bool:
        """Whether units have receptor signs."""

    @property
    def gated(self) -> bool:
        """Whether credit is multiplied by f′ at the unit."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name."""

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training, float64."""

    def place(self, shapes: Sequence[Shape], outputs: int, rng: np.random.Generator) -> list[Placed]:
        """Channels, kernels and addresses for hidden populations of these shapes, the lowest first."""

    def spread(self, parameters: Parameters, placed: Placed) -> Array:
        """D (…, unit, K) of a population."""

    def credits(
        self, parameters: Parameters, told: Told, placed: Sequence[Placed], rates: Sequence[Array] = ()
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, (…, presentation, output), and of each channel, (…, presentation, K)."""


@register("credit_network", "dense")
@dataclass(frozen=True)
class DenseCredit:
    """Context → two layers of tanh units → K channels for each hidden population, and credit for the top.

    Parameters
    ----------
    outputs : int, default 10
        Units of the top population; fixed by training.
    channels : int or sequence of int, default 16
        K, one for all levels or one for each.
    hidden : int, default 32
        Units in each of its two layers.
    context : Context or str, default "error"
        What it reads: "error" or "raw".
    kernel : Kernel or str, or a sequence of them, default Ring()
        How channels spread, one for all levels or one for each.
    signs : bool, default False
        Whether units answer to credit with a receptor sign of their own.
    levels : int, default 1
        Sets of channels. Hidden population i of n hears set ⌊i·levels/n⌋.
    pooled : bool, default False
        Whether the mean of the hidden rates around each channel, Dᵀr normalised, is read too.
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

    def __post_init__(self) -> None:
        require_count(self, outputs=self.outputs, hidden=self.hidden, levels=self.levels)
        require_flag(self, signs=self.signs, pooled=self.pooled, gated=self.gated)
        object.__setattr__(self, "context", make("context", self.context))
        _for_each_level(self)
        learned = any(isinstance(kernel, Learned) for kernel in self.kernel)
        if learned and (self.pooled or self.signs):
            raise DeclarationError(
                "DenseCredit: a learned kernel brings its own signs and has no neighbourhoods to pool; leave "
                "out signs and pooled, or use Ring()"
            )
        if self.pooled and len(set(self.channels)) > 1:
            raise DeclarationError(
                f"DenseCredit: pooled rates need as many channels on each level. Got channels={self.channels}"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name; weights (post, pre), biases (1, unit)."""
        seen = 2 * self.outputs + (self.channels[0] if self.pooled else 0)
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
        """Parameters before training: a random broadcast, and a network that adds little to it."""
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
                drawn = drawn / np.sqrt(self.hidden) * (1 if name == "hidden" else _RESIDUAL)
            found[name] = drawn
        return found

    def place(self, shapes: Sequence[Shape], outputs: int, rng: np.random.Generator) -> list[Placed]:
        """Kernels for hidden populations of these shapes, the lowest first."""
        if outputs != self.outputs:
            raise DeclarationError(
                f"credit network: trained for {self.outputs} output units, the network has {outputs}; "
                "use one of the shared form, or train one for this number"
            )
        levels = [_level(i, len(shapes), self.levels) for i in range(len(shapes))]
        placed = []
        for n, shape in zip(levels, shapes, strict=True):
            kernel = self.kernel[n]
            if isinstance(kernel, Learned):
                d = kernel.interpolated(shape)
            else:
                d = diffusion(kernel, shape, self.channels[n], rng, self.signs)
            placed.append(Placed(d, None, n))
        return placed

    def spread(self, parameters: Parameters, placed: Placed) -> Array:
        """D (…, unit, K) of a population: drawn, or learned and interpolated to its units."""
        learned = f"diffusion_{placed.level}"
        return placed.diffusion @ parameters[learned] if learned in parameters else placed.diffusion

    def credits(
        self, parameters: Parameters, told: Told, placed: Sequence[Placed], rates: Sequence[Array] = ()
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, and channels of each hidden population; ``rates`` only where pooled."""
        xp = array_namespace(told.goal)
        base = self.context.base(parameters, told)
        seen = list(self.context.seen(told))
        if self.pooled:
            seen.append(pooled(placed, rates))
        x = xp.concat(seen, axis=-1)
        h = xp.tanh(_through(parameters["context"], x) + parameters["context_bias"])
        h = xp.tanh(_through(parameters["hidden"], h) + parameters["hidden_bias"])
        s = scale(base)
        top = base + s * _through(parameters["top"], h)
        channels: dict[int, Array] = {}
        for level in {p.level for p in placed}:
            g = _through(parameters[f"broadcast_{level}"], base)
            g = g + s * _through(parameters[f"channels_{level}"], h)
            channels[level] = g * (rms(top) / rms(g))
        return top, [channels[p.level] for p in placed]


@register("credit_network", "shared")
@dataclass(frozen=True)
class SharedCredit:
    """One small network for every channel: any width, depth and number of outputs.

    A channel has an address α_k for each output k, drawn at random with the bottom-up network. It hears
    the mean over outputs of α_k b_k + ψ(α_k, e_k, y_k, α_k e_k, α_k y_k) with one ψ for all; output k of
    the top adds a second small network of (e_k, y_k).

    Parameters
    ----------
    channels : int, default 16
        K of each hidden population.
    hidden : int, default 8
        Units of each of the two small networks.
    context, kernel, signs, gated
        As of `DenseCredit`.
    """

    channels: int = 16
    hidden: int = 8
    context: Any = field(default_factory=ErrorContext)
    kernel: Any = field(default_factory=Ring)
    signs: bool = False
    gated: bool = True
    levels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        require_count(self, channels=self.channels, hidden=self.hidden)
        require_flag(self, signs=self.signs, gated=self.gated)
        object.__setattr__(self, "context", make("context", self.context))
        object.__setattr__(self, "kernel", make("kernel", self.kernel))
        if isinstance(self.kernel, Learned):
            raise DeclarationError(
                "SharedCredit: a learned kernel has a width of its own, this form any; use DenseCredit(), "
                "or Ring()"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name; weights (post, pre), biases (1, unit)."""
        h = self.hidden
        found = dict(self.context.parameters)
        found |= {"unit": (h, 5), "unit_bias": (1, h), "unit_out": (1, h)}
        return found | {"top": (h, 2), "top_bias": (1, h), "top_out": (1, h)}

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training."""
        found = self.context.draw()
        for name, shape in self.shapes().items():
            if name in found:
                continue
            drawn = stream(seed, f"credit {name}").normal(size=shape)
            if name.endswith("_bias"):
                drawn = np.zeros(shape)
            elif name.endswith("_out"):
                drawn = drawn / np.sqrt(self.hidden) * _RESIDUAL
            found[name] = drawn
        return found

    def place(self, shapes: Sequence[Shape], outputs: int, rng: np.random.Generator) -> list[Placed]:
        """Kernels and addresses for hidden populations of these shapes, the lowest first."""
        return [
            Placed(
                diffusion(self.kernel, shape, self.channels, rng, self.signs),
                rng.normal(size=(self.channels, outputs)),
                0,
            )
            for shape in shapes
        ]

    def spread(self, parameters: Parameters, placed: Placed) -> Array:
        """D (…, unit, K) of a population."""
        return placed.diffusion

    def credits(
        self, parameters: Parameters, told: Told, placed: Sequence[Placed], rates: Sequence[Array] = ()
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, and channels of each hidden population."""
        base = self.context.base(parameters, told)
        seen = self.context.seen(told)
        top = self.to_top(parameters, base, seen)
        channels = []
        for p in placed:
            g = self.to_channels(parameters, base, seen, p)
            channels.append(g * (rms(top) / rms(g)))
        return top, channels

    def to_top(self, parameters: Parameters, base: Array, seen: tuple[Array, Array]) -> Array:
        """Credit of the top, from the base and the two signals that the context gives."""
        return base + scale(base) * _small(parameters, "top", list(seen))

    def to_channels(
        self, parameters: Parameters, base: Array, seen: tuple[Array, Array], placed: Placed
    ) -> Array:
        """What the channels of one population hear, before it is normalised: (…, presentation, K)."""
        assert placed.addresses is not None
        alpha = placed.addresses[..., None, :, :]  # (…, 1, channel, output)
        e, y = seen[0][..., None, :], seen[1][..., None, :]
        xp = array_namespace(y)
        told_unit = xp.broadcast_arrays(alpha, e, y, alpha * e, alpha * y)
        of_unit = _small(parameters, "unit", list(told_unit))
        return xp.mean(alpha * base[..., None, :] + scale(base)[..., None, :] * of_unit, axis=-1)


def _small(parameters: Parameters, name: str, inputs: list[Array]) -> Array:
    """A network of one hidden layer, applied to every element: inputs (…, ) each, output (…, )."""
    xp = array_namespace(inputs[0])
    w, bias, out = parameters[name], parameters[f"{name}_bias"], parameters[f"{name}_out"]
    lead = inputs[0].ndim + 1 - w.ndim  # axes between a life's own and the hidden unit's
    w, bias, out = (_spread(p, lead) for p in (w, bias, out))
    h = xp.stack(inputs, axis=-1) @ w.swapaxes(-1, -2)
    return xp.sum(xp.tanh(h + bias) * out, axis=-1)


def _spread(p: Array, lead: int) -> Array:
    """Insert axes after a life's own axis, so that it stays with its life."""
    return p if p.ndim == 2 else p.reshape(p.shape[0], *[1] * lead, *p.shape[1:])


def pooled(placed: Sequence[Placed], rates: Sequence[Array]) -> Array:
    """Mean hidden rate around each channel, |D|ᵀr over |D|ᵀ1, averaged over populations."""
    total: Any = 0.0
    for p, r in zip(placed, rates, strict=True):
        near = abs(p.diffusion)
        total = total + (r @ near) / array_namespace(near).sum(near, axis=-2, keepdims=True)
    return total / len(placed)


def _level(index: int, count: int, levels: int) -> int:
    return index * levels // count


def _for_each_level(network: DenseCredit) -> None:
    """One number of channels and one kernel for each level."""
    given = network.channels
    channels = tuple(given) if isinstance(given, (list, tuple)) else (given,) * network.levels
    several = isinstance(network.kernel, (list, tuple))
    kernels = tuple(network.kernel) if several else (network.kernel,) * network.levels
    for name, found in (("channels", channels), ("kernel", kernels)):
        if len(found) != network.levels:
            raise DeclarationError(
                f"DenseCredit: {name} names {len(found)} levels of {network.levels}; give one for each"
            )
    for k in channels:
        require_count(network, channels=k)
    object.__setattr__(network, "channels", channels)
    object.__setattr__(network, "kernel", tuple(make("kernel", kernel) for kernel in kernels))
