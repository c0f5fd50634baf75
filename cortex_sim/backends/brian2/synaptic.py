"""The synapses engine: every weight is a brian2 synapse, every sum a summed variable.

For small networks, inspection and C++ standalone. One presentation at a time: separate synapses
cannot share weights between presentations, or between the places of a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.batched import bias_rates
from cortex_sim.backends.brian2.circuit import Apical, Circuit, CreditSource, settings_of
from cortex_sim.backends.brian2.credit_synapses import CreditSynapses, lines_of, weights_of
from cortex_sim.backends.brian2.edits import Edits, by_channel
from cortex_sim.backends.brian2.equations import (
    CONSTRAINING,
    ECHOING,
    LEARNING,
    PREDICTING,
    SENDING,
    growth_texts,
    reconstructs,
    sending,
    sends_while_still,
)
from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.views import Unit, View, has_partition
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.joined import enforced
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse


class Synaptic:
    """Engine of brian2 ``Synapses``; see the module."""

    in_units = True  # rule state per unit and biases are variables of the neurons

    def __init__(
        self,
        circuit: Circuit,
        weights: Weights,
        units: Mapping[str, Unit],
        patches: Mapping[str, View],
        clock: Any,
        groups: Mapping[str, Any],
        see: Callable[[Any], View | Tabulated],
    ) -> None:
        self.circuit, self.weights, self.units = circuit, weights, units
        self.groups, self.clock = groups, clock
        self.synapses: dict[str, Any] = {}
        self.eta: dict[str, float] = {}
        self._inactive: dict[str, list[Any]] = {}
        self._edits = Edits()
        self._wired: dict[str, np.ndarray] = {}  # which synapses of a projection exist
        self._clipping: dict[str, Any] = {}
        self._enforcing: list[Any] = []  # operations that enforce constraints after a step
        self._compiled = False  # whether this is a C++ program, whose variables have no values yet
        paired = {p.up.name: p for p in circuit.apicals if p.up is not None}
        for p in circuit.net.driving:
            self._add(p, self._driving(p, paired.get(p.name)))
        for p in [*circuit.net.laterals, *circuit.net.gains]:
            self._add(p, [f"{circuit.var('drive', p.name)}_post = {self._carried(p)} : 1 (summed)"])
        for apical in circuit.apicals:
            if apical.source in (CreditSource.FREE, CreditSource.DIRECT, CreditSource.CHANNELS):
                self._add(apical.projection, self._top_down(apical))
        for p in circuit.net.credit_projections:
            self._add(p, lines_of(circuit, p), weights_of(circuit, p))
        for group in self.weights.joined:
            self._enforce(group.names)
        self.views = {name: see(made) for name, made in self.synapses.items()}
        self._compiled = any(isinstance(view, Tabulated) for view in self.views.values())
        self.objects = [*self.synapses.values(), *self._enforcing]
        if circuit.net.objective_at is not None and has_partition(circuit, circuit.net.objective_at):
            top = groups[circuit.net.objective_at]
            text = "partition_post = exp(sent_r_pre - sent_r_post) : 1 (summed)"
            sums = brian2.Synapses(top, top, text, clock=clock, name=f"{top.name}_partition", order=LEARNING)
            sums.connect()
            sums.summed_updaters["partition_post"].order = PREDICTING  # the nudge is read when sending
            self.objects.append(sums)
        if circuit.teacher is not None:
            self.objects += CreditSynapses(circuit, groups, clock).objects
        self._learners: dict[str, Any] = {}  # what only plasticity reads
        for name in circuit.order:
            self._compute_once(name)
        self.push()

    def _compute_once(self, name: str) -> None:
        """Compute rates before anything is sent, and what is sent down once the predictions are known."""
        if name in self.circuit.sources:
            return
        group = self.groups[name]
        group.run_regularly("sent_r = r", clock=self.clock, when="groups", order=PREDICTING - 1)
        lines = [f"{variable} = {text}" for variable, text in sending(self.circuit, name).items()]
        if lines:
            order = SENDING - 0.5
            made = group.run_regularly("\n".join(lines), clock=self.clock, when="groups", order=order)
            if not sends_while_still(self.circuit, name):
                self._learners[name] = made

    def _carried(self, p: Projection) -> str:
        rate = f"{self.circuit.sent_rate(p, 'pre')}_pre"
        return f"w * {rate}" if self.circuit.operators[p.name].weighted else rate

    def _driving(self, p: Projection, paired: Apical | None) -> list[str]:
        var = self.circuit.var
        lines = [f"{var('drive', p.name)}_post = {self._carried(p)} : 1 (summed)"]
        if paired is None:
            return lines
        down = f"{var('down', paired.name)}_pre"
        match paired.source:
            case CreditSource.UNWEIGHTED:
                lines.append(f"{down} = sent_u_post : 1 (summed)")
            case CreditSource.TRANSPOSE:
                lines.append(f"{down} = w * sent_u_post : 1 (summed)")
            case CreditSource.SIGN:
                lines += [f"{down} = size * sign(w) * u_post : 1 (summed)", "size : 1 (shared)"]
            case CreditSource.INVERSE:
                lines.append(
                    f"{var('predicted', paired.name)}_post = w * {var('c', paired.name)}_pre : 1 (summed)"
                )
                lines.append(f"{down} = w * sent_{var('error', paired.name)}_post : 1 (summed)")
            case _:
                pass
        return lines

    def _top_down(self, p: Apical) -> list[str]:
        others = {CreditSource.DIRECT: "sent_c_pre", CreditSource.CHANNELS: "strength_pre * sent_r_pre"}
        received = others.get(p.source, "sent_u_pre")
        lines = [f"{self.circuit.var('down', p.name)}_post = w * {received} : 1 (summed)"]
        if reconstructs(p.projection):
            echo = self._echo(p.projection)
            lines.append(f"{self.circuit.var('reconstruction', p.name)}_post = w * {echo} : 1 (summed)")
        return lines

    def _echo(self, p: Projection) -> str:
        """Echo of a top-down projection: activity below as it arrives above through the paired projection."""
        var = self.circuit.var
        received = var("heard", p.reverse_name)
        if received in self.groups[p.pre].variables:
            return f"{received}_pre"
        return f"({var('gate', p.reverse_name)}_pre * {var('drive', p.reverse_name)}_pre)"

    def _add(self, p: Projection, lines: list[str], fixed: np.ndarray | None = None) -> None:
        """Make the ``Synapses`` of a projection: sums first, then the weight and what changes it.

        ``fixed`` are weights that no trial changes and that are kept only here.
        """
        namespace: dict[str, Any] = {}
        if p.plasticity is not None:
            lines = [*lines, *self._learning(p)]
            namespace = settings_of(p.plasticity)
        elif self.circuit.operators[p.name].weighted:
            lines = [*lines, "w : 1"]
        made = brian2.Synapses(
            self.groups[p.pre],
            self.groups[p.post],
            "\n".join(lines),
            method="euler",
            namespace=namespace,
            clock=self.clock,
            name=f"synapses_{self.circuit.identifier[p.name]}",
            order=LEARNING,
        )
        if self.circuit.operators[p.name].synapses == "one_to_one":
            made.connect(j="i")
        else:
            exists = np.ones(fixed.shape, dtype=bool) if fixed is not None else self._exists(p.name)
            j, i = np.nonzero(exists)
            made.connect(i=i, j=j)
        if fixed is not None:
            made.w = fixed.ravel()
        self._constrain(p, made)
        for variable, updater in made.summed_updaters.items():
            first = variable.startswith("predicted_")
            echoing = variable.startswith("reconstruction_")
            updater.order = PREDICTING if first else ECHOING if echoing else SENDING
        self.synapses[p.name] = made

    def _constrain(self, p: Projection, made: Any) -> None:
        """Enforce the constraints after each step of plastic weights; bounds alone by brian2's own code."""
        allowed = self.weights.allowed.get(p.name)
        if allowed is None or p.plasticity is None or not p.constraints:
            return
        made.least, made.largest = self._flat(p.name, allowed.low), self._flat(p.name, allowed.high)
        if allowed.rates is not None:
            made.rate_of_synapse = self._flat(p.name, allowed.rates)
        if any(p.name in group.names for group in self.weights.joined):
            return
        if allowed.norm is None:
            self._clipping[p.name] = made.run_regularly(
                "w = clip(w, least, largest)", clock=self.clock, when="groups", order=CONSTRAINING
            )
            return
        self._enforce([p.name])

    def _enforce(self, names: Sequence[str]) -> None:
        """Enforce row norms after each step, of one projection or of several together."""

        def now(name: str) -> np.ndarray:
            matrix = np.zeros(self.weights.matrix[name].shape)
            self._unflat(name, matrix, np.asarray(self.synapses[name].w[:]))
            return matrix

        def enforce() -> None:
            moved = [name for name in names if name in self.eta]
            for name, w in enforced(moved, now, self.weights.allowed, self.weights.joined).items():
                self.synapses[name].w = self._flat(name, w)

        made = brian2.NetworkOperation(enforce, clock=self.clock, when="groups", order=CONSTRAINING)
        self._enforcing.append(made)

    def _learning(self, p: Projection) -> list[str]:
        texts = growth_texts(self.circuit, p, self._echo(p) if p.rule.spontaneous else "")
        decay = sum(rule.rate for rule in p.regularisers if isinstance(rule, Decay))
        lost = f" - {decay!r} * w" if decay else ""
        allowed = self.weights.allowed.get(p.name)
        own_rate = "" if allowed is None or allowed.rates is None else "rate_of_synapse * "
        lines = [f"dw/dt = eta * {own_rate}({texts['w']}{lost}) : 1 (clock-driven)", "eta : Hz (shared)"]
        if own_rate:
            lines.append("rate_of_synapse : 1 (constant)")
        if allowed is not None and p.constraints:
            lines += ["least : 1 (constant)", "largest : 1 (constant)"]
        for variable, kind in p.rule.state.items():
            own = self.circuit.var(variable, p.name)
            match kind:
                case PerSynapse() if variable in texts:
                    lines.append(f"d{own}/dt = int(eta > 0*Hz) * ({texts[variable]}) : 1 (clock-driven)")
                case PerSynapse():
                    lines.append(f"{own} : 1")
                case Global():
                    lines.append(f"{own} : 1 (shared)")
                case _:
                    pass
        return lines

    # -- between trials -----------------------------------------------------------------------------

    def push(self) -> None:
        """Write the weights, biases and rule state into brian2's variables."""
        for name, made in self.synapses.items():
            if name in self.weights.matrix:
                made.w = self._leave(f"weights of projection {name}", self._ours(name))
            for variable, values in self.weights.state.get(name, {}).items():
                flat = self._leave(f"{variable} of projection {name}", self._flat_state(name, values))
                owner, own = self._place(name, variable)
                setattr(owner, own, flat)
        for name, variable, label, values in self.weights.of_units():
            setattr(self.groups[name], variable, self._leave(label, self.weights.shown(name, values)))
        for p in self.circuit.apicals:
            if p.source is CreditSource.SIGN and p.up is not None:
                w = self.weights.matrix[p.up.name]
                self.synapses[p.up.name].size = float(np.sqrt(np.mean(w * w)))

    def _leave(self, label: str, values: np.ndarray) -> np.ndarray:
        if not self._compiled:
            self._edits.leave(label, values)
        return values

    def take_edits(self) -> None:
        """Take over weights, biases and rule state that were set in brian2's objects since the last run."""
        edited: list[str] = []
        for name, made in self.synapses.items():
            if name in self.weights.matrix:
                now = np.asarray(made.w[:])
                if self._edits.edited(f"weights of projection {name}", now, self._ours(name)):
                    self._unflat(name, self.weights.matrix[name], now)
                    edited.append(name)
            for variable, values in self.weights.state.get(name, {}).items():
                owner, own = self._place(name, variable)
                now = np.asarray(getattr(owner, own)[:])
                label = f"{variable} of projection {name}"
                if self._edits.edited(label, now, self._flat_state(name, values)):
                    self._read(name, variable, values)
        self.weights.accept(edited)
        for name, variable, label, values in self.weights.of_units():
            now = np.asarray(getattr(self.groups[name], variable)[:])
            if self._edits.edited(label, now, self.weights.shown(name, values)):
                values[...] = by_channel(label, now, len(values))

    def _ours(self, name: str) -> np.ndarray:
        return self._flat(name, self.weights.matrix[name])

    def _flat_state(self, name: str, values: np.ndarray) -> np.ndarray:
        return self._flat(name, values) if values.ndim == 2 else values

    def pull(self) -> None:
        """Read the weights, biases and rule state back."""
        for name, made in self.synapses.items():
            if name in self.weights.matrix:
                self._unflat(name, self.weights.matrix[name], np.asarray(made.w[:]))
            for variable, values in self.weights.state.get(name, {}).items():
                self._read(name, variable, values)
        for name, bias in self.weights.bias.items():
            by_unit = np.asarray(self.groups[name].bias[:])
            bias[...] = by_unit.reshape(len(bias), -1).mean(1)

    def state_now(self, name: str) -> np.ndarray:
        """A copy of the state of a rule, "pre->post:variable"."""
        projection, _, variable = name.partition(":")
        self._read(projection, variable, self.weights.state[projection][variable])
        return self.weights.kept(name)

    def refresh(self) -> None:
        """Update what depends on whole weight matrices: the size of sign-symmetric feedback."""
        for p in self.circuit.apicals:
            if p.source is CreditSource.SIGN and p.up is not None:
                made = self.synapses[p.up.name]
                total = np.sum(np.square(np.asarray(made.w[:])))
                made.size = np.sqrt(total / self.weights.matrix[p.up.name].size)

    def open_windows(self, eta: Mapping[str, float], modulator: float) -> None:
        """From now on, let these projections learn at these rates in 1/s."""
        self.eta = dict(eta)
        for p in self.circuit.plastic():
            view, rate = self.views[p.name], eta.get(p.name, 0.0)
            view.put("eta", rate)
            self._activate(self.synapses[p.name].state_updater, view, rate > 0)
            if p.name in self._clipping:
                self._activate(self._clipping[p.name], view, rate > 0)
            for side, unit in (("_post", p.post), ("_pre", p.pre)):
                window = self.circuit.var(f"window_of{side}", p.name)
                if unit in self.units and window in self.units[unit].view:
                    self.units[unit].view.put(window, float(rate > 0))
            if "modulator" in self.weights.state[p.name]:
                view.put(self.circuit.var("modulator", p.name), modulator)
        rates = bias_rates(self.circuit, eta)
        for name in self.weights.bias:
            below = self.units[name].view
            if "eta_bias" in below:
                below.put("eta_bias", rates.get(name, 0.0))
        learning = {self.circuit.net.projections[name].post for name in eta}
        for name, reader in self._learners.items():
            self._activate(reader, self.units[name].view, name in learning)

    def _activate(self, updater: Any, view: View | Tabulated, active: bool) -> None:
        """Skip what only plasticity needs, in every synapse, while no window is open."""
        if isinstance(view, Tabulated):  # a C++ program is written once
            return
        inactive = self._inactive.pop(updater.name, [])
        if inactive and not updater.code_objects:  # otherwise brian2 has made new ones meanwhile
            updater.code_objects.extend(inactive)
        if not active:
            self._inactive[updater.name] = list(updater.code_objects)
            updater.code_objects.clear()

    def _flat(self, name: str, matrix: np.ndarray) -> np.ndarray:
        found: np.ndarray = matrix[self._exists(name)]
        return found

    def _unflat(self, name: str, matrix: np.ndarray, values: np.ndarray) -> None:
        matrix[self._exists(name)] = values

    def _exists(self, name: str) -> np.ndarray:
        """Which synapses exist: all, those of its connector, and none of a unit onto itself."""
        if name not in self._wired:
            allowed, shape = self.weights.allowed.get(name), self.weights.matrix[name].shape
            exists = np.ones(shape, dtype=bool) if allowed is None else allowed.exists
            lateral = name in {p.name for p in self.circuit.net.laterals}
            self._wired[name] = exists & ~np.eye(len(exists), dtype=bool) if lateral else exists
        return self._wired[name]

    def _place(self, name: str, variable: str) -> tuple[Any, str]:
        """The object that holds a rule's state, and the name of the variable."""
        p = self.circuit.net.projections[name]
        own = self.circuit.var(variable, name)
        match p.rule.state[variable]:
            case PerPost():
                return self.groups[p.post], own
            case PerPre():
                return self.groups[p.pre], own
            case _:
                return self.synapses[name], own

    def _read(self, name: str, variable: str, values: np.ndarray) -> None:
        owner, own = self._place(name, variable)
        found = np.asarray(getattr(owner, own)[:])
        if values.ndim == 2:
            self._unflat(name, values, found)
        else:
            values[...] = found
