"""Application of a phase: inputs, goals, silenced units, gates and open plasticity windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.backends.brian2.circuit import Apical, CreditSource
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.backends.crediting import delivered_strength
from cortex_sim.credit.teacher import Teacher
from cortex_sim.protocol.plan import Constant, Gate, Images, Input, PhasePlan, parts_of

if TYPE_CHECKING:
    from cortex_sim.backends.brian2.built import BuiltCircuit


def rest(built: BuiltCircuit) -> None:
    """Set all transient variables to zero: the start of a trial unless it continues the last one.

    A C++ program recomputes everything except drives and compartments in each step before it is read:
    it has no delays, no noise and no spontaneous activity.
    """
    if built.setup.target == "cpp_standalone":
        for view, variable in built.moving_variables().values():
            view.put(variable, 0.0)
        return
    users = built.parameters_of_users()
    for name, values in built.passing().items():
        if name not in users:
            values[...] = 0.0
    built.delayed.clear()


def apply_phase(built: BuiltCircuit, weights: Weights, phase: PhasePlan, images: Sequence[int]) -> None:
    """Set everything that is constant during a phase; whatever the phase does not name is at rest."""
    chosen = np.asarray(images, dtype=int)
    for name, unit in built.units.items():
        view = unit.view
        view.put("shown" if unit.is_source else "external", constant_part(phase.drive.get(name), chosen))
        view.put("alive", phase.alive.get(name, 1.0))
        if unit.is_source:
            continue
        view.put("free", float(name in phase.spontaneous))
        if "strength" in view:
            goal = phase.nudge.get(name)
            view.put("strength", 0.0 if goal is None else goal.strength)
            view.put("goal", 0.0 if goal is None else goal.values[chosen])
            view.put("credit_alive", phase.credit_alive.get(name, 1.0))
            view.put("injected_credit", constant_part(phase.credit_drive.get(name), chosen))
    for p in built.circuit.apicals:
        _set_apical(built, weights, p, phase)
    if built.circuit.teacher is not None:
        _set_credit_network(built, built.circuit.teacher, phase, chosen)
    for projection in built.circuit.net.of_rates:
        if projection.name not in built.features:
            gate = phase.gates.get(projection.name, Gate())
            variable = built.circuit.var("gate", projection.name)
            built.units[projection.post].view.put(variable, 0.0 if gate.cut else gate.scale)
    built.engine.open_windows(phase.eta, phase.modulator)


def _set_credit_network(built: BuiltCircuit, teacher: Teacher, phase: PhasePlan, images: np.ndarray) -> None:
    """Set drives, silenced units and gates within the credit network, and the strength of its credit."""
    for name, unit in built.credit_units.items():
        unit.view.put("external", constant_part(phase.drive.get(name), images))
        unit.view.put("alive", phase.alive.get(name, 1.0))
        unit.view.put("strength", delivered_strength(teacher, phase))
    for p in teacher.projections.values():
        gate, variable = phase.gates.get(p.name, Gate()), built.circuit.var("gate", p.name)
        if variable in built.credit_units[p.post].view:  # a user-defined form has no projections within
            built.credit_units[p.post].view.put(variable, 0.0 if gate.cut else gate.scale)


def constant_part(given: Input | None, images: np.ndarray) -> np.ndarray:
    """The part of a drive that is constant during a phase: (1,), (unit,) or (presentation, unit)."""
    total = np.zeros(1)
    for part in parts_of(given):
        match part:
            case Constant(values):
                total = total + values
            case Images(values):
                total = total + values[images]
            case _:
                pass
    return total


def _set_apical(built: BuiltCircuit, weights: Weights, p: Apical, phase: PhasePlan) -> None:
    gate = phase.gates.get(p.name, Gate())
    var, below = built.circuit.var, built.units[p.projection.post].view
    listening = float(p.name not in phase.errors_silenced)
    if p.patchwise:
        patches = built.patch_views[p.name]
        patches.put("intact", float(not gate.cut))
        patches.put("listening", listening)
        if gate.cut:
            patches.put("x", 0.0)
    else:
        below.put(var("intact", p.name), float(not gate.cut))
        if p.source is CreditSource.INVERSE:
            built.units[p.projection.pre].view.put(var("listening", p.name), listening)
    if gate.cut:
        below.put(var("c", p.name), 0.0)
    set_gain(built, weights, p, gate)


def set_gain(built: BuiltCircuit, weights: Weights, p: Apical, gate: Gate) -> None:
    """Set the factor by which a top-down projection's compartment acts on its unit."""
    if p.name not in built.features:
        gain = 0.0 if gate.cut else gate.scale * weights.rescale(p)
        built.units[p.projection.post].view.put(built.circuit.var("gate", p.name), gain)
