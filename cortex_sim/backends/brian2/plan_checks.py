"""Whether a plan can be carried out step by step: times in whole steps, goals where they act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.backends.brian2.steps import whole_steps
from cortex_sim.checks import require_known, short
from cortex_sim.errors import BuildError, RunError
from cortex_sim.network import Network
from cortex_sim.protocol.plan import PhasePlan, Plan, Series, White, parts_of


def check_additions(net: Network, equations: Any, extra: Any) -> None:
    """Raise `BuildError` unless further equations are text by population, and ``extra`` a function."""
    if equations is not None and not isinstance(equations, Mapping):
        raise BuildError(
            f"network {net.name}: equations must be a mapping of populations to brian2's equations, such as "
            f'{{"V1": "dx/dt = -x / (10*ms) : 1"}}. Got {short(equations)}'
        )
    for name, text in (equations or {}).items():
        require_known(f"population of {net.name} in equations", name, net.populations, BuildError)
        if not isinstance(text, str):
            raise BuildError(f"population {name}: its equations must be text. Got {short(text)}")
    if extra is not None and not callable(extra):
        raise BuildError(
            f"network {net.name}: extra must be a function from the groups by population to a list of "
            f"brian2 objects. Got {short(extra)}"
        )


def check_steps(circuit: Circuit, plan: Plan, dt_ms: float) -> None:
    """Raise `RunError` where a time is not a whole number of steps, or a source is nudged."""
    for phase in plan.different_phases():
        _check_phase(circuit, phase, dt_ms)
    if plan.wanted.every_ms is not None:
        whole_steps("record: every_ms", plan.wanted.every_ms, dt_ms)


def _check_phase(circuit: Circuit, phase: PhasePlan, dt_ms: float) -> None:
    whole_steps(f"phase {phase.name}: duration_ms", phase.duration_ms, dt_ms)
    for name, gate in phase.gates.items():
        whole_steps(f"projection {name}: delay_ms", gate.delay_ms, dt_ms)
    drives = [("drive", name, given) for name, given in phase.drive.items()]
    drives += [("drive_credit", name, given) for name, given in phase.credit_drive.items()]
    for what, name, given in drives:
        owner = f"phase {phase.name}: {what} of {name}"
        for part in parts_of(given):
            if isinstance(part, White) and part.hold_ms is not None:
                whole_steps(f"{owner}: hold_ms", part.hold_ms, dt_ms)
            if isinstance(part, Series):
                whole_steps(f"{owner}: bin_ms", part.bin_ms, dt_ms)
    for name in phase.nudge:
        if name in circuit.sources:
            raise RunError(
                f"population {name}: its rate is the stimulus and cannot be nudged; nudge one above it"
            )
