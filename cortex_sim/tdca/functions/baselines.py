"""Optimisers without a trained network, by which the trained ones are measured.

Each is a dataclass of its settings; ``run`` yields values above the minimum (1, task, evaluations of the
step), and x, as the trained rules do. ``order`` is 1 for those that use gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count, require_positive
from cortex_sim.errors import BuildError
from cortex_sim.tdca.functions.tasks import Tasks
from cortex_sim.tdca.functions.zero_order import ZeroOrder

Run = Iterator[tuple[Tensor, Tensor]]
_TINY = 1e-12


def _uniform(tasks: Tasks, points: int, generator: Generator) -> Tensor:
    """Points drawn uniformly from the box, (task, point, n)."""
    shape = (tasks.count, points, tasks.n)
    return 2 * torch.rand(shape, generator=generator, dtype=tasks.shift.dtype) - 1


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) from several starts that do not interact, Δx = −η₀ 10^(−a t) m̂ / √v̂.

    Parameters
    ----------
    rate, fall : float
        η₀ and a; t goes from 0 to 1.
    starts : int
        Points, each of which costs one evaluation of value and gradient per step.
    noise : float
        Standard deviation of added white noise, as a fraction of the present rate.
    """

    order: ClassVar[int] = 1

    rate: float
    fall: float
    starts: int = 4
    noise: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, rate=self.rate)
        require_count(self, starts=self.starts)

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield the values and points of each step."""
        x, total = _uniform(tasks, self.starts, generator), max(1, evaluations // self.starts)
        mean, power = torch.zeros_like(x), torch.zeros_like(x)
        for step in range(total):
            above, slope = tasks.measure(x)
            yield above[None], x[None]
            mean, power = 0.9 * mean + 0.1 * slope, 0.99 * power + 0.01 * slope**2
            m, v = mean / (1 - 0.9 ** (step + 1)), power / (1 - 0.99 ** (step + 1))
            rate = self.rate * 10 ** (-self.fall * step / total)
            x = x - rate * m / (v.sqrt() + _TINY)
            if self.noise:
                x = x + self.noise * rate * torch.randn(x.shape, generator=generator, dtype=x.dtype)


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum, Δx = μ Δx(before) − η₀ 10^(−a t) g / |g|_max.

    |g|_max is the largest norm of a start's gradient so far, so that one rate fits all scales of values and
    no step is longer than η₀ / (1 − μ).

    Parameters
    ----------
    rate, fall, momentum : float
    starts : int
    """

    order: ClassVar[int] = 1

    rate: float
    fall: float
    momentum: float = 0.9
    starts: int = 4

    def __post_init__(self) -> None:
        require_positive(self, rate=self.rate)
        require_count(self, starts=self.starts)

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield the values and points of each step."""
        x, total = _uniform(tasks, self.starts, generator), max(1, evaluations // self.starts)
        change, largest = torch.zeros_like(x), torch.zeros_like(x[..., :1])
        for step in range(total):
            above, slope = tasks.measure(x)
            yield above[None], x[None]
            largest = torch.maximum(largest, slope.norm(dim=-1, keepdim=True) + _TINY)
            rate = self.rate * 10 ** (-self.fall * step / total)
            change = self.momentum * change - rate * slope / largest
            x = x + change


@dataclass(frozen=True)
class LBFGS:
    """Scipy's L-BFGS, restarted at a random point of the box when it ends, until evaluations are used up.

    Parameters
    ----------
    memory : int, default 10
        Number of corrections that it keeps.
    """

    order: ClassVar[int] = 1

    memory: int = 10

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield every evaluation of all tasks."""
        starts = _uniform(tasks, evaluations, generator)
        found = np.full((tasks.count, evaluations), np.inf)
        for i in range(tasks.count):
            self._one(tasks, i, starts[i].double().numpy(), found[i])
        for above in torch.from_numpy(found).T:
            yield above[None, :, None].to(tasks.shift.dtype), starts[None, :, :1]

    def _one(self, tasks: Tasks, i: int, starts: np.ndarray, found: np.ndarray) -> None:
        from scipy.optimize import minimize

        own, made = tasks.only(i), 0

        def measured(x: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal made
            if made == len(found):
                raise StopIteration
            above, slope = own.measure(torch.from_numpy(x)[None].to(tasks.shift.dtype))
            found[made] = float(above)
            made += 1
            return found[made - 1] / float(own.median), (slope[0] / own.median).double().numpy()

        for start in starts:
            try:
                minimize(measured, start, jac=True, method="L-BFGS-B", options={"maxcor": self.memory})
            except StopIteration:
                return


@dataclass(frozen=True)
class RandomSearch:
    """Points drawn uniformly from the box."""

    order: ClassVar[int] = 0

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield ten points at a time."""
        for _ in range(evaluations // 10):
            x = _uniform(tasks, 10, generator)
            yield tasks.measure(x)[0][None], x[None]


@dataclass(frozen=True)
class SNES:
    """Separable natural evolution strategy, as `ZeroOrder` is with a silent network and no momentum.

    Parameters
    ----------
    sigma : float
        Initial σ, in half widths of the box.
    samples : int
        Samples between two changes.
    rate, sigma_rate : float
        Multiples of the usual rates.
    """

    order: ClassVar[int] = 0

    sigma: float
    samples: int
    rate: float = 1.0
    sigma_rate: float = 1.0

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield the samples of each step."""
        form = ZeroOrder(1, self.samples, self.sigma, 0.0, self.rate, self.sigma_rate)
        start = form.draw(0) | {"momentum": np.array([-math.inf])}
        phi = torch.from_numpy(np.concatenate([p.ravel() for p in start.values()]))[None].to(
            tasks.shift.dtype
        )
        return form.run(phi, tasks, evaluations, generator, "silent")


@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation by the package cma (Hansen 2016, arXiv 1604.00772), for each task.

    Parameters
    ----------
    sigma : float
        Initial σ, in half widths of the box.
    samples : int
        Samples between two changes.
    """

    order: ClassVar[int] = 0

    sigma: float
    samples: int

    def run(self, tasks: Tasks, evaluations: int, generator: Generator) -> Run:
        """Yield the samples of each step."""
        starts = _uniform(tasks, 1, generator)[:, 0].double().numpy()
        seeds = torch.randint(1, 2**31 - 1, (tasks.count,), generator=generator).tolist()
        searches = [self._search(start, seed) for start, seed in zip(starts, seeds, strict=True)]
        for _ in range(max(1, evaluations // self.samples)):
            asked = [search.ask() for search in searches]
            x = torch.from_numpy(np.array(asked)).to(tasks.shift.dtype)
            above = tasks.measure(x)[0]
            for search, given, values in zip(searches, asked, above.double().tolist(), strict=True):
                search.tell(given, values)
            yield above[None], x[None]

    def _search(self, start: np.ndarray, seed: int) -> Any:
        try:
            import cma  # type: ignore[import-untyped]
        except ModuleNotFoundError:
            raise BuildError(
                "baseline CMA-ES needs the package cma; install it with pip install 'cortex-sim[tdca]'"
            ) from None
        options = {"popsize": self.samples, "seed": seed, "verbose": -9}
        return cma.CMAEvolutionStrategy(start, self.sigma, options)


RATES, FALLS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5), (0.0, 1.0, 2.0)
#: Settings to choose from for each arm, on the trained families, for each number of variables.
GRIDS: dict[str, tuple[Any, ...]] = {
    "adam_4": tuple(Adam(r, f) for r in RATES for f in FALLS),
    "adam_1": tuple(Adam(r, f, 1) for r in RATES for f in FALLS),
    "adam_4_noise": tuple(Adam(r, f, 4, s) for r in RATES[2:] for f in FALLS[1:] for s in (0.3, 1.0, 3.0)),
    "momentum_4": tuple(Momentum(r, f, m) for r in RATES for f in FALLS for m in (0.8, 0.9, 0.95)),
    "momentum_1": tuple(Momentum(r, f, m, 1) for r in RATES for f in FALLS for m in (0.8, 0.9, 0.95)),
    "lbfgs": (LBFGS(),),
    "random_search": (RandomSearch(),),
    "snes": tuple(
        SNES(s, k, r, q)
        for s in (0.1, 0.2, 0.3, 0.5)
        for k in (6, 8, 10, 14, 20)
        for r in (1.0, 1.5)
        for q in (0.5, 1.0, 2.0)
    ),
    "cma_es": tuple(CMAES(s, k) for s in (0.2, 0.3, 0.5) for k in (6, 10, 16)),
}
