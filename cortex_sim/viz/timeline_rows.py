"""Rows of a time line: what the phases of a protocol set, by population or projection, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.protocol.closed_loop import LoopValue
from cortex_sim.protocol.inputs import Noise, Nudge, Stimuli, Sum, TimeSeries
from cortex_sim.protocol.per_trial import FromTrial, PerTrial, every
from cortex_sim.viz.panels import COLOURS

if TYPE_CHECKING:
    from cortex_sim.protocol.phase import Phase
    from cortex_sim.protocol.protocol import Protocol

BLUE, RED, GREEN, PINK, ORANGE, SKY = COLOURS[:6]
COLOUR_OF = {
    "drive": BLUE,
    "nudge": PINK,
    "window": GREEN,
    "spontaneous": SKY,
    "silence": "0.35",
    "cut": RED,
    "gate": ORANGE,
    "modulator": "0.6",
    "other": "0.6",
}


@dataclass
class Row:
    """One row: its label, its kind (which sets the colour), and its text in each phase, by phase number."""

    label: str
    kind: str
    said: dict[int, str] = field(default_factory=dict)


def rows_of(protocol: Protocol, lesion: Any = ()) -> list[Row]:
    """Every setting that differs from its default: drives, nudges, windows, lesions, gates, modulator.

    ``lesion`` is that of the trials, which also applies in probes.
    """
    rows: dict[str, Row] = {}

    def add(label: str, kind: str, number: int, said: str) -> None:
        rows.setdefault(label, Row(label, kind)).said[number] = said

    phases = range(len(protocol.durations_ms))
    for name in (f.name for f in _settings(protocol)):
        for number, phase in enumerate(protocol.phases):
            for value, when in _over_trials(getattr(phase, name)):
                for label, kind, said in _entries(protocol, phase, name, value):
                    add(label, kind, number, ", ".join(filter(None, (said, when))))
    lesions = [*_over_trials(lesion), *_over_trials(protocol.lesion)]
    for name, when in {name: when for names, when in lesions for name in names}.items():
        kind, label = ("cut", f"cut {name}") if "->" in name else ("silence", f"silence {name}")
        for number in phases:
            add(label, kind, number, f"lesion {when}".strip() if number == 0 else "")
    return sorted(rows.values(), key=lambda row: list(COLOUR_OF).index(row.kind))


def _over_trials(value: Any) -> list[tuple[Any, str]]:
    """Every value of a setting, and in which trials it applies where that differs."""
    if isinstance(value, FromTrial):
        return [(one, f"from trial {trial} on") for trial, one in value.values.items()]
    if isinstance(value, PerTrial) and not all(isinstance(one, (int, float)) for one in value.values):
        return [(one, "in some trials") for one in value.values]
    return [(value, "")]


def has_images(protocol: Protocol) -> bool:
    """Whether any drive or nudge has an entry for each presentation, judged by the arrays alone."""
    for phase in protocol.phases:
        given_by = (phase.drive, phase.nudge, phase.drive_credit)
        settings = [one for setting in given_by for one in every(setting)]
        inputs = [one for setting in settings for given in setting.values() for one in every(given)]
        parts = [part for one in inputs for part in (one.parts if isinstance(one, Sum) else (one,))]
        for given in parts:
            value = given.goal if isinstance(given, Nudge) else given
            if isinstance(value, Stimuli) or (isinstance(value, np.ndarray) and value.ndim in (2, 4)):
                return True
    return False


def _settings(protocol: Protocol) -> list[Any]:
    return [f for f in fields(protocol.phases[0]) if f.name not in ("name", "duration_ms", "strength")]


def _entries(protocol: Protocol, phase: Phase, name: str, value: Any) -> list[tuple[str, str, str]]:
    """Label, kind and text of each entry of one setting."""
    if name == "plasticity":
        return _windows(protocol, value)
    if name in _LISTS:
        label, kind = _LISTS[name]
        by_loop = value if isinstance(value, Mapping) else {}
        return [(f"{label} {e}", kind, _kind(by_loop[e]) if e in by_loop else "") for e in value]
    if name in _MAPPINGS:
        label, kind, words = _MAPPINGS[name]
        return [(f"{label} {entry}", kind, words(phase, given)) for entry, given in value.items()]
    default = next(f.default for f in fields(phase) if f.name == name)
    if isinstance(value, (Mapping, tuple, list)):
        return [(f"{name} {entry}", "other", "") for entry in value]
    if value is None or value is False or (isinstance(value, (int, float)) and value == default):
        return []
    kind = name if name in COLOUR_OF else "other"
    return [(name, kind, f"{value:g}" if isinstance(value, (int, float)) else _kind(value))]


def _windows(protocol: Protocol, value: Any) -> list[tuple[str, str, str]]:
    """Open windows and their learning rates."""
    if value is True:
        return [("plasticity, all windows", "window", _rate(protocol.eta_per_s))]
    if not value:
        return []
    if isinstance(value, Mapping):
        return [(f"plasticity {name}", "window", _rate(rate)) for name, rate in value.items()]
    rates = protocol.eta_per_s
    each = rates if isinstance(rates, Mapping) else dict.fromkeys(value, rates)
    return [(f"plasticity {name}", "window", _rate(each.get(name))) for name in value]


def _rate(rate: Any) -> str:
    if isinstance(rate, Mapping):
        return "η by projection"
    return f"η = {rate:g}/s" if isinstance(rate, (int, float)) else ""


def _drive(phase: Phase, given: Any) -> str:
    if isinstance(given, Sum):
        return " + ".join(_drive(phase, part) for part in given.parts)
    if isinstance(given, Noise):
        mean = f"{_value(given.mean)} + " if given.mean else ""
        return f"{mean}noise, " + ("shared" if given.sd is None else f"sd {_value(given.sd)}")
    if isinstance(given, TimeSeries):
        bins = given.values.shape[given.values.ndim == 3]
        return f"time series, {bins} bins of {given.bin_ms:g} ms"
    return f"{given:g}" if isinstance(given, (int, float)) else _stimuli(given, "image")


def _nudge(phase: Phase, given: Any) -> str:
    goal = given.goal if isinstance(given, Nudge) else given
    own = given.strength if isinstance(given, Nudge) else None
    strength = phase.strength if own is None else own
    return (
        f"{_stimuli(goal, 'label')}, β = {strength:g}" if isinstance(strength, (int, float)) else _kind(goal)
    )


def _stimuli(given: Any, what: str) -> str:
    if isinstance(given, Stimuli):
        count = "all" if given.count is None else str(given.count)
        return f"{count} {what}s of {given.data} ({given.split})"
    if isinstance(given, np.ndarray):
        if given.ndim == 1 and what == "label":
            return f"{len(given)} labels" if given.dtype.kind in "iu" else "one target"
        if given.ndim in (1, 3):
            return f"one {what}, {given.size} units"
        return f"{len(given)} {what if what == 'image' else 'target'}s"
    return _kind(given)


def _value(given: Any) -> str:
    return f"{given:g}" if isinstance(given, (int, float)) else _kind(given)


def _kind(value: Any) -> str:
    if isinstance(value, LoopValue):
        return f"closed loop, {value.variable} of {value.loop.name}"
    if isinstance(value, PerTrial):
        return f"one per {'image' if value.by == 'image' else 'trial'}"
    if isinstance(value, FromTrial):
        return f"from trial {next(iter(value.values))} on"
    return type(value).__name__


def _number(unit: str, sign: str = "") -> Callable[[Any, Any], str]:
    def words(phase: Any, given: Any) -> str:
        return f"{sign}{given:g}{unit}" if isinstance(given, (int, float)) else _kind(given)

    return words


_LISTS = {
    "silence": ("silence", "silence"),
    "cut": ("cut", "cut"),
    "silence_error": ("silence error of", "silence"),
    "silence_credit": ("silence credit of", "silence"),
}
_MAPPINGS: dict[str, tuple[str, str, Callable[[Any, Any], str]]] = {
    "drive": ("drive", "drive", _drive),
    "nudge": ("nudge", "nudge", _nudge),
    "drive_credit": ("drive credit of", "nudge", _drive),
    "spontaneous": ("spontaneous", "spontaneous", _number("", "sd ")),
    "scale": ("scale", "gate", _number("", "× ")),
    "delay_ms": ("delay", "gate", _number(" ms")),
    "noise": ("noise on", "gate", _number("", "sd ")),
}
