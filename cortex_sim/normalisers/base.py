"""What a normaliser is: a map from a population's drive to a drive n of fixed mean and variance.

    n = gain · (a − mean) / √(variance + eps) + bias,    r = f(n)

The gain belongs to the normaliser, one per unit or per channel, and is learned with the population's credit;
the offset is the population's bias, which then acts after the normaliser rather than before it. Normalisers
differ in what mean and variance are taken over. Credit passes through the full Jacobian J = ∂n/∂a, mean and
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

#: Statistics by which drives are normalised, of the batch itself or of earlier ones.
STATISTICS = ("mean", "variance")
#: Settings that determine how a normaliser learns, not what it does with its state.
_OF_LEARNING = ("gain", "momentum", "reduced")


@runtime_checkable
class Normaliser(Protocol):
    """Homeostasis of a population's drive.

    ``eps`` is added to the variance, ``gain`` is the initial gain. ``running`` says whether mean and variance
    are taken over presentations: then running averages are slow state, which training batches update and by
    which everything else is normalised.
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
    """Initial gain and running statistics of a population's normaliser, (unit,) or (channel,), by name."""
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
