"""A credit network as populations and top-down projections: for printing, drawing, and rate dynamics.

dense      context → two layers → channels of each population, and the top; base → both
shared     base → channels, and the top, through small networks
broadcast  base → channels, and the top
other      channels and the top only; other parts are not shown
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cortex_sim.activations import Tanh
from cortex_sim.connectors import Dense
from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.dense import DenseCredit
from cortex_sim.credit.feedback import Addressed, Diffusion, Elementwise
from cortex_sim.credit.kernels import NoDiffusion
from cortex_sim.credit.population import CreditPopulation, Part
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.feedback import Feedback, Given
from cortex_sim.projection import TOP_DOWN, Projection

if TYPE_CHECKING:
    from cortex_sim.credit.teacher import Teacher

_CONTEXT, _BASE, _FIRST, _DEEP = "TDCA context", "TDCA base", "TDCA", "TDCA deep"


def channels_of(population: str) -> str:
    """Name of the credit population that sends to a population."""
    return f"TDCA {population}"


def addresses_of(population: str) -> str:
    """Name of the projection whose weights are the addresses of a population's channels."""
    return f"{_BASE}->{channels_of(population)}"


@dataclass(frozen=True)
class View:
    """Credit populations and the projections between them, by name."""

    populations: dict[str, CreditPopulation] = field(default_factory=dict)
    projections: dict[str, Projection] = field(default_factory=dict)

    def join(self, pre: str, post: str, feedback: Feedback) -> None:
        """Add a projection."""
        p = Projection(TOP_DOWN, pre, post, Dense(), feedback)
        self.projections[p.name] = p


def view(teacher: Teacher) -> View:
    """Populations and projections of a teacher's credit network."""
    found, network, p = View(), teacher.network, teacher.parameters
    top = channels_of(teacher.top)

    def add(name: str, size: int, part: Part, **more: Any) -> None:
        found.populations[name] = CreditPopulation(name, size, part, tau_ms=teacher.tau_ms, **more)

    if isinstance(network, DenseCredit):
        add(_CONTEXT, p["context"].shape[1], Part.CONTEXT)
    if isinstance(network, (DenseCredit, BroadcastCredit)) or network.addressed:
        add(_BASE, teacher.outputs, Part.BASE)
    if isinstance(network, DenseCredit):
        for name, bias in ((_FIRST, "context_bias"), (_DEEP, "hidden_bias")):
            add(name, network.hidden, Part.LAYER, activation=Tanh(), biases=p[bias][0])
        found.join(_CONTEXT, _FIRST, Given(p["context"]))
        found.join(_FIRST, _DEEP, Given(p["hidden"]))
        found.join(_BASE, top, Diffusion(NoDiffusion()))
        found.join(_DEEP, top, Given(p["top"]))
    elif isinstance(network, SharedCredit):
        found.join(_BASE, top, Elementwise())
    elif isinstance(network, BroadcastCredit):
        found.join(_BASE, top, Diffusion(NoDiffusion()))
    add(top, teacher.outputs, Part.TOP)
    for name in teacher.hidden:
        level, channels = teacher.level(name), channels_of(name)
        add(channels, network.sets[level].count, Part.CHANNELS)
        if isinstance(network, DenseCredit):
            found.join(_BASE, channels, Given(p[f"broadcast_{level}"]))
            found.join(_DEEP, channels, Given(p[f"channels_{level}"]))
        elif isinstance(network, BroadcastCredit):
            found.join(_BASE, channels, Given(p["broadcast"]))
        elif network.addressed:
            found.join(_BASE, channels, Addressed())
    return found
