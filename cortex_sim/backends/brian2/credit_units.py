"""A credit population's brian2 variables as numpy arrays, and its rate computed from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.views import View
from cortex_sim.credit.in_parts import InParts


class CreditUnit:
    """One credit population as in the equations; it has the members of `Unit` that recording needs.

    Parameters
    ----------
    parts : InParts
    name : str
    view : View
    others : mapping of str to CreditUnit
        All populations of the network; channels are scaled to the rms of the rates of its top.
    """

    is_source = False

    def __init__(
        self, parts: InParts, name: str, view: View | Tabulated, others: Mapping[str, CreditUnit]
    ) -> None:
        self.view, self._parts, self._name, self._others = view, parts, name, others
        self._alive: np.ndarray | None = None
        self._injects = "injected" in view

    def begin(self, injected: bool = True) -> None:
        """Read which units are silenced, at the start of a phase; no credit is injected here."""
        alive = self.view["alive"]
        self._alive = None if (alive == 1).all() else alive

    def rates(self) -> np.ndarray:
        """Rate r, (presentation, unit)."""
        r = self._parts.rate(self._name, self.view["a"], lambda: self._others[self._parts.leaving[0]].rates())
        r = r + self.view["injected"] if self._injects else r
        return r if self._alive is None else self._alive * r

    def drive(self) -> np.ndarray:
        """Drive a, with what a protocol adds, (presentation, unit)."""
        a = self.view["a"]
        return a + self.view["injected"] if self._injects else a

    def credit(self, r: np.ndarray) -> np.ndarray:
        """It receives no credit: 0, (presentation, unit)."""
        return np.zeros_like(r)


def credit_units(parts: InParts | None, views: Mapping[str, View | Tabulated]) -> dict[str, CreditUnit]:
    """All credit populations of a network by name; {} without a credit network."""
    found: dict[str, CreditUnit] = {}
    for name, view in views.items() if parts is not None else ():
        assert parts is not None
        found[name] = CreditUnit(parts, name, view, found)
    return found
