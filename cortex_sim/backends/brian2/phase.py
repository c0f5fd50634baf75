"""Application of a phase: inputs, goals, silenced units, gates and open plasticity windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.backends.brian2.circuit import Apical, Way
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.protocol.plan import Constant, Gate, Images, PhasePlan

if TYPE_CHECKING:
    from cortex_sim.backends.brian2.stage import Stage


def rest(stage: Stage) -> None:
    """Set all transient variables to zero: the start of a trial unless it continues the last one.

    A C++ program recomputes everything except drives and compartments in each step before it is read:
    it has no delays, no noise and no spontaneous activity.
    """
    if stage.setup.target == "cpp_standalone":
        for view, variable in stage.moving_variables().values():
            view.put(variable, 0.0)
        return
    users = stage.parameters_of_users()
    for name, values in stage.passing().items():
        if name not in users:
            values[...] = 0.0
    stage.delayed.clear()


def apply_phase(stage: Stage, weights: Weights, phase: PhasePlan, images: Sequence[int]) -> None:
    """Set everything that is constant during a phase; whatever the phase does not name is at rest."""
    chosen = np.asarray(images, dtype=int)
    for name, unit in stage.units.items():
        view = unit.view
        given = phase.drive.get(name)
        match given:
            case Constant(values):
                shown = values
            case Images(values):
                shown = values[chosen]
            case _:
                shown = np.zeros(1)
        view.put("shown" if unit.is_stimulus else "external", shown)
        view.put("alive", phase.alive.get(name, 1.0))
        if unit.is_stimulus:
            continue
        view.put("free", float(name in phase.spontaneous))
        if "strength" in view:
            goal = phase.nudge.get(name)
            view.put("strength", 0.0 if goal is None else goal.strength)
            view.put("goal", 0.0 if goal is None else goal.values[chosen])
    for p in stage.circuit.apicals:
        _set_apical(stage, weights, p, phase)
    if stage.circuit.taught is not None:
        goal = phase.nudge.get(stage.circuit.taught.top)
        for view in stage.credit_views.values():
            view.put("strength", 0.0 if goal is None else goal.strength)
    for projection in [*stage.circuit.net.bottom_ups, *stage.circuit.net.laterals]:
        if projection.name not in stage.features:
            gate = phase.gates.get(projection.name, Gate())
            variable = stage.circuit.var("gate", projection.name)
            stage.units[projection.post].view.put(variable, 0.0 if gate.cut else gate.scale)
    stage.engine.open_windows(phase.eta, phase.modulator)


def _set_apical(stage: Stage, weights: Weights, p: Apical, phase: PhasePlan) -> None:
    gate = phase.gates.get(p.name, Gate())
    var, below = stage.circuit.var, stage.units[p.projection.post].view
    listening = float(p.name not in phase.errors_silenced)
    if p.patchwise:
        patches = stage.patch_views[p.name]
        patches.put("intact", float(not gate.cut))
        patches.put("listening", listening)
        if gate.cut:
            patches.put("x", 0.0)
    else:
        below.put(var("intact", p.name), float(not gate.cut))
        if p.way is Way.INVERSE:
            stage.units[p.projection.pre].view.put(var("listening", p.name), listening)
    if gate.cut:
        below.put(var("c", p.name), 0.0)
    set_gain(stage, weights, p, gate)


def set_gain(stage: Stage, weights: Weights, p: Apical, gate: Gate) -> None:
    """Set the factor by which a top-down projection's compartment acts on its unit."""
    if p.name not in stage.features:
        gain = 0.0 if gate.cut else gate.scale * weights.rescale(p)
        stage.units[p.projection.post].view.put(stage.circuit.var("gate", p.name), gain)
