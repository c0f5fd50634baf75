"""Runs trials step by step: applies phases to a running network, and samples it.

One long brian2 run carries many trials; operations in brian2's slots "start", "groups" and "end"
change the neurons' inputs and gates at phase boundaries, so that nothing is compiled twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import brian2
import numpy as np

from cortex_sim.backends.brian2.built import BuiltCircuit
from cortex_sim.backends.brian2.circuit import Apical
from cortex_sim.backends.brian2.driving import Driving, changes
from cortex_sim.backends.brian2.noise import TrialNoise, fluctuate
from cortex_sim.backends.brian2.phase import apply_phase, rest, set_gain
from cortex_sim.backends.brian2.reuse import without_collection
from cortex_sim.backends.brian2.stability import check
from cortex_sim.backends.brian2.steps import whole_steps
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.errors import RunError
from cortex_sim.protocol.loop_running import Loops
from cortex_sim.protocol.plan import Gate, Input, PhasePlan, Sample, Shown, Wanted


class Runner:
    """Carries out a sequence of `Shown` on one `BuiltCircuit`; ``keep`` receives the sample of each."""

    def __init__(
        self,
        built: BuiltCircuit,
        weights: Weights,
        seed: int,
        wanted: Wanted,
        keep: Callable[[Sample], None],
        loops: Loops,
    ) -> None:
        self.loops = loops
        self.built, self.weights, self.seed, self.wanted, self.keep = built, weights, seed, wanted, keep
        self.dt_ms = built.setup.dt_ms
        self._past: dict[str, tuple[np.ndarray, np.ndarray | float]] = {}
        self._looping = built.looping

    def run(self, shown: Sequence[Shown]) -> None:
        """Run these, one after another."""
        steps = sum(self.steps(phase) for one in shown for phase in one.phases)
        self._coming: Iterator[Shown] = iter(shown)
        self._left, self._spare_steps = len(shown), steps
        self._trial_over = True
        self.built.engine.take_edits()
        self.built.engine.push()
        self.built.runner = self
        try:
            with without_collection():
                self.built.network.run(steps * self.dt_ms * brian2.ms, namespace={})
        finally:
            self.built.runner = None
            self.built.engine.push()  # changes by an interrupted window are not edits by the user

    def steps(self, phase: PhasePlan) -> int:
        """Steps of a phase.

        Raises
        ------
        RunError
            If it does not last a whole number of steps.
        """
        return whole_steps(f"phase {phase.name}: duration_ms", phase.duration_ms, self.dt_ms)

    # -- time ---------------------------------------------------------------------------------------

    def start_step(self) -> None:
        """Begin a step, and if due a phase and a trial."""
        if self._trial_over:
            self._begin_trial(next(self._coming))
        if self._step == 0:
            self._begin_phase()
        if self._changing:
            self._input_of_this_step()
        self._step += 1
        self._trial_step += 1
        if self._looping and self._step == self._steps:
            for name in self._looping:
                self.built.units[name].mark()

    def end_step(self) -> None:
        """End a step, and if due a phase and a trial."""
        if self.built.features:
            self._credit_arrives(moved=True)
        phase_over = self._step == self._steps
        for rates, total in self._summing:
            total += rates()[0]
        if self.wanted.every_ms is not None:
            sample, rest = divmod(self._trial_step, self._sample_steps)
            if not rest and self.wanted.in_bins(sample):
                self._sample()
        elif phase_over and self._phase.name == self.wanted.phase:
            self._sample()
        if phase_over:
            self._end_phase()

    def _begin_trial(self, shown: Shown) -> None:
        self._shown, self._trial_over, self._trial_step, self._number = shown, False, 0, 0
        self._noise = TrialNoise(self.seed, shown)
        self._samples: dict[str, dict[str, list[np.ndarray]]] = {v: {} for v in self.wanted.variables}
        self._states: dict[str, list[np.ndarray]] = {name: [] for name in self.wanted.sampled_states}
        self._learned, self._step = False, 0
        self.loops.begin(shown)
        if self.wanted.every_ms is not None:
            self._sample_steps = whole_steps("record: every_ms", self.wanted.every_ms, self.dt_ms)
        if shown.reset:
            rest(self.built)

    def _begin_phase(self) -> None:
        self._phase = self.loops.opened(self._shown.phases[self._number])
        self._steps = self.steps(self._phase)
        self._spare_steps -= self._steps
        units = {name: self.built.every_unit[name] for name in self.loops.averaged(self._phase)}
        self._totals = {name: np.zeros(unit.rates().shape[1]) for name, unit in units.items()}
        self._summing = [(unit.rates, self._totals[name]) for name, unit in units.items()]
        apply_phase(self.built, self.weights, self._phase, self._shown.images)
        for name, unit in self.built.every_unit.items():
            unit.begin(name in self._phase.credit_drive)
        self._learned = self._learned or bool(self._phase.eta)
        self._driving = self._moving_drives()
        noisy = any(self.built.setup.noise.values())
        self._changing = (
            bool(self._driving) or noisy or bool(self._phase.spontaneous) or bool(self._phase.eta)
        )
        apicals = self.built.circuit.apicals
        self._gain = {p.name: self.weights.rescale(p) for p in apicals if p.name in self.built.features}
        self._credit_arrives(moved=False)  # delayed signals pass the gates of this phase
        self._rescaled = [p for p in apicals if p.rescale] if self._phase.eta else []

    def _end_phase(self) -> None:
        if self._phase.eta:
            self.built.engine.pull()
            self._check_weights()
        means = {name: total / self._steps for name, total in self._totals.items()}
        self.loops.call(self._phase, lambda name: self.built.every_unit[name].rates()[0], means)
        self._step, self._number = 0, self._number + 1
        if self._number == len(self._shown.phases):
            self._end_trial()

    def _end_trial(self) -> None:
        self._trial_over = True
        if self._learned:
            self.weights.pull_back()
            self.built.engine.push()
        self._check_finite()
        values = {
            variable: {name: np.stack(bins, axis=1) for name, bins in by_population.items()}
            for variable, by_population in self._samples.items()
        }
        time_ms = float(self.built.clock.t / brian2.ms) + self.dt_ms
        weights, loops = self._weights_due(), self.loops.recorded()
        states = {name: np.stack(bins) for name, bins in self._states.items()}
        self.keep(Sample(self._shown, values, weights, time_ms, loops, states, self.loops.shorter_ms))
        self._left -= 1
        if not self._left and self._spare_steps:
            self.built.network.stop()  # closed loops made trials shorter than planned when the run began

    def _weights_due(self) -> dict[str, np.ndarray]:
        due = (self._shown.trials[-1] + 1) % self.wanted.weights_every == 0
        if self._shown.stage != "trial" or not due:
            return {}
        return {name: self.weights.kept(name) for name in (*self.wanted.weights, *self.wanted.states)}

    # -- input that changes from step to step ---------------------------------------------------------

    def _moving_drives(self) -> list[tuple[np.ndarray, Driving]]:
        """Drives that change within the phase, and the arrays they are written to."""
        found = []
        for name, given in self._phase.drive.items():
            if changes(given):
                unit = self.built.every_unit[name]
                target = unit.view["shown" if unit.is_source else "external"]
                found.append((target, self._moving("drive", name, given, target)))
        for name, given in self._phase.credit_drive.items():
            if changes(given):
                target = self.built.units[name].view["injected_credit"]
                found.append((target, self._moving("drive_credit", name, given, target)))
        return found

    def _moving(self, what: str, name: str, given: Input, target: np.ndarray) -> Driving:
        return Driving(what, name, given, self._shown.images, target.shape[1], self.dt_ms, self._noise)

    def _input_of_this_step(self) -> None:
        for target, drive in self._driving:
            target[...] = drive.at(self._step)
        for name, sd in self._phase.spontaneous.items():
            unit = self.built.units[name]
            target = unit.view["shown" if unit.is_source else "spontaneous"]
            target[...] = sd * self._noise.draw(f"spontaneous {name}", target.shape[1])
        for name, sd in self.built.setup.noise.items():
            if sd:
                view, method = self.built.units[name].view, self.built.setup.method
                drawn = self._noise.draw(f"noise {name}", view["noise"].shape[1])
                step = self.dt_ms / self.built.circuit.population(name).tau_ms
                view["noise"][...] = fluctuate(view["fluctuation"], drawn, sd, step, method)
        if self._phase.eta:
            self.built.engine.refresh()
            self._rescale()

    def _rescale(self) -> None:
        """Update the gain of inverses to weights that are changing."""
        if self._step and self._rescaled:
            self.built.engine.pull()
            for p in self._rescaled:
                set_gain(self.built, self.weights, p, self._phase.gates.get(p.name, Gate()))
                if p.name in self.built.features:
                    self._gain[p.name] = self.weights.rescale(p)
                    self._deliver(p)
                self.built.units[p.projection.post].begin()

    # -- delayed and noisy signals ----------------------------------------------------------------------

    def _credit_arrives(self, *, moved: bool) -> None:
        """Deliver the credit of delayed or noisy top-down projections, after compartments have ``moved``."""
        for p in self.built.circuit.apicals:
            if p.name in self.built.features:
                compartment = self.built.units[p.projection.post].view[self.built.circuit.var("c", p.name)]
                self._past[p.name] = self._arrived(p.name, compartment, moved)
                self._deliver(p)

    def _deliver(self, p: Apical) -> None:
        """Write what arrives; the gain of an inverse is that of the present weights, as without delay."""
        past, noise = self._past[p.name]
        received = self.built.circuit.var("heard", p.name)
        self.built.units[p.projection.post].view[received][...] = self._gain[p.name] * past + noise

    def drive_arrives(self) -> None:
        """Write what delayed or noisy projections add to drives in this step."""
        for p in self.built.circuit.net.of_rates:
            if p.name in self.built.features:
                view = self.built.units[p.post].view
                var = self.built.circuit.var
                past, noise = self._arrived(p.name, view[var("drive", p.name)], True)
                view[var("heard", p.name)][...] = past + noise

    def _arrived(self, name: str, signal: np.ndarray, moved: bool) -> tuple[np.ndarray, np.ndarray | float]:
        """A signal after its gate: its value ``delay_ms`` ago, scaled; and the noise to add."""
        gate = self._phase.gates.get(name, Gate())
        waiting = self.built.delayed.setdefault(name, deque())
        if moved:
            waiting.append(signal.copy())
        late = whole_steps(f"projection {name}: delay_ms", gate.delay_ms, self.dt_ms)
        while len(waiting) > late + 1:
            waiting.popleft()
        if gate.cut:
            return np.zeros_like(signal), 0.0
        past = waiting[0] if len(waiting) == late + 1 else np.zeros_like(signal)
        noise = gate.noise_sd * self._noise.draw(f"gate {name}", signal.shape[1]) if gate.noise_sd else 0.0
        return gate.scale * past, noise

    # -- samples ------------------------------------------------------------------------------------------

    def _sample(self) -> None:
        for name in self.wanted.populations:
            unit = self.built.every_unit[name]
            r = unit.rates()
            for variable in self.wanted.variables:
                match variable:
                    case "rate":
                        value = r
                    case "drive":
                        value = unit.drive()
                    case _:
                        silent = unit.is_source or not self.built.circuit.receives_credit
                        value = np.zeros_like(r) if silent else unit.credit(r)
                self._samples[variable].setdefault(name, []).append(np.array(value))
        for name, bins in self._states.items():
            bins.append(self.built.engine.state_now(name))

    # -- checks -------------------------------------------------------------------------------------------

    def _check_weights(self) -> None:
        try:
            check(self.built.circuit, self.weights, self.dt_ms, self.built.setup.method, learned=True)
        except RunError as exception:
            raise RunError(
                f"phase {self._phase.name} of trial {self._shown.trials[0]}: {exception}"
            ) from None

    def _check_finite(self) -> None:
        for name, unit in self.built.units.items():
            if not np.isfinite(unit.rates()).all():
                raise RunError(
                    f"population {name}: rates are no longer finite in trial {self._shown.trials[0]}; use a "
                    "shorter dt_ms or a smaller eta_per_s"
                )
