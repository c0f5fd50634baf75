"""First order: one small network, shared by all coordinates, turns gradients into the credit of every unit.

The point is a population of n linear units; the credit that each receives is the change of its bias,

    Δx = η_t (−â exp(o₂) + 3 o₁) + ν_t ξ,   â = m̂ / √v̂,   η_t = η₀ 10^(−a t),   ν_t = ν₀ 10^(−b t),

with the running means m̂ and v̂ of the gradient and of its square (Kingma and Ba 2015), t from 0 to 1, white
noise ξ and o = network(inputs of the unit). With o = 0 and ν = 0 it is Adam. Several points run side by side
and exchange their best positions. The design is ours: the paper's could not be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count, require_finite, require_known, require_positive
from cortex_sim.registry import register
from cortex_sim.tdca.functions.network import SmallNetwork
from cortex_sim.tdca.functions.tasks import Tasks
from cortex_sim.tdca.inner.layout import Layout

INPUTS = (
    "scaled gradient", "gradient", "slow mean of the gradient", "best minus point", "own best minus point",
    "mean of points minus point", "time left", "value relative to the best", "last change", "noise",
    "size of the gradient",
)  # fmt: skip
_TINY = 1e-12
_REACH = 3.0  # factor of o₁, in units of η_t
_FAR = 3.0  # distance, in units of η_t, at which a distance's input is half of its largest value


@register("function_rule", "first_order")
@dataclass(frozen=True)
class FirstOrder:
    """Sizes of the network, number of points, and rates before training.

    Parameters
    ----------
    hidden : int, default 12
        Hidden units.
    points : int, default 4
        Points that run side by side; each costs one evaluation of value and gradient per step.
    rate, fall : float
        η₀ and a before training: Adam's best on the trained families.
    noise : float
        ν₀ before training, as a fraction of η₀.
    """

    controls: ClassVar[Mapping[str, str]] = {
        "silent": "the network's outputs are 0",
        "units": "each unit receives the credit of another",
        "apart": "points do not exchange their best and mean",
        "quiet": "no noise",
    }

    hidden: int = 12
    points: int = 4
    rate: float = 0.2
    fall: float = 1.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        require_count(self, hidden=self.hidden, points=self.points)
        require_positive(self, rate=self.rate, noise=self.noise)
        require_finite(self, fall=self.fall)

    @property
    def network(self) -> SmallNetwork:
        """The network, whose parameters are part of φ."""
        return SmallNetwork(len(INPUTS), self.hidden)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {
            **self.network.shapes(),
            "log_rate": (self.points,),
            "fall": (1,),
            "log_noise": (1,),
            "noise_fall": (1,),
            "memories": (3,),
        }

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: outputs 0, so that all is Adam with a little noise."""
        found = {name: np.zeros(shape) for name, shape in self.shapes().items()} | self.network.draw(seed)
        found["log_rate"] += math.log(self.rate)
        found["fall"] += self.fall
        found["log_noise"] += math.log(self.noise)
        found["noise_fall"] += self.fall + 1
        found["memories"] += np.log(np.array([9.0, 99.0, 49.0]))  # logits of .9, .99, .98
        return found

    def cost(self) -> int:
        """Evaluations in one step of `run`."""
        return self.points

    @property
    def layout(self) -> Layout:
        """Positions of the parameters in φ."""
        return Layout(self.shapes())

    def run(
        self, phi: Tensor, tasks: Tasks, evaluations: int, generator: Generator, control: str | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield values above the minimum (member, task, point), and x (member, task, point, n), at each step.

        Parameters
        ----------
        phi : tensor of shape (member, parameter)
        tasks : Tasks
        evaluations : int
            Evaluations of value and gradient in every task.
        generator : Generator
            Draws starting points and noise: the same for every member.
        control : str, optional
            One of ``controls``.
        """
        if control is not None:
            require_known("control", control, self.controls)
        named, total = self.layout.split(phi), max(1, evaluations // self.points)
        points = _Points(self, named, tasks, generator, control)
        for step in range(total):
            yield points.measure(), points.x
            points.move(step / total)


class _Points:
    """All points of all members and tasks, (member, task, point, n)."""

    def __init__(
        self,
        form: FirstOrder,
        named: dict[str, Tensor],
        tasks: Tasks,
        generator: Generator,
        control: str | None,
    ) -> None:
        self.form, self.tasks, self.generator, self.control = form, tasks, generator, control
        self.named = named
        dtype, members = named["hidden"].dtype, len(named["hidden"])
        self.one = (tasks.count, form.points, tasks.n)
        start = 2 * torch.rand(self.one, generator=generator, dtype=dtype) - 1
        self.x = start.expand(members, *self.one).clone()
        self.log_rate = named["log_rate"][:, None, :, None]
        self.fall, self.log_noise, self.noise_fall = (
            named[name].reshape(members, 1, 1, 1) for name in ("fall", "log_noise", "noise_fall")
        )
        self.keep = [k.reshape(members, 1, 1, 1) for k in torch.sigmoid(named["memories"]).unbind(1)]
        self.left = [torch.ones_like(k) for k in self.keep]  # weight of the initial 0 in each mean
        self.means = [torch.zeros_like(self.x) for _ in range(3)]  # of g, of g², and a slow one of g
        self.change = torch.zeros_like(self.x)
        self.own = self.x.clone()
        self.own_value = torch.full(self.x.shape[:3], torch.inf, dtype=dtype)
        self.spread = torch.zeros(members, tasks.count, 1, dtype=dtype)
        self.first: Tensor | None = None

    def measure(self) -> Tensor:
        """Values above the minimum; keeps the gradient and the best points."""
        above, slope = self.tasks.measure(self.x.transpose(0, 1))
        above, self.slope = above.transpose(0, 1), slope.transpose(0, 1)
        self.value = above + self.tasks.lowest[:, None]  # what points may read: f, without knowing f*
        better = self.value < self.own_value
        self.own_value = torch.where(better, self.value, self.own_value)
        self.own = torch.where(better[..., None], self.x, self.own)
        return above

    def move(self, time: float) -> None:
        """Change every unit's bias by its credit."""
        g = self.slope
        seen = (g, g * g, g)
        self.means = [
            torch.lerp(new, old, keep) for new, old, keep in zip(seen, self.means, self.keep, strict=True)
        ]
        self.left = [left * keep for left, keep in zip(self.left, self.keep, strict=True)]
        mean, power, slow = (old / (1 - left) for old, left in zip(self.means, self.left, strict=True))
        size = power.sqrt() + _TINY
        scaled, slow = mean / size, slow / size
        rate = torch.exp(self.log_rate - math.log(10) * self.fall * time)
        noise = torch.randn(self.one, generator=self.generator, dtype=g.dtype).expand_as(g)
        o1, o2 = self._network(self._inputs(scaled, slow, rate, noise, time))
        credit = rate * (_REACH * o1 - scaled * torch.exp(o2))
        if self.control == "units":
            credit = credit.roll(1, -1)
        if self.control != "quiet":
            at = self.log_noise + self.log_rate.mean(2, keepdim=True) - math.log(10) * self.noise_fall * time
            credit = credit + torch.exp(at) * noise
        self.change = credit / rate
        self.x = self.x + credit

    def _inputs(self, scaled: Tensor, slow: Tensor, rate: Tensor, noise: Tensor, time: float) -> Tensor:
        """Inputs of every unit, (member, input, task · point · unit)."""
        rms = self.slope.square().mean(-1, keepdim=True).sqrt() + _TINY
        if self.first is None:
            self.first = rms
        if self.control == "apart":
            leader, centre = self.own, self.x
            above = shared = self.value - self.own_value
        else:
            leader, centre = self._leader(), self.x.mean(2, keepdim=True)
            above = self.value - self.own_value.amin(2, keepdim=True)
            shared = above.mean(2, keepdim=True)
        self.spread = torch.maximum(0.9 * self.spread, shared)
        level = above / (above + self.spread + _TINY)
        inputs = (
            scaled,
            self.slope / rms,
            slow,
            *(_near(to - self.x, rate) for to in (leader, self.own, centre)),
            torch.full_like(scaled, 1 - 2 * time),
            level[..., None].expand_as(scaled),
            self.change.clamp(-5, 5) / 2,
            noise,
            (torch.log(rms / self.first) / 4).clamp(-3, 3).expand_as(scaled),
        )
        return torch.stack([i.expand_as(scaled) for i in inputs], 1).flatten(2)

    def _leader(self) -> Tensor:
        """The best position of all points of a task, (member, task, 1, n)."""
        index = self.own_value.argmin(2)[..., None, None].expand(-1, -1, 1, self.tasks.n)
        return self.own.gather(2, index)

    def _network(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        if self.control == "silent":
            nothing = torch.zeros((), dtype=inputs.dtype)
            return nothing, nothing
        o1, o2 = self.form.network.outputs(self.named, inputs)
        shape = self.x.shape
        return o1.reshape(shape), o2.clamp(-5, 2).reshape(shape)


def _near(distance: Tensor, rate: Tensor) -> Tensor:
    """A distance in units of η_t, bounded."""
    return distance / (distance.abs() + _FAR * rate)
