"""The credit network in the batched engine: the inputs of its populations at each step, with numpy.

Every credit population receives the old state of the others; see `credit_equations`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cortex_sim.backends.brian2.credit_equations import moves_in_parts
from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.views import Unit, View
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.credit.context import TopSignals
from cortex_sim.credit.network import pooled, rms
from cortex_sim.credit.population import Part
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.credit.teacher import Teacher
from cortex_sim.feedback import Given

Signals = Mapping[str, np.ndarray]


class Teaching:
    """Credit populations, step by step.

    Parameters
    ----------
    teacher : Teacher
    weights : Weights
    units : mapping of str to Unit
        Populations of the bottom-up network.
    credit : mapping of str to View
        Credit populations, with their variables of shape (presentation, unit).

    Attributes
    ----------
    rates : dict of str to array
        Rates of the credit populations at the last step, (presentation, unit).
    """

    def __init__(
        self,
        teacher: Teacher,
        weights: Weights,
        units: Mapping[str, Unit],
        credit: Mapping[str, View | Tabulated],
    ) -> None:
        self.teacher, self.units, self.credit = teacher, units, credit
        self.rates: dict[str, np.ndarray] = {}
        self._network, self._parameters = teacher.network, teacher.parameters
        self._placed = teacher.placed(weights.matrix)
        self._named = {kind: [n for n, p in teacher.populations.items() if p.part is kind] for kind in Part}
        (self._top,), self._channels = self._named[Part.TOP], self._named[Part.CHANNELS]
        self._whole = not moves_in_parts(teacher)
        var = weights.circuit.var
        drives = {} if self._whole else teacher.projections
        self._drives = {n: credit[p.post][var("drive", n)] for n, p in drives.items()}

    def strength(self, name: str) -> np.ndarray:
        """How strongly a credit population acts below, as brian2's array of shape (1,)."""
        return self.credit[name]["strength"]

    def step(self, r: Signals) -> None:
        """Set the input of every credit population, from the rates of all populations."""
        top = self.units[self.teacher.top]
        received = top.top_signals(r[self.teacher.top])
        if "mean_rate" in top.view:
            top.view["mean_rate"][...] = r[self.teacher.top].mean(axis=1, keepdims=True)
        hidden = [r[name] for name in self.teacher.hidden]
        for name in self._named[Part.BASE]:
            received_base = (
                0.0 if received is None else self._network.context.base(self._parameters, received)
            )
            self.credit[name]["heard"][...] = received_base
        if self._whole:
            self._as_a_whole(received, hidden)
            return
        self._respond()
        (base,) = self._named[Part.BASE]
        power = np.mean(self.rates[base] ** 2, axis=1, keepdims=True)
        for name in (self._top, *self._channels):
            self.credit[name]["base_power"][...] = power
        if isinstance(self._network, SharedCredit):
            self._small_networks(self._network, received, self.rates[base])
        else:
            self._layers(received, hidden)

    def _respond(self) -> None:
        """Rates of all credit populations, at the state after the last step."""
        a = {name: view["a"] for name, view in self.credit.items()}
        layers = self._named[Part.LAYER]
        self.rates |= {n: np.tanh(x) if n in layers else x for n, x in a.items()}
        power = np.mean(a[self._top] ** 2, axis=1, keepdims=True)
        for name in self._channels:
            self.rates[name] = a[name] * (rms(a[self._top]) / rms(a[name]))
            self.credit[name]["top_power"][...] = power
            self.credit[name]["own_power"][...] = np.mean(a[name] ** 2, axis=1, keepdims=True)

    def _as_a_whole(self, received: TopSignals | None, hidden: list[np.ndarray]) -> None:
        """A user-defined form: top and channels approach the present output of its equations."""
        self.rates |= {name: view["a"] for name, view in self.credit.items()}
        names = (self._top, *self._channels)
        if received is None:
            for name in names:
                self.credit[name]["heard"][...] = 0.0
            return
        top, channels = self._network.credits(self._parameters, received, self._placed, hidden)
        for name, credit in zip(names, (top, *channels), strict=True):
            self.credit[name]["heard"][...] = credit

    def _layers(self, received: TopSignals | None, hidden: list[np.ndarray]) -> None:
        """The dense form: the context's signals, and pooled rates; weights between all others."""
        (context,) = self._named[Part.CONTEXT]
        if received is None:
            self.credit[context]["heard"][...] = 0.0
        else:
            seen = list(self._network.context.seen(received).values())
            if self._network.pooled:
                seen.append(pooled(self._placed, hidden))
            self.credit[context]["heard"][...] = np.concatenate(seen, axis=1)
        for name, p in self.teacher.projections.items():
            sent = self.rates[p.pre]
            self._drives[name][...] = sent @ p.feedback.weights.T if isinstance(p.feedback, Given) else sent

    def _small_networks(self, network: SharedCredit, received: TopSignals | None, base: np.ndarray) -> None:
        """The shared form: one small network for every channel, one for every output."""
        if received is None:
            nothing = np.zeros_like(base)
            received = TopSignals(nothing, nothing, nothing)
        seen = network.context.seen(received)
        to_top, *to_channels = self._drives.values()
        to_top[...] = network.to_top(self._parameters, base, seen)
        for drive, placed in zip(to_channels, self._placed, strict=True):
            drive[...] = network.to_channels(self._parameters, base, seen, placed)
