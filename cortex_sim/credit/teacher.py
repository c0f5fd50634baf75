"""Teacher: a trained credit network on top of the network that it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.arrays import Array, array_from_data, array_to_data, checked, is_array_data
from cortex_sim.checks import positive_ms
from cortex_sim.connectors import Shape
from cortex_sim.credit.context import check_context
from cortex_sim.credit.feedback import Diffusion
from cortex_sim.credit.kernels import Learned, NoDiffusion
from cortex_sim.credit.network import Placed, check_outputs, level_of
from cortex_sim.credit.population import CreditPopulation
from cortex_sim.credit.saving import TrainedCredit, check_parameters
from cortex_sim.credit.view import View, addresses_of, channels_of, view
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Feedback, Given
from cortex_sim.projection import Projection
from cortex_sim.registry import from_data, make, to_data

if TYPE_CHECKING:
    from cortex_sim.network import Network

#: From a kernel, the projection from channels to a population: feedback, plasticity and regularisers.
Diffusing = Callable[[Feedback], Any]

_SETTINGS = ("credit_network", "parameters", "top", "outputs", "hidden", "tau_ms")


@dataclass(frozen=True, eq=False)
class Teacher:
    """A credit network, its trained parameters, and the populations that it trains.

    Its equations are those of ``network``. `populations` and `projections` are a view for printing, drawing
    and rate dynamics; nothing is read back from them.

    Parameters
    ----------
    network : CreditNetwork
        Form and settings of the credit network.
    parameters : mapping of str to array
        Trained parameters, with the names of ``network.shapes()``.
    top : str
        Name of the top population.
    outputs : int
        Its number of units.
    hidden : tuple of str
        Populations below the top that it trains, the lowest first.
    tau_ms : float, default 10.0
        Time constant of the credit populations, in ms; used by rate dynamics.
    """

    network: Any
    parameters: Mapping[str, np.ndarray]
    top: str
    outputs: int
    hidden: tuple[str, ...]
    tau_ms: float = 10.0

    def __post_init__(self) -> None:
        network = make("credit_network", self.network)
        check_outputs(network, self.outputs, self.top)
        check_context(network.context, self.outputs)
        check_parameters(network, self.parameters)
        object.__setattr__(self, "tau_ms", positive_ms("teacher", tau_ms=self.tau_ms))
        arrays = {name: checked(f"credit network {name}", p) for name, p in self.parameters.items()}
        object.__setattr__(self, "network", network)
        object.__setattr__(self, "parameters", arrays)
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Teacher):
            return NotImplemented
        mine, theirs = ({n: v for n, v in vars(t).items() if n in _PLAIN} for t in (self, other))
        same = mine == theirs and self.parameters.keys() == other.parameters.keys()
        return same and all(np.array_equal(p, other.parameters[n]) for n, p in self.parameters.items())

    def __hash__(self) -> int:
        return hash((self.top, self.outputs, self.hidden))

    def level(self, hidden: str) -> int:
        """Index of the set of channels that a hidden population receives."""
        return level_of(self.hidden.index(hidden), len(self.hidden), len(self.network.sets))

    def leaving(self, shapes: Mapping[str, Shape]) -> dict[str, Feedback]:
        """Feedback of the projections onto the trained populations, by population, from their shapes."""
        found: dict[str, Feedback] = {}
        for name in self.hidden:
            level = self.level(name)
            channel_set = self.network.sets[level]
            if isinstance(channel_set.kernel, Learned):
                learned = self.parameters[f"diffusion_{level}"]
                found[name] = Given(channel_set.kernel.interpolated(shapes[name]) @ learned)
            else:
                found[name] = Diffusion(channel_set.kernel, channel_set.signs)
        return found | {self.top: Diffusion(NoDiffusion())}

    def placed(self, weights: Mapping[str, Array]) -> list[Placed]:
        """Kernels and addresses of the hidden populations, from weights by projection name."""
        return [
            Placed(
                weights[f"{channels_of(name)}->{name}"],
                weights[addresses_of(name)] if self.network.addressed else None,
                self.level(name),
            )
            for name in self.hidden
        ]

    @cached_property
    def _view(self) -> View:
        return view(self)

    @property
    def populations(self) -> dict[str, CreditPopulation]:
        """Populations of the credit network as a view, by name."""
        return self._view.populations

    @property
    def projections(self) -> dict[str, Projection]:
        """Top-down projections between them, by name."""
        return self._view.projections

    def to_data(self) -> dict[str, Any]:
        """As lossless plain data."""
        return {
            "credit_network": to_data("credit_network", self.network),
            "parameters": {name: array_to_data(p) for name, p in self.parameters.items()},
            **{name: getattr(self, name) for name in ("top", "outputs", "tau_ms")},
            "hidden": list(self.hidden),
        }

    @staticmethod
    def from_data(data: Any) -> Teacher:
        """Teacher from plain data written by `to_data`."""
        if not isinstance(data, dict) or set(data) != set(_SETTINGS):
            raise DeclarationError(f"teacher: needs {', '.join(_SETTINGS)}, as to_yaml writes them")
        arrays = data["parameters"]
        if not (isinstance(arrays, dict) and all(is_array_data(p) for p in arrays.values())):
            raise DeclarationError("teacher: parameters must be arrays by name, as to_yaml writes them")
        parameters = {name: array_from_data(p) for name, p in arrays.items()}
        own = {name: data[name] for name in ("top", "outputs", "hidden", "tau_ms")}
        return Teacher(from_data("credit_network", data["credit_network"]), parameters, **own)


_PLAIN = ("network", "top", "outputs", "hidden", "tau_ms")


def taught_populations(net: Network) -> tuple[str, ...]:
    """Populations below the top whose input weights a credit network trains, the lowest first."""
    learning = {p.post for p in net.bottom_ups if p.rule.from_teacher} - {net.objective_at}
    order = TopologicalSorter({name: [p.pre for p in net.inputs(name)] for name in net.populations})
    return tuple(name for name in order.static_order() if name in learning)


def teach(net: Network, trained: TrainedCredit, diffusing: Diffusing | None = None) -> None:
    """Add a credit network to ``net``, in place; plastic projections then learn by `Tdca`.

    ``diffusing`` makes plastic projections onto hidden populations from their kernels, if there are any.

    Raises
    ------
    DeclarationError
        If it was trained for another number of outputs, or its channels do not fit a population.
    """
    top = net.populations[str(net.objective_at)]
    teacher = Teacher(trained.network, trained.parameters, top.name, top.size, taught_populations(net))
    taken = sorted(set(teacher.populations) & set(net.populations))
    if taken:
        raise DeclarationError(
            f"population {taken[0]}: a population of the credit network has this name; choose another"
        )
    net.teacher = teacher
    shapes = {name: population.shape for name, population in net.populations.items()}
    for name, feedback in teacher.leaving(shapes).items():
        if diffusing is None or name == teacher.top:
            net.top_down(channels_of(name), name, feedback=feedback)
            continue
        parts = diffusing(feedback)
        net.top_down(
            channels_of(name),
            name,
            feedback=parts.feedback,
            plasticity=parts.plasticity,
            regulariser=parts.regularisers,
        )
