"""Credit population: units of a credit network as seen in printing, drawing and rate dynamics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from cortex_sim.activations import Activation, Linear
from cortex_sim.connectors import Shape


class Part(Enum):
    """The role of a credit population in the equations of its network."""

    CONTEXT = "the signals of the context"
    BASE = "the base"
    LAYER = "hidden units of the credit network itself"
    TOP = "credit of the top"
    CHANNELS = "channels that a hidden population receives"


@dataclass(frozen=True, eq=False)
class CreditPopulation:
    """Rate units that no stimulus drives: they read the state of the top population, and send credit.

    Parameters
    ----------
    name : str
        Different from the name of any population.
    size : int
        Number of units.
    part : Part
        Role in the credit network.
    activation : Activation
        The rate function f.
    tau_ms : float, default 10.0
        Time constant of the drive, in ms; used by rate dynamics.
    biases : array of shape (unit,), optional
        Trained with the credit network and fixed here; default 0.
    """

    name: str
    size: int
    part: Part
    activation: Activation = field(default_factory=Linear)
    tau_ms: float = 10.0
    biases: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        """(unit,)."""
        return (self.size,)
