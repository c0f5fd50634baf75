"""Closed loops while a plan is carried out: the same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cortex_sim.checks import require_known, short
from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.library import place_of
from cortex_sim.protocol.closed_loop import Seen, as_number, generator, is_list
from cortex_sim.protocol.loop_planning import acting, complaint, goal_values
from cortex_sim.protocol.plan import (
    Constant,
    Gate,
    Goal,
    Input,
    PhasePlan,
    Plan,
    PlannedLoop,
    Shown,
    Slot,
    Summed,
)

_STATE = "loop:"
_SHORTER = f"{_STATE}shorter_ms"  # loops' variables have a second colon
_LIMITED = ("goal", "cut", "silence", "silence_credit", "duration")  # where not every number is allowed

#: State of the loops of a session, by "loop:NAME:VARIABLE": what its checkpoint holds of them.
Memory = dict[str, np.ndarray]


def memory_of(checkpoint: Mapping[str, np.ndarray]) -> Memory:
    """State of loops in a checkpoint."""
    return {name: np.array(values) for name, values in checkpoint.items() if name.startswith(_STATE)}


class Loops:
    """The closed loops of a plan, from its ``first`` run on.

    Parameters
    ----------
    plan : Plan
    memory : dict
        The session's state of all loops, updated after each trial.
    first : int
        Number of the first `Shown`; 0 starts every loop from its first state.
    """

    def __init__(self, plan: Plan, memory: Memory, first: int) -> None:
        self._loops, self._memory = plan.loops, memory
        self._acted: Memory = {}
        self._plan, self._firsts = plan, dict[int, int]()
        self._limited: dict[tuple[str, str], list[Slot]] = {}
        if not plan.loops:
            memory.clear()
            return
        for phase in plan.different_phases():
            for slot in phase.slots:
                if slot.what in _LIMITED:
                    self._limited.setdefault((slot.loop, slot.variable), []).append(slot)
        started = {
            _named(name, variable): value
            for name, one in self._loops.items()
            for variable, value in one.state.items()
        }
        if plan.lasting:
            started[_SHORTER] = np.zeros(())
        if first == 0:
            memory.clear()
            memory.update(started)
        for name in started:
            if name not in memory:
                raise RunError(
                    f"the checkpoint lacks {name!r}, the state of a closed loop; run the protocol from the "
                    "beginning"
                )

    def begin(self, shown: Shown) -> None:
        """Begin a trial."""
        self._shown = shown
        self._acted = {}

    def opened(self, phase: PhasePlan) -> PhasePlan:
        """A phase with the present values of loops in place."""
        for slot in phase.slots:
            name = _named(slot.loop, slot.variable)
            self._acted[name] = self._memory[name]
            phase = _filled(phase, slot, self._memory[name])
            if slot.what == "duration":
                self._memory[_SHORTER] = self._memory[_SHORTER] + slot.most - phase.duration_ms
        return phase

    @property
    def shorter_ms(self) -> float:
        """By how much all trials so far were shorter than planned."""
        return float(self._memory.get(_SHORTER, 0.0))

    def called(self, phase: PhasePlan) -> list[PlannedLoop]:
        """Loops that are called at the end of a phase."""
        own = self._shown.loops if self._shown.stage == "trial" else ()
        return [
            self._loops[name]
            for name in self._loops
            if name in own and self._loops[name].loop.phase == phase.name
        ]

    def averaged(self, phase: PhasePlan) -> list[str]:
        """Populations whose mean over a phase is read."""
        found = (name for one in self.called(phase) if one.loop.average for name in one.loop.reads)
        return list(dict.fromkeys(found))

    def call(
        self, phase: PhasePlan, rates: Callable[[str], np.ndarray], means: Mapping[str, np.ndarray]
    ) -> None:
        """Call the loops of a phase that is over.

        Parameters
        ----------
        phase : PhasePlan
        rates : callable
            From a population to its present rates, (unit,).
        means : mapping of str to array
            Mean rates over the phase, (unit,), of those that are `averaged`.
        """
        for planned in self.called(phase):
            loop = planned.loop
            seen = {n: np.array(means[n] if loop.average else rates(n)) for n in loop.reads}
            for name, new in self._returned(planned, seen).items():
                self._memory[_named(loop.name, name)] = new

    def recorded(self) -> dict[str, np.ndarray]:
        """Variables by "NAME:VARIABLE", as they acted in this trial, else as after it; without lists."""
        own = self._shown.loops if self._shown.stage == "trial" else ()
        return {
            full.removeprefix(_STATE): self._acted.get(full, self._memory[full])
            for name, one in self._loops.items()
            if name in own
            for full in (_named(name, variable) for variable in recorded_variables(one))
        }

    def _returned(self, planned: PlannedLoop, rates: Mapping[str, np.ndarray]) -> Memory:
        loop, trial = planned.loop, self._shown.trials[0]
        owner = f"closed loop {loop.name}, trial {trial}"
        for name, values in rates.items():
            if not np.isfinite(values).all():
                raise RunError(
                    f"population {name}: rates are no longer finite in trial {trial}, where closed loop "
                    f"{loop.name} reads them; use a shorter dt_ms or a smaller eta_per_s"
                )
        state = {name: self._given(loop.name, name) for name in planned.state}
        seen = Seen(trial, self._shown.block, self._shown.images[0], rates, trial - self._first_of())
        try:
            returned = loop.function(seen, state, generator(planned.seed, loop.name, trial + 1))
        except CortexSimError as exception:
            raise RunError(f"{owner}: {exception}") from exception
        except Exception as exception:
            raise RunError(f"{owner}: its function failed, {place_of(exception)}") from exception
        if not isinstance(returned, Mapping):
            raise RunError(
                f"{owner}: its function must return a mapping of state variables to new values. "
                f"Got {short(returned)}"
            )
        known = dict.fromkeys(planned.state)
        for name in returned:
            require_known(f"variable, {owner},", name, known, RunError)
        return {name: self._checked(owner, planned, name, value) for name, value in returned.items()}

    def _first_of(self) -> int:
        """First trial of the present protocol of a sequence."""
        if not self._firsts:
            for shown in reversed(self._plan.shown):
                if shown.stage == "trial":
                    self._firsts[shown.part] = shown.trials[0]
        return self._firsts[self._shown.part]

    def _given(self, loop: str, variable: str) -> Any:
        """A copy of a variable for the function: a number, or an array that it may change."""
        value = self._memory[_named(loop, variable)]
        return np.array(value) if value.ndim else value.item()

    def _checked(self, owner: str, planned: PlannedLoop, name: str, value: Any) -> np.ndarray:
        initial, new = planned.state[name], as_number(owner, name, value, RunError)
        free = int(is_list(initial))
        if new.ndim != initial.ndim or new.shape[free:] != initial.shape[free:]:
            right = f"(…, {', '.join(map(str, initial.shape[1:]))})" if free else initial.shape
            raise RunError(
                f"{owner}: {name} must have the shape of its first value, {right}. Got {new.shape}"
            )
        if initial.dtype.kind == "i" and new.dtype.kind == "f" and (new != np.round(new)).any():
            raise RunError(
                f"{owner}: {name} started as a whole number and must stay one; start at 0.0 for fractions. "
                f"Got {short(value)}"
            )
        for slot in self._limited.get((planned.loop.name, name), ()):
            wrong = complaint(slot, new)
            if wrong:
                raise RunError(f"{owner}: {name} {acting(slot)}, but {wrong}")
        if new.dtype != initial.dtype:
            new = new.astype(initial.dtype)
            new.setflags(write=False)
        return new


def recorded_variables(planned: PlannedLoop) -> list[str]:
    """Variables of a loop that are recorded: all but lists."""
    return [name for name, initial in planned.state.items() if not is_list(initial)]


def _named(loop: str, variable: str) -> str:
    return f"{_STATE}{loop}:{variable}"


def _filled(phase: PhasePlan, slot: Slot, value: np.ndarray) -> PhasePlan:
    match slot.what:
        case "modulator":
            return replace(phase, modulator=float(value))
        case "scale":
            gate = replace(phase.gates.get(slot.where, Gate()), scale=float(value))
            return replace(phase, gates={**phase.gates, slot.where: gate})
        case "cut":
            gate = phase.gates.get(slot.where, Gate())
            return replace(
                phase, gates={**phase.gates, slot.where: replace(gate, cut=gate.cut or value == 1)}
            )
        case "silence":
            return replace(phase, alive=_silenced(phase.alive, slot)) if value else phase
        case "silence_credit":
            return replace(phase, credit_alive=_silenced(phase.credit_alive, slot)) if value else phase
        case "duration":
            return replace(phase, duration_ms=float(value))
        case "drive":
            return replace(phase, drive=_driven(phase.drive, slot, value))
        case "drive_credit":
            return replace(phase, credit_drive=_driven(phase.credit_drive, slot, value))
        case _:
            goal = phase.nudge[slot.where]
            if slot.what == "strength":
                made = Goal(goal.values, float(value))
            else:
                row = goal_values(slot, value)
                made = Goal(np.broadcast_to(row, goal.values.shape), goal.strength)
            return replace(phase, nudge={**phase.nudge, slot.where: made})


def _silenced(alive: Mapping[str, np.ndarray], slot: Slot) -> Mapping[str, np.ndarray]:
    population, slash, unit = slot.where.partition("/")
    units = np.array(alive.get(population, np.ones(slot.units)))
    units[int(unit) if slash else slice(None)] = 0.0
    return {**alive, population: units}


def _driven(drives: Mapping[str, Input], slot: Slot, value: np.ndarray) -> Mapping[str, Input]:
    given = drives[slot.where]
    parts = list(given.parts) if isinstance(given, Summed) else [given]
    before = parts[slot.part]
    assert isinstance(before, Constant)
    units = len(before.values)
    parts[slot.part] = Constant(
        value.reshape(units).astype(np.float64) if value.ndim else np.full(units, value)
    )
    return {**drives, slot.where: Summed(tuple(parts)) if isinstance(given, Summed) else parts[0]}
