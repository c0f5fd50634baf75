"""The step of an inner run: turns a rule's changes into weight updates; holds rates and schedule.

    ΔW = η₁ · 30 U / e  +  η₂ · √(196/inputs) · m̂ / √v̂

U is the rule's change, e a running mean of the presynaptic energy ‖r_pre‖² + 1 (which makes the step
independent of a network's width and inputs), m̂ and v̂ are Adam's running means of U and U² (Kingma & Ba
2015, arXiv 1412.6980, with their bias correction). An inner run of length T has, after t steps,

    η = exp(rate + slope · log(T/100)) · ½(1 + cos πt/T)^fall,

with one pair of rates for hidden populations and one for the top. Rates, slopes and falls are outer
parameters of every rule, backpropagation included. The meta-gradient needs Adam's steps to be differentiable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from cortex_sim.checks import require_positive
from cortex_sim.registry import register
from cortex_sim.tdca.inner.moving import Moved

_ENERGY, _FIRST, _SECOND = 0.9, 0.9, 0.99  # decay of the running means
_FLOOR = 1e-12  # added to v̂ under Adam's root, whose slope at zero stays finite
_STEEP = math.log(math.e - 1)  # its softplus is 1

State = dict[str, list[Tensor]]


@dataclass(frozen=True)
class Local:
    """One layer in a step: its weights (run, post, input), u (run, place, post) and presynaptic rates.

    These are ``seen`` (run, place, input), as the synapses read them. Places are those of all
    ``presentations``; a dense projection has one place per presentation.
    """

    weight: Tensor
    bias: Tensor
    u: Tensor
    seen: Tensor
    presentations: int

    def changes(self) -> tuple[Tensor, Tensor]:
        """The rule's changes U of weights and biases: means over presentations."""
        change = torch.bmm(self.u.transpose(1, 2), self.seen) / self.presentations
        return change, self.u.sum(1, keepdim=True) / self.presentations

    @property
    def inputs(self) -> int:
        """Inputs of one place."""
        return self.seen.shape[-1]

    @property
    def energy(self) -> Tensor:
        """Presynaptic energy ‖r_pre‖², mean over places, (run,)."""
        return self.seen.square().sum(-1).mean(-1)


class Change(Protocol):
    """What a step needs to know of a layer: `Local`, or the measurements of another optimiser."""

    @property
    def weight(self) -> Tensor:
        """As in `Local`."""

    @property
    def bias(self) -> Tensor:
        """As in `Local`."""

    @property
    def inputs(self) -> int:
        """As in `Local`."""

    @property
    def energy(self) -> Tensor:
        """As in `Local`."""

    def changes(self) -> tuple[Tensor, Tensor]:
        """As in `Local`."""


