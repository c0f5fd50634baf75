"""Paths through a network: which populations lead to the objective, and which receive its credit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


@dataclass(frozen=True)
class Paths:
    """A declaration's projections, by the population that they come from or go to.

    Every property is computed once, in time proportional to the size of the network, so that checking all
    projections takes time nearly linear in depth.
    """

    net: Network

    @cached_property
    def inputs(self) -> dict[str, list[Projection]]:
        """Bottom-up projections by their post population."""
        return _by(self.net.bottom_ups, "post")

    @cached_property
    def onward(self) -> dict[str, list[Projection]]:
        """Bottom-up projections by their pre population."""
        return _by(self.net.bottom_ups, "pre")

    @cached_property
    def credit_inputs(self) -> dict[str, list[Projection]]:
        """Top-down projections by the population that they bring credit to."""
        return _by(self.net.top_downs, "post")

    @cached_property
    def leading(self) -> set[str]:
        """Populations from which driving projections lead to the objective, and the objective's own."""
        ways = _by(self.net.driving, "post")
        return _reached(self.net.objective_at, {k: [p.pre for p in v] for k, v in ways.items()})

    @cached_property
    def credited(self) -> set[str]:
        """Populations that top-down projections bring the objective's credit to."""
        return _reached(self.net.objective_at, self._senders_to_receivers())

    def has_credit_without(self, population: str, other: str) -> bool:
        """Whether a population receives credit on a path that avoids ``other``."""
        if population not in self.credited or not self._credit_returns:
            return population in self.credited
        ways = self._senders_to_receivers()
        ways.pop(other, None)
        return population == self.net.objective_at or population in _reached(self.net.objective_at, ways)

    @cached_property
    def _credit_returns(self) -> bool:
        """Whether top-down projections close a cycle."""
        try:
            TopologicalSorter(self._senders_to_receivers()).prepare()
        except CycleError:
            return True
        return False

    def _senders_to_receivers(self) -> dict[str, list[str]]:
        return {k: [p.post for p in v] for k, v in _by(self.net.top_downs, "pre").items()}


def _by(projections: Iterable[Projection], end: str) -> dict[str, list[Projection]]:
    table: dict[str, list[Projection]] = {}
    for p in projections:
        table.setdefault(getattr(p, end), []).append(p)
    return table


def _reached(start: str | None, ways: Mapping[str, list[str]]) -> set[str]:
    found = {start} if start is not None else set()
    to_visit = list(found)
    while to_visit:
        new = [name for name in ways.get(to_visit.pop(), []) if name not in found]
        found.update(new)
        to_visit.extend(new)
    return found
