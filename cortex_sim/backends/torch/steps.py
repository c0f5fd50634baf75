"""A plan compiled to steps: what one pass through a network does, population by population.

One list serves every pass: training, responses, phases of a protocol at equilibrium, and many networks side
by side in an outer loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.backends.routes import Routes
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.population import Population
from cortex_sim.projection import Projection


@dataclass(frozen=True)
class Link:
    """A bottom-up projection: its linear algebra, and the top-down one that shares its backward pass."""

    projection: Projection
    operator: Operator
    paired: Projection | None

    @property
    def name(self) -> str:
        """``pre->post``."""
        return self.projection.name

    @property
    def supervised(self) -> bool:
        """Whether its weights learn from credit."""
        return self.projection.rule.supervised


@dataclass(frozen=True)
class Path:
    """A top-down projection: the linear algebra of what is beside it, and where its signal comes from."""

    projection: Projection
    operator: Operator
    direct: bool
    from_teacher: bool

    @property
    def name(self) -> str:
        """``pre->post``."""
        return self.projection.name


@dataclass(frozen=True)
class Step:
    """One population: a = Σ W r_pre + b − L r, r = f(a), and the credit that arrives there.

    Parameters
    ----------
    population : Population
    inputs : tuple of Link
        Projections onto it, those without weights last.
    paths : tuple of Path
        Top-down projections onto it, in order of declaration.
    senders : tuple of Projection
        Top-down projections that leave it with no bottom-up one beside them.
    """

    population: Population
    inputs: tuple[Link, ...]
    paths: tuple[Path, ...]
    senders: tuple[Projection, ...]

    @property
    def name(self) -> str:
        """Of the population."""
        return self.population.name


def compiled(net: Network, routes: Routes) -> tuple[Step, ...]:
    """Steps of a network whose routes are known, sources first."""
    return tuple(_step(net, routes, name) for name in routes.order)


def _step(net: Network, routes: Routes, name: str) -> Step:
    links = [Link(p, net.operator(p), routes.paired.get(p.name)) for p in net.inputs(name)]
    paths = [
        Path(p, net.operator(p), p in routes.direct, p in routes.credit) for p in net.credit_inputs(name)
    ]
    return Step(
        net.populations[name],
        tuple(sorted(links, key=lambda link: not link.operator.weighted)),
        tuple(paths),
        tuple(p for p in routes.unpaired if p.pre == name),
    )
