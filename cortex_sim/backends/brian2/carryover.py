"""What one trial carries over to the next: transient variables of every group, and delayed signals."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cortex_sim.backends.brian2.built import BuiltCircuit
from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.restoring import require_numbers
from cortex_sim.errors import RunError

_MOVING, _DELAYED = "moving:", "delayed:"


@dataclass(frozen=True)
class Carryover:
    """Transient state as arrays, without brian2 objects: it can be stored, and continued in another process.

    Attributes
    ----------
    passing : dict of str to array
        Variables by group and name.
    delayed : dict of str to array
        Signals in transit by projection, oldest first, (step, presentation, unit).
    """

    passing: Mapping[str, np.ndarray] = field(default_factory=dict)
    delayed: Mapping[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def after(built: BuiltCircuit) -> Carryover:
        """State after the trial that has just ended."""
        return Carryover(
            {name: values.copy() for name, values in built.passing().items()},
            {name: np.stack(signals) for name, signals in built.delayed.items() if signals},
        )

    def go_on(self, built: BuiltCircuit) -> None:
        """Start from this state; from rest where the number of presentations differs."""
        for name, values in built.passing().items():
            before = self.passing.get(name)
            fits = before is not None and before.shape == values.shape
            values[...] = before if fits else 0.0
        built.delayed = {
            name: deque(signals)
            for name, signals in self.delayed.items()
            if name in built.features and signals.shape[1] == built.presentations
        }

    def check(self, circuit: Circuit) -> None:
        """Raise `RunError` unless this came from a simulation of such a circuit."""
        net = circuit.net
        groups = {*net.populations, *net.credit_populations, *(f"patches of {p}" for p in net.projections)}
        for prefix, entries, known, axes in (
            (_MOVING, self.passing, groups, (1, 2)),
            (_DELAYED, self.delayed, set(net.projections), (3,)),
        ):
            for name, values in entries.items():
                owner = name.rpartition(":")[0] if prefix == _MOVING else name
                if owner not in known or values.ndim not in axes:
                    raise RunError(
                        f"network {net.name}: the checkpoint holds {prefix + name!r} of shape "
                        f"{values.shape}, which does not belong to it; give what checkpoint() of this "
                        f"network returned"
                    )
                require_numbers(net.name, prefix + name, values)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """The same arrays under flat names, for a checkpoint."""
        passing = {_MOVING + name: values for name, values in self.passing.items()}
        return passing | {_DELAYED + name: signals for name, signals in self.delayed.items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Carryover:
        """From the arrays of a checkpoint that holds those of `as_arrays`."""

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {n.removeprefix(prefix): np.array(a) for n, a in arrays.items() if n.startswith(prefix)}

        return Carryover(under(_MOVING), under(_DELAYED))
