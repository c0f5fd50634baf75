"""A whole plan as one C++ program: every trial and phase written down first, then compiled and run.

Nothing can be read or changed while it runs, so only what stays as it is for a whole phase can be
asked for: constants and images, gates, nudges, windows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import brian2
import numpy as np
from brian2.devices.device import reset_device

from cortex_sim.backends.brian2.circuit import Circuit, Way
from cortex_sim.backends.brian2.conductor import whole_steps
from cortex_sim.backends.brian2.phase import apply_phase, rest
from cortex_sim.backends.brian2.stability import check
from cortex_sim.backends.brian2.stage import STANDALONE, Setup, Stage
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.errors import BuildError, RunError
from cortex_sim.protocol.plan import PhasePlan, Plan, Sample, Series, White
from cortex_sim.regularisers import HardOrthogonality

_SAMPLED = {"rate": "r", "drive": "a", "credit": "c"}


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
            'takes none; use noise=0, or target="numpy"'
        )
    plastic = {p.name for p in circuit.plastic()}
    for p in circuit.apicals:
        follows = p.rescale or p.way is Way.SIGN
        if follows and p.up is not None and p.up.name in plastic:
            raise BuildError(
                f"projection {p.name}: its size follows all weights of {p.up.name} at every step, which a "
                'C++ program cannot; use rescale=False, another feedback, or target="numpy"'
            )
    for projection in circuit.net.bottom_ups:
        if any(isinstance(rule, HardOrthogonality) for rule in projection.regularisers):
            raise BuildError(
                f"projection {projection.name}: HardOrthogonality acts between trials, where a C++ program "
                'cannot be reached; remove it, or use target="numpy"'
            )


def check_plan(plan: Plan) -> None:
    """Raise `RunError` at what changes within a phase, or must be read between trials."""
    for shown in plan.shown:
        for phase in shown.phases:
            moving = [name for name, given in phase.drive.items() if isinstance(given, (Series, White))]
            moving += list(phase.spontaneous)
            moving += [name for name, gate in phase.gates.items() if gate.delay_ms or gate.noise_sd]
            if moving:
                raise RunError(
                    f"phase {phase.name}: {moving[0]} changes from step to step, which a C++ program is not "
                    'told; use constants and images, or target="numpy"'
                )
    if plan.wanted.weights:
        raise RunError(
            f"record: weights of {plan.wanted.weights[0]} after every trial cannot be read from a running "
            'C++ program; use weights=() and read simulation.weights at the end, or target="numpy"'
        )


def carry_out(
    circuit: Circuit,
    weights: Weights,
    setup: Setup,
    plan: Plan,
    keep: Callable[[Sample], None],
    extra: Any = None,
) -> None:
    """Write the plan down as one program, compile it, run it, and hand on what it sampled."""
    check_plan(plan)
    with tempfile.TemporaryDirectory(prefix="cortex_sim_") as folder, _device(folder) as device:
        stage = Stage(circuit, weights, setup, 1, frozenset(), extra)
        program = _Program(stage, weights, plan)
        program.write()
        device.build(directory=folder, compile=True, run=True, debug=False)
        stage.engine.pull()
        samples = program.samples()
        check(circuit, weights, setup.dt_ms, setup.method, learned=True)
    for sample in samples:
        keep(sample)


@contextmanager
def _device(folder: str) -> Iterator[Any]:
    """brian2's C++ device for as long as it is needed; the device before it is restored."""
    brian2.set_device(STANDALONE, build_on_run=False, directory=folder)
    try:
        yield brian2.get_device()
    finally:
        brian2.get_device().reinit()
        reset_device()


class _Program:
    """The runs and assignments of a plan, in order, and the monitors that see their last steps."""

    def __init__(self, stage: Stage, weights: Weights, plan: Plan) -> None:
        self.stage, self.weights, self.plan = stage, weights, plan
        self.step_ms = stage.setup.dt_ms
        self.monitors: dict[tuple[str, str], Any] = {}
        for name in plan.wanted.populations:
            for variable in plan.wanted.variables:
                own = "shown" if stage.units[name].is_stimulus and variable == "drive" else _SAMPLED[variable]
                if own in stage.units[name].view:
                    self.monitors[name, variable] = brian2.StateMonitor(
                        stage.groups[name], own, record=True, when="end", clock=stage.clock
                    )
        stage.network.add(*self.monitors.values())

    def write(self) -> None:
        self.stage.engine.push()
        for shown in self.plan.shown:
            if shown.reset:
                rest(self.stage)
            for phase in shown.phases:
                apply_phase(self.stage, self.weights, phase, shown.images)
                for steps, seen in self._pieces(phase):
                    self._run(steps, seen)

    def _pieces(self, phase: PhasePlan) -> Iterator[tuple[int, bool]]:
        """A phase as runs of steps; what follows a run with True is its last step, which is sampled."""
        steps = whole_steps(f"phase {phase.name}: duration_ms", phase.duration_ms, self.step_ms)
        every = self.plan.wanted.every_ms
        if every is None:
            seen = phase.name == self.plan.wanted.phase
            yield steps, seen
            return
        bin_steps = whole_steps("record: every_ms", every, self.step_ms)
        if steps % bin_steps:
            raise RunError(
                f"phase {phase.name}: a C++ program samples whole bins of a phase; make duration_ms a "
                f"multiple of every_ms={every:g}. Got {phase.duration_ms:g}"
            )
        for _ in range(steps // bin_steps):
            yield bin_steps, True

    def _run(self, steps: int, seen: bool) -> None:
        for count, watching in ((steps - 1, False), (1, True)) if seen else ((steps, False),):
            if count:
                for monitor in self.monitors.values():
                    monitor.active = watching
                self.stage.network.run(count * self.step_ms * brian2.ms, namespace={})

    def samples(self) -> list[Sample]:
        """What the monitors saw, cut into trials."""
        found, start, time_ms = [], 0, 0.0
        for shown in self.plan.shown:
            time_ms += shown.duration_ms
            bins = sum(seen for phase in shown.phases for _, seen in self._pieces(phase))
            values: dict[str, dict[str, np.ndarray]] = {v: {} for v in self.plan.wanted.variables}
            for (name, variable), monitor in self.monitors.items():
                own = monitor.record_variables[0]
                values[variable][name] = np.asarray(getattr(monitor, own))[:, start : start + bins].T[None]
            for by_population in values.values():
                for name in self.plan.wanted.populations:
                    size = self.stage.circuit.population(name).size
                    by_population.setdefault(name, np.zeros((1, bins, size)))
            found.append(Sample(shown, values, {}, time_ms))
            start += bins
        return found
