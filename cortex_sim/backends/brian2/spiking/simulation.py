"""A declared recurrent network as spiking units, which learns trial by trial by e-prop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortex_sim.backends.brian2.built import brian2_as_found
from cortex_sim.backends.brian2.reuse import without_collection
from cortex_sim.backends.brian2.spiking.built import BuiltSpiking
from cortex_sim.backends.brian2.spiking.checking import check_spiking
from cortex_sim.backends.brian2.spiking.firing_rates import FiringRates
from cortex_sim.backends.brian2.spiking.neurons import LeakyIntegrateAndFire
from cortex_sim.backends.brian2.spiking.trials import SpikingTrials, Targets, shown, targets
from cortex_sim.calling import known_settings
from cortex_sim.checks import positive_ms, require_count, require_finite
from cortex_sim.errors import RunError
from cortex_sim.feedback import SignSymmetric, Transpose
from cortex_sim.network import Network
from cortex_sim.projection import Projection
from cortex_sim.runs.room import require_memory

_NUMBERS_OF_A_SYNAPSE = 12  # weight, traces, change, both indices, and what brian2 keeps to find them


@known_settings
class Spiking:
    """A declared network with leaky integrate-and-fire units in place of rate units, on brian2.

    Populations, projections, their weights from the same seed, the objective and feedback are as declared. A
    population's ``tau_ms`` is that of its membranes, the top's that of the readout,

        y_k[t+1] = κ y_k[t] + (1 − κ) b_k + Σ w_kj z_j[t+1],  κ = exp(−dt/τ_top);

    spikes take the place of every other activation: see `LeakyIntegrateAndFire`. Under
    `EProp <cortex_sim.rules.e_prop.EProp>`, with c_L[t] the objective's credit of one step, divided by the
    number of steps that have a target,

        ε_ij[t] = α_i ε_ij[t−1] + z_j,   e_ij = θ ψ_i ε_ij,   ē_ij[t] = κ ē_ij[t−1] + e_ij[t],
        Δw_ij = η⟨Σ_t c_i[t] ē_ij[t]⟩,   c = B c_L;   onto the top Δw_kj = η⟨Σ_t c_L,k[t] z̄_j[t]⟩,

    z̄ the spikes through the leak of the readout. Trials run side by side from rest with the same weights.

    Parameters
    ----------
    net : Network
        Its top is linear, all projections have a weight a synapse, plastic ones one `EProp`.
    seed : int, default 0
        Draws the initial weights, as on every backend; biases begin at 0.
    neurons : LeakyIntegrateAndFire, optional
    firing_rates : FiringRates, optional
        Regularises the firing rates of populations that learn; by default they are free.
    dt_ms : float, default 1.0
        Length of a step. ψ is of a step: with another length other rates η suit.

    Attributes
    ----------
    weights : dict of str to array of shape (post, pre)
        By projection; change them in place between runs.
    biases : dict of str to array of shape (unit,)
    feedback : dict of str to array of shape (post, pre)
        Free top-down weights; tied ones follow from ``weights``.
    built : BuiltSpiking or None
        brian2's objects of the last batch.

    Raises
    ------
    DeclarationError, BuildError
        If the network has no spiking counterpart; the message names what has none.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Methods.
    """

    def __init__(
        self,
        net: Network,
        seed: int = 0,
        *,
        neurons: LeakyIntegrateAndFire = LeakyIntegrateAndFire(),  # noqa: B008 - frozen
        firing_rates: FiringRates | None = None,
        dt_ms: float = 1.0,
    ) -> None:
        check_spiking(net)
        self.net, self.neurons, self.firing_rates = net, neurons, firing_rates
        self.dt_ms = float(positive_ms("Spiking", dt_ms=dt_ms))
        neurons.require_steps(self.dt_ms)
        drawn = net.initial_weights(seed)
        driving = {p.name for p in net.driving}
        self.weights = {name: np.array(w) for name, w in drawn.items() if name in driving}
        self.feedback = {name: np.array(b) for name, b in drawn.items() if name not in driving}
        self.biases = {
            n: np.zeros(p.size) for n, p in net.populations.items() if p.bias and n not in net.sources
        }
        self.built: BuiltSpiking | None = None

    def run(self, x: Any, y: Any = None) -> SpikingTrials:
        """Run trials side by side, each from rest.

        Parameters
        ----------
        x : array of shape (presentation, step, unit), or mapping of source to such an array
            Spikes of the source, 0 or 1; see ``cs.tasks.poisson_spikes``.
        y : array of shape (presentation, step, top's unit), optional
            What the readout should be; NaN in all units of a step without target. Without it nothing is
            learned.

        Raises
        ------
        DataError
            If something does not fit the network.
        RunError
            If weights were given another shape, or are not finite.
        """
        spikes = shown(self.net, x)
        presentations, steps = next(iter(spikes.values())).shape[:2]
        goal = None if y is None else targets(self.net, y, presentations, steps)
        self._require_weights()
        with brian2_as_found("numpy"), without_collection():
            built = self._of(presentations)
            b = {p.name: self._feedback(p) for p in self.net.top_downs}
            built.run(spikes, goal, self.weights, b, self.biases)
        of_trials = {n: _by_presentation(z, presentations) for n, z in built.spikes.items()}
        output = _by_presentation(built.output, presentations)
        changes = {} if goal is None else built.changes()
        return SpikingTrials(of_trials, output, self._objective(output, goal), changes, self.dt_ms)

    def learn(self, x: Any, y: Any, eta: float) -> SpikingTrials:
        """Run trials, and then add η times the change of each weight and bias; see `run`."""
        require_finite("Spiking.learn", eta=eta)
        found = self.run(x, y)
        for name, change in found.changes.items():
            (self.weights if "->" in name else self.biases)[name] += eta * change
        return found

    def _of(self, presentations: int) -> BuiltSpiking:
        if self.built is None or self.built.presentations != presentations:
            require_count("Spiking", presentations=presentations)
            synapses = presentations * sum(w.size for w in self.weights.values())
            require_memory(
                f"network {self.net.name}",
                f"a batch of {presentations:,} trials, with {synapses:,} synapses,",
                8 * _NUMBERS_OF_A_SYNAPSE * synapses,
                "run fewer at a time",
            )
            self.built = BuiltSpiking(self.net, self.neurons, self.firing_rates, self.dt_ms, presentations)
        return self.built

    def _feedback(self, p: Projection) -> np.ndarray:
        """B of a top-down projection, (post, pre), at the present weights."""
        if p.source.of is None:
            return self.feedback[p.name]
        w = self.weights[p.source.of].T
        match p.feedback:
            case Transpose():
                return w
            case SignSymmetric():
                return np.asarray(np.sign(w) * np.linalg.norm(w) / np.sqrt(w.size))
        raise AssertionError(p.feedback)  # EProp accepts no other tied feedback

    def _objective(self, output: np.ndarray, goal: Targets | None) -> float:
        if goal is None:
            return float("nan")
        assert self.net.objective_function is not None
        share = goal.share.swapaxes(0, 1)[..., 0]
        units = output.shape[2]
        y, r = goal.rates.swapaxes(0, 1).reshape(-1, units), output.reshape(-1, units)
        value: Any = self.net.objective_function.value(r, y)
        return float((value.reshape(share.shape) * share).sum(1).mean())

    def _require_weights(self) -> None:
        expected = {p.name: self.net.weight_shape(p) for p in self.net.driving}
        expected |= {name: (self.net.populations[name].size,) for name in self.biases}
        kept: Mapping[str, np.ndarray] = {**self.weights, **self.biases}
        for name, shape in expected.items():
            values = np.asarray(kept[name]) if name in kept else np.empty(0)
            if values.shape != shape or not np.isfinite(values).all():
                kind = "projection" if "->" in name else "bias of population"
                raise RunError(
                    f"{kind} {name}: must be finite numbers of shape {shape}. Got shape {values.shape}"
                    + (" with NaN or infinity; use a smaller rate η" if values.shape == shape else "")
                )

    def __repr__(self) -> str:
        replaced = {n: p for n, p in self.net.populations.items() if n in self._units()}
        units = ", ".join(f"{n}: {p.size} of τ {p.tau_ms:g} ms" for n, p in replaced.items())
        return f"<Spiking {self.net.name}: {units}; {self.neurons}; dt {self.dt_ms:g} ms>"

    def _units(self) -> list[str]:
        return [n for n in self.net.populations if n not in self.net.sources and n != self.net.objective_at]


def _by_presentation(values: np.ndarray, presentations: int) -> np.ndarray:
    """(step, presentation·unit) as (presentation, step, unit)."""
    return np.array(values.reshape(len(values), presentations, -1).swapaxes(0, 1))
