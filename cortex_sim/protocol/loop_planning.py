"""Closed loops against a protocol and a network: where they act, with their first values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import look_up, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.protocol.closed_loop import ClosedLoop, LoopValue, is_list, longest_ms, values_in
from cortex_sim.protocol.credit_planning import credit_alive
from cortex_sim.protocol.inputs import Nudge, Sum
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.phase_planning import alive, check_passing
from cortex_sim.protocol.plan import PlannedLoop, Slot

if TYPE_CHECKING:
    from cortex_sim.protocol.protocol import Protocol


def loops_of(phases: Sequence[Phase]) -> dict[str, ClosedLoop]:
    """Closed loops that phases take values from, by name.

    Raises
    ------
    DeclarationError
        If two of them have one name.
    """
    found: dict[str, ClosedLoop] = {}
    for phase in phases:
        for f in fields(phase):
            for value in values_in(getattr(phase, f.name)):
                known = found.setdefault(value.loop.name, value.loop)
                if known is not value.loop and known != value.loop:
                    raise DeclarationError(
                        f"closed loop {known.name}: two loops have this name; give one of them another "
                        "name=..."
                    )
    return found


def check_loops(protocol: Protocol) -> None:
    """Raise `DeclarationError` where a protocol cannot close the loops of its phases."""
    loops = loops_of(protocol.phases)
    for loop in loops.values():
        require_known(f"phase of closed loop {loop.name}", loop.phase, protocol.durations_ms)
        _check_order(protocol, loop)
    if loops and protocol.batch not in (None, 1):
        raise DeclarationError(
            f"Protocol: closed loop {next(iter(loops))} needs each trial to end before the next, so trials "
            f"cannot run {protocol.batch} side by side; leave batch out"
        )
    if protocol.probe is not None:
        for name in loops_of(protocol.probe.phases):
            raise DeclarationError(
                f"Protocol: closed loop {name} acts in the probe, but every probe must be the same; give the "
                "probe fixed values"
            )


def _check_order(protocol: Protocol, loop: ClosedLoop) -> None:
    """Raise where a variable acts both before and after its loop's call, so with two values in a trial."""
    names = list(protocol.durations_ms)
    called = names.index(loop.phase)
    sides: dict[str, dict[bool, str]] = {}
    for phase in protocol.phases:
        for value in (v for f in fields(phase) for v in values_in(getattr(phase, f.name))):
            if value.loop.name == loop.name:
                sides.setdefault(value.variable, {})[names.index(phase.name) <= called] = phase.name
    for variable, acts in sides.items():
        if len(acts) == 2:
            raise DeclarationError(
                f"closed loop {loop.name}: {variable} acts in phase {acts[True]} and again in {acts[False]}, "
                f"but changes in between, at the end of {loop.phase}; use two variables, or give the loop a "
                "later phase=..."
            )


def planned(
    loops: Mapping[str, ClosedLoop], net: Network, seed: int, others: Mapping[str, PlannedLoop] | None = None
) -> dict[str, PlannedLoop]:
    """Loops with the state before their first trial; those in ``others`` keep theirs."""
    found = dict(others or {})
    for name, loop in loops.items():
        for population in loop.reads:
            require_known(f"population that closed loop {name} reads", population, net.every_population)
        if name in found and found[name].loop is not loop and found[name].loop != loop:
            raise DeclarationError(
                f"closed loop {name}: two loops have this name; give one of them another name=..."
            )
        found.setdefault(name, PlannedLoop(loop, loop.before_first_trial(seed), seed))
    return found


def opened(net: Network, phase: Phase, loops: Mapping[str, PlannedLoop]) -> tuple[Phase, tuple[Slot, ...]]:
    """A phase with the first values of loops in place, and where later values go.

    Raises
    ------
    DeclarationError
        If a first value does not fit where it acts.
    """
    if not any(True for f in fields(phase) for _ in values_in(getattr(phase, f.name))):
        return phase, ()
    filled = _Filled(net, phase, loops)
    made = copy(phase)
    for name, value in filled.settings().items():
        object.__setattr__(made, name, value)
    return made, tuple(filled.slots)


