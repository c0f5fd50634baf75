"""A plan in one brian2 run: what phases change is written into tables that the run reads.

Inputs, goals, gates and plasticity windows are parameters of brian2's groups, as always; an operation
in each group sets them at the beginning of each tick (see `timetable`). So the whole plan is
compiled once, however many trials and phases it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.built import BuiltCircuit
from cortex_sim.backends.brian2.phase import apply_phase, rest
from cortex_sim.backends.brian2.stability import check
from cortex_sim.backends.brian2.synaptic import Synaptic
from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.timetable import Segment, Timetable
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.errors import RunError
from cortex_sim.protocol.plan import Plan, Sample, Series


class Program:
    """Tables of a timetable, operations that read them, and monitors, in one run.

    Tables are read, and states recorded, between two steps: after the last step of a tick and
    before the first of the next. brian2 treats two clocks as simultaneous if they differ by less than
    1e-14 s, which rounding exceeds from 64 s on; so ``between`` runs ahead of every tick by an amount
    that grows to half a step, and coincides with the clock of the steps only at zero.
    """

    def __init__(self, built: BuiltCircuit, weights: Weights, timetable: Timetable) -> None:
        self.built, self.weights, self.timetable = built, weights, timetable
        self.views = _tabulated(built)
        self.dt, self.tick = built.clock.dt, timetable.tick
        ticks = timetable.steps // timetable.tick
        self.between = brian2.Clock(timetable.tick * (1 - 0.5 / timetable.steps) * self.dt)
        self.tables: dict[str, Any] = {}
        self.segments = np.append(timetable.by_tick(), len(timetable.segments) - 1)  # at the end: nothing new
        self.begins = np.array([timetable.segments[segment].start for segment in self.segments])
        self.begins = self.begins == np.arange(ticks + 1) * timetable.tick
        self.monitors: dict[str, Any] = {}
        self.recorded: dict[str, dict[str, np.ndarray]] = {}  # (unit, moment) by population and state

    def write(self) -> None:
        """Set up the whole program."""
        self.built.engine.push()
        for segment in self.timetable.segments:
            self._add_row(segment)
        self._table("segment", brian2.Quantity(self.segments * float(self.dt), dim=brian2.second.dim))
        network = self.built.network
        for view in self.views:
            lines = self._lines(view)
            if lines:
                view.group.run_regularly("\n".join(lines), clock=self.between, when="start", order=0)
        for name, states in self._states().items():
            group = self.built.groups[name]
            self.monitors[name] = brian2.StateMonitor(
                group, states, record=True, clock=self.between, when="start", order=-1
            )
        network.add(*self.monitors.values())
        network.run(self.timetable.steps * self.dt, namespace=self.tables)

    def _add_row(self, segment: Segment) -> None:
        for view in self.views:
            view.begin_row()
        if segment.opens and segment.shown.reset:
            rest(self.built)
        apply_phase(self.built, self.weights, segment.phase, segment.shown.images)
        for name, bin_ in segment.bins.items():
            given, unit = segment.phase.drive[name], self.built.units[name]
            assert isinstance(given, Series)
            values = given.shown(bin_, np.asarray(segment.shown.images))
            unit.view.put("shown" if unit.is_source else "external", values)

    def _states(self) -> dict[str, list[str]]:
        """Drive, gain and compartments of each population that has them, and a bias behind a normaliser."""
        return {
            name: [
                *("a", "g")[: 1 + unit.has_gain],
                *(self.built.circuit.var("c", p.name) for p in self.built.circuit.apical_inputs(name)),
                *(["bias"] if unit.normalised is not None and name in self.weights.bias else []),
            ]
            for name, unit in self.built.units.items()
            if not unit.is_source
        }

    def _lines(self, view: Tabulated) -> list[str]:
        """Statements for a group at the beginning of each tick; constant values are set here."""
        states = {variable for other, variable in self.built.moving_variables().values() if other is view}
        named = dict.fromkeys(variable for row in view.rows for variable in row)
        lines: list[str] = []
        for variable in sorted(named, key=view.is_shared, reverse=True):  # brian2: shared ones first
            if variable in states:
                lines += self._reset(view, variable)
                continue
            values = view.table(variable)
            if (values == values[0]).all():
                whole = np.broadcast_to(values[0], (1 if view.is_shared(variable) else len(view.group),))
                view.group.variables[variable].set_value(np.array(whole))
                continue
            dim = view.group.variables[variable].dim
            table = self._table(f"{variable}_of_{view.group.name}", brian2.Quantity(values, dim=dim))
            unit = ", i" if values.ndim == 2 else ""
            lines.append(f"{variable} = {table}(table_segment(t / {self.tick}){unit})")
        return lines

    def _reset(self, view: Tabulated, variable: str) -> list[str]:
        """Reset to zero at the beginning of the segments that require it."""
        zeroed = np.array([variable in row for row in view.rows])
        keep = 1.0 - (zeroed[self.segments] & self.begins)
        if keep[1:].all():  # all start from zero
            return []
        table = self._table(f"keep_{variable}_of_{view.group.name}", keep)
        return [f"{variable} = {variable} * {table}(t / {self.tick})"]

    def _table(self, name: str, values: Any) -> str:
        """Make a table indexed by steps of the clock, and return its name in equations."""
        self.tables[f"table_{name}"] = brian2.TimedArray(values, dt=self.dt)
        return f"table_{name}"

    # -- after the run ----------------------------------------------------------------------------------

    def read(self) -> None:
        """Fetch weights and the values of the monitors.

        Raises
        ------
        RunError
            If weights left the stable range, or the rates of a population became infinite.
        """
        setup, circuit = self.built.setup, self.built.circuit
        self.built.engine.pull()
        self.weights.pulls += len(
            {segment.shown.number for segment in self.timetable.segments if segment.phase.eta}
        )
        check(circuit, self.weights, setup.dt_ms, setup.method, learned=True)
        for name, monitor in self.monitors.items():
            self.recorded[name] = {v: np.asarray(getattr(monitor, v)) for v in monitor.record_variables}
            if not all(np.isfinite(by_moment[:, -1]).all() for by_moment in self.recorded[name].values()):
                raise RunError(
                    f"population {name}: rates are no longer finite; use a shorter dt_ms or a smaller "
                    "eta_per_s"
                )

    def samples(self, plan: Plan) -> Iterator[Sample]:
        """Samples from the monitors, trial by trial."""
        time_ms = 0.0
        for shown, steps in zip(plan.shown, self.timetable.samples, strict=True):
            time_ms += shown.duration_ms
            values: dict[str, dict[str, np.ndarray]] = {}
            for name in plan.wanted.populations:
                seen = [self._seen(name, step, plan.wanted.variables) for step in steps]
                for variable in plan.wanted.variables:
                    values.setdefault(variable, {})[name] = np.stack([one[variable] for one in seen], axis=1)
            yield Sample(shown, values, {}, time_ms)

    def _seen(self, name: str, step: int, variables: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Values after ``step`` steps, in the segment that then ends, (presentation, unit) by variable."""
        unit, circuit = self.built.units[name], self.built.circuit
        view = unit.view
        assert isinstance(view, Tabulated)
        states = {v: by_moment[:, step // self.tick] for v, by_moment in self.recorded.get(name, {}).items()}
        view.load(int(self.timetable.segment_at(np.array(step - 1))), states)
        unit.begin()
        r = unit.rates()
        receives = not unit.is_source and circuit.receives_credit
        found = {"rate": r, "drive": view["shown" if unit.is_source else "a"]}
        if "credit" in variables:
            found["credit"] = unit.credit(r) if receives else np.zeros_like(r)
        return {variable: np.array(values) for variable, values in found.items()}


def _tabulated(built: BuiltCircuit) -> list[Tabulated]:
    """All groups that phases act on."""
    assert isinstance(built.engine, Synaptic)
    views = [*(unit.view for unit in built.units.values()), *built.engine.views.values()]
    return [view for view in views if isinstance(view, Tabulated)]
