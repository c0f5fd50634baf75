"""What a normaliser is: from a population's drive to a drive of fixed mean and size.

    n = gain · (a − mean) / √(variance + eps) + bias,    r = f(n)

The gain is the normaliser's own, one per unit or per channel, and learned with the population's credit; the
offset is the population's bias, which then acts behind the normaliser and not before it. Normalisers differ
in what mean and variance are taken over. Credit passes through by the full Jacobian J = ∂n/∂a, mean and
variance included: what synapses learn from, and what is sent down, is u = Jᵀ(c ∘ f′(n)).
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from cortex_sim.arrays import Array

if TYPE_CHECKING:
    from cortex_sim.population import Population

Shape = tuple[int, ...]

#: What a batch meets while a network learns: mean and variance of the drives at hand, or of others before.
STATISTICS = ("mean", "variance")
#: Settings that say how a normaliser learns, and not what it does with its state.
_OF_LEARNING = ("gain", "momentum", "reduced")


@runtime_checkable
class Normaliser(Protocol):
    """Homeostasis of a population's drive.

    ``eps`` is added to the variance, ``gain`` is what the gain begins with. ``running`` says whether mean and
    variance are taken over presentations: then running ones are slow state, which batches that are learned
    from move, and with which everything else is normalised.
    """

    eps: float
    gain: float
    running: ClassVar[bool]

    def check(self, name: str, shape: Shape) -> None:
        """Refuse a population ``name`` of a shape that cannot be normalised."""

    def moments(self, a: Array) -> tuple[Array, Array]:
        """Mean and variance of drives (presentation, *shape), in shapes that broadcast against them."""


def normalised(normaliser: Normaliser, a: Array, moments: tuple[Array, Array], gain: Array) -> Array:
    """Normalised drive without its offset, from drives (presentation, *shape) and what broadcasts to them."""
    mean, variance = moments
    normal: Array = gain * (a - mean) / (variance + normaliser.eps) ** 0.5
    return normal


def first_values(population: Population) -> dict[str, np.ndarray]:
    """What a population's normaliser begins with, (unit,) or (channel,), by name."""
    normaliser = population.normaliser
    assert normaliser is not None
    first = {"gain": float(normaliser.gain), **({"mean": 0.0, "variance": 1.0} if normaliser.running else {})}
    return {name: np.full(population.bias_shape, value) for name, value in first.items()}


def same_map(one: Normaliser | None, other: Normaliser | None) -> bool:
    """Whether two normalisers do the same with the same state, however they learn."""
    return _map_of(one) == _map_of(other)


def _map_of(normaliser: Any) -> tuple[type, dict[str, Any]]:
    if normaliser is None:
        return type(None), {}
    names = [f.name for f in fields(normaliser) if f.name not in _OF_LEARNING]
    return type(normaliser), {name: getattr(normaliser, name) for name in names}
