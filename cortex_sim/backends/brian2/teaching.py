"""The credit network in the batched engine: the inputs of its populations at each step, with numpy.

Every credit population receives the old state of the others; see `credit_equations`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cortex_sim.backends.brian2.credit_units import CreditUnit
from cortex_sim.backends.brian2.views import Unit
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.credit.in_parts import InParts, moves_in_parts, normalises
from cortex_sim.credit.population import Part

Signals = Mapping[str, np.ndarray]


class Teaching:
    """Credit populations, step by step.

    Parameters
    ----------
    parts : InParts
    weights : Weights
    units : mapping of str to Unit
        Populations of the bottom-up network.
    credit : mapping of str to CreditUnit
        Credit populations.

    Attributes
    ----------
    rates : dict of str to array
        Rates of the credit populations at the last step, (presentation, unit).
    """

    def __init__(
        self,
        parts: InParts,
        weights: Weights,
        units: Mapping[str, Unit],
        credit: Mapping[str, CreditUnit],
    ) -> None:
        self.parts, self.teacher, self.units, self.credit = parts, parts.teacher, units, credit
        self.rates: dict[str, np.ndarray] = {}
        self._whole, self._normalises = not moves_in_parts(self.teacher), normalises(self.teacher)
        var, projections = weights.circuit.var, {} if self._whole else self.teacher.projections
        self._drives = [(p, credit[p.post].view[var("drive", p.name)]) for p in projections.values()]
        self._receiving = [unit.view["heard"] for unit in credit.values() if "heard" in unit.view]
        self._bases = parts.named(Part.BASE)

    def strength(self, name: str) -> np.ndarray:
        """How strongly a credit population acts below, as brian2's array of shape (1,)."""
        return self.credit[name].view["strength"]

    def delivered(self) -> dict[str, np.ndarray]:
        """What credit populations delivered at the last step, (presentation, unit)."""
        return {name: self.strength(name) * r for name, r in self.rates.items()}

    def step(self, r: Signals) -> None:
        """Set the input of every credit population, from the rates of all populations."""
        top = self.units[self.teacher.top]
        received = top.top_signals(r[self.teacher.top])
        if "mean_rate" in top.view:
            top.view["mean_rate"][...] = r[self.teacher.top].mean(axis=1, keepdims=True)
        for values in self._receiving if received is None else ():
            values[...] = 0.0
        for name, values in self.parts.from_top(received, [r[name] for name in self.teacher.hidden]).items():
            self.credit[name].view["heard"][...] = values
        self.rates |= {name: unit.rates() for name, unit in self.credit.items()}
        if self._whole:
            return
        if self._normalises:
            self._powers()
        for p, drive in self._drives:
            drive[...] = self.parts.signal(p, self.rates, received)

    def _powers(self) -> None:
        """Mean squares over the units of the base, the top and each set of channels."""
        (base,), (top, *channels) = self._bases, self.parts.leaving
        of_base, of_top = _power(self.rates[base]), _power(self.rates[top])
        for name in (top, *channels):
            self.credit[name].view["base_power"][...] = of_base
        for name in channels:
            self.credit[name].view["top_power"][...] = of_top
            self.credit[name].view["own_power"][...] = _power(self.credit[name].view["a"])


def _power(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.mean(x**2, axis=1, keepdims=True)
    return found
