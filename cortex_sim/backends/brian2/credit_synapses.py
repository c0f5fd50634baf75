"""The credit network in the synapses engine: what passes between its populations as summed variables.

Within a step: powers first, then the normalised rates of channels, then what everybody hears.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.credit_equations import reads_objective
from cortex_sim.backends.brian2.equations import LEARNING, PREDICTING, SENDING
from cortex_sim.credit.declared import BASE, CONTEXT, channels_of

Connect = Callable[[Any], None]


def lines_of(circuit: Circuit, p: Any) -> list[str]:
    """What one projection within the credit network sums up; of the base, its power too."""
    lines = [f"{circuit.var('drive', p.name)}_post = w * sent_r_pre : 1 (summed)"]
    if p.pre == BASE:
        size = circuit.net.credit_populations[BASE].size
        lines.append(f"base_power_post = sent_r_pre**2 / {size} : 1 (summed)")
    return lines


class CreditSynapses:
    """Synapses without weights of their own: from the top, and between units that share a power.

    Attributes
    ----------
    objects : list
        brian2's objects.
    """

    def __init__(self, circuit: Circuit, groups: Mapping[str, Any], clock: Any) -> None:
        assert circuit.taught is not None
        self.circuit, self.groups, self.clock = circuit, groups, clock
        self.objects: list[Any] = []
        taught, outputs = circuit.taught, circuit.population(circuit.taught.top).size
        channels = [channels_of(name) for name in taught.hidden]
        for name in circuit.net.credit_populations:
            order = SENDING - 0.5 if name in channels else PREDICTING - 1
            groups[name].run_regularly("sent_r = r", clock=clock, when="groups", order=order)
        if not reads_objective(taught):
            text = f"mean_rate_post = sent_r_pre / {outputs}"
            self._sum(taught.top, taught.top, text, _all, PREDICTING)
        for name in channels:
            own = circuit.net.credit_populations[name].size
            top = channels_of(taught.top)
            self._sum(name, name, f"own_power_post = a_pre**2 / {own}", _all, PREDICTING)
            self._sum(top, name, f"top_power_post = a_pre**2 / {outputs}", _all, PREDICTING)
        self._sum(taught.top, BASE, "heard_post = sent_base_pre", _one_by_one, SENDING)
        told = f"heard_post = int(j < {outputs}) * sent_seen_pre + int(j >= {outputs}) * sent_goal_pre"
        self._sum(taught.top, CONTEXT, told, _twice(outputs), SENDING)

    def _sum(self, pre: str, post: str, text: str, connect: Connect, order: float) -> None:
        variable = text.split(" = ")[0]
        made = brian2.Synapses(
            self.groups[pre],
            self.groups[post],
            f"{text} : 1 (summed)",
            clock=self.clock,
            name=f"{variable}_from_{self.circuit.identifier[pre]}_to_{self.circuit.identifier[post]}",
            order=LEARNING,
        )
        connect(made)
        made.summed_updaters[variable].order = order
        self.objects.append(made)


def _all(made: Any) -> None:
    made.connect()


def _one_by_one(made: Any) -> None:
    made.connect(j="i")


def _twice(units: int) -> Connect:
    """Each unit of the top to its place among what is seen, and to its place among goals."""

    def connect(made: Any) -> None:
        made.connect(i=np.tile(np.arange(units), 2), j=np.arange(2 * units))

    return connect
