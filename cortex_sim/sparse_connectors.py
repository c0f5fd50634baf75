"""Connectors with only some of the synapses: by chance, by number, or by distance between two sheets.

Which synapses exist is part of the declaration, like the number of units: it follows from the connector
(including its ``seed``) and the projection's name, not from the seed with which weights are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.checks import require_count, require_flag, require_positive
from cortex_sim.connectors import Matrix, Shape, as_initialiser, check_sheets, size
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import He, stream
from cortex_sim.registry import register


@register("connector", "sparse")
@dataclass(frozen=True)
class Sparse(Matrix):
    """Each synapse exists with a probability, or each post unit has a fixed number of them.

    Parameters
    ----------
    probability : float, optional
        Probability that a synapse exists, independently of the others; above 0, at most 1.
    in_degree : int, optional
        Number of synapses of each post unit, from pre units drawn without replacement. Give this or
        ``probability``.
    init : str, array or Initialiser, default He()
        As for `Dense`; the spread depends on the number of synapses, not of pre units.
    seed : int, default 0
        Seed with which the existing synapses are drawn.
    """

    probability: float | None = None
    in_degree: int | None = None
    init: Any = He()
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", as_initialiser(self.init, self))
        require_count(self, minimum=0, seed=self.seed)
        if (self.probability is None) == (self.in_degree is None):
            raise DeclarationError("Sparse: give either probability, such as 0.1, or in_degree, such as 20")
        if self.probability is not None:
            require_positive(self, probability=self.probability)
            if self.probability > 1:
                raise DeclarationError(f"Sparse: probability must be at most 1. Got {self.probability}")
        if self.in_degree is not None:
            require_count(self, in_degree=self.in_degree)

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` if there are fewer pre units than ``in_degree``."""
        if self.in_degree is not None and self.in_degree > size(pre):
            raise DeclarationError(
                f"projection {name}: Sparse has in_degree={self.in_degree}, but "
                f"{name.partition('->')[0]} has {size(pre)} units; give at most {size(pre)}"
            )
        super().check(name, pre, post)

    def wiring(self, name: str, pre: Shape, post: Shape) -> np.ndarray:
        """Which synapses exist, bool (post, pre)."""
        chance = stream(self.seed, f"wiring {name}").random((size(post), size(pre)))
        if self.probability is not None:
            return chance < self.probability
        nearest = np.argsort(chance, axis=1, kind="stable")[:, : self.in_degree]
        exists = np.zeros(chance.shape, dtype=bool)
        np.put_along_axis(exists, nearest, True, axis=1)
        return exists


@register("connector", "arbor")
@dataclass(frozen=True)
class Arbor(Matrix):
    """Synapses between units at nearby positions on two sheets; weights (post, pre).

    Populations have shape (channel, row, column). Both sheets cover the same area, and a post unit's arbor
    is centred on its own position; distances are in units of the pre sheet. Channels share positions.

    Parameters
    ----------
    radius : float, optional
        Largest distance of a synapse, in pre units.
    width : float, optional
        σ in pre units: a synapse at distance d exists with probability exp(−d²/2σ²). Give ``radius``,
        ``width`` or both.
    init : str, array or Initialiser, default He()
        As for `Dense`; the spread depends on the number of synapses.
    wrap : bool, default False
        Whether opposite edges of the sheets meet, so that no arbor is cut off.
    seed : int, default 0
        Seed with which the existing synapses are drawn, if there is a ``width``.

    References
    ----------
    Miller, Keller & Stryker (1989), doi:10.1126/science.2762813: arbors of geniculate afferents.
    """

    radius: float | None = None
    width: float | None = None
    init: Any = He()
    wrap: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", as_initialiser(self.init, self))
        require_count(self, minimum=0, seed=self.seed)
        require_flag(self, wrap=self.wrap)
        if self.radius is None and self.width is None:
            raise DeclarationError("Arbor: give radius=3, width=2 (Gaussian), or both")
        for setting, value in (("radius", self.radius), ("width", self.width)):
            if value is not None:
                require_positive(self, **{setting: value})

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless both populations have shape (channel, row, column)."""
        check_sheets(name, "an arbor", pre, post, "Sparse(probability=0.1)")
        super().check(name, pre, post)

    def wiring(self, name: str, pre: Shape, post: Shape) -> np.ndarray:
        """Which synapses exist, bool (post, pre)."""
        distance = self.distances(pre, post)
        exists = np.ones(distance.shape, dtype=bool)
        if self.radius is not None:
            exists &= distance <= self.radius * (1 + 1e-12)
        if self.width is not None:
            chance = stream(self.seed, f"wiring {name}").random(distance.shape)
            exists &= chance < np.exp(-0.5 * (distance / self.width) ** 2)
        return exists

    def distances(self, pre: Shape, post: Shape) -> np.ndarray:
        """Distance between every post and every pre unit, in pre units, (post, pre)."""
        squared: Any = 0.0
        for axis in (1, 2):
            there = np.indices(pre)[axis].ravel() + 0.5
            here = (np.indices(post)[axis].ravel() + 0.5) * pre[axis] / post[axis]
            apart = np.abs(here[:, None] - there[None, :])
            squared = squared + (np.minimum(apart, pre[axis] - apart) if self.wrap else apart) ** 2
        return np.asarray(np.sqrt(squared))
