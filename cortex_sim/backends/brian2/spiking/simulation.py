"""A declared recurrent network as spiking units, which learns trial by trial by e-prop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortex_sim.allowed import allowed_of
from cortex_sim.backends.brian2.built import brian2_as_found
from cortex_sim.backends.brian2.reuse import without_collection
from cortex_sim.backends.brian2.spiking.built import BuiltSpiking
from cortex_sim.backends.brian2.spiking.checking import check_spiking
from cortex_sim.backends.brian2.spiking.firing_rates import FiringRates
from cortex_sim.backends.brian2.spiking.neurons import LeakyIntegrateAndFire
from cortex_sim.backends.brian2.spiking.trials import SpikingTrials, Targets, shown, targets
from cortex_sim.calling import known_settings
from cortex_sim.checks import listed, positive_ms, require_finite, short
from cortex_sim.errors import DataError, DeclarationError, RunError
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

    where z̄ are the spikes filtered by the readout's leak. Trials run side by side from rest with the same
    weights.

    Parameters
    ----------
    net : Network
        Its top is linear, every synapse has its own weight, and plastic projections share one `EProp`.
    seed : int, default 0
        Draws the initial weights, as on every backend; biases start at 0.
    neurons : LeakyIntegrateAndFire, optional
    firing_rates : FiringRates, optional
        Regularises the firing rates of populations that learn; by default they are free.
    dt_ms : float, default 1.0
        Time step, in ms. ψ acts once per step, so that another time step needs another rate η.

    Attributes
    ----------
    weights : dict of str to array of shape (post, pre)
        By projection; change them in place between runs.
    biases : dict of str to array of shape (unit,), or (channel,) where the shape has channels
    feedback : dict of str to array of shape (post, pre)
        Free top-down weights; tied ones follow from ``weights``.
    built : BuiltSpiking or None
        brian2's objects of the last batch; a copy of the simulation makes its own.

    Raises
    ------
    DeclarationError, BuildError
        If the network has no spiking counterpart; the message names the part that has none.

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
        _require_parts(neurons, firing_rates)
        self.net, self.neurons, self.firing_rates = net, neurons, firing_rates
        self.dt_ms = float(positive_ms("Spiking", dt_ms=dt_ms))
        neurons.require_steps(self.dt_ms)
        drawn = net.initial_weights(seed)
        driving = {p.name for p in net.driving}
        self.weights = {name: np.array(w) for name, w in drawn.items() if name in driving}
        self.feedback = {name: np.array(b) for name, b in drawn.items() if name not in driving}
        self.biases = {
            n: np.zeros(p.bias_shape) for n, p in net.populations.items() if p.bias and n not in net.sources
        }
        self.built: BuiltSpiking | None = None

    def run(self, x: Any, y: Any = None) -> SpikingTrials:
        """Run trials side by side, each from rest.

        Parameters
        ----------
        x : array of shape (presentation, step, unit), or mapping of source to such an array
            Spikes of the source, 0 or 1; see ``cs.tasks.poisson_spikes``.
        y : array of shape (presentation, step, top's unit), optional
            Target of the readout; NaN in all units of a step without target. Without it nothing is learned.

        Returns
        -------
        SpikingTrials

        Raises
        ------
        DataError
            If x or y does not fit the network.
        RunError
            If weights, biases or feedback are not float64 arrays of the right shapes, not finite, or not 0
            where there is no synapse.
        """
        spikes = shown(self.net, x)
        presentations, steps = next(iter(spikes.values())).shape[:2]
        goal = None if y is None else targets(self.net, y, presentations, steps)
        self._require_weights()
        with brian2_as_found("numpy"), without_collection():
            built = self._of(presentations, steps)
            b = {p.name: self._feedback(p) for p in self.net.top_downs}
            built.run(spikes, goal, self.weights, b, self.biases)
        of_trials = {n: _by_presentation(z, presentations) for n, z in built.spikes.items()}
        output = _by_presentation(built.output, presentations)
        changes = {} if goal is None else built.changes()
        return SpikingTrials(of_trials, output, self._objective(output, goal), changes, self.dt_ms)

    def learn(self, x: Any, y: Any, eta: float) -> SpikingTrials:
        """Run trials, and then add η times the change of each weight and bias; see `run`.

        Parameters
        ----------
        x, y
            As for `run`.
        eta : float
            Learning rate η, per batch of trials.

        Raises
        ------
        DataError, RunError
            As for `run`; also without targets, or where no projection is plastic.
        """
        require_finite("Spiking.learn", eta=eta)
        if y is None:
            raise DataError("Spiking.learn: nothing is learned without targets; give y, or use run(x)")
        if not any(p.plasticity is not None for p in self.net.driving):
            raise RunError(
                f"network {self.net.name}: no projection is plastic, so nothing can be learned; declare "
                'plasticity="e_prop", or use run(x, y)'
            )
        found = self.run(x, y)
        for name, change in found.changes.items():
            (self.weights if "->" in name else self.biases)[name] += eta * change
        return found

    def _of(self, presentations: int, steps: int) -> BuiltSpiking:
        """brian2's objects of a batch.

        Raises
        ------
        RunError
            If the synapses, or what units send at every step, do not fit in memory.
        """
        net = self.net
        bytes_of_a_step = sum(
            p.size * (10 if n in net.sources else 16 if n == net.objective_at else 2)
            for n, p in net.populations.items()
        )  # spikes as bool and the readout as float64, both once more by presentation; float64 spikes shown
        synapses = presentations * sum(w.size for w in self.weights.values())
        made = self.built if self.built is not None and self.built.presentations == presentations else None
        require_memory(
            f"network {self.net.name}",
            f"a batch of {presentations:,} trials of {steps:,} steps, with {synapses:,} synapses,",
            presentations * steps * bytes_of_a_step
            + (0 if made is not None else 8 * _NUMBERS_OF_A_SYNAPSE * synapses),
            "run fewer at a time",
        )
        if made is None:
            made = BuiltSpiking(self.net, self.neurons, self.firing_rates, self.dt_ms, presentations)
        self.built = made
        return made

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
        net = self.net
        free = [p for p in net.top_downs if p.source.of is None]
        driving = {p.name: net.weight_shape(p) for p in net.driving}
        _require_arrays("weights of projection", self.weights, driving)
        _require_arrays("feedback of projection", self.feedback, {p.name: net.weight_shape(p) for p in free})
        shapes = {n: p.bias_shape for n, p in net.populations.items() if p.bias and n not in net.sources}
        _require_arrays("bias of population", self.biases, shapes)
        for p in (*net.driving, *free):
            allowed = allowed_of(net, p)
            if allowed is not None:
                op, kept = net.operator(p), (self.weights | self.feedback)[p.name]
                allowed.require(op.feedback_matrix(kept) if p.is_top_down else op.matrix(kept), RunError)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: brian2's own objects are made again."""
        return vars(self) | {"built": None}

    def __repr__(self) -> str:
        replaced = {n: p for n, p in self.net.populations.items() if n in self._units()}
        units = ", ".join(f"{n}: {p.size} of τ {p.tau_ms:g} ms" for n, p in replaced.items())
        return f"<Spiking {self.net.name}: {units}; {self.neurons}; dt {self.dt_ms:g} ms>"

    def _units(self) -> list[str]:
        return [n for n in self.net.populations if n not in self.net.sources and n != self.net.objective_at]


def _by_presentation(values: np.ndarray, presentations: int) -> np.ndarray:
    """(step, presentation·unit) as (presentation, step, unit)."""
    return np.array(values.reshape(len(values), presentations, -1).swapaxes(0, 1))


def _require_parts(neurons: object, firing_rates: object) -> None:
    for name, given, right, none in (
        ("neurons", neurons, LeakyIntegrateAndFire, ""),
        ("firing_rates", firing_rates, FiringRates, ", or None"),
    ):
        if not (isinstance(given, right) or (none and given is None)):
            raise DeclarationError(
                f"Spiking: {name} must be cs.brian2.{right.__name__}(...){none}. Got {short(given)}"
            )


def _require_arrays(kind: str, kept: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `RunError` unless arrays, which the user may have set, are finite and have the right shapes."""
    for name in kept:
        if name not in shapes:
            raise RunError(f"Spiking: no {kind} {name!r} can be set; known: {listed(shapes)}")
    for name, shape in shapes.items():
        values = kept.get(name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != shape:
            got = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else short(values)
            raise RunError(
                f"{kind} {name}: must be a float64 array of shape {shape}; change it in place, or set "
                f"np.array(values, dtype=float). Got {got}"
            )
        if not np.isfinite(values).all():
            raise RunError(f"{kind} {name}: must be finite. Got NaN or infinity; use a smaller rate η")
