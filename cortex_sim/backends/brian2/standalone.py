"""A whole plan as one C++ program: every trial and phase tabulated first, then compiled and run.

Nothing can be read or changed from outside while it runs; see `program` for how phases are encoded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import brian2
from brian2.devices.device import reset_device

from cortex_sim.backends.brian2.built import STANDALONE, BuiltCircuit, Setup, float64
from cortex_sim.backends.brian2.circuit import Circuit, CreditSource
from cortex_sim.backends.brian2.program import Program
from cortex_sim.backends.brian2.timetable import timetable
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.constraints import RowNorm
from cortex_sim.errors import BuildError, RunError
from cortex_sim.protocol.plan import Input, Plan, Sample, Series, Summed, White, parts_of
from cortex_sim.regularisers import HardOrthogonality


def check_standalone(circuit: Circuit, setup: Setup) -> None:
    """Raise `BuildError` where a network cannot be compiled as a whole."""
    if setup.engine != "synapses":
        raise BuildError(
            f"network {circuit.net.name}: the batched engine computes in Python and cannot be part of a C++ "
            'program; use engine="synapses" with target="cpp_standalone", or target="numpy"'
        )
    if any(setup.noise.values()):
        raise BuildError(
            f"network {circuit.net.name}: noise is drawn outside brian2, step by step, and a C++ program "
            'cannot use it; use noise=0, or target="numpy"'
        )
    if circuit.teacher is not None:
        raise BuildError(
            f"network {circuit.net.name}: a credit network is not yet part of a C++ program; use "
            'target="numpy" or "cython"'
        )
    _check_compiler(circuit.net.name)
    plastic = {p.name for p in circuit.plastic()}
    for p in circuit.apicals:
        follows = p.rescale or p.source is CreditSource.SIGN
        if follows and p.up is not None and p.up.name in plastic:
            raise BuildError(
                f"projection {p.name}: its strength depends on all weights of {p.up.name} at every step, "
                'which a C++ program cannot compute; use rescale=False, another feedback, or target="numpy"'
            )
    for projection in circuit.plastic():
        if any(isinstance(part, RowNorm) for part in projection.constraints):
            raise BuildError(
                f"projection {projection.name}: RowNorm depends on all weights of a unit at every step, "
                'which a C++ program cannot compute; use Bounds, or target="numpy"'
            )
    for projection in circuit.net.driving:
        if any(isinstance(rule, HardOrthogonality) for rule in projection.regularisers):
            raise BuildError(
                f"projection {projection.name}: HardOrthogonality acts between trials, where a C++ program "
                'cannot be interrupted; remove it, or use target="numpy"'
            )


def _check_compiler(network: str) -> None:
    if os.name == "nt":  # brian2 itself looks for Microsoft's compiler
        return
    for tool in (os.environ.get("CXX", "g++"), brian2.prefs.devices.cpp_standalone.make_cmd_unix):
        if shutil.which(tool.split()[0]) is None:
            raise BuildError(
                f'network {network}: target="cpp_standalone" compiles a C++ program, and {tool} is not '
                'installed; install it (Debian: apt install g++ make), or use target="numpy"'
            )


def check_plan(plan: Plan) -> None:
    """Raise `RunError` if anything is drawn or delayed step by step, or must be read between trials."""
    for shown in plan.shown:
        for phase in shown.phases:
            moving = [name for name, given in phase.drive.items() if _moves(given)]
            moving += list(phase.spontaneous)
            moving += [name for name, gate in phase.gates.items() if gate.delay_ms or gate.noise_sd]
            credit = [name for name, given in phase.credit_drive.items() if _moves(given) or _in_bins(given)]
            if credit:
                raise RunError(
                    f"phase {phase.name}: drive_credit of {credit[0]} changes within the phase, which a C++ "
                    'program cannot read; use constants or one value per presentation, or target="numpy"'
                )
            if moving:
                raise RunError(
                    f"phase {phase.name}: {moving[0]} changes from step to step, which a C++ program cannot "
                    'read; use constants, images or time series, or target="numpy"'
                )
    if plan.wanted.states:
        raise RunError(
            f"record: state {plan.wanted.states[0]} after every trial cannot be read from a running C++ "
            'program; use state=(), or target="numpy"'
        )
    if plan.wanted.sampled_states:
        raise RunError(
            f"record: {plan.wanted.sampled_states[0]} cannot be read from a running C++ program; leave it "
            'out of variables, or use target="numpy"'
        )
    if plan.wanted.weights:
        raise RunError(
            f"record: weights of {plan.wanted.weights[0]} after every trial cannot be read from a running "
            'C++ program; use weights=() and read simulation.weights at the end, or target="numpy"'
        )


def _moves(given: Input) -> bool:
    """Whether a drive is drawn at each step, or is a sum that changes."""
    summed = isinstance(given, Summed)
    return any(isinstance(p, White) or (summed and isinstance(p, Series)) for p in parts_of(given))


def _in_bins(given: Input) -> bool:
    return any(isinstance(part, Series) for part in parts_of(given))


def check_open(plan: Plan, setup: Setup) -> None:
    """Raise `RunError` where a C++ program would have to call the function of a closed loop."""
    if plan.loops and setup.target == STANDALONE:
        raise RunError(
            f"closed loop {next(iter(plan.loops))}: a C++ program runs as a whole, but its function must "
            'be called in each trial; use target="numpy"'
        )


def carry_out(
    circuit: Circuit,
    weights: Weights,
    setup: Setup,
    plan: Plan,
    keep: Callable[[Sample], None],
    extra: Any = None,
) -> None:
    """Turn the plan into one program, compile and run it, and pass on its samples."""
    check_plan(plan)
    times = timetable(plan, setup.dt_ms)
    with float64(), tempfile.TemporaryDirectory(prefix="cortex_sim_") as folder, _device(folder) as device:
        built = BuiltCircuit(circuit, weights, setup, 1, frozenset(), extra)
        program = Program(built, weights, times)
        program.write()
        device.build(directory=folder, compile=True, run=True, debug=False)
        program.read()
        samples = list(program.samples(plan))
    for sample in samples:
        keep(sample)


@contextmanager
def _device(folder: str) -> Iterator[Any]:
    """Use brian2's C++ device, and restore the previous device afterwards."""
    brian2.set_device(STANDALONE, build_on_run=False, directory=folder)
    try:
        yield brian2.get_device()
    finally:
        brian2.get_device().reinit()
        reset_device()
