"""One phase put into force: inputs, goals, silenced units, gates and open plasticity windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.backends.brian2.circuit import Apical
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.protocol.plan import Constant, Gate, Images, PhasePlan

if TYPE_CHECKING:
    from cortex_sim.backends.brian2.stage import Stage


def rest(stage: Stage) -> None:
    """Drives and compartments at zero: where every trial starts unless it goes on from the last."""
    for values in stage.moving().values():
        values[...] = 0.0


def apply_phase(stage: Stage, weights: Weights, phase: PhasePlan, images: Sequence[int]) -> None:
    """Set everything that stays as it is for a whole phase; whatever the phase does not name is at rest."""
    chosen = np.asarray(images, dtype=int)
    for name, unit in stage.units.items():
        view = unit.view
        given = phase.drive.get(name)
        target = view["shown" if unit.is_stimulus else "external"]
        match given:
            case Constant(values):
                target[...] = values
            case Images(values):
                target[...] = values[chosen]
            case _:
                target[...] = 0.0
        view["alive"][...] = phase.alive.get(name, 1.0)
        if unit.is_stimulus:
            continue
        view["free"][...] = float(name in phase.spontaneous)
        if "strength" in view:
            goal = phase.nudge.get(name)
            view["strength"][...] = 0.0 if goal is None else goal.strength
            view["goal"][...] = 0.0 if goal is None else goal.values[chosen]
    for p in stage.circuit.apicals:
        _set_apical(stage, weights, p, phase)
    for projection in [*stage.circuit.net.bottom_ups, *stage.circuit.net.laterals]:
        if projection.name not in stage.features:
            gate = phase.gates.get(projection.name, Gate())
            variable = stage.circuit.var("gate", projection.name)
            stage.units[projection.post].view[variable][...] = 0.0 if gate.cut else gate.scale
    stage.engine.open_windows(phase.eta, phase.modulator)


def _set_apical(stage: Stage, weights: Weights, p: Apical, phase: PhasePlan) -> None:
    from cortex_sim.backends.brian2.conductor import set_gain

    gate = phase.gates.get(p.name, Gate())
    var, below = stage.circuit.var, stage.units[p.projection.post].view
    listening = float(p.name not in phase.errors_silenced)
    if p.patchwise:
        patches = stage.patch_views[p.name]
        patches["intact"][...], patches["listening"][...] = float(not gate.cut), listening
        if gate.cut:
            patches["x"][...] = 0.0
    else:
        below[var("intact", p.name)][...] = float(not gate.cut)
        if p.name in {q.name for q in stage.circuit.errors(p.projection.pre)}:
            stage.units[p.projection.pre].view[var("listening", p.name)][...] = listening
    if gate.cut:
        below[var("c", p.name)][...] = 0.0
    set_gain(stage, weights, p, gate)
