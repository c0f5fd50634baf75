"""The point as a declared network: n linear units whose biases are the parameters of a function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import cortex_sim as cs
from cortex_sim.arrays import Array
from cortex_sim.checks import require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register
from cortex_sim.tdca.functions.families import family
from cortex_sim.tdca.functions.tasks import Tasks


@register("objective", "function")
@dataclass(frozen=True, eq=False)
class FunctionObjective:
    """E = f(r) of one task, see `cortex_sim.tdca.functions.tasks`; the target is not read.

    Parameters
    ----------
    of : str
        Name of the family.
    shift : array of shape (n,)
        x*, the minimiser.
    turn : array of shape (n, n)
        Rotation and zoom.
    scale, lowest : float
        Scale of values, and f*.
    """

    of: str
    shift: np.ndarray
    turn: np.ndarray
    scale: float = 1.0
    lowest: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, scale=self.scale)
        n = len(np.atleast_1d(self.shift))
        if np.shape(self.turn) != (n, n):
            raise DeclarationError(
                f"FunctionObjective: turn has shape {np.shape(self.turn)}, but shift has {n} values; "
                f"give ({n}, {n})"
            )
        family(self.of).best(n)

    def _task(self, like: Tensor) -> Tasks:
        parts = (self.shift, self.turn, self.scale, self.lowest, 1.0)
        return Tasks((family(self.of),), 1, *(torch.tensor(part, dtype=like.dtype)[None] for part in parts))

    def _measured(self, r: Array) -> tuple[Tensor, Tensor]:
        rates = torch.as_tensor(r)
        above, slope = self._task(rates).measure(rates[None])
        return above[0] + self.lowest, slope[0]

    def value(self, r: Array, target: Array) -> Array:
        """E of shape (presentation,)."""
        found = self._measured(r)[0]
        return found if isinstance(r, Tensor) else found.numpy()

    def credit(self, r: Array, target: Array) -> Array:
        """−∇f of shape (presentation, n)."""
        found = -self._measured(r)[1]
        return found if isinstance(r, Tensor) else found.numpy()


def point_network(tasks: Tasks, i: int = 0) -> cs.Network:
    """Task i as a declared network.

    Its source is silent, so that the rates of ``point`` are its biases, and only they change. Under
    backpropagation they change by −∇f.
    """
    own = tasks.only(i)
    net = cs.Network("point")
    net.population("silence", 1)
    net.population("point", tasks.n)
    net.bottom_up("silence", "point", plasticity="backprop")
    parts = (own.shift[0].double().numpy(), own.turn[0].double().numpy(), float(own.scale), float(own.lowest))
    net.objective("point", FunctionObjective(own.families[0].name, *parts))
    return net