class _Filled:
    """Settings of one phase in which loops act."""

    def __init__(self, net: Network, phase: Phase, loops: Mapping[str, PlannedLoop]) -> None:
        self.net, self.phase, self.loops = net, phase, loops
        self.slots: list[Slot] = []

    def settings(self) -> dict[str, Any]:
        phase = self.phase
        return {
            "drive": {name: self._drive("drive", name, given) for name, given in phase.drive.items()},
            "drive_credit": {n: self._drive("drive_credit", n, g) for n, g in phase.drive_credit.items()},
            "nudge": {name: self._nudge(name, given) for name, given in phase.nudge.items()},
            "scale": {name: self._number(v, "scale", name) for name, v in phase.scale.items()},
            "modulator": self._modulator(),
            "strength": 1.0 if isinstance(phase.strength, LoopValue) else phase.strength,
            "duration_ms": self._duration(),
            "cut": self._switched("cut", phase.cut),
            "silence": self._switched("silence", phase.silence),
            "silence_credit": self._switched("silence_credit", phase.silence_credit),
        }

    def _duration(self) -> Any:
        """The longest duration, with which a trial is planned."""
        value = self.phase.duration_ms
        if not isinstance(value, LoopValue):
            return value
        most = longest_ms(value)
        self._checked(value, Slot(value.loop.name, value.variable, "duration", self.phase.name, most=most))
        return most

    def _switched(self, what: str, given: Any) -> tuple[str, ...]:
        """Names that are cut or silenced in any case; a loop decides on the others."""
        if not isinstance(given, Mapping):
            return tuple(given)
        for name, value in given.items():
            where, units = f"{what} of phase {self.phase.name}", 0
            if what == "cut":
                check_passing(where, [name], self.net)
            else:
                silenced = alive if what == "silence" else credit_alive
                ((_, mask),) = silenced(self.net, where, [name]).items()
                units = len(mask)
            self._checked(value, Slot(value.loop.name, value.variable, what, name, units=units))
        return ()

    def _checked(self, value: LoopValue, slot: Slot) -> None:
        """Check a first value that is limited to certain numbers."""
        initial = self._first(value, slot)
        if initial.ndim:
            said = slot.what if slot.what == "duration" else f"{slot.what} of {slot.where}"
            raise DeclarationError(self._shape(value, initial, said, "one number"))
        wrong = complaint(slot, initial)
        if wrong:
            raise DeclarationError(
                f"closed loop {value.loop.name}: {value.variable} {acting(slot)}, but before the first trial "
                f"{wrong}"
            )

    def _first(self, value: LoopValue, slot: Slot) -> np.ndarray:
        state = self.loops[value.loop.name].state
        initial = look_up(f"variable of closed loop {value.loop.name}", value.variable, state, exact=True)
        if is_list(initial):
            raise DeclarationError(
                f"closed loop {value.loop.name}: {value.variable} is a list, which may grow, and cannot act "
                f"as {slot.what} in phase {self.phase.name}; let another variable act"
            )
        if value.most is not None and slot.what != "duration":
            raise DeclarationError(
                f"closed loop {value.loop.name}: {value.variable} acts as {slot.what} in phase "
                f"{self.phase.name}, and up_to limits durations only; leave up_to out there"
            )
        self.slots.append(slot)
        return initial

    def _number(self, value: Any, what: str, where: str = "") -> Any:
        """A number, or the first one of a loop."""
        if not isinstance(value, LoopValue):
            return value
        initial = self._first(value, Slot(value.loop.name, value.variable, what, where))
        if initial.ndim:
            raise DeclarationError(self._shape(value, initial, f"{what} {where}".strip(), "one number"))
        return float(initial)

    def _shape(self, value: LoopValue, initial: np.ndarray, what: str, right: str) -> str:
        return (
            f"closed loop {value.loop.name}: {value.variable} has shape {initial.shape}, but acts as {what} "
            f"in phase {self.phase.name}; give {right}"
        )

    def _modulator(self) -> Any:
        value = self.phase.modulator
        modulated = any("modulator" in p.rule.state for p in self.net.projections.values())
        if isinstance(value, LoopValue) and not modulated:
            raise DeclarationError(
                f"phase {self.phase.name}: {value} acts as modulator, but no rule of network "
                f"{self.net.name} has a modulator; use a three-factor rule, or leave modulator out"
            )
        return self._number(value, "modulator")

    def _units(self, what: str, name: str) -> Any:
        among: Any = self.net.every_population if what == "drive" else self.net.populations
        return look_up(f"population in {what} of phase {self.phase.name}", name, among, exact=True)

    def _drive(self, what: str, name: str, given: Any) -> Any:
        if isinstance(given, Sum):
            return given.with_parts([self._part(what, name, part, k) for k, part in enumerate(given.parts)])
        return self._part(what, name, given, 0)

    def _part(self, what: str, name: str, value: Any, part: int) -> Any:
        if not isinstance(value, LoopValue):
            return value
        population = self._units(what, name)
        initial = self._first(value, Slot(value.loop.name, value.variable, what, name, part))
        if initial.ndim and initial.shape not in (population.shape, (population.size,)):
            right = f"one number, or shape ({population.size},)"
            raise DeclarationError(self._shape(value, initial, f"{what} of {name}", right))
        return initial.astype(np.float64) if initial.ndim else float(initial)

    def _nudge(self, name: str, given: Any) -> Any:
        goal, strength = (given.goal, given.strength) if isinstance(given, Nudge) else (given, None)
        if not any(isinstance(v, LoopValue) for v in (goal, strength, self.phase.strength)):
            return given
        made = copy(given) if isinstance(given, Nudge) else Nudge(np.zeros(1))
        own = self.phase.strength if strength is None else strength
        object.__setattr__(made, "strength", self._number(own, "strength", name))
        object.__setattr__(made, "goal", self._goal(name, goal))
        return made

    def _goal(self, name: str, value: Any) -> Any:
        if not isinstance(value, LoopValue):
            return value
        population = self._units("nudge", name)
        at_objective = name == self.net.objective_at
        sums_to_one = at_objective and isinstance(self.net.objective_function, CrossEntropy)
        units = population.size
        slot = Slot(value.loop.name, value.variable, "goal", name, sums_to_one=sums_to_one, units=units)
        initial = self._first(value, slot)
        labelled = at_objective and initial.ndim == 0 and initial.dtype.kind == "i"
        if not labelled and initial.shape not in (population.shape, (population.size,)):
            right = f"shape ({population.size},)" + (", or a whole number, the label" if at_objective else "")
            raise DeclarationError(self._shape(value, initial, f"goal of {name}", right))
        wrong = complaint(slot, initial)
        if wrong:
            raise DeclarationError(
                f"closed loop {value.loop.name}: {value.variable} is the goal of {name} in phase "
                f"{self.phase.name}, but before the first trial {wrong}"
            )
        return goal_values(slot, initial)


