"""The equations of a credit network population by population, and its equilibrium under a protocol.

    context, base   a = x + signals of the top                              r = a
    two layers      a = x + W r_pre + bias                                  r = tanh(a)
    top             a = x + r_base + s · W r_deep,   s = rms of r_base      r = a
    channels        a = W r_base + s · W r_deep                             r = a · rms(r_top)/rms(a) + x

x is an external drive; it bypasses the normalisation of channels, so that it keeps its size. Silenced units
have r = 0, and a cut projection adds nothing; s is the size of r_base even if projections are cut. In the
shared form small networks replace the weights. The broadcast with plastic diffusion has no layers and no
normalisation: r = a = x + W r_base in channels. In a user-defined form only top and channels are populations,
with a = x + its ``credits`` and r = a. Without drives, cuts and silencing this is `CreditNetwork.credits`.

Arrays are numpy arrays (presentation, unit). In time every population reads the rates of the previous step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.context import TopSignals
from cortex_sim.credit.dense import DenseCredit
from cortex_sim.credit.network import Placed, pooled, rms, scale
from cortex_sim.credit.population import Part
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.credit.teacher import Teacher
from cortex_sim.feedback import Given
from cortex_sim.projection import Projection

Values = dict[str, np.ndarray]


def moves_in_parts(teacher: Teacher) -> bool:
    """Whether all populations of the credit network have equations, not only its outputs."""
    return normalises(teacher) or isinstance(teacher.network, BroadcastCredit)


def normalises(teacher: Teacher) -> bool:
    """Whether channels are scaled to the size of the top's credit."""
    return isinstance(teacher.network, (DenseCredit, SharedCredit))


def acting_names(teacher: Teacher) -> frozenset[str]:
    """Populations and projections within the network that its equations read, by name."""
    if moves_in_parts(teacher):
        return frozenset({*teacher.populations, *teacher.projections})
    outputs = (Part.TOP, Part.CHANNELS)
    return frozenset(name for name, p in teacher.populations.items() if p.part in outputs)


def scaled_by_base(teacher: Teacher, p: Projection) -> bool:
    """Whether a projection's signal is multiplied by the size s of the base."""
    populations = teacher.populations
    leaving = populations[p.post].part in (Part.TOP, Part.CHANNELS)
    return leaving and populations[p.pre].part is Part.LAYER


@dataclass(frozen=True)
class InParts:
    """A teacher, with the kernels and addresses of the populations that it trains."""

    teacher: Teacher
    placed: Sequence[Placed]

    def from_top(self, received: TopSignals | None, hidden: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """What populations receive from the top, by population; {} while the top is not nudged.

        Parameters
        ----------
        received : TopSignals or None
            State of the top; None while it is not nudged.
        hidden : sequence of array (presentation, unit)
            Rates of the populations that it trains, the lowest first.
        """
        teacher, network = self.teacher, self.teacher.network
        if received is None:
            return {}
        found = {name: network.context.base(teacher.parameters, received) for name in self.named(Part.BASE)}
        if not moves_in_parts(teacher):
            top, channels = network.credits(teacher.parameters, received, self.placed, hidden)
            return found | dict(zip(self.leaving, (top, *channels), strict=True))
        for name in self.named(Part.CONTEXT):
            seen = list(network.context.seen(received).values())
            if network.pooled:
                seen.append(pooled(self.placed, hidden))
            found[name] = np.concatenate(seen, axis=1)
        return found

    def signal(
        self, p: Projection, rates: Mapping[str, np.ndarray], received: TopSignals | None
    ) -> np.ndarray:
        """Signal of a projection within the network, before its gate and the factor s."""
        sent, network = rates[p.pre], self.teacher.network
        if not isinstance(network, SharedCredit):
            return sent @ p.feedback.weights.T if isinstance(p.feedback, Given) else sent
        if received is None:
            received = TopSignals(*[np.zeros_like(sent)] * 3)
        seen, parameters = network.context.seen(received), self.teacher.parameters
        if p.post not in self._place_of:
            return network.to_top(parameters, sent, seen)
        return network.to_channels(parameters, sent, seen, self._place_of[p.post])

    def rate(self, name: str, a: np.ndarray, r_top: Callable[[], np.ndarray]) -> np.ndarray:
        """Rates of one population from its drive; channels are scaled to the size of ``r_top()``."""
        if name in self._layers:
            return np.tanh(a)
        if injects(self.teacher, name):
            normalised: np.ndarray = a * (rms(r_top()) / rms(a))
            return normalised
        return a

    def named(self, part: Part) -> list[str]:
        """Names of the populations with this role."""
        return [name for name, population in self.teacher.populations.items() if population.part is part]

    @cached_property
    def leaving(self) -> list[str]:
        """The top's credit population, then the channels of the populations below it, the lowest first."""
        return [*self.named(Part.TOP), *self.named(Part.CHANNELS)]

    @cached_property
    def _layers(self) -> frozenset[str]:
        return frozenset(self.named(Part.LAYER))

    @cached_property
    def _place_of(self) -> dict[str, Placed]:
        return dict(zip(self.leaving[1:], self.placed, strict=True))


@dataclass(frozen=True)
class ActingOnCredit:
    """What a phase does to the populations and projections of a credit network.

    ``external`` holds external drives (presentation, unit) of all populations, ``gates`` factors of
    projections (0 if cut), and ``alive`` 0 for each silenced unit.
    """

    external: Mapping[str, np.ndarray]
    gates: Mapping[str, float] = field(default_factory=dict)
    alive: Mapping[str, np.ndarray] = field(default_factory=dict)


def settled_credit_network(
    parts: InParts, received: TopSignals | None, hidden: Sequence[np.ndarray], acting: ActingOnCredit
) -> tuple[Values, Values]:
    """Drives and rates of every credit population at equilibrium, (presentation, unit)."""
    drives: Values = {}
    rates: Values = {}
    teacher, seen = parts.teacher, parts.from_top(received, hidden)
    within = [p for p in teacher.projections.values() if p.name in acting_names(teacher)]
    for name, population in teacher.populations.items():  # in the order in which they settle
        outside, behind = acting.external[name], injects(teacher, name)
        a = seen.get(name, np.zeros(1)) + (0.0 if behind else outside)
        if population.biases is not None:
            a = a + population.biases
        for p in (p for p in within if p.post == name):
            signal = acting.gates.get(p.name, 1.0) * parts.signal(p, rates, received)
            a = a + (
                scale(rates[parts.named(Part.BASE)[0]]) * signal if scaled_by_base(teacher, p) else signal
            )
        r = parts.rate(name, a, lambda: rates[parts.leaving[0]])
        drives[name], r = (a + outside, r + outside) if behind else (a, r)
        rates[name] = acting.alive.get(name, 1.0) * r
    return drives, rates


def injects(teacher: Teacher, name: str) -> bool:
    """Whether external drive is added after the normalisation of a population."""
    return normalises(teacher) and teacher.populations[name].part is Part.CHANNELS