class Step(Protocol):
    """Turns a rule's changes into new weights."""

    names: ClassVar[tuple[str, ...]]

    def draw(self) -> dict[str, np.ndarray]:
        """Its outer parameters before training."""

    def state(self, weights: list[Tensor], biases: list[Tensor]) -> State:
        """Initial running means, all zero, each (run, …)."""

    def take(
        self, eta: Tensor, done: Tensor, local: Local, means: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """New weight, bias and running means of one layer."""


def rates(parameters: dict[str, Tensor], done: Tensor, horizon: Tensor) -> Tensor:
    """Learning rates η (run, role, part), of inner runs that have taken ``done`` of ``horizon`` steps."""
    rate, fall = parameters["step_rate"], parameters["step_fall"]  # (…, role, part, 2), (…, role, part)
    length = torch.log(horizon / 100)[:, None, None]
    left = (0.5 * (1 + torch.cos(math.pi * done / horizon))).clamp_min(1e-6)[:, None, None]
    power = torch.nn.functional.softplus(fall + _STEEP)
    return torch.exp(rate[..., 0] + rate[..., 1] * length) * left**power


@register("step", "mixed")
@dataclass(frozen=True)
class Mixed:
    """Both parts of the step: the normalised and Adam's.

    Parameters
    ----------
    normalised, adam : float
        η₁ and η₂ before training.
    """

    normalised: float = 0.3
    adam: float = 0.003
    names: ClassVar[tuple[str, ...]] = ("energy", "m", "v", "bias_m", "bias_v")

    def draw(self) -> dict[str, np.ndarray]:
        """Log rates and slopes (role, part, 2) and falls (role, part)."""
        both = [[math.log(self.normalised), -0.1], [math.log(self.adam), -0.3]]
        return {"step_rate": np.array([both, both]), "step_fall": np.zeros((2, 2))}

    def state(self, weights: list[Tensor], biases: list[Tensor]) -> State:
        """Running means at the start."""
        return {"energy": [w.new_zeros(len(w), 1, 1) for w in weights], **_still(weights, biases)}

    def take(
        self, eta: Tensor, done: Tensor, local: Change, means: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """New weight, bias and running means of one layer."""
        after = (done + 1)[:, None, None]
        now = local.energy[:, None, None] + 1.0
        energy = _ENERGY * means["energy"] + (1 - _ENERGY) * now
        eta_1 = eta[:, 0, None, None] * 30 * (1 - _ENERGY**after) / energy
        weight, bias, kept = _moved(eta_1, eta[:, 1, None, None], after, local, means)
        return weight, bias, {"energy": energy, **kept}


@register("step", "adam")
@dataclass(frozen=True)
class Adam:
    """Adam's part alone, as deep networks are usually trained.

    Parameters
    ----------
    adam : float
        η₂ before training.
    hidden : float, default 1.0
        Factor of η₂ for hidden populations before training; positive.
    """

    adam: float = 0.01
    hidden: float = 1.0
    names: ClassVar[tuple[str, ...]] = ("m", "v", "bias_m", "bias_v")

    def __post_init__(self) -> None:
        require_positive(self, adam=self.adam, hidden=self.hidden)

    def draw(self) -> dict[str, np.ndarray]:
        """Log rates and slopes (role, 1, 2) and falls (role, 1)."""
        each = [[[math.log(rate), -0.3]] for rate in (self.hidden * self.adam, self.adam)]
        return {"step_rate": np.array(each), "step_fall": np.zeros((2, 1))}

    def state(self, weights: list[Tensor], biases: list[Tensor]) -> State:
        """Running means at the start."""
        return _still(weights, biases)

    def take(
        self, eta: Tensor, done: Tensor, local: Change, means: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """New weight, bias and running means of one layer."""
        eta_2 = eta[:, 0, None, None]
        return _moved(torch.zeros_like(eta_2), eta_2, (done + 1)[:, None, None], local, means)


def _still(weights: list[Tensor], biases: list[Tensor]) -> State:
    """Adam's means of every weight and bias at the start."""
    zeros = {"m": weights, "v": weights, "bias_m": biases, "bias_v": biases}
    return {name: [torch.zeros_like(t) for t in like] for name, like in zeros.items()}


def _moved(
    eta_1: Tensor, eta_2: Tensor, after: Tensor, local: Change, means: dict[str, Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """New weights after η₁ U + η₂ √(196/inputs) m̂/√(v̂ + floor); m̂'s bias correction enters the root."""
    eta_2 = eta_2 * math.sqrt(196 / local.inputs)
    factor = (1 - _FIRST**after).square()
    k, q = _FLOOR * factor, factor / (1 - _SECOND**after)
    rest = eta_1, eta_2, k, q, _FIRST, _SECOND
    change, bias_change = local.changes()
    weight, m, v = Moved.apply(local.weight, change, means["m"], means["v"], *rest)
    bias, bias_m, bias_v = Moved.apply(local.bias, bias_change, means["bias_m"], means["bias_v"], *rest)
    return weight, bias, {"m": m, "v": v, "bias_m": bias_m, "bias_v": bias_v}


@register("step", "plain")
@dataclass(frozen=True)
class Plain:
    """ΔW = η U, without running means: the plain step, for limiting cases and benchmarks.

    Parameters
    ----------
    rate : float
        η before training.
    """

    rate: float = 0.01
    names: ClassVar[tuple[str, ...]] = ()

    def draw(self) -> dict[str, np.ndarray]:
        """Log rates and slopes (role, 1, 2) and falls (role, 1)."""
        both = [[math.log(self.rate), 0.0]]
        return {"step_rate": np.array([both, both]), "step_fall": np.zeros((2, 1))}

    def state(self, weights: list[Tensor], biases: list[Tensor]) -> State:
        """Nothing."""
        return {}

    def take(
        self, eta: Tensor, done: Tensor, local: Local, means: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """New weight and bias of one layer."""
        scaled = local.u * (eta[:, 0, None, None] / local.presentations)
        moved = local.bias + scaled.sum(1, keepdim=True)
        if not torch.is_grad_enabled():  # the old weights are not needed again: change them in place
            return local.weight.baddbmm_(scaled.transpose(1, 2), local.seen), moved, {}
        return torch.baddbmm(local.weight, scaled.transpose(1, 2), local.seen), moved, {}
