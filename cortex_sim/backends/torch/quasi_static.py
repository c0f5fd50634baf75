"""The quasi-static session: every phase of a protocol at its equilibrium, each open window one update.

A phase of T seconds with an open plasticity window is one update with η·T, made from the rates and credits to
which the phase settles. The dynamics in time approach this when phases are long compared with every time
constant and η·T is small.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.restoring import require_numbers, require_own
from cortex_sim.backends.torch.equilibrium import Equilibrium, check_alike, check_settles, settle
from cortex_sim.backends.torch.model import Model
from cortex_sim.backends.torch.settling import Values
from cortex_sim.backends.torch.slow import normalisers
from cortex_sim.backends.torch.steps import loops_alone
from cortex_sim.backends.torch.unrollable import check_closes
from cortex_sim.backends.torch.windows import Noise, Windows
from cortex_sim.calling import known_arguments
from cortex_sim.errors import BuildError, RunError
from cortex_sim.loops import check_linear
from cortex_sim.network import Network
from cortex_sim.normaliser_checking import say_without_dropout
from cortex_sim.preprocessing import Held
from cortex_sim.presynaptic.held import Readings
from cortex_sim.projection import Projection
from cortex_sim.protocol.loop_running import Loops, Memory, memory_of
from cortex_sim.protocol.plan import Conditions, PhasePlan, Plan, Sample, Shown, Wanted
from cortex_sim.registry import registered_name
from cortex_sim.regularisers import Decay, HardOrthogonality
from cortex_sim.rules.places import not_in_protocols
from cortex_sim.state import State

if TYPE_CHECKING:
    import xarray as xr

_log = logging.getLogger(__name__)
_ACTIVITY = "activity:"


class QuasiStatic:
    """A network under protocols, at equilibrium; a `cortex_sim.protocol.plan.Session`.

    Parameters
    ----------
    net : Network
    seed : int, default 0
        Seed of initial weights and noise.
    state : State, optional
        Learned state to start from, instead of initial weights.

    Attributes
    ----------
    model : Model
        The network on torch in float64, whose weights learn.
    windows : Windows
        The plastic projections, and the state of their rules.

    Raises
    ------
    BuildError
        If a rule or regulariser is not defined for a phase at equilibrium.
    """

    def __init__(self, net: Network, seed: int = 0, state: State | None = None) -> None:
        self.net, self.seed = net, seed
        self.model = Model(net, seed, "64", torch.device("cpu"))
        _check(net, self.model)
        self.windows = Windows(self.model)
        if state is not None:
            self.model.load_state(state)
            for name, variables in state.fitted_to(net, seed).rule_state.items():
                self.windows.state_of[name] |= {v: np.array(x, np.float64) for v, x in variables.items()}
            self.windows.readings = Readings(net, state.fitted_to(net, seed).readings)
        self._learned = 0  # number of `Shown` with an open window
        self._time_ms = 0.0
        self._loops: Memory = {}  # state of closed loops
        self._activity: Values = {}  # activity of the network's loops, from which the next phase settles
        self._said: set[tuple[str, tuple[str, ...]]] = set()

    @property
    def preprocessing(self) -> Held | None:
        """The preprocessing that the network was trained with, if any."""
        return self.model.preprocessing

    @known_arguments("run")
    def run(self, protocol: Any, *, arm: str | None = None, progress: bool = True) -> xr.Dataset:
        """Carry out a protocol and return its recording; weights continue from their present values.

        Raises
        ------
        DeclarationError
            If the protocol does not fit the network.
        RunError
            If it contains something that has no equilibrium.
        """
        from cortex_sim.recording.session import record

        return record(self, protocol, arm=arm, progress=progress)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.settled(self, "torch, each phase at its equilibrium")

    # -- the session --------------------------------------------------------------------------------

    closes_loops = True

    def check(self, plan: Plan) -> None:
        """Raise `RunError` if the plan contains something that has no equilibrium."""
        if plan.wanted.every_ms is not None:
            raise RunError(
                f"record: every_ms={plan.wanted.every_ms:g} needs time within a phase, but on this backend a "
                'phase is its equilibrium; leave every_ms out, or use backend "brian2"'
            )
        for phase in plan.different_phases():
            check_settles(self.model, phase)
        check_alike(plan.different_phases("trial"))
        check_alike(plan.different_phases("probe"))

    def carry_out(self, plan: Plan, first: int, keep: Callable[[Sample], None]) -> None:
        """Run ``plan.shown[first:]``; ``keep`` is called after each.

        Raises
        ------
        RunError
            If the plan contains something that has no equilibrium; checked before anything runs.
        """
        self.check(plan)
        loops = Loops(plan, self._loops, first)
        for shown in plan.shown[first:]:
            keep(self._show(shown, plan.wanted, loops))

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that the next trial depends on, by name."""
        found = {name: tensor.detach().numpy().copy() for name, tensor in self._tensors().items()}
        for name, variables in self.windows.state_of.items():
            found |= {f"state:{name}:{variable}": np.array(x) for variable, x in variables.items()}
        found |= self.windows.readings.flat()
        found |= {"learned": np.array(self._learned), "time_ms": np.array(self._time_ms)}
        found |= {_ACTIVITY + name: values.numpy().copy() for name, values in self._activity.items()}
        return found | self._loops

    @torch.no_grad()
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a `checkpoint`.

        Raises
        ------
        RunError
            If the checkpoint is damaged, or of another network; then nothing is changed.
        """
        passing = {*self._loops, *(_ACTIVITY + name for name in self._activity)}
        require_own(self.net.name, {n: a for n, a in self.checkpoint().items() if n not in passing}, state)
        activity = _activity_in(self.model, state)
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.as_tensor(state[name]))
        for name, variables in self.windows.state_of.items():
            for variable in variables:
                variables[variable] = np.array(state[f"state:{name}:{variable}"])
        self.windows.readings.restore(state)
        self._learned, self._time_ms = int(state["learned"]), float(state["time_ms"])
        self._loops, self._activity = memory_of(state), activity
        self.model.renew_feedback()

    def weights_of(self, projection: str) -> np.ndarray:
        """A copy of a projection's weights as declared, or of its rule's state "pre->post:variable"."""
        return self.windows.kept(projection)

    def attributes(self) -> dict[str, Any]:
        """Provenance of a recording: network, rules, seed, backend, versions."""
        from cortex_sim import __version__

        plastic = [p for p in self.net.projections.values() if p.plasticity is not None]
        rules = {registered_name("rule", p.plasticity) for p in plastic}
        return {
            "network": self.net.name,
            "rule": ", ".join(sorted(rules)) or "none",
            "seed": self.seed,
            "backend": "torch",
            "torch_version": torch.__version__,
            "cortex_sim_version": __version__,
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Weights of every kind, biases, and gains and statistics of normalisers, by name."""
        model = self.model
        kept = normalisers(model.populations)
        own = [p.name for p in self.net.top_downs if self.net.weight_shape(p) and not _tied(p)]
        return {
            **{f"weight:{name}": w for name, w in model.weights.items()},
            **{f"weight:{name}": model.feedback.plastic_or_free(name) for name in own},
            **{f"bias:{name}": b for name, b in model.biases.items()},
            **{f"auxiliary:{name}": rows for name, rows in model.feedback.auxiliary.items()},
            **{f"normaliser:{n}:{v}": x for n, one in kept.items() for v, x in one.kept().items()},
        }

    # -- one trial ----------------------------------------------------------------------------------

    def _show(self, shown: Shown, wanted: Wanted, loops: Loops) -> Sample:
        values: dict[str, dict[str, np.ndarray]] = {variable: {} for variable in wanted.variables}
        states: dict[str, np.ndarray] = {}
        loops.begin(shown)
        if shown.reset or any(len(values) != len(shown.images) for values in self._activity.values()):
            self._activity = {}
        for number, planned in enumerate(shown.phases):
            phase = loops.opened(planned)
            self._time_ms += phase.duration_ms
            found = self._settled(phase, shown)
            self.windows.modulate(phase.modulator)
            if phase.eta:
                self.windows.learn(phase, found, Noise(self.seed, shown, number))
            sampled, called = phase.name == (wanted.phase or shown.phases[-1].name), loops.called(phase)
            again = phase.eta and (sampled or called or found.activity)
            end = self._settled(phase, shown) if again else found
            if sampled or called:
                rates = {name: r[0].numpy() for name, r in end.rates.items()}
                loops.call(phase, rates.__getitem__, rates)
                values = _sampled(end, wanted) if sampled else values
            if sampled:
                states = {name: self.windows.kept(name)[None] for name in wanted.sampled_states}
        if any(phase.eta for phase in shown.phases):
            self._pull_back()
        self._check_finite(shown)
        weights, recorded = self._weights_due(shown, wanted), loops.recorded()
        return Sample(shown, values, weights, self._time_ms, recorded, states, loops.shorter_ms)

    def _settled(self, phase: PhasePlan, shown: Shown) -> Equilibrium:
        """The equilibrium to which activity settles from its present state."""
        found = settle(self.model, phase, shown.images, self._activity)
        self._activity = found.activity
        for loop in found.leaving:
            if (phase.name, loop.populations) not in self._said:
                self._said.add((phase.name, loop.populations))
                _log.warning(
                    "phase %s: population %s settles at a state from which any difference between units "
                    "grows (eigenvalue %.3g/s, phase of %g ms), so activity in time leaves it; give units "
                    'that compete different drives, or use backend "brian2" with noise',
                    phase.name,
                    " and ".join(loop.populations),
                    loop.per_s.real,
                    phase.duration_ms,
                )
        return found

    def _weights_due(self, shown: Shown, wanted: Wanted) -> dict[str, np.ndarray]:
        if shown.stage != "trial" or (shown.trials[-1] + 1) % wanted.weights_every:
            return {}
        return {name: self.windows.kept(name) for name in (*wanted.weights, *wanted.states)}

    def _pull_back(self) -> None:
        """Apply hard orthogonality, after a `Shown` with an open window."""
        self._learned += 1
        for p in self.net.driving:
            for rule in p.regularisers:
                if isinstance(rule, HardOrthogonality) and self._learned % rule.every == 0:
                    with torch.no_grad():
                        self.model.pull_back(p.name, rule)
        self.model.renew_feedback()

    def _check_finite(self, shown: Shown) -> None:
        for name in self.windows.state_of:
            if not torch.isfinite(self.windows.own(name)).all():
                raise RunError(
                    f"projection {name}: weights are no longer finite in trial {shown.trials[0]}; a phase is "
                    "one update with eta_per_s times its duration, so make this product smaller, or use "
                    'backend "brian2"'
                )


