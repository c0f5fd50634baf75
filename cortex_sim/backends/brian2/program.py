"""A plan in one brian2 run: what phases change is written into tables that the run reads.

Inputs, goals, gates and plasticity windows are parameters of brian2's groups, as always; an operation
in each group sets them at the beginning of each tick (see `score`). So the whole plan is
compiled once, however many trials and phases it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.phase import apply_phase, rest
from cortex_sim.backends.brian2.score import Piece, Score
from cortex_sim.backends.brian2.stability import check
from cortex_sim.backends.brian2.stage import Stage
from cortex_sim.backends.brian2.synaptic import Synaptic
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.backends.brian2.written import Written
from cortex_sim.errors import RunError
from cortex_sim.protocol.plan import Plan, Sample, Series


class Program:
    """Tables of a timetable, operations that read them, and monitors, in one run.

    Tables are read, and states recorded, between two steps: after the last step of a tick and
    before the first of the next. brian2 treats two clocks as simultaneous if they differ by less than
    1e-14 s, which rounding exceeds from 64 s on; so ``between`` runs ahead of every tick by an amount
    that grows to half a step, and coincides with the clock of the steps only at zero.
    """

    def __init__(self, stage: Stage, weights: Weights, score: Score) -> None:
        self.stage, self.weights, self.score = stage, weights, score
        self.views = _written(stage)
        self.dt, self.segment = stage.clock.dt, score.segment
        segments = score.steps // score.segment
        self.between = brian2.Clock(score.segment * (1 - 0.5 / score.steps) * self.dt)
        self.tables: dict[str, Any] = {}
        self.pieces = np.append(score.by_segment(), len(score.pieces) - 1)  # at the end: nothing new
        self.begins = np.array([score.pieces[piece].start for piece in self.pieces])
        self.begins = self.begins == np.arange(segments + 1) * score.segment
        self.monitors: dict[str, Any] = {}
        self.recorded: dict[str, dict[str, np.ndarray]] = {}  # (unit, moment) by population and state

    def write(self) -> None:
        """Set up the whole program."""
        self.stage.engine.push()
        for piece in self.score.pieces:
            self._page(piece)
        self._table("piece", brian2.Quantity(self.pieces * float(self.dt), dim=brian2.second.dim))
        network = self.stage.network
        for view in self.views:
            lines = self._lines(view)
            if lines:
                view.group.run_regularly("\n".join(lines), clock=self.between, when="start", order=0)
        for name, states in self._states().items():
            group = self.stage.groups[name]
            self.monitors[name] = brian2.StateMonitor(
                group, states, record=True, clock=self.between, when="start", order=-1
            )
        network.add(*self.monitors.values())
        network.run(self.score.steps * self.dt, namespace=self.tables)

    def _page(self, piece: Piece) -> None:
        for view in self.views:
            view.turn()
        if piece.opens and piece.shown.reset:
            rest(self.stage)
        apply_phase(self.stage, self.weights, piece.phase, piece.shown.images)
        for name, bin_ in piece.bins.items():
            given, unit = piece.phase.drive[name], self.stage.units[name]
            assert isinstance(given, Series)
            unit.view.put("shown" if unit.is_stimulus else "external", given.values[bin_])

    def _states(self) -> dict[str, list[str]]:
        """Drive and compartments of each population that has them."""
        return {
            name: [
                "a",
                *(self.stage.circuit.var("c", p.name) for p in self.stage.circuit.apical_inputs(name)),
            ]
            for name, unit in self.stage.units.items()
            if not unit.is_stimulus
        }

    def _lines(self, view: Written) -> list[str]:
        """Statements for a group at the beginning of each tick; constant values are set here."""
        states = {variable for other, variable in self.stage.moving_variables().values() if other is view}
        named = dict.fromkeys(variable for page in view.pages for variable in page)
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
            lines.append(f"{variable} = {table}(table_piece(t / {self.segment}){unit})")
        return lines

    def _reset(self, view: Written, variable: str) -> list[str]:
        """Reset to zero at the beginning of the segments that require it."""
        zeroed = np.array([variable in page for page in view.pages])
        keep = 1.0 - (zeroed[self.pieces] & self.begins)
        if keep[1:].all():  # all start from zero
            return []
        table = self._table(f"keep_{variable}_of_{view.group.name}", keep)
        return [f"{variable} = {variable} * {table}(t / {self.segment})"]

    def _table(self, name: str, values: Any) -> str:
        """Make a table by step of the clock, and return its name in equations."""
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
        setup, circuit = self.stage.setup, self.stage.circuit
        self.stage.engine.pull()
        self.weights.pulls += len({piece.shown.number for piece in self.score.pieces if piece.phase.eta})
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
        for shown, steps in zip(plan.shown, self.score.samples, strict=True):
            time_ms += shown.duration_ms
            values: dict[str, dict[str, np.ndarray]] = {}
            for name in plan.wanted.populations:
                seen = [self._seen(name, step, plan.wanted.variables) for step in steps]
                for variable in plan.wanted.variables:
                    values.setdefault(variable, {})[name] = np.stack([one[variable] for one in seen], axis=1)
            yield Sample(shown, values, {}, time_ms)

    def _seen(self, name: str, step: int, variables: tuple[str, ...]) -> dict[str, np.ndarray]:
        """A population after so many steps, (presentation, unit) by variable, in the segment just ended."""
        unit, circuit = self.stage.units[name], self.stage.circuit
        view = unit.view
        assert isinstance(view, Written)
        states = {
            v: by_moment[:, step // self.segment] for v, by_moment in self.recorded.get(name, {}).items()
        }
        view.recall(int(self.score.piece_at(np.array(step - 1))), states)
        unit.begin()
        r = unit.rates()
        told = not unit.is_stimulus and circuit.hears_credit
        found = {"rate": r, "drive": view["shown" if unit.is_stimulus else "a"]}
        if "credit" in variables:
            found["credit"] = unit.credit(r) if told else np.zeros_like(r)
        return {variable: np.array(values) for variable, values in found.items()}


def _written(stage: Stage) -> list[Written]:
    """All groups that phases act on."""
    assert isinstance(stage.engine, Synaptic)
    views = [*(unit.view for unit in stage.units.values()), *stage.engine.views.values()]
    return [view for view in views if isinstance(view, Written)]
