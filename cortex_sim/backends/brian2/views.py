"""A population's brian2 variables as numpy arrays, and what is computed from them: rate, credit, u."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.credit_equations import reads_objective
from cortex_sim.backends.brian2.normalised import VARIABLE, Grouped, Normalised, numpy_functions
from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.credit.context import TopSignals
from cortex_sim.objectives import CrossEntropy


class View:
    """Variables of one group; ``view["a"]`` is the array brian2 itself works on, (presentation, unit)."""

    def __init__(self, group: Any, presentations: int) -> None:
        self._group, self._rows = group, presentations
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

    def own_variables(self) -> list[str]:
        """Names of all variables that the group itself holds and that can change, sorted."""
        return sorted(
            name
            for name, variable in self._group.variables.items()
            if isinstance(variable, ArrayVariable)
            and variable.owner is not None
            and variable.owner.name == self._group.name
            and not variable.read_only
            and np.issubdtype(variable.dtype, np.floating)
        )

    def put(self, variable: str, value: Any) -> None:
        """Set a variable immediately."""
        self[variable][...] = value

    def _is_shared(self, variable: str) -> bool:
        return bool(self._group.variables[variable].scalar)


class Unit:
    """One population as in the equations: r, c and u computed with numpy from its variables.

    What is constant during a phase (silenced units, gates, the nudge's strength) is read once, by `begin`.
    """

    def __init__(
        self,
        circuit: Circuit,
        name: str,
        view: View | Tabulated,
        features: frozenset[str],
        weights: Weights,
        in_units: bool,
    ) -> None:
        self.view = view
        self.is_source = name in circuit.sources
        self._gated = circuit.gated(name)
        self.has_gain = any(p.post == name for p in circuit.net.gains)
        self._transfer = lambda: weights.transfer(name)
        self._own_bias = in_units and name in weights.bias  # which changes in the neurons, not in the weights
        self.normalised: Normalised | None = None
        self._read_transfer()
        self.has_teacher = circuit.teacher is not None and name == circuit.teacher.top
        self.objective = circuit.net.objective_function if name == circuit.net.objective_at else None
        self.partition: np.ndarray | None = None  # 1 / softmax(r), if the objective needs it
        self.received = [
            (circuit.var("heard", p.name), None)
            if p.name in features
            else (circuit.var("c", p.name), circuit.var("gate", p.name))
            for p in circuit.apical_inputs(name)
        ]
        self._alive: np.ndarray | None = None
        self._free, self._strength = False, 0.0
        self._marked: dict[str, np.ndarray] = {}
        self._arriving: list[tuple[np.ndarray, float]] = []
        self._credit_alive: np.ndarray | None = None
        self._injected: np.ndarray | None = None

    def begin(self, injected: bool = True) -> None:
        """Read what is constant until the next call: at the start of a phase, and when a gate has changed.

        ``injected`` says whether credit is injected in this phase.
        """
        alive = self.view["alive"]
        self._alive = None if (alive == 1).all() else alive
        if self.is_source:
            return
        self._read_transfer()
        self._free = bool(self.view["free"][0])
        if "strength" in self.view:
            self._strength = float(self.view["strength"][0])
            receiving = self.view["credit_alive"]
            self._credit_alive = None if (receiving == 1).all() else receiving
            self._injected = self.view["injected_credit"] if injected else None
        self._arriving = [
            (self.view[variable], 1.0 if gate is None else float(self.view[gate][0]))
            for variable, gate in self.received
        ]

    def rates(self) -> np.ndarray:
        """Rate r, (presentation, unit)."""
        if self.is_source:
            r = self.view["shown"]
        elif self._free:
            r = self.view["spontaneous"]
        else:
            r = self.rate(self.view["a"])
            r = r * self._factor() if self.has_gain else r
        return r if self._alive is None else self._alive * r

    def drive(self) -> np.ndarray:
        """Drive a, or what a source is shown, (presentation, unit)."""
        return self.view["shown" if self.is_source else "a"]

    def credit(self, r: np.ndarray) -> np.ndarray:
        """Credit c = Σ c_p + nudge, with a protocol's silencing and injection, (presentation, unit)."""
        total = None if self.has_teacher else self._nudge(r)
        for compartment, gate in self._arriving:
            part = compartment if gate == 1 else gate * compartment
            total = part if total is None else total + part
        total = np.zeros_like(r) if total is None else total
        total = total if self._credit_alive is None else self._credit_alive * total
        return total if self._injected is None else total + self._injected

    def to_learn(self, c: np.ndarray) -> np.ndarray:
        """What a population's synapses learn from: u = c ∘ f′(a), 0 where units are silenced.

        With a normaliser, of Jacobian J = ∂n/∂a, it is Jᵀ(c ∘ f′(n)).
        """
        if self.normalised is not None:
            return self.normalised.by.back(self.view["a"], self._behind(c, self.normalised))
        u = c if self.gain is None or not self._gated else c * self.gain(self.view["a"])
        u = u * self._factor() if self.has_gain and self._gated else u
        return u if self._alive is None else self._alive * u

    def of_bias(self, c: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Signal from which the bias learns: u, or c ∘ f′(n) where it acts behind a normaliser."""
        return u if self.normalised is None else self._behind(c, self.normalised)

    def _behind(self, c: np.ndarray, normalised: Normalised) -> np.ndarray:
        behind = c * normalised.behind(self.view["a"])
        behind = behind * self._factor() if self.has_gain else behind
        return behind if self._alive is None else self._alive * behind

    def normalise(self) -> None:
        """Write the statistics of the present drives, where the population is normalised by these."""
        if self.normalised is not None and isinstance(self.normalised.by, Grouped):
            mean, variance = self.normalised.by.moments(self.view["a"])
            self.view[VARIABLE.format("mean")][...] = mean
            self.view[VARIABLE.format("variance")][...] = variance

    def _read_transfer(self) -> None:
        transfer = self._transfer()
        if isinstance(transfer, Normalised) and self._own_bias:
            transfer = replace(transfer, bias=lambda: self.view["bias"])
        self.rate, self.gain = numpy_functions(transfer)
        self.normalised = transfer if isinstance(transfer, Normalised) else None

    def mark(self) -> None:
        """Keep the present drives and gains, so that `slopes` finds the middle of the step that follows."""
        self._marked = {v: self.view[v].copy() for v in ("a", "g") if v in self.view}

    def slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """∂r/∂a and ∂r/∂g of every unit, (presentation, unit), in the middle of the last step.

        Where a step that is too long makes activity alternate, this is at the fixed point in between.
        """
        middle = {v: (before + self.view[v]) / 2 for v, before in self._marked.items()}
        a = middle["a"]
        alive = np.zeros_like(a) if self._free else self.view["alive"] * np.ones_like(a)
        slope = alive if self.gain is None else alive * self.gain(a)
        if not self.has_gain:
            return slope, np.zeros_like(a)
        factor = np.maximum(0.0, 1 + middle["g"])
        return slope * factor, alive * self.rate(a) * (factor > 0)

    def _factor(self) -> np.ndarray:
        """max(0, 1 + g), by which projections of gain multiply rates."""
        return np.maximum(0.0, 1 + self.view["g"])

    def _nudge(self, r: np.ndarray) -> np.ndarray | None:
        if not self._strength:
            return None
        error = self._error(r)
        return error if self._strength == 1 else self._strength * error

    def _error(self, r: np.ndarray) -> np.ndarray:
        goal = self.view["goal"]
        match self.objective:
            case None:
                return goal - r
            case CrossEntropy(weight=weight) as objective:
                grown = np.exp(r - r.max(axis=1, keepdims=True))
                self.partition = grown.sum(axis=1, keepdims=True) / grown
                return weight * (objective.smoothed(goal) - 1 / self.partition)
            case objective:
                return objective.credit(r, goal)

    def top_signals(self, r: np.ndarray) -> TopSignals | None:
        """What a credit network receives from this population, the top; None if it is not nudged."""
        return TopSignals(r, self.view["goal"], self._error(r)) if self._strength else None


def has_partition(circuit: Circuit, name: str) -> bool:
    """Whether the population's credit needs the partition of its rates."""
    at_top = name == circuit.net.objective_at and reads_objective(circuit.teacher)
    return at_top and isinstance(circuit.net.objective_function, CrossEntropy)
