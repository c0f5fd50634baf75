"""The parts of a network: its projections by kind, its sources, shapes and operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.capabilities import connector_of
from cortex_sim.checks import look_up, short
from cortex_sim.connectors import Shape, same_map
from cortex_sim.credit.population import CreditPopulation
from cortex_sim.credit.teacher import Teacher
from cortex_sim.errors import BuildError, DeclarationError
from cortex_sim.operators import Operator, operator_of
from cortex_sim.population import Population
from cortex_sim.projection import BOTTOM_UP, Projection

Place = Population | CreditPopulation | str


class Wiring:
    """The parts of a network and how to look them up; `Network` adds the methods that declare them."""

    name: str
    populations: dict[str, Population]
    projections: dict[str, Projection]
    teacher: Teacher | None

    @property
    def bottom_ups(self) -> list[Projection]:
        """Bottom-up projections, in order of declaration."""
        return [p for p in self.projections.values() if p.kind == BOTTOM_UP]

    @property
    def top_downs(self) -> list[Projection]:
        """Top-down projections, in order of declaration."""
        return [p for p in self.projections.values() if p.is_top_down]

    @property
    def credit_populations(self) -> dict[str, CreditPopulation]:
        """Populations of the credit network that trains this one, by name; {} if there is none."""
        return {} if self.teacher is None else self.teacher.populations

    @property
    def credit_projections(self) -> list[Projection]:
        """Top-down projections within that credit network."""
        return [] if self.teacher is None else list(self.teacher.projections.values())

    @property
    def every_population(self) -> dict[str, Population | CreditPopulation]:
        """Populations by name, then those of the credit network."""
        return {**self.populations, **self.credit_populations}

    @property
    def laterals(self) -> list[Projection]:
        """Lateral projections, at most one per population, in order of declaration."""
        return [p for p in self.projections.values() if p.is_lateral]

    @property
    def recurrents(self) -> list[Projection]:
        """Projections that drive and may close a loop, in order of declaration."""
        return [p for p in self.projections.values() if p.is_recurrent]

    @property
    def gains(self) -> list[Projection]:
        """Projections that multiply rates, in order of declaration."""
        return [p for p in self.projections.values() if p.is_gain]

    @property
    def of_rates(self) -> list[Projection]:
        """Projections that carry rates: all except those that carry credit."""
        return [p for p in self.projections.values() if not p.is_top_down]

    @property
    def driving(self) -> list[Projection]:
        """Projections whose signals are added to drives: bottom-up, then recurrent ones."""
        return [*self.bottom_ups, *self.recurrents]

    def inputs(self, population: str) -> list[Projection]:
        """Bottom-up projections onto a population."""
        return [p for p in self.bottom_ups if p.post == population]

    def drivers(self, population: str) -> list[Projection]:
        """Projections that drive a population: bottom-up, then recurrent ones."""
        return [p for p in self.driving if p.post == population]

    def credit_inputs(self, population: str) -> list[Projection]:
        """Top-down projections onto a population."""
        return [p for p in self.top_downs if p.post == population]

    @property
    def sources(self) -> list[str]:
        """Populations without bottom-up input: the stimulus sets their rates."""
        driven = {p.post for p in self.bottom_ups}
        return [name for name in self.populations if name not in driven]

    stimulated = sources  # the former name

    def projection(self, name: str) -> Projection:
        """Projection named ``pre->post``, including those within its credit network."""
        every = self.projections | ({} if self.teacher is None else self.teacher.projections)
        return look_up(f"projection of {self.name}", name, every, exact=True)

    def ends(self, projection: Projection) -> tuple[Shape, Shape]:
        """Shapes of a projection's pre and post populations, which may be credit populations."""
        every = self.every_population
        return every[projection.pre].shape, every[projection.post].shape

    def weight_shape(self, projection: Projection) -> tuple[int, ...]:
        """Shape of its weights; for a top-down one paired with a convolution, the bottom-up kernel's."""
        pre, post = self.ends(projection)
        if projection.is_top_down and self.operator(projection).feedback_like_weights:
            return projection.connector.weight_shape(post, pre)
        return projection.connector.weight_shape(pre, post)

    def wiring(self, projection: Projection) -> np.ndarray | None:
        """Which of its synapses exist, bool (post, pre); None if all do.

        Free weights of a top-down projection exist where those of its paired projection do.
        """
        pre, post = self.ends(projection)
        wired = connector_of(projection.connector).wiring
        if wired is None:
            return None
        if not projection.is_top_down:
            own: np.ndarray | None = wired(projection.name, pre, post)
            return own
        paired: np.ndarray | None = wired(projection.reverse_name, post, pre)
        return None if paired is None else paired.T

    def operator(self, projection: Projection) -> Operator:
        """Linear algebra of a projection, or of a top-down projection's bottom-up partner.

        Raises
        ------
        BuildError
            If its connector has no operator.
        """
        pre, post = self.ends(projection)
        if projection.is_top_down:
            pre, post = post, pre
        try:
            return operator_of(projection.connector, pre, post)
        except BuildError as exception:
            raise BuildError(f"projection {projection.name}: {exception}") from None

    def _check_name(self, name: str) -> None:
        if isinstance(name, str) and (name in self.populations or name in self.credit_populations):
            raise DeclarationError(f"population {name}: the name is taken; choose another")

    def _place(self, place: Place, credit: bool = False) -> Any:
        """The population of this name or, if ``credit``, possibly a credit population."""
        among: Any = self.every_population if credit else self.populations
        name = place if isinstance(place, str) else getattr(place, "name", place)
        found = look_up(f"population of {self.name}", name, among)  # type: ignore[arg-type]
        if not isinstance(place, str) and place != found:
            raise DeclarationError(
                f"population {name}: belongs to another network, not to {self.name}; "
                f"use the one that {self.name}.population(...) returned, or its name"
            )
        return found


def require_network(call: str, net: object) -> None:
    """Raise `BuildError` if something other than a network is to be built."""
    if not isinstance(net, Wiring):
        raise BuildError(f'{call}: give a Network, such as cs.model("digits_mlp"). Got {short(net)}')


def require_same_connections(kept: Wiring, net: Wiring) -> None:
    """Raise `BuildError` if rates take different paths in two networks, beyond the shapes of weights.

    Pooling, skip connections, and the stride and padding of convolutions have no weights.
    """
    for name in dict.fromkeys((*kept.projections, *net.projections)):
        ours, theirs = kept.projections.get(name), net.projections.get(name)
        if any(p.is_top_down for p in (ours, theirs) if p is not None):
            continue
        if ours is None or theirs is None:
            raise in_one_only(f"projection {name}", ours is None, kept, net)
        if not same_map(ours.connector, theirs.connector):
            raise BuildError(
                f"projection {name}: is {theirs.connector!r} in network {net.name}, but {ours.connector!r} "
                "in the state; give the state of the same network"
            )


def in_one_only(what: str, in_network: bool, kept: Wiring, net: Wiring) -> BuildError:
    """The error for a part that only the network has, or only the network that its state is from."""
    where = f"network {net.name}" if in_network else f"the state of network {kept.name}"
    return BuildError(f"{what}: is only in {where}; give the state of the same network")
