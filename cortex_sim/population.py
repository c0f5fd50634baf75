"""Population: a named group of rate units."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cortex_sim.activations import Activation, Linear, lower_bound
from cortex_sim.calling import known_settings
from cortex_sim.capabilities import DeclaredActivation, activation_of
from cortex_sim.checks import positive_ms, require_count, require_finite, require_flag, require_nonnegative
from cortex_sim.connectors import Shape, size
from cortex_sim.errors import DeclarationError
from cortex_sim.normalisers import Normaliser
from cortex_sim.transfers import check_parameters

_NAME = re.compile(r"[A-Za-z_]([A-Za-z0-9_ -]*[A-Za-z0-9_-])?")


def shape_of(name: str, size: Any, shape: Any) -> Shape:
    """Shape of a population from its size or its shape; exactly one of the two must be given."""
    if isinstance(size, (tuple, list)) and shape is None:
        raise DeclarationError(
            f"population {name}: size must be a whole number of units; for (unit,) or (channel, row, "
            f"column), give shape={size!r}. Got {size!r}"
        )
    if (size is None) == (shape is None):
        given = "neither" if size is None else f"size={size!r} and shape={shape!r}"
        raise DeclarationError(
            f"population {name}: give either size or shape=(channel, row, column). Got {given}"
        )
    if shape is not None and not isinstance(shape, Iterable):
        raise DeclarationError(
            f"population {name}: shape must be (unit,) or (channel, row, column). Got {shape!r}"
        )
    return tuple(shape) if shape is not None else (size,)


@known_settings
@dataclass(frozen=True)
class Population:
    """Rate units r = f(a) that share an activation and a time constant.

    Parameters
    ----------
    name : str
        Letters, digits, spaces, ``_`` and ``-``, starting with a letter or ``_`` and not ending with a
        space; unique in its network.
    shape : tuple of int
        (unit,) or (channel, row, column).
    activation : Activation
        The rate function f.
    tau_ms : float, default 10.0
        Time constant of the drive, in ms; used by rate dynamics.
    bias : bool, default True
        Whether the drive has a bias: one per unit, or one per channel where the shape has channels.
        It learns from the population's credit. A population without bottom-up input has none. With a
        normaliser it is added after normalisation.
    nonnegative : bool, default False
        Whether rates are firing rates, so that an activation with negative rates is refused.
    apical_coupling : float, default 0.0
        κ, the effect of the population's credit c on its drive, τ da/dt = −a + Σ W r + b + κ c; used by
        rate dynamics. At 0, credit changes only weights.
    normaliser : Normaliser, optional
        Homeostasis of the drive: r = f(gain · (a − mean)/√(variance + eps) + bias); see
        `cortex_sim.normalisers`.
    dropout : float, default 0.0
        Probability that a rate is set to 0 in a training batch on torch, the others being divided by
        1 − dropout; 0 to below 1. Everything else runs without dropout.
    """

    name: str
    shape: Shape
    activation: Activation = field(default_factory=Linear)
    tau_ms: float = 10.0
    bias: bool = True
    nonnegative: bool = False
    apical_coupling: float = 0.0
    normaliser: Normaliser | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"population {self.name!r}: a name consists of letters, digits, spaces, _ and -, starts with "
                'a letter or _ and does not end with a space ("V1", "V4 left"); "/" and "->" are reserved '
                "for neuroids and projections"
            )
        label = f"population {self.name}"
        if len(self.shape) not in (1, 3):
            raise DeclarationError(
                f"{label}: shape must be (unit,) or (channel, row, column). Got {self.shape}"
            )
        for length in self.shape:
            require_count(label, shape=length)
        object.__setattr__(self, "shape", tuple(int(length) for length in self.shape))
        object.__setattr__(self, "tau_ms", float(positive_ms(label, tau_ms=self.tau_ms)))
        require_finite(label, apical_coupling=self.apical_coupling)
        object.__setattr__(self, "apical_coupling", float(self.apical_coupling))
        require_flag(label, bias=self.bias, nonnegative=self.nonnegative)
        require_nonnegative(label, dropout=self.dropout)
        if self.dropout >= 1:
            raise DeclarationError(
                f"{label}: dropout must be below 1, or no rate is left. Got {self.dropout}"
            )
        object.__setattr__(self, "dropout", float(self.dropout))
        if self.normaliser is not None:
            self.normaliser.check(self.name, self.shape)
        check_parameters(self)  # also refuses misspelt capabilities, before one is looked for
        if self.nonnegative and not lower_bound(self.activation) >= 0:
            raise DeclarationError(
                f"{label}: nonnegative, but its activation {type(self.activation).__name__} gives "
                "negative rates; use relu, softplus or logistic, or your own activation with lowest = 0.0"
            )

    @cached_property
    def declared(self) -> DeclaredActivation:
        """What its activation declares."""
        return activation_of(self.activation)

    @property
    def size(self) -> int:
        """Number of units."""
        return size(self.shape)

    @property
    def bias_shape(self) -> Shape:
        """Shape of the bias: (unit,), or (channel,) where the shape has channels."""
        return (self.shape[0],)
