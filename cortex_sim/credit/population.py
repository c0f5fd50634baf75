"""Credit population: units of a credit network, as print, drawing and rate dynamics show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from cortex_sim.activations import Activation, Linear
from cortex_sim.connectors import Shape


class Part(Enum):
    """What a credit population is to the equations of its network."""

    CONTEXT = "the signals that the context gives"
    BASE = "the base"
    LAYER = "hidden units of the credit network itself"
    TOP = "credit of the top"
    CHANNELS = "channels that a hidden population hears"


@dataclass(frozen=True, eq=False)
class CreditPopulation:
    """Rate units that no stimulus drives: they read what stands at the top, and send credit.

    Parameters
    ----------
    name : str
        Unlike that of any population.
    size : int
        Number of units.
    part : Part
    activation : Activation
        f.
    tau_ms : float, default 10.0
        Time constant of the drive, in ms; used by rate dynamics.
    biases : array of shape (unit,), optional
        Trained with the credit network, fixed here; default 0.
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
