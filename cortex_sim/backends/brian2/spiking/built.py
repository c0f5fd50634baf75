"""brian2's own objects for a batch of trials side by side: groups, synapses, and the end of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import brian2
import numpy as np

from cortex_sim.backends.brian2.names import identifiers
from cortex_sim.backends.brian2.reuse import prepare_once
from cortex_sim.backends.brian2.spiking import equations as eq
from cortex_sim.backends.brian2.spiking.firing_rates import FiringRates
from cortex_sim.backends.brian2.spiking.neurons import LeakyIntegrateAndFire
from cortex_sim.backends.brian2.spiking.trials import Targets
from cortex_sim.network import Network
from cortex_sim.projection import Projection
from cortex_sim.rules.e_prop import EProp

_LONG_AGO = -1e4  # seconds, as brian2 begins
_OF_UNITS = ("v", "psi", "c", "y", "shown", "epsilon_bias", "e_bar_bias", "e_sum_bias", "change_bias")
_OF_SYNAPSES = ("epsilon", "e_bar", "e_sum", "change")
_NO_MEMORY = 1e-3  # time constant, in steps, with which e^(−dt/τ) is exactly 0
Arrays = Mapping[str, np.ndarray]


class BuiltSpiking:
    """Neurons and synapses for ``presentations`` trials side by side, on their own clock.

    Attributes
    ----------
    groups : dict of str to brian2.NeuronGroup
        By population; units are ordered by trial.
    synapses : dict of str to brian2.Synapses
        By projection; synapses are ordered by trial, then by post unit.
    """

    def __init__(
        self,
        net: Network,
        units: LeakyIntegrateAndFire,
        rates: FiringRates | None,
        dt_ms: float,
        presentations: int,
    ) -> None:
        self.net, self.presentations, self._units, self._rates = net, presentations, units, rates
        self.top = str(net.objective_at)
        self.learning = [p for p in net.driving if isinstance(p.plasticity, EProp)]
        self.biased = [n for n, p in net.populations.items() if p.bias and n not in net.sources]
        posts = {p.post for p in self.learning}
        self.learning_biases = [name for name in self.biased if name in posts]
        self.clock, self._dt = brian2.Clock(dt_ms * brian2.ms), dt_ms
        self._memory = next((p.plasticity.keeps.leak for p in self.learning), True)
        self._names = identifiers([*net.populations, *net.projections])
        self._learners: list[Any] = []
        self.groups: dict[str, Any] = {}
        for name in net.populations:
            self.groups[name] = self._source(name) if name in net.sources else self._driven(name)
        self.wiring = {p.name: self._wiring(p) for p in net.driving}
        self.synapses = {p.name: self._synapses(p) for p in net.driving}
        self.feedback = {p.name: self._feedback(p) for p in net.top_downs}
        self._begins = brian2.NetworkOperation(self._begin_step, clock=self.clock, when="start")
        self._ends = brian2.NetworkOperation(self._end_step, clock=self.clock, when="end", order=eq.JUDGED)
        self.network = brian2.Network(
            *self.groups.values(),
            *self.synapses.values(),
            *self.feedback.values(),
            self._begins,
            self._ends,
        )
        self.network.schedule = eq.SCHEDULE
        prepare_once(self.network.sorted_objects)
        self._step = 0
        self._shown: Arrays = {}
        self._targets: Targets | None = None

    def run(self, shown: Arrays, targets: Targets | None, weights: Arrays, b: Arrays, biases: Arrays) -> None:
        """One batch of trials from rest.

        Parameters
        ----------
        shown : mapping of str to array of shape (presentation, step, unit)
            Spikes of sources.
        targets : Targets or None
            Without targets nothing is learned, and traces stay at 0.
        weights, b, biases : mapping of str to array
            Weights by projection, feedback by projection that carries credit, biases by population.

        Raises
        ------
        KeyboardInterrupt
            If the run was interrupted: brian2 by itself would only end it early.
        """
        self._rest()
        for name, synapses in self.synapses.items():
            _set(synapses, "w", np.tile(weights[name][self.wiring[name]], self.presentations))
        for name, synapses in self.feedback.items():
            _set(synapses, "b", np.tile(b[name].ravel(), self.presentations))
        for name in self.biased:
            of_units = biases[name].repeat(self.net.populations[name].size // len(biases[name]))
            _set(self.groups[name], "bias", np.tile(of_units, self.presentations))
        steps = next(iter(shown.values())).shape[1]
        self._shown = {name: x.swapaxes(0, 1).reshape(steps, -1) for name, x in shown.items()}
        self._step, self._targets = 0, targets
        sending = {name: group for name, group in self.groups.items() if name != self.top}
        self.spikes = {name: np.zeros((steps, len(group)), dtype=bool) for name, group in sending.items()}
        self.output = np.zeros((steps, len(self.groups[self.top])))
        for learner in self._learners:
            learner.active = targets is not None
        self.network.run(steps * self._dt * brian2.ms, namespace={})
        if self._step < steps:
            raise KeyboardInterrupt

    def changes(self) -> dict[str, np.ndarray]:
        """Δw/η (post, pre) by projection and Δb/η by population, shaped as b: means over presentations."""
        found = {}
        for p in self.learning:
            found[p.name] = self._mean(p, "change")
            if self._rates is not None and p.post != self.top:
                found[p.name] += self._towards_rates(p.post, self._mean(p, "e_sum"))
        for name in self.learning_biases:
            of_units = self._mean_of_units(name, "change_bias")
            if self._rates is not None and name != self.top:
                of_units += self._towards_rates(name, self._mean_of_units(name, "e_sum_bias"))
            (biases,) = self.net.populations[name].bias_shape
            found[name] = of_units.reshape(biases, -1).sum(1)  # units of a channel share theirs
        return found

    def _mean(self, p: Projection, variable: str) -> np.ndarray:
        """Mean over trials of a variable of synapses, (post, pre); 0 where there is none."""
        found = np.zeros(self.wiring[p.name].shape)
        found[self.wiring[p.name]] = self.of_trials(p.name, variable).mean(0)
        return found

    def _mean_of_units(self, name: str, variable: str) -> np.ndarray:
        return np.asarray(_get(self.groups[name], variable).reshape(self.presentations, -1).mean(0))

    def _towards_rates(self, name: str, eligibility: np.ndarray) -> np.ndarray:
        assert self._rates is not None
        spikes = self.spikes[name]
        by_trial = spikes.reshape(len(spikes), self.presentations, -1)
        return self._rates.change(by_trial, eligibility, self._dt)

    def of_trials(self, projection: str, variable: str) -> np.ndarray:
        """A variable of a projection's synapses, (presentation, synapse)."""
        return np.array(_get(self.synapses[projection], variable).reshape(self.presentations, -1))

    def _source(self, name: str) -> Any:
        group = brian2.NeuronGroup(
            self._count(name),
            eq.SOURCE,
            threshold=eq.EMITS,
            reset="",
            clock=self.clock,
            name=self._names[name],
        )
        group.thresholder["spike"].when = "groups"  # its spikes arrive within the step
        return group

    def _driven(self, name: str) -> Any:
        """Spiking units, or the readout; with the trace of their bias where it learns."""
        is_top, learns = name == self.top, name in self.learning_biases
        text = [eq.READOUT if is_top else eq.UNIT]
        if learns:
            text += [eq.BIAS] if is_top else [eq.BIAS, eq.BIAS_OF_UNIT, *self._also(eq.SUM_OF_BIAS)]
        ms, mV = brian2.ms, brian2.mV
        tau = self.net.populations[name].tau_ms
        namespace = {
            **self._constants(name),
            "tau": tau * ms,
            "threshold": self._units.threshold_mV * mV,
            "dampening": self._units.dampening,
            "leak": -np.expm1(-self._dt / tau),
        }
        fires: dict[str, Any] = {
            "threshold": eq.FIRES,
            "reset": eq.RESET,
            "refractory": self._units.refractory_ms * ms,
        }
        group = brian2.NeuronGroup(
            self._count(name),
            "\n".join(text),
            method="exponential_euler",
            namespace=namespace,
            clock=self.clock,
            name=self._names[name],
            **({} if is_top else fires),
        )
        if not is_top:
            self._learner(group, eq.SURROGATE, "before_thresholds", 0)
        if learns:
            self._learner(group, eq.BIAS_TRACE, "before_thresholds", 1)
            of_unit = "".join([eq.LEARN_BIAS_OF_UNIT, *self._also(eq.ADD_UP_BIAS)])
            learn = eq.LEARN_BIAS_OF_READOUT if is_top else of_unit
            self._learner(group, learn, "end", eq.LEARNED)
        return group

    def _synapses(self, p: Projection) -> Any:
        onto_top, learns = p.post == self.top, p in self.learning
        model, arrives = [eq.WEIGHT], [eq.ONTO_READOUT if onto_top else eq.ONTO_UNIT]
        if learns:
            model += [eq.TRACE] if onto_top else [eq.TRACE, eq.FILTER, *self._also(eq.SUM)]
            arrives.append(eq.MEETS_SPIKE)
        namespace = {**self._constants(p.post), "threshold": self._units.threshold_mV * brian2.mV}
        made = brian2.Synapses(
            self.groups[p.pre],
            self.groups[p.post],
            "\n".join(model),
            on_pre="\n".join(arrives),
            method="exponential_euler",
            namespace=namespace,
            clock=self.clock,
            name=self._names[p.name],
        )
        post, pre = np.nonzero(self.wiring[p.name])
        made.connect(i=self._side_by_side(pre, p.pre), j=self._side_by_side(post, p.post))
        if onto_top:
            made.pre.when = eq.READ_OUT
        if learns:
            onto_unit = "".join([eq.LEARN_UNIT, *self._also(eq.ADD_UP)])
            self._learner(made, eq.LEARN_READOUT if onto_top else onto_unit, "end", eq.LEARNED)
        return made

    def _feedback(self, p: Projection) -> Any:
        """The top-down projection: the learning signal of a unit is the sum over its top-down synapses."""
        made = brian2.Synapses(
            self.groups[p.pre], self.groups[p.post], eq.FEEDBACK, clock=self.clock, name=self._names[p.name]
        )
        post, pre = np.nonzero(np.ones((self.net.populations[p.post].size, self.net.populations[p.pre].size)))
        made.connect(i=self._side_by_side(pre, p.pre), j=self._side_by_side(post, p.post))
        (sums,) = made.summed_updaters.values()
        sums.when, sums.order = "end", eq.DELIVERED
        self._learners.append(sums)
        return made

    def _constants(self, post: str) -> dict[str, Any]:
        """Time constants of the traces of synapses onto a population."""
        forgets = _NO_MEMORY * self._dt
        taus = {"tau_epsilon": post, "tau_e_bar": self.top}
        return {
            name: (self.net.populations[of].tau_ms if self._memory else forgets) * brian2.ms
            for name, of in taus.items()
        }

    def _also(self, text: str) -> list[str]:
        """Text that only the regularisation of firing rates needs."""
        return [] if self._rates is None else [text]

    def _learner(self, group: Any, code: str, when: str, order: int) -> None:
        self._learners.append(group.run_regularly(code, clock=self.clock, when=when, order=order))

    def _wiring(self, p: Projection) -> np.ndarray:
        """Which synapses exist, bool (post, pre)."""
        exists = self.net.wiring(p)
        if exists is None:
            return np.ones(self.net.weight_shape(p), dtype=bool)
        return np.asarray(exists, dtype=bool)

    def _count(self, name: str) -> int:
        return self.net.populations[name].size * self.presentations

    def _side_by_side(self, index: np.ndarray, name: str) -> np.ndarray:
        """Indices of units, trial after trial."""
        first = self.net.populations[name].size * np.arange(self.presentations)
        return np.asarray((first[:, None] + index).ravel())

    def _rest(self) -> None:
        """Set membranes, readouts, traces and learning signals to 0, with no spike in transit."""
        for group in self.groups.values():
            for variable in _OF_UNITS:
                if variable in group.variables:
                    _set(group, variable, 0.0)
            if "lastspike" in group.variables:
                _set(group, "lastspike", _LONG_AGO)
            if "_spikespace" in group.variables:
                group.variables["_spikespace"].get_value()[-1] = 0
        for synapses in self.synapses.values():
            for variable in _OF_SYNAPSES:
                if variable in synapses.variables:
                    _set(synapses, variable, 0.0)

    def _begin_step(self) -> None:
        for name, x in self._shown.items():
            _set(self.groups[name], "shown", x[self._step])

    def _end_step(self) -> None:
        """Read what happened, and the error of the readout."""
        for name, seen in self.spikes.items():
            space = self.groups[name].variables["_spikespace"].get_value()
            seen[self._step, space[: space[-1]]] = True
        top = self.groups[self.top]
        y = _get(top, "y")
        self.output[self._step] = y
        if self._targets is not None:
            assert self.net.objective_function is not None
            y = y.reshape(self.presentations, -1)
            c = self.net.objective_function.credit(y, self._targets.rates[self._step])
            _set(top, "c", (c * self._targets.share[self._step]).ravel())
        self._step += 1


def _get(group: Any, variable: str) -> np.ndarray:
    return np.asarray(group.variables[variable].get_value())


def _set(group: Any, variable: str, values: Any) -> None:
    group.variables[variable].set_value(values)
