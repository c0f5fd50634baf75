"""Open plasticity windows: the changes during a phase of T seconds, as one update with η·T."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from cortex_sim.allowed import allowed_of
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.equilibrium import Equilibrium, passes
from cortex_sim.errors import BuildError, DeclarationError
from cortex_sim.network import Network
from cortex_sim.operators.grouping import by_group
from cortex_sim.presynaptic.held import Reading, Readings
from cortex_sim.projection import Projection
from cortex_sim.protocol.plan import PhasePlan, Shown
from cortex_sim.regularisers import Decay
from cortex_sim.rules.by_presentation import ByPresentation
from cortex_sim.rules.in_time import InTime, State

STEP_MS = 1.0  # time step of noise, and of rule state within a phase
_CHUNK = 1000  # steps of noise in memory at once
_STAGES = {"trial": 0, "probe": 1}


class Noise:
    """Standard normal activity in one phase: a pure function of seed, trial, phase and population."""

    def __init__(self, seed: int, shown: Shown, phase: int) -> None:
        stage = _STAGES[shown.stage]
        self._keys = [(seed, stage, shown.block, trial, phase) for trial in shown.trials]
        self.presentations = len(self._keys)

    def chunks(self, population: str, steps: int, units: int) -> Iterator[np.ndarray]:
        """Arrays (step, unit), presentation by presentation, with ``steps`` steps of each."""
        name = crc32(f"spontaneous {population}".encode())
        for key in self._keys:
            stream = np.random.default_rng([*key, name])
            for start in range(0, steps, _CHUNK):
                yield stream.standard_normal((min(_CHUNK, steps - start), units))


class Windows:
    """The plastic projections of a model: their rules, the rules' state, and the update of a phase.

    Attributes
    ----------
    state_of : dict of str to dict
        Rule state by projection and variable, float64.
    readings : Readings
        What projections read of their pre rates, where this is not the rates themselves, with its slow state.
    """

    def __init__(self, model: Core) -> None:
        self.model, self.net = model, model.net
        plastic = [p for p in self.net.projections.values() if p.plasticity is not None]
        self._rules = {p.name: _rule_of(p) for p in plastic}
        self._ops = {p.name: self.net.operator(p) for p in plastic}
        self._allowed = {p.name: allowed_of(self.net, p) for p in plastic}
        self.readings = Readings(self.net)
        self.state_of: dict[str, State] = {}
        for name, rule in self._rules.items():
            post, inputs = self.matrix(name).shape
            self.state_of[name] = rule.initial_state((post, inputs))

    def kept(self, name: str) -> np.ndarray:
        """A copy of the weights of "pre->post", or of its rule's state "pre->post:variable"."""
        projection, _, variable = name.partition(":")
        if variable:
            return np.array(self.state_of[projection][variable])
        return self.own(projection).detach().numpy().copy()

    def own(self, name: str) -> Tensor:
        """Weights of a projection in the declared shape."""
        known = self.model.weights
        return known[name] if name in known else self.model.feedback.plastic_or_free(name)

    def matrix(self, name: str) -> Tensor:
        """The weights as rules see them, sharing memory: (post, inputs), for one place of a convolution."""
        w, p = self.own(name).detach(), self.net.projections[name]
        found: Tensor = self._ops[name].feedback_matrix(w) if p.is_top_down else self._ops[name].matrix(w)
        return found

    def modulate(self, modulator: float) -> None:
        """Set the third factor of every rule that has one, at the beginning of a phase."""
        for state in self.state_of.values():
            if "modulator" in state:
                state["modulator"] = np.array(modulator)

    @torch.no_grad()
    def learn(self, phase: PhasePlan, found: Equilibrium, noise: Noise) -> None:
        """One update with η·T of every projection whose window is open, all computed from the old weights."""
        seconds = phase.duration_ms / 1000
        changes: list[tuple[Tensor, Tensor]] = []
        readings = self._readings_in(phase)
        for name, eta in phase.eta.items():
            p, w = self.net.projections[name], self.matrix(name)
            if p.post in phase.spontaneous:
                growth = self._growth_from_noise(p, phase, noise)
            else:
                growth = self._growth(p, phase, found, readings.get(name))
            forgetting = sum(rule.rate for rule in p.regularisers if isinstance(rule, Decay))
            step = eta * seconds * (torch.from_numpy(growth) - forgetting * w)
            changes.append((w, self.model.constrained.scaled(name, step)))
        for name, eta in _bias_rates(self.net, phase.eta).items():
            bias = self.model.biases[name]
            u = found.of_bias(name)
            by_channel = u.reshape(len(u), len(bias), -1)
            changes.append((bias, eta * seconds * by_channel.sum(2).mean(0)))
        for w, change in changes:
            w += change
        for name, reading in readings.items():
            if name in self.readings.of:
                self.readings.of[name] = reading
        moved = {name: self.own(name) for name in phase.eta}
        self.model.constrained.enforce({**dict(self.model.weights.items()), **moved}, moved)
        self.model.renew_feedback()

    def _readings_in(self, phase: PhasePlan) -> dict[str, Reading]:
        """Copies of the readings of projections that learn in a phase, each of which then changes separately.

        A rule that reads as its paired projection does goes through the same states.
        """
        found = {name: self.readings.by(self.net.projections[name]) for name in phase.eta}
        return {name: reading.copy() for name, reading in found.items() if reading is not None}

    def _growth(
        self, p: Projection, phase: PhasePlan, found: Equilibrium, reading: Reading | None
    ) -> np.ndarray:
        """Mean of Δw/η over the phase, at its settled rates, while the rule's state evolves."""
        w, rule, state = self.matrix(p.name).numpy(), self._rules[p.name], self.state_of[p.name]
        signals, places = self._signals(p, found)
        steps = max(1, round(phase.duration_ms / STEP_MS))
        step_s = phase.duration_ms / 1000 / steps
        if isinstance(rule, ByPresentation):  # the phase is one step of its state, whatever its duration
            steps, step_s = 1, 1.0
        total = np.zeros_like(w)
        allowed = self._allowed[p.name]
        side = "r_post" if p.is_top_down else "r_pre"
        rates = signals.get(side, np.empty(0))
        renews = reading is not None and reading.name in phase.eta  # if its own projection's window is open
        for number in range(steps):
            if reading is not None:
                signals[side] = reading.read(rates)
            growth, moved = by_group(
                self._ops[p.name], rule, w, state, rule.kinds, down=p.is_top_down, **signals
            )
            if renews and reading is not None:
                reading.renew(rates, phase.duration_ms / steps)
            if allowed is not None:
                moved = allowed.only_where_synapses_are(rule.kinds, moved)
            if not (moved or renews):
                return places * growth
            total += (growth - total) / (number + 1)  # a running mean, exact if all growths are equal
            for variable, speed in moved.items():
                state[variable] = state[variable] + step_s * speed
        return places * total

    def _growth_from_noise(self, p: Projection, phase: PhasePlan, noise: Noise) -> np.ndarray:
        """Mean of Δw/η over the noise of the phase: ξ below, and its echo y = Wξ above."""
        w, rule, state = self.matrix(p.name).numpy(), self._rules[p.name], self.state_of[p.name]
        steps = max(1, round(phase.duration_ms / STEP_MS))
        total = np.zeros_like(w)
        allowed = self._allowed[p.name]
        moved_by = {variable: np.zeros_like(x) for variable, x in state.items()}
        for chunk in noise.chunks(p.post, steps, self.net.populations[p.post].size):
            below = torch.from_numpy(phase.spontaneous[p.post] * chunk) * torch.as_tensor(
                phase.alive.get(p.post, 1.0)
            )
            echo, op = self._echo(p, phase, below), self._ops[p.name]
            growth, moved = by_group(op, rule, w, state, rule.kinds, down=p.is_top_down, **echo)
            if allowed is not None:
                moved = allowed.only_where_synapses_are(rule.kinds, moved)
            share = len(chunk) / (steps * noise.presentations)
            total += share * growth
            for variable, speed in moved.items():
                moved_by[variable] += share * speed * phase.duration_ms / 1000
        for variable in state:
            state[variable] = state[variable] + moved_by[variable]
        return total

    def _signals(self, p: Projection, found: Equilibrium) -> tuple[dict[str, np.ndarray], int]:
        """Signals of the rule, each place of a convolution being a presentation; and the number of places."""
        reads, op = self._rules[p.name].reads, self._ops[p.name]
        below, above = (p.post, p.pre) if p.is_top_down else (p.pre, p.post)  # in the bottom-up direction
        sides = ("post", "pre") if p.is_top_down else ("pre", "post")
        given = {
            f"r_{sides[0]}": op.patches(found.rates[below]),
            f"r_{sides[1]}": op.by_place(found.rates[above]),
            f"u_{sides[0]}": op.patches(found.u[below]),
            f"u_{sides[1]}": op.by_place(found.u[above]),
        }
        return {name: values.numpy() for name, values in given.items() if name in reads}, op.places

    def _echo(self, p: Projection, phase: PhasePlan, below: Tensor) -> dict[str, np.ndarray]:
        """Activity below a top-down projection, and its echo above."""
        op = self._ops[p.name]
        above = passes(phase, p.reverse_name) * op.up(below, self.model.matrix(p.reverse_name).detach())
        return {"r_post": op.patches(below).numpy(), "r_pre": op.by_place(above).numpy()}


def _bias_rates(net: Network, eta: Mapping[str, float]) -> dict[str, float]:
    """η of each bias that learns: of its population's first supervised input with an open window."""
    found: dict[str, float] = {}
    for p in net.driving:
        if p.name in eta and p.rule.supervised and net.populations[p.post].bias:
            found.setdefault(p.post, eta[p.name])
    return found


def _rule_of(p: Projection) -> InTime | ByPresentation:
    """A projection's rule in time, or by presentations if the rule has no equation in time."""
    try:
        if p.rule.growth is None and p.rule.change is not None and not p.rule.supervised:
            if p.rule.state and p.rule.spontaneous:
                raise DeclarationError(
                    f"rule {type(p.plasticity).__name__}: its state changes with noise, so it needs "
                    'equations in time; give the class growth = {"w": ..., ...}, one text per variable'
                )
            return ByPresentation(p.plasticity)
        return InTime(p.plasticity)
    except DeclarationError as exception:
        raise BuildError(f"projection {p.name}: {exception}") from None
