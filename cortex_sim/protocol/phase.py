"""Phase: a stretch of a trial with constant inputs, nudges, lesions and plasticity windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

from cortex_sim.calling import known_settings
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.closed_loop import as_duration, names_or_looped, never_looped, unless_looped
from cortex_sim.protocol.inputs import Nudge, as_drive, as_goal
from cortex_sim.protocol.per_trial import ABSENT, differing, differs, every, numbers_per_trial, resolved
from cortex_sim.protocol.values import (
    Comparable,
    above_zero,
    at_least_zero,
    at_least_zero_ms,
    by_name,
    name_of,
    names,
    number,
)


@known_settings
@dataclass(frozen=True, eq=False)
class Phase(Comparable):
    """A stretch of a trial; populations and projections that are not named are unaffected.

    Populations and projections are given by name ("V1", "V1->IT") or as the objects that were
    declared, single units as neuroids ("V1/3"). Arrays are not copied: do not change them afterwards.
    Every setting but the name, and every entry of a mapping, may differ between trials: `PerTrial`,
    `FromTrial`, or a list of numbers where one number is expected. Drives, nudges, ``scale``, ``modulator``,
    ``strength``, ``cut``, ``silence``, ``drive_credit``, ``silence_credit`` and ``duration_ms`` may be
    computed from the network's activity: `ClosedLoop`.

    Parameters
    ----------
    name : str
        Its name in recordings and figures; unique in its protocol.
    duration_ms : float
        Its length in ms; brian2's times (200*ms) are accepted, here and wherever a name ends in ``_ms``.
    drive : mapping of population to number, array, TimeSeries, Noise, Stimuli or Sum
        Input from outside: a number for all units, an array of shape (unit,) or of the
        population's shape, or one with a leading axis of presentations, whose k-th entry is for
        trial k. It sets the rate of a population without bottom-up input, and adds to the drive of all
        others.
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
        Their error populations are silent: the compartment keeps its value, or decays with ``damping``.
    modulator : float, default 1.0
        The global third factor of rules that have one.
    strength : float, default 1.0
        β of the nudges that have no strength themselves.
    drive_credit : mapping of population to number, array, TimeSeries, Noise, Stimuli or Sum
        Credit from outside, given as in ``drive``: it adds to the credit of the population's units, without
        delay.
    silence_credit : list of populations or units
        Their credit from top-down projections and nudges is 0; that of ``drive_credit`` still acts.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> cs.Phase("learn", 400, drive={"retina": 0.5}, plasticity=["retina->V1"]).plasticity
    ('retina->V1',)
    """

    name: str
    duration_ms: Any
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
    modulator: Any = 1.0
    strength: Any = 1.0
    drive_credit: Any = field(default_factory=dict)
    silence_credit: Any = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise DeclarationError(f"phase: name must be a non-empty string. Got {self.name!r}")
        owner = f"phase {self.name}"
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {
            what: differing(owner, what, given[what], convert) for what, convert in _CONVERTERS.items()
        } | {what: convert(owner, what, given[what]) for what, convert in _NUMBERS.items()}
        for key, value in found.items():
            object.__setattr__(self, key, value)
        if resolved(self.duration_ms, 0, 0) is ABSENT:
            raise DeclarationError(
                f"{owner}: duration_ms has no default, so FromTrial must give it from trial 0 on, as in "
                f"FromTrial({{0: 200, 100: 400}}). Got {self.duration_ms!r}"
            )
        if differs(self.spontaneous) or differs(self.silence):
            return
        for population in self.spontaneous:
            if population in self.silence:
                raise DeclarationError(
                    f"{owner}: {population} cannot be both spontaneously active and silent; "
                    "leave it out of spontaneous or silence"
                )

    @property
    def plastic(self) -> bool:
        """Whether it opens a plasticity window, in any trial."""
        return any(given is True or bool(given) for given in every(self.plasticity))

    def at(self, trial: int, image: int) -> Phase:
        """The phase as it is in one trial, with the settings of that trial."""
        if not any(differs(getattr(self, f.name)) for f in fields(self)):
            return self
        made = copy(self)
        for f in fields(self):
            value = resolved(getattr(self, f.name), trial, image)
            object.__setattr__(made, f.name, _DEFAULTS.get(f.name) if value is ABSENT else value)
        return made


Convert = Callable[[str, str, Any], Any]


def _each(convert: Convert) -> Convert:
    """Converter of a mapping of names, whose values ``convert`` converts."""

    def converted(owner: str, what: str, given: Any) -> dict[str, Any]:
        return {
            key: convert(owner, f"{what} of {key}", value)
            for key, value in by_name(owner, what, given).items()
        }

    return converted


def _per_trial(convert: Convert) -> Convert:
    return lambda owner, what, given: differing(owner, what, given, convert)


def _as_nudge(owner: str, what: str, value: Any) -> Any:
    return value if isinstance(value, Nudge) else as_goal(owner, what, value)


def _as_plasticity(owner: str, what: str, given: Any) -> Any:
    if isinstance(given, bool):
        return given
    if isinstance(given, Mapping):
        return _each(numbers_per_trial(at_least_zero))(owner, what, given)
    if given is None or isinstance(given, (int, float)):
        raise DeclarationError(
            f"{owner}: {what} must be True, False, a list of projections, or a mapping of projection to "
            f"learning rate in 1/s. Got {given!r}"
        )
    return names(owner, what, given)


def _as_spontaneous(owner: str, what: str, given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return _each(numbers_per_trial(above_zero))(owner, what, given)
    return {name_of(owner, what, n): 1.0 for n in names(owner, what, given)}


#: Settings that are one number, where a list or array of numbers means one per trial.
_NUMBERS: dict[str, Convert] = {
    "duration_ms": numbers_per_trial(as_duration),
    "modulator": numbers_per_trial(unless_looped(number)),
    "strength": numbers_per_trial(unless_looped(number)),
}
_CONVERTERS: dict[str, Convert] = {
    "drive": _each(_per_trial(as_drive)),
    "nudge": _each(_per_trial(_as_nudge)),
    "plasticity": never_looped(_as_plasticity),
    "spontaneous": never_looped(_as_spontaneous),
    "silence": names_or_looped,
    "cut": names_or_looped,
    "scale": _each(numbers_per_trial(unless_looped(number))),
    "delay_ms": never_looped(_each(numbers_per_trial(at_least_zero_ms))),
    "noise": never_looped(_each(numbers_per_trial(at_least_zero))),
    "silence_error": never_looped(names),
    "drive_credit": _each(_per_trial(as_drive)),
    "silence_credit": names_or_looped,
}
_DEFAULTS: dict[str, Any] = {
    **{what: {} for what in ("drive", "nudge", "spontaneous", "scale", "delay_ms", "noise", "drive_credit")},
    **dict.fromkeys(("silence", "cut", "silence_error", "silence_credit"), ()),
    "plasticity": False,
    "modulator": 1.0,
    "strength": 1.0,
}
