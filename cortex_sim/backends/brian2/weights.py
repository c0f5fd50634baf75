"""Everything that lasts from trial to trial: weights, biases, rule and activation state, in float64."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from cortex_sim.allowed import Allowed, allowed_of
from cortex_sim.backends.brian2.circuit import Apical, Circuit
from cortex_sim.backends.brian2.normalised import VARIABLE, Normalised, numpy_functions, way_of
from cortex_sim.calling import known_arguments
from cortex_sim.checks import require_known
from cortex_sim.errors import BuildError, CortexSimError, RunError
from cortex_sim.joined import enforced, joined_of
from cortex_sim.presynaptic.held import Readings
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.state import State
from cortex_sim.transfers import bound


class Weights:
    """Weights of a network by name; engines change them in place.

    Attributes
    ----------
    matrix : dict of str to array
        Bottom-up and lateral W (post, fan in), free top-down B (fan in or post, pre); for a
        convolution the matrix of one place, (C_out, C_in·k·k).
    bias : dict of str to array
        By population, one per unit, or per channel where the shape has channels.
    state : dict of str to dict
        Rule state by projection and variable.
    transfers : dict of str to dict
        Parameters of activations by population and name, one per unit or per channel.
    normalisers : dict of str to dict
        Gain, running mean and variance of normalisers by population, one per unit or per channel.
    readings : Readings
        How projections transform the pre rates that they read, with the slow state of each transform.
    """

    def __init__(self, circuit: Circuit, start: State) -> None:
        self.circuit = circuit
        net = circuit.net
        self.shape: dict[str, tuple[int, ...]] = {}
        self.matrix: dict[str, np.ndarray] = {}
        for name, drawn in start.all_weights().items():
            self.shape[name] = drawn.shape
            self.matrix[name] = np.array(self._as_matrix(name, drawn), dtype=np.float64, order="C")
        found = {
            name: allowed_of(net, net.projections[name]) for name in self.matrix if name in net.projections
        }
        self.allowed: dict[str, Allowed] = {name: one for name, one in found.items() if one is not None}
        self.joined = joined_of(net)
        self.accept(self.allowed, BuildError)
        self.bias = {
            name: np.zeros(population.bias_shape)
            for name, population in net.populations.items()
            if population.bias and name not in circuit.sources
        }
        for name, values in start.biases.items():
            self.bias[name][...] = values
        self.state: dict[str, dict[str, np.ndarray]] = {
            p.name: {v: np.array(x, dtype=np.float64) for v, x in start.rule_state.get(p.name, {}).items()}
            for p in circuit.plastic()
        }
        self.transfers: dict[str, dict[str, np.ndarray]] = {
            name: {v: np.array(x, dtype=np.float64) for v, x in values.items()}
            for name, values in start.transfers.items()
        }
        self.normalisers: dict[str, dict[str, np.ndarray]] = {
            name: {v: np.array(x, dtype=np.float64) for v, x in values.items()}
            for name, values in start.normalisers.items()
        }
        self.readings = Readings(net, start.readings)
        self.pulls = 0

    def as_learned(self) -> dict[str, dict[str, Any]]:
        """Copies in the declaration's shapes, as `cortex_sim.state.State` takes them."""
        outward = {name: self.outward(name) for name in self.matrix}
        down = {name for name in outward if self.circuit.net.projection(name).is_top_down}
        return {
            "weights": {name: w for name, w in outward.items() if name not in down},
            "feedback": {name: w for name, w in outward.items() if name in down},
            "biases": {name: b.copy() for name, b in self.bias.items()},
            "rule_state": {
                name: {v: x.copy() for v, x in variables.items()}
                for name, variables in self.state.items()
                if variables
            },
            "transfers": {
                name: {v: x.copy() for v, x in kept.items()} for name, kept in self.transfers.items()
            },
            "normalisers": {
                name: {v: x.copy() for v, x in kept.items()} for name, kept in self.normalisers.items()
            },
            "readings": self.readings.as_arrays(),
        }

    def outward(self, name: str) -> np.ndarray:
        """Weights in the declaration's own shape, a copy: of a convolution (C_out, C_in, k, k)."""
        matrix, shape = self.matrix[name], self.shape[name]
        if self.circuit.net.projection(name).is_top_down:
            return np.array(self.circuit.operators[name].as_feedback(matrix, shape))
        return matrix.reshape(shape).copy()

    def kept(self, name: str) -> np.ndarray:
        """A copy of the weights of "pre->post", or of its rule's state "pre->post:variable"."""
        projection, _, variable = name.partition(":")
        if not variable:
            require_known("projection with weights of its own", projection, self.matrix, RunError)
        return np.array(self.state[projection][variable]) if variable else self.outward(projection)

    def _as_matrix(self, name: str, values: np.ndarray) -> np.ndarray:
        """Weights in the declaration's shape as rules see them."""
        op = self.circuit.operators[name]
        top_down = self.circuit.net.projection(name).is_top_down
        found: np.ndarray = op.feedback_matrix(values) if top_down else op.matrix(values)
        return found

    @known_arguments("weights.overwrite")
    def overwrite(self, name: str, values: np.ndarray) -> None:
        """Set the weights of one projection; see `overwrite_all`."""
        self.overwrite_all({name: values})

    def overwrite_all(self, given: Mapping[str, np.ndarray]) -> None:
        """Set weights given in the declaration's shape, by projection: all of them, or none if one is wrong.

        Raises
        ------
        RunError
            If a name is unknown, a shape is wrong, or the constraints do not allow them.
        """
        new = {name: self._as_given(name, values) for name, values in given.items()}
        self._require({**self.matrix, **new}, new, RunError)
        for name, matrix in new.items():
            self.matrix[name][...] = matrix
        self.enforce(new)

    def _as_given(self, name: str, values: np.ndarray) -> np.ndarray:
        if name not in self.matrix:
            raise RunError(f"projection {name}: has no weights of its own; known: {', '.join(self.matrix)}")
        given = np.asarray(values, dtype=np.float64)
        if given.shape != self.shape[name]:
            raise RunError(f"projection {name}: weights have shape {self.shape[name]}. Got {given.shape}")
        return self._as_matrix(name, given)

    def accept(self, names: Collection[str], exception_type: type[CortexSimError] = RunError) -> None:
        """Take weights that were set from outside, or raise where constraints do not allow them."""
        self._require(self.matrix, names, exception_type)
        self.enforce(names)

    def _require(
        self, w: Mapping[str, np.ndarray], names: Collection[str], exception_type: type[CortexSimError]
    ) -> None:
        for name in names:
            if name in self.allowed:
                self.allowed[name].require(w[name], exception_type)
        for group in self.joined:
            if not set(group.names).isdisjoint(names):
                group.require(w, self.allowed, exception_type)

    def enforce(self, names: Iterable[str]) -> None:
        """Enforce the constraints of projections, after a step of their weights."""
        for name, w in enforced(names, self.matrix.__getitem__, self.allowed, self.joined).items():
            self.matrix[name][...] = w

    def bias_by_unit(self, population: str) -> np.ndarray:
        """Bias of every unit, (unit,)."""
        return self.shown(population, self.bias[population])

    def of_units(self) -> Iterator[tuple[str, str, str, np.ndarray]]:
        """What neurons have as variables: population, variable, its name in messages, and its values."""
        for name, bias in self.bias.items():
            yield name, "bias", f"bias of population {name}", bias
        for name, kept in self.transfers.items():
            for variable, values in kept.items():
                yield name, f"transfer_{variable}", f"{variable} of population {name}", values
        for name, kept in self.normalisers.items():
            for variable, values in kept.items():
                label = f"normaliser's {variable} of population {name}"
                yield name, VARIABLE.format(variable), label, values

    def shown(self, population: str, values: np.ndarray) -> np.ndarray:
        """Values of every unit, (unit,), from those of its units or channels."""
        return np.repeat(values, self.circuit.population(population).size // len(values))

    def transfer(self, population: str) -> Any:
        """Activation of a population as a function of drives (presentation, unit)."""
        kept = self.transfers.get(population, {})
        by_unit = {variable: self.shown(population, values) for variable, values in kept.items()}
        declared = self.circuit.population(population)
        transfer = bound(declared.activation, by_unit)
        if declared.normaliser is None:
            return transfer
        own = {name: self.shown(population, x) for name, x in self.normalisers[population].items()}
        biased = population in self.bias
        bias = (lambda: self.bias_by_unit(population)) if biased else (lambda: 0.0)
        return Normalised(*numpy_functions(transfer), way_of(declared, own), bias)

    def rescale(self, p: Apical) -> float:
        """s² + α, s² = ‖W‖²_F / min(post, pre): factor of an inverse under ``rescale``, else 1.

        With several groups 1, as each has its own factor: `rescale_by_group`.
        """
        if not p.rescale or p.up is None or p.operator.groups > 1:
            return 1.0
        w = self.matrix[p.up.name]
        return float(np.vdot(w, w)) / min(w.shape) + p.damping

    def rescale_by_group(self, p: Apical) -> np.ndarray:
        """The same for each group, (group, 1, 1)."""
        assert p.up is not None
        w = p.operator.blocks(self.matrix[p.up.name])
        return np.asarray((w * w).sum((1, 2), keepdims=True) / min(w.shape[1:]) + p.damping)

    def pull_back(self) -> None:
        """Hard orthogonality, after a trial in which weights could change."""
        self.pulls += 1
        for p in self.circuit.net.driving:
            for rule in p.regularisers:
                if isinstance(rule, HardOrthogonality) and self.pulls % rule.every == 0:
                    w = self.matrix[p.name]
                    groups = self.circuit.operators[p.name].groups
                    w[...] = np.concatenate([nearer_orthogonal(one, rule) for one in np.split(w, groups)])

    def as_state(self) -> dict[str, np.ndarray]:
        """Copies by name, for checkpoints."""
        found = {f"weight:{n}": m.copy() for n, m in self.matrix.items()}
        found |= {f"bias:{n}": b.copy() for n, b in self.bias.items()}
        for name, variables in self.state.items():
            found |= {f"state:{name}:{v}": np.array(x) for v, x in variables.items()}
        for name, kept in self.transfers.items():
            found |= {f"transfer:{name}:{v}": x.copy() for v, x in kept.items()}
        for name, kept in self.normalisers.items():
            found |= {f"normaliser:{name}:{v}": x.copy() for v, x in kept.items()}
        return found | self.readings.flat() | {"pulls": np.array(self.pulls)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `as_state` returned."""
        for name, matrix in self.matrix.items():
            matrix[...] = state[f"weight:{name}"]
        for name, bias in self.bias.items():
            bias[...] = state[f"bias:{name}"]
        for name, variables in self.state.items():
            for variable, values in variables.items():
                values[...] = state[f"state:{name}:{variable}"]
        for name, kept in self.transfers.items():
            for variable, values in kept.items():
                values[...] = state[f"transfer:{name}:{variable}"]
        for name, kept in self.normalisers.items():
            for variable, values in kept.items():
                values[...] = state[f"normaliser:{name}:{variable}"]
        self.readings.restore(state)
        self.pulls = int(state["pulls"])


def nearer_orthogonal(w: np.ndarray, rule: HardOrthogonality) -> np.ndarray:
    """X ← X + ½ρ(X − XXᵀX) on X = W/s, or the polar factor where that would not converge."""
    wide = w if w.shape[0] <= w.shape[1] else w.T
    scale = np.sqrt(np.vdot(wide, wide) / len(wide))
    x = wide / scale
    if np.linalg.norm(x, 2) ** 2 >= 2.5:  # Newton–Schulz converges below 3
        left, _, right = np.linalg.svd(x, full_matrices=False)
        x = left @ right
    else:
        for _ in range(rule.steps):
            x = x + 0.5 * rule.strength * (x - (x @ x.T) @ x)
    return scale * (x if w.shape[0] <= w.shape[1] else x.T)
