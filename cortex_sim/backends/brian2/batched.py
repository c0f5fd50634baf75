"""The batched engine: projections as matrix products over a batch of presentations.

One ``network_operation`` computes what the equations need from other populations; brian2 integrates the
N·B neurons, B presentations of N units. All presentations share one set of weights, whose change is the
mean over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.circuit import Apical, Circuit, CreditSource
from cortex_sim.backends.brian2.edits import Edits, by_channel
from cortex_sim.backends.brian2.equations import LEARNING, SENDING, reconstructs
from cortex_sim.backends.brian2.normalised import at_this_moment
from cortex_sim.backends.brian2.teaching import Teaching
from cortex_sim.backends.brian2.views import Unit, View, has_partition
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.errors import RunError
from cortex_sim.operators.grouping import by_group
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay
from cortex_sim.rules.in_time import InTime

Signals = Mapping[str, np.ndarray]
Send = Callable[[Signals, Signals], None]
Lift = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Batched:
    """Engine that computes every projection with numpy; see the module.

    Parameters
    ----------
    circuit, weights : Circuit, Weights
    units : mapping of str to Unit
        Populations, with their variables of shape (presentation, unit).
    patches : mapping of str to View
        Apical state of convolutions' inverses, by top-down projection.
    clock : brian2.Clock
    teaching : Teaching, optional
        The credit network, where there is one.
    """

    in_units = False  # rule state and biases are kept in the weights, not in the neurons

    def __init__(
        self,
        circuit: Circuit,
        weights: Weights,
        units: Mapping[str, Unit],
        patches: Mapping[str, View],
        clock: Any,
        teaching: Teaching | None,
    ) -> None:
        self.circuit, self.weights, self.units, self.patches = circuit, weights, units, patches
        self.teaching = teaching
        self._edits = Edits()
        self.eta: dict[str, float] = {}
        self.open_bias: dict[str, float] = {}
        self._of_bias: dict[str, np.ndarray] = {}  # signal from which each open bias learns in this step
        self.step_s = float(clock.dt)
        self.rules = {p.name: InTime(p.plasticity) for p in circuit.plastic()}
        self.decay = {
            p.name: sum(rule.rate for rule in p.regularisers if isinstance(rule, Decay))
            for p in circuit.plastic()
        }
        self.top = circuit.net.objective_at
        self._wire()
        self._now: tuple[Signals, Signals] = ({}, {})  # r and u of this step
        self._at_this_moment = [n for n in circuit.order if at_this_moment(circuit.population(n))]
        self.objects = [
            brian2.NetworkOperation(self.step, clock=clock, when="groups", order=SENDING),
            # Separate: delayed and noisy signals arrive in between, and some rules read an echo of them.
            brian2.NetworkOperation(self.learn, clock=clock, when="groups", order=LEARNING),
        ]
        if self._at_this_moment:  # before monitors look at rates
            first = brian2.NetworkOperation(self.normalise, clock=clock, when="start", order=-100)
            self.objects.insert(0, first)

    def push(self) -> None:
        """Copy biases and parameters of activations into the neurons; matrices are used in place."""
        for name, variable, label, values in self.weights.of_units():
            shown = self.weights.shown(name, values)
            self.units[name].view[variable][...] = shown
            self._edits.leave(label, shown)

    def take_edits(self) -> None:
        """Take over biases and parameters that were set in brian2's groups since the last run."""
        for name, variable, label, values in self.weights.of_units():
            now = self.units[name].view[variable]
            if self._edits.edited(label, now, self.weights.shown(name, values)):
                if (now != now[:1]).any():
                    raise RunError(f"{label}: differs between presentations; set the same value for all")
                values[...] = by_channel(label, now[0], len(values))

    def pull(self) -> None:
        """Nothing to do: the engine works on the weights themselves."""

    def state_now(self, name: str) -> np.ndarray:
        """A copy of the state of a rule, "pre->post:variable"."""
        return self.weights.kept(name)

    def refresh(self) -> None:
        """Nothing to do: every step reads the matrices themselves."""

    def open_windows(self, eta: Mapping[str, float], modulator: float) -> None:
        """From now on, let these projections learn at these rates in 1/s."""
        self.push()
        self.eta = dict(eta)
        for state in self.weights.state.values():
            if "modulator" in state:
                state["modulator"][...] = modulator
        self.open_bias = bias_rates(self.circuit, eta)

    def step(self) -> None:
        """Compute everything that the neurons need from others in a step, at the old state."""
        for name in self.open_bias:  # as of the last step: neurons are integrated with the old bias
            self.units[name].view["bias"][...] = self.weights.bias_by_unit(name)
        r = {name: unit.rates() for name, unit in self.units.items()}
        for up, pre, w, drive in self._lifts:
            drive[...] = up(r[pre], w)
        c: dict[str, np.ndarray] = {}
        u: dict[str, np.ndarray] = {}
        for name, unit in self._receivers.items():
            c[name] = unit.credit(r[name])
            u[name] = unit.to_learn(c[name])
            if name in self._at_this_moment:
                unit.view["u_through"][...] = u[name]
            if name in self.open_bias:
                self._of_bias[name] = unit.of_bias(c[name], u[name])
        if self.teaching is not None:
            self.teaching.step(r)
        if self._top is not None and self._top.partition is not None:
            self._top.view["partition"][...] = self._top.partition
        for send in self._senders:
            send(c, u)
        self._now = r, u if self.teaching is None or not self.eta else u | self.teaching.delivered()

    def normalise(self) -> None:
        """Write the statistics of this step's drives into the neurons."""
        for name in self._at_this_moment:
            self.units[name].normalise()

    def learn(self) -> None:
        """Change weights by Δw = η·growth·dt in every open window, all computed from the old weights."""
        if self.eta:
            self._learn(*self._now)

    def _wire(self) -> None:
        """Look up once what every step needs: arrays that brian2 and the weights never replace."""
        var, net = self.circuit.var, self.circuit.net
        self._lifts: list[tuple[Lift, str, np.ndarray, np.ndarray]] = [
            (
                self.circuit.operators[p.name].up,
                p.pre,
                self._matrix(p.name),
                self.units[p.post].view[var("drive", p.name)],
            )
            for p in net.of_rates
        ]
        receiving = [
            n for n in self.circuit.order if n not in self.circuit.sources and self.circuit.receives_credit
        ]
        self._receivers = {name: self.units[name] for name in receiving}
        asks = self.top is not None and has_partition(self.circuit, self.top)
        self._top = self.units[self.top] if asks and self.top is not None else None
        self._senders = [self._sender(p) for p in self.circuit.apicals]

    def _matrix(self, name: str) -> np.ndarray:
        return self.weights.matrix.get(name, _NONE)

    def _sender(self, p: Apical) -> Send:
        """Function from credit and u of all populations to the input of one compartment."""
        if p.patchwise:
            return self._patch_loop(p)
        above, below = p.projection.pre, self.units[p.projection.post].view
        down = below[self.circuit.var("down", p.name)]
        w = self._matrix(p.up.name) if p.up is not None else _NONE
        match p.source:
            case CreditSource.INVERSE:
                return self._loop(p, w, down)
            case CreditSource.UNWEIGHTED:
                rates = self.units[p.projection.post].rates

                def send(c: Signals, u: Signals) -> None:
                    op = p.operator if p.operator.linear else p.operator.at(rates())
                    down[...] = op.down(u[above], _NONE)
            case CreditSource.TRANSPOSE | CreditSource.SIGN:
                assert p.up is not None  # tied feedback has a paired projection
                lower = p.operator.down
                seen = signs if p.source is CreditSource.SIGN else _as_they_are

                def send(c: Signals, u: Signals) -> None:
                    down[...] = lower(u[above], seen(w))
            case CreditSource.FREE if p.up is not None:
                lower, b = p.operator.down, self._matrix(p.name)

                def send(c: Signals, u: Signals) -> None:
                    down[...] = lower(u[above], b.T)
            case CreditSource.DIRECT:
                alive, b = self.units[above].view["alive"], self._matrix(p.name)

                def send(c: Signals, u: Signals) -> None:
                    down[...] = (alive * c[above]) @ b.T  # silenced units send no credit
            case CreditSource.CHANNELS:
                assert self.teaching is not None
                g, strength, d = self.teaching.rates, self.teaching.strength(above), self._matrix(p.name)

                def send(c: Signals, u: Signals) -> None:
                    down[...] = strength * (g[above] @ d.T)
            case _:
                b = self._matrix(p.name)

                def send(c: Signals, u: Signals) -> None:
                    down[...] = u[above] @ b.T

        return send

    def _loop(self, p: Apical, w: np.ndarray, down: np.ndarray) -> Send:
        """Dynamic inversion: u above minus its prediction from the present compartment, sent down."""
        var, above = self.circuit.var, p.projection.pre
        compartment = self.units[p.projection.post].view[var("c", p.name)]
        upper = self.units[above].view
        predicted, listening = upper[var("predicted", p.name)], upper[var("listening", p.name)]

        def send(c: Signals, u: Signals) -> None:
            predicted[...] = compartment @ w.T
            missing = u[above] - predicted
            down[...] = (missing if listening[0] == 1 else listening * missing) @ w

        return send

    def _patch_loop(self, p: Apical) -> Send:
        """The same for each patch of a convolution; units receive the sum over their patches."""
        assert p.up is not None
        above, w, patch = p.projection.pre, self._matrix(p.up.name), self.patches[p.name]
        delivered = self.units[p.projection.post].view[self.circuit.var("c", p.name)]
        op, w = p.operator, p.operator.blocks(w)  # with several groups: (group, channel, input)
        turned = w.swapaxes(-1, -2)
        scaled = p.rescale and op.groups > 1

        def send(c: Signals, u: Signals) -> None:
            x = op.of_presentations(patch["x"], w.shape[-1])
            missing = patch["listening"] * (op.by_place(u[above]) - x @ turned)
            patch["down"][...] = op.by_presentation(missing @ w)
            delivered[...] = op.gathered(self.weights.rescale_by_group(p) * x if scaled else x)

        return send

    def _learn(self, r: Mapping[str, np.ndarray], u: Mapping[str, np.ndarray]) -> None:
        changes = []
        for name, eta in self.eta.items():
            p, w = self.circuit.net.projections[name], self.weights.matrix[name]
            state = self.weights.state[name]
            signals, places = self._signals(name, r, u)
            rule, op = self.rules[name], self.circuit.operators[name]
            growth, moved = by_group(op, rule, w, state, rule.kinds, down=p.is_top_down, **signals)
            step = self.step_s * eta * (places * growth - self.decay[p.name] * w)
            allowed = self.weights.allowed.get(name)
            if allowed is not None:
                step = allowed.scaled(step)
                moved = allowed.only_where_synapses_are(self.rules[name].kinds, moved)
            changes.append((w, step))
            changes += [(state[variable], self.step_s * rate) for variable, rate in moved.items()]
        for name, eta in self.open_bias.items():
            bias = self.weights.bias[name]
            credited = self._of_bias[name]
            by_channel = credited.reshape(len(credited), len(bias), -1)
            changes.append((bias, self.step_s * eta * by_channel.sum(2).mean(0)))
        for values, change in changes:
            values += change
        for name, reading in self.weights.readings.of.items():
            if name in self.eta:  # only now: the step read rates by the statistics from before it
                rates = self.circuit.operators[name].patches(r[self.circuit.net.projections[name].pre])
                reading.renew(rates, self.step_s * 1000)
        for p in self.circuit.net.laterals:
            if p.name in self.eta:
                np.fill_diagonal(self.weights.matrix[p.name], 0.0)
        self.weights.enforce(self.eta)

    def _echo(self, p: Projection) -> np.ndarray:
        """Echo of a top-down projection: activity below as it arrives above through the paired projection."""
        view, var = self.units[p.pre].view, self.circuit.var
        received = var("heard", p.reverse_name)
        if received in view:
            return view[received]
        return view[var("gate", p.reverse_name)] * view[var("drive", p.reverse_name)]

    def _read(self, p: Projection, rates: np.ndarray) -> np.ndarray:
        """What a projection's synapses read of the rates below them, (presentation · place, input)."""
        reading = self.weights.readings.by(p)
        return rates if reading is None else reading.read(rates)

    def _signals(
        self, name: str, r: Mapping[str, np.ndarray], u: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], int]:
        """Signals that a rule reads, patches of a convolution as presentations, and the number of places."""
        p, rule, op = self.circuit.net.projections[name], self.rules[name], self.circuit.operators[name]
        if not p.is_top_down:
            found = {"r_pre": self._read(p, op.patches(r[p.pre]))}
            if "u_post" in rule.reads:
                found["u_post"] = op.by_place(u[p.post])
            if "r_post" in rule.reads:
                found["r_post"] = op.by_place(r[p.post])
            return found, op.places
        found = {"r_post": self._read(p, op.patches(r[p.post]))}
        if p.rule.spontaneous:
            found["r_pre"] = op.by_place(self._echo(p))
        if "u_pre" in rule.reads:
            found["u_pre"] = op.by_place(u[p.pre])
        return found, op.places if not (reconstructs(p) or "r_pre" in found) else 1


def bias_rates(circuit: Circuit, eta: Mapping[str, float]) -> dict[str, float]:
    """Rate in 1/s at which each population's bias learns: that of its first open supervised input."""
    found: dict[str, float] = {}
    for p in circuit.net.driving:
        learns = p.name in eta and p.rule.supervised
        if learns and circuit.population(p.post).bias and p.post not in found:
            found[p.post] = eta[p.name]
    return found


def signs(w: np.ndarray) -> np.ndarray:
    """sign(W)·‖W‖_F/√(number of weights)."""
    return np.sign(w) * np.sqrt(np.mean(w * w))


def _as_they_are(w: np.ndarray) -> np.ndarray:
    return w


_NONE = np.empty((0, 0))
