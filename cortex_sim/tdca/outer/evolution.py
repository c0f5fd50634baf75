"""Evolution over whole inner runs: evotorch's PGPE, SNES and CMA-ES as outer loops."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count, require_flag, require_positive
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.registry import register
from cortex_sim.tdca.outer.evotorch_adapter import COVARIANCE, GAUSSIAN, Memory, evotorch
from cortex_sim.tdca.outer.problem import FitnessProblem, checked, started


@register("searcher", "pgpe")
@dataclass(frozen=True)
class PGPE:
    """Parameter-exploring policy gradients: mirrored samples, ranked, the centre moved by ClipUp.

    Parameters
    ----------
    members : int, default 64
        Members of a generation, an even number.
    sigma : float, default 0.05
        Standard deviation of every parameter at the start; it adapts, by at most a fifth per generation.
    rate : float or None
        Distance by which one generation moves the centre; positive. None: σ √P / 30, for P parameters
        (ClipUp's speed limit, twice the rate, is then a fifteenth of the samples' distance from the centre).
    sigma_rate : float, default 0.1
        Rate at which σ adapts; positive.

    References
    ----------
    Sehnke et al. (2010), Neural Networks 23, doi:10.1016/j.neunet.2009.12.004; Toklu, Liskowski and
    Srivastava (2020), arXiv 2008.02387 (ClipUp).
    """

    serves: ClassVar[str] = "fitness"
    twins: ClassVar[bool] = False
    backpropagates: ClassVar[bool] = False
    memory: ClassVar[Memory] = GAUSSIAN

    members: int = 64
    sigma: float = 0.05
    rate: float | None = None
    sigma_rate: float = 0.1

    def __post_init__(self) -> None:
        require_count(self, minimum=2, members=self.members)
        require_positive(self, sigma=self.sigma, sigma_rate=self.sigma_rate)
        if self.rate is not None:
            require_positive(self, rate=self.rate)
        if self.members % 2:
            raise DeclarationError(
                f"PGPE: members come in mirrored pairs; give an even number. Got {self.members}"
            )

    def algorithm(self, problem: Any, centre: Tensor) -> Any:
        """The evotorch searcher, before its first step."""
        return evotorch().algorithms.PGPE(
            problem,
            popsize=self.members,
            center_init=centre,
            stdev_init=self.sigma,
            center_learning_rate=self.rate or self.sigma * len(centre) ** 0.5 / 30,
            stdev_learning_rate=self.sigma_rate,
        )

    def begin(
        self, problem: FitnessProblem, centre: Tensor, iterations: int, generator: Generator
    ) -> EvolutionSearch:
        """Start at ``centre``; ``generator`` draws members and tasks."""
        return EvolutionSearch("pgpe", self, problem, centre, generator)


@register("searcher", "snes")
@dataclass(frozen=True)
class SNES:
    """Separable natural evolution strategies: one standard deviation per parameter, by natural gradient.

    Parameters
    ----------
    members : int, default 64
        Members of a generation.
    sigma : float, default 0.05
        Standard deviation of every parameter at the start; it adapts.
    rate : float, default 1.0
        Fraction of the way to the weighted mean of the members by which the centre moves; positive.
    sigma_rate : float, default 1.0
        Multiple of the usual rate (3 + log P) / (5 √P) for P parameters; positive.

    References
    ----------
    Schaul, Glasmachers and Schmidhuber (2011), doi:10.1145/2001576.2001692.
    """

    serves: ClassVar[str] = "fitness"
    twins: ClassVar[bool] = False
    backpropagates: ClassVar[bool] = False
    memory: ClassVar[Memory] = GAUSSIAN

    members: int = 64
    sigma: float = 0.05
    rate: float = 1.0
    sigma_rate: float = 1.0

    def __post_init__(self) -> None:
        require_count(self, minimum=4, members=self.members)
        require_positive(self, sigma=self.sigma, rate=self.rate, sigma_rate=self.sigma_rate)

    def algorithm(self, problem: Any, centre: Tensor) -> Any:
        """The evotorch searcher, before its first step."""
        return evotorch().algorithms.SNES(
            problem,
            popsize=self.members,
            center_init=centre,
            stdev_init=self.sigma,
            center_learning_rate=self.rate,
            stdev_learning_rate=self.sigma_rate,
        )

    def begin(
        self, problem: FitnessProblem, centre: Tensor, iterations: int, generator: Generator
    ) -> EvolutionSearch:
        """Start at ``centre``; ``generator`` draws members and tasks."""
        return EvolutionSearch("snes", self, problem, centre, generator)


@register("searcher", "cma_es")
@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation: members are drawn along directions that were successful before.

    Parameters
    ----------
    members : int, default 64
        Members of a generation.
    sigma : float, default 0.05
        Step size at the start; it adapts.
    separable : bool, default False
        Adapt only the diagonal. The whole matrix takes members · P² numbers per generation (P parameters),
        and is refused above a gigabyte.

    References
    ----------
    Hansen (2016), arXiv 1604.00772; Ros and Hansen (2008), doi:10.1007/978-3-540-87700-4_30 (separable).
    """

    serves: ClassVar[str] = "fitness"
    twins: ClassVar[bool] = False
    backpropagates: ClassVar[bool] = False
    memory: ClassVar[Memory] = COVARIANCE

    members: int = 64
    sigma: float = 0.05
    separable: bool = False

    def __post_init__(self) -> None:
        require_count(self, minimum=4, members=self.members)
        require_positive(self, sigma=self.sigma)
        require_flag(self, separable=self.separable)

    def algorithm(self, problem: Any, centre: Tensor) -> Any:
        """The evotorch searcher, before its first step."""
        needed = self.members * len(centre) ** 2 * centre.element_size() / 2**30
        if needed > 1 and not self.separable:
            raise DeclarationError(
                f"cma_es: {self.members} members with {len(centre)} parameters need {needed:.1f} GB per "
                "generation; give separable=True or fewer members"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # evotorch 0.6.1 copies and rounds tensors in a deprecated way
            return evotorch().algorithms.CMAES(
                problem,
                popsize=self.members,
                center_init=centre,
                stdev_init=self.sigma,
                separable=self.separable,
            )

    def begin(
        self, problem: FitnessProblem, centre: Tensor, iterations: int, generator: Generator
    ) -> EvolutionSearch:
        """Start at ``centre``; ``generator`` draws members and tasks."""
        return EvolutionSearch("cma_es", self, problem, centre, generator)


class EvolutionSearch:
    """A running `PGPE`, `SNES` or `CMAES`.

    PGPE and SNES learn from a generation at the start of the next: the centre is one generation behind the
    measurements. Evotorch's own random numbers are reseeded in every step, from a seed that
    ``generator`` draws, so that one generator is the whole random state. Nothing is backpropagated.
    """

    def __init__(
        self, name: str, settings: Any, inner: FitnessProblem, centre: Tensor, generator: Generator
    ) -> None:
        start = started(name, inner, centre)
        self._name, self._inner, self._generator = name, inner, generator
        self._memory: Memory = settings.memory
        self._problem = evotorch().Problem(
            "min",
            self._fitness,
            solution_length=len(start),
            dtype=start.dtype,
            device=start.device,
            initial_bounds=(0.0, 1.0),  # CMA-ES draws an initial population from them, and never uses it
            vectorized=True,
            store_solution_stats=False,
            seed=0,
        )
        with torch.random.fork_rng(devices=[]):
            self._algorithm = settings.algorithm(self._problem, start)
        self._fitnesses = start.new_zeros(0)
        self._replaced = 0

    @property
    def centre(self) -> Tensor:
        """Parameters found so far, (P,)."""
        return self._memory.centre(self._algorithm)

    @torch.no_grad()
    def step(self) -> dict[str, float]:
        """Run and rank one generation."""
        seed = torch.randint(2**62, (), generator=self._generator)
        self._problem.manual_seed(int(seed))
        before, contained = self.centre, self._inner.contained
        with torch.random.fork_rng(devices=[]):  # evotorch draws a global random number, and does not use it
            self._algorithm.step()
        contained = self._inner.contained - contained
        return {
            "loss": float(self._fitnesses.mean()),
            "best": float(self._fitnesses.min()),
            "contained": float(contained + self._replaced),
            "sigma": float(self._memory.sigma(self._algorithm).mean()),
            "moved": float(torch.linalg.vector_norm(self.centre - before)),
        }

    def _fitness(self, values: Tensor) -> Tensor:
        """Fitness of a generation; members whose fitness is not finite count as its worst."""
        phi = values.detach().as_subclass(torch.Tensor)
        fitness = self._inner.fitness(phi, self._generator).to(phi.dtype)
        finite = torch.isfinite(fitness)
        if not bool(finite.any()):
            raise RunError(f"{self._name}: no member's fitness is finite; start with a smaller sigma")
        self._replaced = int((~finite).sum())
        self._fitnesses = torch.where(finite, fitness, fitness[finite].max())
        return self._fitnesses

    def state(self) -> dict[str, Tensor]:
        """The algorithm's state and the generator."""
        return self._memory.save(self._algorithm) | {"generator": self._generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        saved = checked(self._name, self.state(), state)
        self._generator.set_state(saved.pop("generator"))
        self._memory.load(self._algorithm, saved)
