"""What one trial leaves for the next: every passing variable of every group, and signals on their way."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.stage import Stage
from cortex_sim.backends.restoring import require_numbers
from cortex_sim.errors import RunError

_MOVING, _DELAYED = "moving:", "delayed:"


@dataclass(frozen=True)
class Begun:
    """A copy, apart from any brian2 object, so that it can be kept on disk and gone on with elsewhere.

    Attributes
    ----------
    passing : dict of str to array
        Variables by group and name.
    delayed : dict of str to array
        Signals on their way by projection, oldest first, (step, presentation, unit).
    """

    passing: Mapping[str, np.ndarray] = field(default_factory=dict)
    delayed: Mapping[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def after(stage: Stage) -> Begun:
        """What the trial just over has left on this stage."""
        return Begun(
            {name: values.copy() for name, values in stage.passing().items()},
            {name: np.stack(signals) for name, signals in stage.delayed.items() if signals},
        )

    def go_on(self, stage: Stage) -> None:
        """Put a stage where this one ended; at rest where another number of presentations is side by side."""
        for name, values in stage.passing().items():
            before = self.passing.get(name)
            fits = before is not None and before.shape == values.shape
            values[...] = before if fits else 0.0
        stage.delayed = {
            name: deque(signals)
            for name, signals in self.delayed.items()
            if name in stage.features and signals.shape[1] == stage.presentations
        }

    def check(self, circuit: Circuit) -> None:
        """Raise `RunError` where this was not left by a simulation of such a circuit."""
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
                        f"{values.shape}, which is not of it; give what checkpoint() of this network gave"
                    )
                require_numbers(net.name, prefix + name, values)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """The same by flat names, for a checkpoint."""
        passing = {_MOVING + name: values for name, values in self.passing.items()}
        return passing | {_DELAYED + name: signals for name, signals in self.delayed.items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Begun:
        """From what `as_arrays` gave, among others."""

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {n.removeprefix(prefix): np.array(a) for n, a in arrays.items() if n.startswith(prefix)}

        return Begun(under(_MOVING), under(_DELAYED))
