"""Phase: a stretch of a trial with constant inputs, nudges, lesions and plasticity windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.inputs import Nudge, as_drive, as_goal
from cortex_sim.protocol.values import (
    Comparable,
    above_zero,
    at_least_zero,
    by_name,
    name_of,
    names,
    number,
)


@dataclass(frozen=True, eq=False)
class Phase(Comparable):
    """A stretch of a trial; whatever is not named is unaffected.

    Populations and projections are given by name ("V1", "V1->IT") or as the objects that were
    declared, single units as neuroids ("V1/3"). Arrays are not copied: do not change them afterwards.

    Parameters
    ----------
    name : str
        Its name in recordings and figures; unique in its protocol.
    duration_ms : float
        Its length in ms.
    drive : mapping of population to number, array, TimeSeries, Noise or Stimuli
        Input from outside: a number for all units, an array of shape (unit,) or of the
        population's shape, or one with a leading axis of presentations, whose k-th entry is for
        trial k. It sets the rate of a population without bottom-up input, and adds to the drive of any
        other.
    nudge : mapping of population to array, Stimuli or Nudge
        The goal of its rate: whole-number labels of shape (presentation,) at the objective's
        population, target rates of shape (presentation, unit), or one target of shape (unit,).
        It adds β·(credit of the objective) there, and β·(goal − rate) at any other population.
    plasticity : bool, list of projections, or mapping of projection to rate in 1/s
        Which plasticity windows are open. True opens all plastic projections, but not those that
        learn from spontaneous activity; in a phase with ``spontaneous`` it opens exactly those of
        the populations named there.
    spontaneous : list of populations, or mapping of population to standard deviation
        Their rates are white noise, redrawn every step; the standard deviation is 1 if not given.
    silence : list of populations or units
        Their rates are 0; they send no credit and do not learn.
    cut : list of projections
        A cut bottom-up projection adds no drive; a cut top-down one delivers no credit and its
        compartment is at zero.
    scale, delay_ms, noise : mapping of projection to number
        Factor, delay in ms and standard deviation of white noise on what the projection delivers:
        drive of a bottom-up one, credit of a top-down one.
    silence_error : list of top-down projections
        Their error populations are silent: the compartment keeps its value, and decays.
    modulator : float, default 1.0
        The global third factor of rules that have one.
    strength : float, default 1.0
        β of the nudges that have none of their own.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> cs.Phase("learn", 400, drive={"retina": 0.5}, plasticity=["retina->V1"]).plasticity
    ('retina->V1',)
    """

    name: str
    duration_ms: float
    drive: Any = field(default_factory=dict)
    nudge: Any = field(default_factory=dict)
    plasticity: Any = False
    spontaneous: Any = ()
    silence: Any = ()
    cut: Any = ()
    scale: Any = field(default_factory=dict)
    delay_ms: Any = field(default_factory=dict)
    noise: Any = field(default_factory=dict)
    silence_error: Any = ()
    modulator: float = 1.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise DeclarationError(f"phase: name must be a non-empty string. Got {self.name!r}")
        owner = f"phase {self.name}"
        found: dict[str, Any] = {
            "duration_ms": above_zero(owner, "duration_ms", self.duration_ms),
            "drive": _each(owner, "drive", self.drive, as_drive),
            "nudge": _each(owner, "nudge", self.nudge, _as_nudge),
            "plasticity": _as_plasticity(owner, self.plasticity),
            "spontaneous": _as_spontaneous(owner, self.spontaneous),
            "silence": names(owner, "silence", self.silence),
            "cut": names(owner, "cut", self.cut),
            "scale": _each(owner, "scale", self.scale, number),
            "delay_ms": _each(owner, "delay_ms", self.delay_ms, at_least_zero),
            "noise": _each(owner, "noise", self.noise, at_least_zero),
            "silence_error": names(owner, "silence_error", self.silence_error),
            "modulator": number(owner, "modulator", self.modulator),
            "strength": number(owner, "strength", self.strength),
        }
        for key, value in found.items():
            object.__setattr__(self, key, value)
        for population in self.spontaneous:
            if population in self.silence:
                raise DeclarationError(
                    f"{owner}: {population} cannot be both spontaneously active and silent; "
                    "leave it out of spontaneous or silence"
                )

    @property
    def plastic(self) -> bool:
        """Whether it opens a plasticity window."""
        return self.plasticity is True or bool(self.plasticity)


def _each(owner: str, what: str, given: Any, convert: Any) -> dict[str, Any]:
    return {key: convert(owner, f"{what} of {key}", v) for key, v in by_name(owner, what, given).items()}


def _as_nudge(owner: str, what: str, value: Any) -> Any:
    return value if isinstance(value, Nudge) else as_goal(owner, what, value)


def _as_plasticity(owner: str, given: Any) -> Any:
    if isinstance(given, bool):
        return given
    if isinstance(given, Mapping):
        return _each(owner, "plasticity", given, at_least_zero)
    if given is None or isinstance(given, (int, float)):
        raise DeclarationError(
            f"{owner}: plasticity must be True, False, a list of projections, or a mapping of projection to "
            f"learning rate in 1/s. Got {given!r}"
        )
    return names(owner, "plasticity", given)


def _as_spontaneous(owner: str, given: Any) -> dict[str, float]:
    if isinstance(given, Mapping):
        return _each(owner, "spontaneous", given, above_zero)
    return {name_of(owner, "spontaneous", n): 1.0 for n in names(owner, "spontaneous", given)}
