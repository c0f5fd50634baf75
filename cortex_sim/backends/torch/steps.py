"""A network as a list of steps: what one pass through it does, population by population.

The same list serves every pass: training, responses, phases of a protocol at equilibrium, and many networks
in parallel in an outer loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

from cortex_sim.activations import Linear
from cortex_sim.backends.routes import Routes
from cortex_sim.loops import Loop, loops_of
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.population import Population
from cortex_sim.projection import Projection


@dataclass(frozen=True)
class Link:
    """A projection that carries rates: its linear algebra, and the top-down projection paired with it."""

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
    """A top-down projection: the linear algebra of its bottom-up partner, and the source of its signal."""

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
    """One population: a = Σ W r_pre + b − L r, r = max(0, 1 + g) f(a), and the credit that arrives.

    Parameters
    ----------
    population : Population
    inputs : tuple of Link
        Projections that drive it, bottom-up and recurrent; those without weights are last.
    paths : tuple of Path
        Top-down projections onto it, in order of declaration.
    senders : tuple of Projection
        Top-down projections from it that are not paired with a bottom-up one.
    lateral : Link or None
        Its lateral projection.
    gains : tuple of Link
        Projections that multiply its rates; g is the sum of their W r_pre.
    exact : bool
        Whether lateral inhibition is solved exactly: if the population is linear and carries no credit.
    """

    population: Population
    inputs: tuple[Link, ...]
    paths: tuple[Path, ...]
    senders: tuple[Projection, ...]
    lateral: Link | None = None
    gains: tuple[Link, ...] = ()
    exact: bool = False

    @property
    def name(self) -> str:
        """Name of the population."""
        return self.population.name


def compiled(net: Network, routes: Routes) -> tuple[Step, ...]:
    """Steps of a network whose routes are known, sources first."""
    return tuple(_step(net, routes, name) for name in routes.order)


def _step(net: Network, routes: Routes, name: str) -> Step:
    links = [Link(p, net.operator(p), routes.paired.get(p.name)) for p in net.drivers(name)]
    laterals = [Link(p, net.operator(p), None) for p in net.laterals if p.post == name]
    paths = [
        Path(p, net.operator(p), p in routes.direct, p in routes.credit) for p in net.credit_inputs(name)
    ]
    return Step(
        net.populations[name],
        tuple(sorted(links, key=lambda link: not link.operator.weighted)),
        tuple(paths),
        tuple(p for p in routes.unpaired if p.pre == name),
        laterals[0] if laterals else None,
        tuple(Link(p, net.operator(p), None) for p in net.gains if p.post == name),
        settles_exactly(net, name),
    )


def blocks_of(net: Network, steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], ...]:
    """Steps in the order in which they settle, those of a loop together; sources are left out."""
    by_name = {step.name: step for step in steps if step.name not in net.sources}
    loops = [loop for loop in loops_of(net, gains=True) if not _is_exact(net, loop)]
    member = {name: loop.populations for loop in loops for name in loop.populations}
    group = {name: member.get(name, (name,)) for name in by_name}
    before: dict[tuple[str, ...], set[tuple[str, ...]]] = {group[name]: set() for name in by_name}
    for p in net.of_rates:
        if p.pre in by_name and group[p.pre] != group[p.post]:
            before[group[p.post]].add(group[p.pre])
    return tuple(tuple(by_name[name] for name in names) for names in TopologicalSorter(before).static_order())


def loops_alone(block: tuple[Step, ...]) -> bool:
    """Whether a block is a loop: several populations, or one that drives itself."""
    (first, *others) = block
    links = [*first.inputs, *first.gains, *([first.lateral] if first.lateral and not first.exact else [])]
    return bool(others) or any(link.projection.pre == first.name for link in links)


def _is_exact(net: Network, loop: Loop) -> bool:
    return len(loop.projections) == 1 and settles_exactly(net, loop.populations[0])


def settles_exactly(net: Network, name: str) -> bool:
    """Whether a population is linear, carries no credit, and only its lateral projection closes a loop."""
    credited = any(p.rule.supervised for p in net.drivers(name)) or any(p.pre == name for p in net.top_downs)
    population = net.populations[name]
    linear = type(population.activation) is Linear and population.normaliser is None
    around = [p for loop in loops_of(net, gains=True) if name in loop.populations for p in loop.projections]
    return linear and not credited and all(p.is_lateral for p in around)
