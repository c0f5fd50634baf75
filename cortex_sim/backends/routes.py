"""The order in which populations settle, and the route by which each top-down projection brings credit.

Pure analysis of the declaration: nothing here touches a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from cortex_sim.credit.teacher import Teacher
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.projection import BOTTOM_UP, Projection
from cortex_sim.rules.base import Arrival


@dataclass(frozen=True)
class Routes:
    """The routes of credit through a network.

    ``order`` lists the populations, sources first. ``paired`` maps a bottom-up projection to the
    top-down one that shares its backward pass; ``unpaired`` are chain projections without such a partner;
    ``direct`` ones bring the credit of the top itself; ``targets`` are used if the network has a target
    rule; ``credit`` ones bring what credit populations send, and ``teacher`` is their credit network.
    """

    order: tuple[str, ...]
    paired: dict[str, Projection]
    unpaired: tuple[Projection, ...]
    direct: tuple[Projection, ...]
    targets: tuple[Projection, ...]
    credit: tuple[Projection, ...]
    teacher: Teacher | None

    @property
    def by_targets(self) -> bool:
        """Whether the network has a target rule."""
        return bool(self.targets)


def find_routes(net: Network) -> Routes:
    """Routes of a network that has passed `Network.check`.

    Raises
    ------
    BuildError
        If two projections onto one population disagree on how credit arrives, or credit would be
        needed before it is known.
    """
    paired: dict[str, Projection] = {}
    unpaired, direct, targets = [], [], []
    driving = {p.name for p in net.driving}
    credit = tuple(p for p in net.top_downs if p.pre in net.credit_populations)
    for top_down in net.top_downs:
        if top_down in credit:
            continue
        match _arrival(net, top_down.post):
            case Arrival.TARGETS:
                targets.append(top_down)
            case Arrival.DIRECT:
                direct.append(top_down)
            case _ if top_down.reverse_name in driving:
                paired[top_down.reverse_name] = top_down
            case _:
                unpaired.append(top_down)
    for p in (p for p in net.top_downs if p not in credit):
        if p.rule.reads_credit and paired.get(p.reverse_name) is not p:
            raise BuildError(
                f"projection {p.name}: {type(p.plasticity).__name__} reads the credit that a chain brings to "
                f"{p.pre}, but {p.post} gets its credit by another route; use FeedbackAlignment() below "
                f"{p.post}"
            )
    return Routes(_order(net), paired, tuple(unpaired), tuple(direct), tuple(targets), credit, net.teacher)


def _arrival(net: Network, population: str) -> Arrival:
    """How credit reaches a population: by its inputs' rules, else by the network's target rule."""
    declared = {p.rule.arrival: p.name for p in net.drivers(population) if p.rule.arrival is not None}
    if len(declared) > 1:
        raise BuildError(
            f"population {population}: {' and '.join(declared.values())} expect credit in different ways; "
            "give both projections rules of one kind"
        )
    if declared:
        return next(iter(declared))
    by_targets = any(p.rule.arrival is Arrival.TARGETS for p in net.driving)
    return Arrival.TARGETS if by_targets else Arrival.CHAIN


def _order(net: Network) -> tuple[str, ...]:
    """Order of populations in which one forward pass gives rates and one backward pass gives credit."""
    sorter = TopologicalSorter({name: [] for name in net.populations})
    for p in net.bottom_ups:
        sorter.add(p.post, p.pre)
    for p in net.top_downs:
        if p.pre in net.populations and p.paired_with == BOTTOM_UP:  # credit of a loop has no order
            sorter.add(p.pre, p.post)  # the receiver's rate must exist before the sender's credit
    try:
        order = list(sorter.static_order())
    except CycleError as exception:
        cycle = " - ".join(exception.args[1])
        raise BuildError(
            f"network {net.name}: credit would be needed before it is known ({cycle}); top-down "
            "projections must run from later populations to earlier ones"
        ) from None
    sources = net.sources
    return (*sources, *(name for name in order if name not in sources))
