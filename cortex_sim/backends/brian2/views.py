"""A population's brian2 variables as numpy arrays, and what is read off them: rate, credit, u."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.objectives import CrossEntropy


class View:
    """Variables of one group; ``view["a"]`` is the array brian2 itself works on, (presentation, unit)."""

    def __init__(self, group: Any, presentations: int, compiled: bool = False) -> None:
        self._group, self._rows, self._compiled = group, presentations, compiled
        self._known: dict[str, np.ndarray] = {}

    def __contains__(self, variable: str) -> bool:
        return variable in self._group.variables

    def __getitem__(self, variable: str) -> np.ndarray:
        known = self._known.get(variable)
        if known is None:
            values = self._group.variables[variable].get_value()
            known = (
                values
                if values.shape == (1,) and self._is_shared(variable)
                else values.reshape(self._rows, -1)
            )
            self._known[variable] = known
        return known

    def put(self, variable: str, value: Any) -> None:
        """Set a variable: here and now, or (in C++ standalone) when the program comes to it."""
        if not self._compiled:
            self[variable][...] = value
        elif self._is_shared(variable):
            setattr(self._group, variable, float(value))
        else:
            units = len(self._group)
            setattr(self._group, variable, np.broadcast_to(np.asarray(value, float).ravel(), (units,)).copy())

    def _is_shared(self, variable: str) -> bool:
        return bool(self._group.variables[variable].scalar)


class Unit:
    """One population as the equations have it: r, c and u computed with numpy from its variables."""

    def __init__(self, circuit: Circuit, name: str, view: View, heard: frozenset[str]) -> None:
        self.view = view
        self.is_stimulus = name == circuit.stimulus
        population = circuit.population(name)
        self.rate, self.gain = population.activation.rate, population.activation.gain
        self.objective = circuit.net.error if name == circuit.net.objective_at else None
        self.told = [
            (circuit.var("heard", p.name), None)
            if p.name in heard
            else (circuit.var("c", p.name), circuit.var("gate", p.name))
            for p in circuit.apical_inputs(name)
        ]

    def rates(self) -> np.ndarray:
        """Rate r, (presentation, unit)."""
        v = self.view
        if self.is_stimulus:
            return v["alive"] * v["shown"]
        if v["free"][0]:
            return v["alive"] * v["spontaneous"]
        return v["alive"] * self.rate(v["a"])

    def credit(self, r: np.ndarray) -> np.ndarray:
        """Credit c = Σ c_p + nudge, (presentation, unit)."""
        total = self._nudge(r)
        for variable, gate in self.told:
            total = total + (self.view[variable] if gate is None else self.view[gate] * self.view[variable])
        return total

    def to_learn(self, c: np.ndarray) -> np.ndarray:
        """What a population's synapses learn from: u = c ∘ f′(a), 0 where units are silenced."""
        return self.view["alive"] * c * self.gain(self.view["a"])

    def _nudge(self, r: np.ndarray) -> np.ndarray:
        strength = self.view["strength"][0]
        if not strength:
            return np.zeros_like(r)
        goal = self.view["goal"]
        asked = (goal - r) if self.objective is None else self.objective.credit(r, goal)
        return strength * asked


def partition(r: np.ndarray) -> np.ndarray:
    """1 / softmax(r), unit by unit, (presentation, unit)."""
    shifted = np.exp(r - r.max(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        return shifted.sum(axis=1, keepdims=True) / shifted


def has_partition(circuit: Circuit, name: str) -> bool:
    """Whether the population's credit needs the partition of its rates."""
    return name == circuit.net.objective_at and isinstance(circuit.net.error, CrossEntropy)
