"""The credit network in the batched engine: what its populations hear at each step, with numpy.

Every credit population hears the old state of the others; see `credit_equations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortex_sim.backends.brian2.views import Unit, View
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.backends.brian2.written import Written
from cortex_sim.credit.context import Told
from cortex_sim.credit.declared import BASE, CONTEXT, DEEP, FIRST, DeclaredCredit, channels_of
from cortex_sim.credit.network import SharedCredit, pooled, rms

Signals = Mapping[str, np.ndarray]


class Teaching:
    """Credit populations, step by step.

    Parameters
    ----------
    declared : DeclaredCredit
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
        declared: DeclaredCredit,
        weights: Weights,
        units: Mapping[str, Unit],
        credit: Mapping[str, View | Written],
    ) -> None:
        self.declared, self.units, self.credit = declared, units, credit
        self.rates: dict[str, np.ndarray] = {}
        self._network: Any = declared.network
        self._placed = declared.placed(weights.matrix)
        self._parameters = dict(declared.constants) | declared.parameters(weights.matrix)
        self._top = channels_of(declared.top)
        self._channels = [channels_of(name) for name in declared.hidden]
        self._drive = {
            name: {p.pre: view[weights.circuit.var("drive", p.name)] for p in _onto(weights, name)}
            for name, view in credit.items()
        }
        self._matrix = {
            name: {p.pre: weights.matrix[p.name] for p in _onto(weights, name)} for name in credit
        }

    def strength(self, name: str) -> np.ndarray:
        """How strongly a credit population is heard below, as brian2 keeps it: shape (1,)."""
        return self.credit[name]["strength"]

    def step(self, r: Signals) -> None:
        """Fill in what every credit population hears, from the rates of all populations."""
        self._respond()
        top = self.units[self.declared.top]
        told = top.told_above(r[self.declared.top])
        if "mean_rate" in top.view:
            top.view["mean_rate"][...] = r[self.declared.top].mean(axis=1, keepdims=True)
        self._hear(told, r)
        base = self.rates[BASE]
        for name in (self._top, *self._channels):
            self.credit[name]["base_power"][...] = np.mean(base * base, axis=1, keepdims=True)
        if isinstance(self._network, SharedCredit):
            self._small_networks(told)
            return
        for name, drives in self._drive.items():
            for pre, drive in drives.items():
                drive[...] = self.rates[pre] @ self._matrix[name][pre].T

    def _respond(self) -> None:
        """Rates of all credit populations, at the state the last step left."""
        a = {name: view["a"] for name, view in self.credit.items()}
        self.rates |= {n: np.tanh(x) if n in (FIRST, DEEP) else x for n, x in a.items()}
        power = np.mean(a[self._top] ** 2, axis=1, keepdims=True)
        for name in self._channels:
            self.rates[name] = a[name] * (rms(a[self._top]) / rms(a[name]))
            self.credit[name]["top_power"][...] = power
            self.credit[name]["own_power"][...] = np.mean(a[name] ** 2, axis=1, keepdims=True)

    def _hear(self, told: Told | None, r: Signals) -> None:
        """Context and base: what stands at the top, and pooled rates."""
        context = self.declared.network.context
        self.credit[BASE]["heard"][...] = 0.0 if told is None else context.base(self._parameters, told)
        if CONTEXT not in self.credit:
            return
        if told is None:
            self.credit[CONTEXT]["heard"][...] = 0.0
            return
        seen = list(context.seen(told))
        if self._network.pooled:
            seen.append(pooled(self._placed, [r[name] for name in self.declared.hidden]))
        self.credit[CONTEXT]["heard"][...] = np.concatenate(seen, axis=1)

    def _small_networks(self, told: Told | None) -> None:
        """The shared form: one small network for every channel, one for every output."""
        base, parameters = self.rates[BASE], self._parameters
        if told is None:
            nothing = np.zeros_like(base)
            told = Told(nothing, nothing, nothing)
        seen = self._network.context.seen(told)
        self._drive[self._top][BASE][...] = self._network.to_top(parameters, base, seen)
        for name, placed in zip(self._channels, self._placed, strict=True):
            self._drive[name][BASE][...] = self._network.to_channels(parameters, base, seen, placed)


def _onto(weights: Weights, name: str) -> list[Any]:
    """Projections onto a credit population."""
    return [p for p in weights.circuit.net.credit_projections if p.post == name]
