"""The credit network in the synapses engine: signals between its populations as summed variables.

Within a step: powers first, then the normalised rates of channels, then what every population receives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.equations import LEARNING, PREDICTING, SENDING
from cortex_sim.credit.in_parts import normalises
from cortex_sim.credit.population import Part
from cortex_sim.feedback import Given

Connect = Callable[[Any], None]


def lines_of(circuit: Circuit, p: Any) -> list[str]:
    """Sums over one projection within the credit network; from the base also its mean square, where read."""
    lines = [f"{circuit.var('drive', p.name)}_post = w * sent_r_pre : 1 (summed)"]
    sender = circuit.net.credit_populations[p.pre]
    if sender.part is Part.BASE and normalises(circuit.teacher):  # type: ignore[arg-type]
        lines.append(f"base_power_post = sent_r_pre**2 / {sender.size} : 1 (summed)")
    return lines


def weights_of(circuit: Circuit, p: Any) -> np.ndarray:
    """Its weights (post, pre): trained parameters of the teacher, or the identity."""
    if isinstance(p.feedback, Given):
        return p.feedback.weights
    return np.eye(circuit.net.credit_populations[p.post].size)


class CreditSynapses:
    """Synapses without weights: from the top, and between units that share a mean square.

    Attributes
    ----------
    objects : list
        brian2's objects.
    """

    def __init__(self, circuit: Circuit, groups: Mapping[str, Any], clock: Any) -> None:
        assert circuit.teacher is not None
        self.circuit, self.groups, self.clock = circuit, groups, clock
        self.objects: list[Any] = []
        teacher, outputs, populations = (
            circuit.teacher,
            circuit.teacher.outputs,
            circuit.net.credit_populations,
        )
        part = {kind: [n for n, p in populations.items() if p.part is kind] for kind in Part}
        (top,), (base,) = part[Part.TOP], part[Part.BASE]
        for name, population in populations.items():
            order = SENDING - 0.5 if population.part is Part.CHANNELS else PREDICTING - 1
            groups[name].run_regularly("sent_r = r", clock=clock, when="groups", order=order)
        if not teacher.network.context.reads_error:
            text = f"mean_rate_post = sent_r_pre / {outputs}"
            self._sum(teacher.top, teacher.top, text, _all, PREDICTING)
        for name in part[Part.CHANNELS] if normalises(teacher) else ():
            own = populations[name].size
            self._sum(name, name, f"own_power_post = a_pre**2 / {own}", _all, PREDICTING)
            self._sum(top, name, f"top_power_post = sent_r_pre**2 / {outputs}", _all, PREDICTING)
        self._sum(teacher.top, base, "heard_post = sent_base_pre", _one_by_one, SENDING)
        line = f"heard_post = int(j < {outputs}) * sent_seen_pre + int(j >= {outputs}) * sent_goal_pre"
        for context in part[Part.CONTEXT]:
            self._sum(teacher.top, context, line, _twice(outputs), SENDING)

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
    """Connect each unit of the top to two units of a context: one reads what is seen, one the goal."""

    def connect(made: Any) -> None:
        made.connect(i=np.tile(np.arange(units), 2), j=np.arange(2 * units))

    return connect
