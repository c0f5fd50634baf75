"""Shared credit network: one small network for every channel, with the channel's random address as input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_flag
from cortex_sim.credit.context import ErrorContext, Parameters, TopSignals
from cortex_sim.credit.kernels import Learned, Ring
from cortex_sim.credit.network import RESIDUAL, ChannelSet, Placed, rms, scale
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.registry import make, register

_MANY = 7  # any number except 1, to tell signals per output from single ones


@register("credit_network", "shared")
@dataclass(frozen=True)
class SharedCredit:
    """One small network for every channel: fits any width, depth and number of outputs.

    A channel has an address α_k for each output k, drawn at random with the bottom-up network. It receives
    the mean over outputs of α_k b_k + s ψ(α_k, e_k, y_k, α_k e_k, α_k y_k), with b the base, s its size, e
    and y the context's signals, and one small network ψ for all channels; to output k of the top a second
    small network adds a function of (e_k, y_k). A context may have more or fewer signals; a signal of one
    unit is read at every output.

    Parameters
    ----------
    channels : int, default 16
        Number K of channels of each hidden population.
    hidden : int, default 8
        Hidden units of each of the two small networks.
    context, kernel, signs, gated
        As for `DenseCredit`.
    """

    channels: int = 16
    hidden: int = 8
    context: Any = field(default_factory=ErrorContext)
    kernel: Any = field(default_factory=Ring)
    signs: bool = False
    gated: bool = True
    outputs: ClassVar[int | None] = None
    addressed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, channels=self.channels, hidden=self.hidden)
        require_flag(self, signs=self.signs, gated=self.gated)
        object.__setattr__(self, "context", make("context", self.context))
        object.__setattr__(self, "kernel", make("kernel", self.kernel))
        signals = self.context.signals(_MANY)
        if set(signals.values()) - {1, _MANY}:
            raise DeclarationError(
                f"SharedCredit: {type(self.context).__name__} has signals of {signals} units for {_MANY} "
                "outputs; each must have one per output, or one in total; DenseCredit() accepts any number"
            )
        if isinstance(self.kernel, Learned):
            raise DeclarationError(
                "SharedCredit: a learned kernel fits only one width, but this form must fit any; use "
                "DenseCredit(), or Ring()"
            )

    @property
    def sets(self) -> tuple[ChannelSet, ...]:
        """One set, for all hidden populations."""
        return (ChannelSet(self.channels, self.kernel, self.signs),)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name; weights (post, pre), biases (1, unit)."""
        h, count = self.hidden, len(self.context.signals(_MANY))
        found = dict(self.context.parameters)
        found |= {"unit": (h, 1 + 2 * count), "unit_bias": (1, h), "unit_out": (1, h)}
        return found | {"top": (h, count), "top_bias": (1, h), "top_out": (1, h)}

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
                drawn = drawn / np.sqrt(self.hidden) * RESIDUAL
            found[name] = drawn
        return found

    def credits(
        self,
        parameters: Parameters,
        received: TopSignals,
        placed: Sequence[Placed],
        rates: Sequence[Array] = (),
    ) -> tuple[Array, list[Array]]:
        """Credit of the top, and channels of each hidden population."""
        base = self.context.base(parameters, received)
        seen = self.context.seen(received)
        top = self.to_top(parameters, base, seen)
        channels = []
        for p in placed:
            g = self.to_channels(parameters, base, seen, p)
            channels.append(g * (rms(top) / rms(g)))
        return top, channels

    def to_top(self, parameters: Parameters, base: Array, seen: Mapping[str, Array]) -> Array:
        """Credit of the top, from the base and the context's signals."""
        _, *signals = array_namespace(base).broadcast_arrays(base, *seen.values())
        return base + scale(base) * _small(parameters, "top", signals)

    def to_channels(
        self, parameters: Parameters, base: Array, seen: Mapping[str, Array], placed: Placed
    ) -> Array:
        """Channels of one population before normalisation, (…, presentation, K)."""
        assert placed.addresses is not None
        alpha = placed.addresses[..., None, :, :]  # (…, 1, channel, output)
        signals = [signal[..., None, :] for signal in seen.values()]
        xp = array_namespace(base)
        unit_inputs = xp.broadcast_arrays(alpha, *signals, *(alpha * signal for signal in signals))
        of_unit = _small(parameters, "unit", list(unit_inputs))
        return xp.mean(alpha * base[..., None, :] + scale(base)[..., None, :] * of_unit, axis=-1)


def _small(parameters: Parameters, name: str, inputs: list[Array]) -> Array:
    """A network with one hidden layer, applied elementwise: each input (…,), output (…,)."""
    xp = array_namespace(inputs[0])
    w, bias, out = parameters[name], parameters[f"{name}_bias"], parameters[f"{name}_out"]
    lead = inputs[0].ndim + 1 - w.ndim  # axes between that of inner runs and that of hidden units
    w, bias, out = (_spread(p, lead) for p in (w, bias, out))
    h = xp.stack(inputs, axis=-1) @ w.swapaxes(-1, -2)
    return xp.sum(xp.tanh(h + bias) * out, axis=-1)


def _spread(p: Array, lead: int) -> Array:
    """Insert axes after the axis of inner runs, so that each run keeps its own parameters."""
    return p if p.ndim == 2 else p.reshape(p.shape[0], *[1] * lead, *p.shape[1:])
