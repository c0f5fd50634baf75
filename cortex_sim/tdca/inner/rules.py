"""Credit in an inner run: from the credit network, from fixed feedback, by backpropagation.

Every rule gives the credit c of each hidden population and of the top, (run, presentation, unit); the local
step that follows is the same for all, u = c ∘ f′(a).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from cortex_sim.checks import require_count
from cortex_sim.credit import DenseCredit, Placed, TopSignals, place, spread
from cortex_sim.credit.network import level_of
from cortex_sim.operators import units
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture, gated


@dataclass(frozen=True)
class Moment:
    """A batch, and the state of the network that a rule may read.

    Attributes
    ----------
    weights : list of Tensor
        By layer.
    drives : dict of str to Tensor
        By population.
    rates : list of Tensor
        By layer, the stimulus first.
    goal, error : Tensor
        Targets, and the credit −∂E/∂r of the top.
    number : int
        Number of the inner step.
    transfers : mapping of str to callable
        Activations by population.
    time : Tensor of shape (run,), optional
        Fraction of each inner run that has passed.
    """

    weights: list[Tensor]
    drives: dict[str, Tensor]
    rates: list[Tensor]
    goal: Tensor
    error: Tensor
    number: int
    transfers: Mapping[str, Any]
    time: Tensor | None = None


Fixed = list[Tensor]  # what a rule draws for each inner run at the start, each (run, …)


class InnerRule(Protocol):
    """Credit in many inner runs at once."""

    @property
    def gated(self) -> bool:
        """Whether credit is multiplied by f′."""

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Its outer parameters before training, by name; {} where it has none."""

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """What one inner run draws at its start: feedback weights, kernels or addresses."""

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population, the lowest first, each (run, presentation, unit)."""


@register("inner_rule", "tdca")
@dataclass(frozen=True)
class TopDownCredit:
    """c_l = D_l g_l, from a credit network (``cortex_sim.credit.network``).

    Parameters
    ----------
    credit_network : CreditNetwork or str
    """

    credit_network: Any = field(default_factory=DenseCredit)

    def __post_init__(self) -> None:
        object.__setattr__(self, "credit_network", make("credit_network", self.credit_network))

    @property
    def gated(self) -> bool:
        """Whether credit is multiplied by f′."""
        return self.credit_network.gated

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """The credit network's parameters before training."""
        return self.credit_network.draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """Kernels of all hidden populations, then their addresses if the credit network has any."""
        placed = place(self.credit_network, body.hidden, body.outputs, rng)
        addresses = [p.addresses for p in placed if p.addresses is not None]
        return [p.diffusion for p in placed] + addresses

    def _placed(self, body: Architecture, fixed: Fixed) -> list[Placed]:
        count, sets = len(body.hidden), len(self.credit_network.sets)
        addresses: Sequence[Tensor | None] = fixed[count:] or [None] * count
        return [Placed(fixed[i], addresses[i], level_of(i, count, sets)) for i in range(count)]

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        received = TopSignals(moment.rates[-1], moment.goal, moment.error)
        placed = self._placed(body, fixed)
        rates = moment.rates[1:-1]
        top, channels = self.credit_network.credits(parameters, received, placed, rates)
        kernels = [spread(parameters, p) for p in placed]
        below = [torch.bmm(g, d.transpose(1, 2)) for g, d in zip(channels, kernels, strict=True)]
        return [*below, top]


class _Fixed:
    """A rule without outer parameters: c_l = B_l c_L."""

    gated: ClassVar[bool] = True

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Nothing: only learning rates and schedule are trained."""
        return {}

    def _matrix(self, rng: np.random.Generator, units: int, outputs: int) -> np.ndarray:
        raise AssertionError  # each rule has its own

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """B (unit, output) of every hidden population."""
        return [self._matrix(rng, units(shape), body.outputs) for shape in body.hidden]

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        return [*(torch.bmm(moment.error, b.transpose(1, 2)) for b in fixed), moment.error]


@register("inner_rule", "direct_feedback_alignment")
@dataclass(frozen=True)
class Direct(_Fixed):
    """Direct feedback alignment: B normal, variance 1/outputs (Nøkland 2016, arXiv 1609.01596)."""

    def _matrix(self, rng: np.random.Generator, units: int, outputs: int) -> np.ndarray:
        return rng.normal(size=(units, outputs)) / np.sqrt(outputs)


@register("inner_rule", "error_diffusion")
@dataclass(frozen=True)
class ErrorDiffusion(_Fixed):
    """Unit i receives error i mod C, and no other (arXiv 2606.31700).

    Parameters
    ----------
    signs : bool, default False
        Whether each unit multiplies it by its own random sign, as of a receptor.
    """

    signs: bool = False

    def _matrix(self, rng: np.random.Generator, units: int, outputs: int) -> np.ndarray:
        b = np.eye(outputs)[np.arange(units) % outputs]
        return b * rng.choice([-1.0, 1.0], size=(units, 1)) if self.signs else b


@register("inner_rule", "low_rank_feedback")
@dataclass(frozen=True)
class LowRank(_Fixed):
    """B = P Q of rank r, both normal; entries of B have direct feedback alignment's variance.

    Parameters
    ----------
    rank : int, default 4
    """

    rank: int = 4

    def __post_init__(self) -> None:
        require_count(self, rank=self.rank)

    def _matrix(self, rng: np.random.Generator, units: int, outputs: int) -> np.ndarray:
        p, q = rng.normal(size=(units, self.rank)), rng.normal(size=(self.rank, outputs))
        return p @ q / np.sqrt(self.rank * outputs)


@register("inner_rule", "readout_only")
@dataclass(frozen=True)
class ReadoutOnly(_Fixed):
    """No credit below the top: hidden weights keep their initial values."""

    def _matrix(self, rng: np.random.Generator, units: int, outputs: int) -> np.ndarray:
        return np.zeros((units, outputs))


@register("inner_rule", "backprop")
@dataclass(frozen=True)
class Backprop:
    """c = Wᵀ u, patch by patch where the layer above is a convolution."""

    gated: ClassVar[bool] = True

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Nothing: only learning rates and schedule are trained."""
        return {}

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """Nothing is drawn."""
        return []

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Credit of every layer's population."""
        return chained(body, moment, moment.weights[1:])


def chained(body: Architecture, moment: Moment, down: Sequence[Tensor]) -> list[Tensor]:
    """Credit c = B u of each layer from that above; ``down`` holds B of layers above the lowest, as W."""
    credits = [moment.error]
    for above in range(len(body.layers) - 1, 0, -1):
        step = body.layers[above].step
        u = gated(moment.transfers[step.name], credits[0], moment.drives[step.name])
        credits.insert(0, body.down(u, above, down[above - 1], moment.drives, moment.transfers))
    return credits
