"""Record: what a protocol records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.values import above_zero_ms, names

VARIABLES = ("rate", "drive", "credit")


@known_settings
@dataclass(frozen=True)
class Record:
    """What is recorded, and how often.

    Parameters
    ----------
    variables : list of "rate", "drive", "credit", "projection:variable"
        The first three are variables of populations; the last is a variable of a projection's rule, such as
        "retina->V1:theta", recorded as often as rates are. Rates are recorded with any of the first three; an
        empty list records weights and state alone.
    populations : list of populations or None
        None records all but those of a credit network ("TDCA V1"), which are recorded only if named.
    every_ms : float or None
        Length of time bins, through all phases, in ms; None keeps one sample per trial.
    phase : str or None
        The phase at whose end that one sample is taken; None takes the last one.
    weights : list of projections or bool
        Projections whose weights are kept; True keeps those of all plastic projections.
    weights_every : int, default 1
        Number of trials between two snapshots, of weights and of state.
    state : list of "projection" or "projection:variable", or bool
        Rule state that is kept with the weights (θ of BCM, a trace): all variables of a projection's rule, or
        the one named; True keeps the state of all rules.
    """

    variables: Any = ("rate",)
    populations: Any = None
    every_ms: float | None = None
    phase: str | None = None
    weights: Any = ()
    weights_every: int = 1
    state: Any = ()

    def __post_init__(self) -> None:
        variables = names("Record", "variables", self.variables)
        for variable in variables:
            _require_variable(variable)
        if not (variables or self.weights or self.state):
            raise DeclarationError(
                f"Record: variables is empty; give some of {', '.join(VARIABLES)}, or weights=True for "
                "weights alone"
            )
        object.__setattr__(self, "variables", variables)
        if self.populations is not None:
            object.__setattr__(self, "populations", names("Record", "populations", self.populations))
            if not self.populations:
                raise DeclarationError("Record: populations is empty; name some, or give None for all")
        if self.every_ms is not None:
            object.__setattr__(self, "every_ms", above_zero_ms("Record", "every_ms", self.every_ms))
            if self.phase is not None:
                raise DeclarationError(
                    f"Record: every_ms records all phases, and phase={self.phase!r} the end of one; give "
                    "only one of the two"
                )
        if self.phase is not None and not isinstance(self.phase, str):
            raise DeclarationError(f"Record: phase must be the name of a phase. Got {self.phase!r}")
        if self.weights is not True:
            object.__setattr__(self, "weights", names("Record", "weights", self.weights or ()))
        if self.state is not True:
            object.__setattr__(self, "state", names("Record", "state", self.state or ()))
        require_count("Record", weights_every=self.weights_every)
        if not variables and self.every_ms is not None:
            raise DeclarationError(
                f"Record: every_ms={self.every_ms:g} samples variables, but there are none; leave it out, or "
                f'give some of {", ".join(VARIABLES)}, or a rule\'s state such as "retina->V1:theta"'
            )

    @property
    def of_neuroids(self) -> tuple[str, ...]:
        """Variables of populations."""
        return tuple(variable for variable in self.variables if variable in VARIABLES)

    @property
    def of_rules(self) -> tuple[str, ...]:
        """Variables of rules that are recorded as often as rates are, as "pre->post:variable"."""
        return tuple(variable for variable in self.variables if variable not in VARIABLES)


def _require_variable(variable: str) -> None:
    if "->" not in variable:
        require_known("variable of Record", variable, dict.fromkeys(VARIABLES))
    elif ":" not in variable:
        raise DeclarationError(
            f"Record: variable {variable!r} is a projection; name a variable of its rule, such as "
            f'"{variable}:theta", or give weights=[{variable!r}]'
        )
