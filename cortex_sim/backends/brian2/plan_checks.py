"""Whether a plan can be carried out step by step: times in whole steps, goals where they act."""

from __future__ import annotations

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.steps import whole_steps
from cortex_sim.errors import RunError
from cortex_sim.protocol.plan import PhasePlan, Plan, Series, White, parts_of


def check_steps(circuit: Circuit, plan: Plan, dt_ms: float) -> None:
    """Raise `RunError` where a time is no whole number of steps, or a source is nudged."""
    for phase in plan.different_phases():
        _check_phase(circuit, phase, dt_ms)
    if plan.wanted.every_ms is not None:
        whole_steps("record: every_ms", plan.wanted.every_ms, dt_ms)


def _check_phase(circuit: Circuit, phase: PhasePlan, dt_ms: float) -> None:
    whole_steps(f"phase {phase.name}: duration_ms", phase.duration_ms, dt_ms)
    for name, gate in phase.gates.items():
        whole_steps(f"projection {name}: delay_ms", gate.delay_ms, dt_ms)
    for name, given in phase.drive.items():
        owner = f"phase {phase.name}: drive of {name}"
        for part in parts_of(given):
            if isinstance(part, White) and part.hold_ms is not None:
                whole_steps(f"{owner}: hold_ms", part.hold_ms, dt_ms)
            if isinstance(part, Series):
                whole_steps(f"{owner}: bin_ms", part.bin_ms, dt_ms)
    for name in phase.nudge:
        if name in circuit.sources:
            raise RunError(f"population {name}: its rate is the stimulus and cannot be nudged")
