"""Credit population: units of the top-down credit assignment network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cortex_sim.activations import Activation, Linear
from cortex_sim.arrays import checked
from cortex_sim.connectors import Shape
from cortex_sim.errors import DeclarationError
from cortex_sim.population import Population


@dataclass(frozen=True, eq=False)
class CreditPopulation:
    """Rate units that no stimulus drives: they hear what stands at the top, and tell others their credit.

    Parameters
    ----------
    name : str
        As of a population; a network has one namespace for both.
    size : int
        Number of units.
    activation : Activation
        f.
    tau_ms : float, default 10.0
        Time constant of the drive, in ms; used by rate dynamics.
    biases : array of shape (unit,), optional
        Trained with the credit network, fixed here; default 0.
    """

    name: str
    size: int
    activation: Activation = field(default_factory=Linear)
    tau_ms: float = 10.0
    biases: np.ndarray | None = None

    def __post_init__(self) -> None:
        like = Population(self.name, (self.size,), self.activation, self.tau_ms)  # the same checks
        object.__setattr__(self, "size", like.size)
        object.__setattr__(self, "tau_ms", like.tau_ms)
        if self.biases is None:
            return
        biases = checked(f"population {self.name}", self.biases)
        if biases.shape != self.shape:
            raise DeclarationError(
                f"population {self.name}: biases have shape {biases.shape}; give {self.shape}, one a unit"
            )
        object.__setattr__(self, "biases", biases)

    @property
    def shape(self) -> Shape:
        """(unit,)."""
        return (self.size,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CreditPopulation):
            return NotImplemented
        mine, theirs = vars(self) | {"biases": None}, vars(other) | {"biases": None}
        if (self.biases is None) != (other.biases is None) or mine != theirs:
            return False
        return self.biases is None or np.array_equal(self.biases, other.biases)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return hash((self.name, self.size))
