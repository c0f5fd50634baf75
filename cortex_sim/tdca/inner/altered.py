"""Controls: rules whose hidden credits are disrupted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.checks import require_known
from cortex_sim.registry import make, register
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.rules import Fixed, Moment, TopDownCredit


@register("inner_rule", "altered")
@dataclass(frozen=True)
class Altered:
    """A rule whose hidden credits are disrupted, as a control; its parameters stay as they were trained.

    Parameters
    ----------
    rule : InnerRule or str
        The rule.
    how : {"units", "presentations", "noise", "silent"}
        Hidden credits are shuffled over units; shuffled over the presentations of the batch, so that they
        belong to other labels; replaced by white noise of equal norm; or set to 0 (readout only).
    """

    rule: Any = field(default_factory=TopDownCredit)
    how: str = "units"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", make("inner_rule", self.rule))
        require_known("alteration of credits", self.how, _ALTERED)

    @property
    def gated(self) -> bool:
        """As in the rule."""
        return self.rule.gated

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """As in the rule."""
        return self.rule.draw(seed)

    def fixed(self, body: Architecture, rng: np.random.Generator) -> list[np.ndarray]:
        """As in the rule."""
        return self.rule.fixed(body, rng)

    def credits(
        self, body: Architecture, parameters: dict[str, Tensor], fixed: Fixed, moment: Moment
    ) -> list[Tensor]:
        """Disrupted credit of hidden populations; at the top, the rule's credit."""
        *below, top = self.rule.credits(body, parameters, fixed, moment)
        generator = torch.Generator().manual_seed(moment.number)  # different at every step
        return [*(_ALTERED[self.how](c, generator) for c in below), top]


def _units(c: Tensor, generator: torch.Generator) -> Tensor:
    return c[:, :, torch.randperm(c.shape[2], generator=generator)]


def _presentations(c: Tensor, generator: torch.Generator) -> Tensor:
    return c[:, torch.randperm(c.shape[1], generator=generator)]


def _noise(c: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(c.shape, generator=generator, dtype=c.dtype)
    return noise * (c.norm(dim=2, keepdim=True) / noise.norm(dim=2, keepdim=True))


def _silent(c: Tensor, generator: torch.Generator) -> Tensor:
    return torch.zeros_like(c)


_ALTERED: dict[str, Any] = {
    "units": _units,
    "presentations": _presentations,
    "noise": _noise,
    "silent": _silent,
}
