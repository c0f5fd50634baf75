"""Zero order: a network weights the samples of a search distribution by their values alone.

The point is the mean of n linear units that fluctuate independently, x = μ + σ ε. The credit of unit j is one
signal, common to all units, times its own fluctuation, as in node perturbation,

    Δμ_j = σ_j m_j,  m_j ← η Σ_s w_s ε_sj + κ m_j,   Δ log σ_j = ½ η_σ Σ_s v_s (ε_sj² − 1),

with w_s = u_s + o₁_s / λ and v_s = u_s + o₂_s / λ for sample s of λ. With o = 0 and κ = 0 it is SNES (Schaul,
Glasmachers and Schmidhuber 2011, doi:10.1145/2001576.2001692) with its rank-based utilities u. The network
reads each sample's rank, value, size and novelty. The design is ours.
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
    "rank", "utility", "standardised value", "size of the fluctuation", "fluctuation along the last change",
    "better than all before", "time left", "shrinkage of σ",
)  # fmt: skip
_TINY = 1e-12


@register("function_rule", "zero_order")
@dataclass(frozen=True)
class ZeroOrder:
    """Sizes of the network, and the search distribution before training.

    Parameters
    ----------
    hidden : int, default 12
        Hidden units.
    samples : int, default 10
        λ, samples between two changes; each costs one evaluation.
    sigma : float, default 0.3
        Initial σ before training, in half widths of the box, at n = 10.
    by_size : float, default -0.3
        Exponent of n: before training, the initial σ is proportional to n to this power.
    rate : float, default 1.0
        η before training.
    sigma_rate : float, default 1.0
        η_σ before training, as a multiple of the usual (3 + log n) / (5 √n).
    """

    controls: ClassVar[Mapping[str, str]] = {
        "silent": "the network's outputs are 0",
        "units": "each unit receives the credit of another",
        "samples": "each sample receives the weights of another",
    }

    hidden: int = 12
    samples: int = 10
    sigma: float = 0.3
    by_size: float = -0.3
    rate: float = 1.0
    sigma_rate: float = 1.0

    def __post_init__(self) -> None:
        require_count(self, hidden=self.hidden)
        require_count(self, minimum=4, samples=self.samples)
        require_positive(self, sigma=self.sigma, rate=self.rate, sigma_rate=self.sigma_rate)
        require_finite(self, by_size=self.by_size)

    @property
    def network(self) -> SmallNetwork:
        """The network, whose parameters are part of φ."""
        return SmallNetwork(len(INPUTS), self.hidden)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {
            **self.network.shapes(),
            "log_sigma": (2,),
            "log_rates": (2,),
            "momentum": (1,),
        }

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: outputs 0 and momentum .1, close to SNES."""
        found = {name: np.zeros(shape) for name, shape in self.shapes().items()} | self.network.draw(seed)
        found["log_sigma"][:] = math.log(self.sigma), self.by_size
        found["log_rates"] += np.log(np.array([self.rate, self.sigma_rate]))
        found["momentum"] -= math.log(9.0)
        return found

    def cost(self) -> int:
        """Evaluations in one step of `run`."""
        return self.samples

    @property
    def layout(self) -> Layout:
        """Positions of the parameters in φ."""
        return Layout(self.shapes())

    def run(
        self, phi: Tensor, tasks: Tasks, evaluations: int, generator: Generator, control: str | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield values above the minimum (member, task, sample), and x (…, n), at each step.

        See `cortex_sim.tdca.functions.first_order.FirstOrder.run`; only values are used.
        """
        if control is not None:
            require_known("control", control, self.controls)
        total = max(1, evaluations // self.samples)
        cloud = _Distribution(self, self.layout.split(phi), tasks, generator, control)
        for step in range(total):
            yield cloud.sample()
            cloud.move(step / total)


def utilities(samples: int, like: Tensor) -> Tensor:
    """SNES's weights of ranks, best first: max(0, log(λ/2 + 1) − log rank), normalised, minus 1/λ."""
    rank = torch.arange(1, samples + 1, dtype=like.dtype, device=like.device)
    raw = (math.log(samples / 2 + 1) - torch.log(rank)).clamp(min=0)
    return raw / raw.sum() - 1 / samples


class _Distribution:
    """The search distribution of every member and task: means and deviations (member, task, n)."""

    def __init__(
        self,
        form: ZeroOrder,
        named: dict[str, Tensor],
        tasks: Tasks,
        generator: Generator,
        control: str | None,
    ) -> None:
        self.form, self.tasks, self.generator, self.control = form, tasks, generator, control
        self.named = named
        members, dtype = len(named["hidden"]), named["hidden"].dtype
        self.one = (tasks.count, form.samples, tasks.n)
        start = 2 * torch.rand(tasks.count, tasks.n, generator=generator, dtype=dtype) - 1
        self.mu = start.expand(members, *start.shape).clone()
        at_ten, slope = named["log_sigma"].T.reshape(2, members, 1, 1)
        self.start_sigma = at_ten + slope * math.log(tasks.n / 10)
        self.log_sigma = self.start_sigma.expand_as(self.mu).clone()
        self.rate, usual = torch.exp(named["log_rates"]).T.reshape(2, members, 1, 1)
        self.sigma_rate = usual * (3 + math.log(tasks.n)) / (5 * math.sqrt(tasks.n))
        self.momentum = torch.sigmoid(named["momentum"]).reshape(members, 1, 1)
        self.change = torch.zeros_like(self.mu)
        self.lowest = torch.full(self.mu.shape[:2], torch.inf, dtype=dtype)
        self.ranked = utilities(form.samples, self.mu)

    def sample(self) -> tuple[Tensor, Tensor]:
        """Draw all samples: their values above the minimum, and x."""
        drawn = torch.randn(self.one, generator=self.generator, dtype=self.mu.dtype)
        self.noise = drawn.expand(len(self.mu), *self.one)
        x = self.mu[:, :, None] + torch.exp(self.log_sigma)[:, :, None] * self.noise
        above = self.tasks.measure(x.transpose(0, 1))[0].transpose(0, 1)
        self.value = (above + self.tasks.lowest[:, None]).nan_to_num(torch.inf)
        return above, x

    def move(self, time: float) -> None:
        """Change every unit's mean by its credit, and the size of its fluctuations."""
        order = self.value.argsort(2)
        rank = torch.empty_like(self.value)
        places = torch.arange(self.form.samples, dtype=rank.dtype).expand_as(rank)
        rank.scatter_(2, order, places)
        utility = self.ranked[rank.long()]
        o1, o2 = self._network(self._inputs(rank, utility, time))
        w, v = utility + o1 / self.form.samples, utility + o2 / self.form.samples
        if self.control == "samples":
            w, v = w.roll(1, 2), v.roll(1, 2)
        sigma = torch.exp(self.log_sigma)
        step = torch.einsum("mts,mtsn->mtn", w, self.noise)
        grow = torch.einsum("mts,mtsn->mtn", v, self.noise.square() - 1)
        self.change = self.rate * step + self.momentum * self.change
        credit = sigma * self.change
        self.mu = self.mu + (credit.roll(1, 2) if self.control == "units" else credit)
        self.log_sigma = self.log_sigma + (0.5 * self.sigma_rate * grow).clamp(-1, 1)
        self.lowest = torch.minimum(self.lowest, self.value.amin(2))

    def _inputs(self, rank: Tensor, utility: Tensor, time: float) -> Tensor:
        """Inputs for every sample, (member, input, task · sample)."""
        n, finite = self.tasks.n, self.value.clamp(max=1e30)
        spread = finite.std(2, keepdim=True) + _TINY
        length = self.change.norm(dim=-1).clamp(min=_TINY)
        along = torch.einsum("mtsn,mtn->mts", self.noise, self.change / length[..., None])
        shrunk = (self.log_sigma - self.start_sigma).mean(-1, keepdim=True)
        inputs = (
            2 * rank / (self.form.samples - 1) - 1,
            utility * self.form.samples,
            ((finite - finite.mean(2, keepdim=True)) / spread).clamp(-3, 3),
            (self.noise.square().mean(-1) - 1) * math.sqrt(n / 2),
            along,
            (self.value < self.lowest[:, :, None]).to(rank.dtype),
            torch.full_like(rank, 1 - 2 * time),
            (shrunk / 4).expand_as(rank),
        )
        return torch.stack(inputs, 1).flatten(2)

    def _network(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        if self.control == "silent":
            nothing = torch.zeros((), dtype=inputs.dtype)
            return nothing, nothing
        o1, o2 = self.form.network.outputs(self.named, inputs)
        return o1.reshape(self.value.shape), o2.reshape(self.value.shape)