def _sampled(found: Equilibrium, wanted: Wanted) -> dict[str, dict[str, np.ndarray]]:
    by_name = {"rate": found.rates, "drive": found.drives, "credit": found.credits}
    return {
        variable: {
            name: by_name[variable][name].numpy().copy()[:, None]
            for name in wanted.populations
            if name in by_name[variable]  # credit populations receive no credit
        }
        for variable in wanted.variables
    }


def _activity_in(model: Model, state: Mapping[str, np.ndarray]) -> Values:
    """Activity of loops in a checkpoint; `RunError` where it does not fit this network."""
    steps = [step for block in model.blocks if loops_alone(block) for step in block]
    sizes = {f"a:{s.name}": s.population.size for s in steps}
    sizes |= {f"g:{s.name}": s.population.size for s in steps if s.gains}
    found: Values = {}
    for entry in (name for name in state if str(name).startswith(_ACTIVITY)):
        name, values = entry.removeprefix(_ACTIVITY), np.asarray(state[entry])
        if name not in sizes or values.ndim != 2 or values.shape[1] != sizes[name]:
            raise RunError(
                f"network {model.net.name}: the checkpoint holds {entry!r} of shape {values.shape}, which "
                "does not fit this network; give what checkpoint() of this network returned"
            )
        require_numbers(model.net.name, entry, values)
        found[name] = torch.from_numpy(np.array(values, np.float64))
    return found


def _tied(p: Projection) -> bool:
    return p.source.tied


def _check(net: Network, model: Model) -> None:
    check_closes(net)
    say_without_dropout(net)
    check_linear(net)
    if model.routes.by_targets:
        rule = next(p.plasticity for p in net.bottom_ups if p.rule.supervised)
        raise BuildError(
            f"network {net.name}: {rule!r} {not_in_protocols(rule)}; use GaitProp() in its limit form, or "
            "train with model.fit"
        )
    for p in net.projections.values():
        for regulariser in p.regularisers:
            if not isinstance(regulariser, (Decay, HardOrthogonality)):
                raise BuildError(
                    f"projection {p.name}: {type(regulariser).__name__} does not act in protocols; use "
                    "Decay(), HardOrthogonality(), or a lateral projection with Decorrelation()"
                )


def session(net: Network, seed: int, conditions: Conditions) -> QuasiStatic:
    """Quasi-static session of an experiment; see `cortex_sim.backends.registry`."""
    return QuasiStatic(net, seed, conditions.state)