def complaint(slot: Slot, value: np.ndarray) -> str:
    """What is wrong with a value where it acts; empty if nothing is."""
    if slot.what in ("cut", "silence", "silence_credit") and value not in (0, 1):
        return f"it is {value:g}; it must be 0 or 1"
    if slot.what == "duration" and not 0 < value <= slot.most:
        return f"it is {value:g} ms; it must be above 0 and, as up_to says, at most {slot.most:g}"
    if slot.what == "goal" and value.ndim:
        whole = value.astype(np.float64)
        if slot.sums_to_one and ((whole < 0).any() or abs(whole.sum() - 1) > 1e-6):
            return "its values are not probabilities (0 or more, with sum 1), which CrossEntropy needs"
    elif slot.what == "goal" and not 0 <= value < slot.units:
        return f"it is {int(value)}; labels must be from 0 to {slot.units - 1}"
    return ""


def acting(slot: Slot) -> str:
    """What a variable does there, for messages."""
    said = {
        "goal": "is the goal of",
        "cut": "cuts",
        "silence": "silences",
        "silence_credit": "silences the credit of",
        "duration": "is the length of phase",
    }
    return f"{said[slot.what]} {slot.where}"


def goal_values(slot: Slot, value: np.ndarray) -> np.ndarray:
    """A goal as rates of all units, (unit,), from such rates or a label."""
    return value.astype(np.float64).reshape(slot.units) if value.ndim else np.eye(slot.units)[int(value)]
