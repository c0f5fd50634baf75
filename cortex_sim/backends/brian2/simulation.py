"""A simulation: a declared network as rate dynamics, carrying out protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import groupby
from typing import Any

import brian2
import numpy as np
import xarray as xr

from cortex_sim.backends.brian2 import normalised, standalone
from cortex_sim.backends.brian2.built import (
    STANDALONE,
    BuiltCircuit,
    Setup,
    brian2_as_found,
    check_device,
    check_memory,
    check_patches,
    equations_of,
)
from cortex_sim.backends.brian2.carryover import Carryover
from cortex_sim.backends.brian2.circuit import circuit
from cortex_sim.backends.brian2.credit_equations import check_in_synapses
from cortex_sim.backends.brian2.operating_point import OperatingPoint, operating_points, report
from cortex_sim.backends.brian2.plan_checks import check_additions, check_steps
from cortex_sim.backends.brian2.reuse import most_recent
from cortex_sim.backends.brian2.runner import Runner
from cortex_sim.backends.brian2.sharing import check_no_sharing
from cortex_sim.backends.brian2.stability import check, warn_where_coarse
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.backends.restoring import require_own
from cortex_sim.calling import known_arguments
from cortex_sim.checks import positive_ms, require_known, require_nonnegative
from cortex_sim.errors import BuildError, RunError
from cortex_sim.network import Network
from cortex_sim.normaliser_checking import say_without_dropout
from cortex_sim.protocol.loop_running import Loops, Memory, memory_of
from cortex_sim.protocol.plan import Conditions, Plan, Sample, Shown
from cortex_sim.registry import registered_name
from cortex_sim.state import State, as_state, initial
from cortex_sim.wiring import require_network

ENGINES = {"batched": None, "synapses": None}
METHODS = {"euler": None, "exponential_euler": None}
TARGETS = {"numpy": None, "cython": None, STANDALONE: None}


class Simulation:
    """A declared network as rate dynamics; ``cs.brian2.build`` is this class.

    Parameters
    ----------
    net : Network
        The declaration; checked as a whole first.
    seed : int, default 0
        Seeds initial weights, feedback and noise.
    engine : {"batched", "synapses"}, default "batched"
        Matrix products over presentations side by side, or brian2 ``Synapses``, one presentation at
        a time. Both take the same steps.
    dt_ms : float, default 1.0
        Time step, in ms.
    apical_tau_ms : float or mapping, default 10.0
        Time constant τ_c of apical compartments, in ms; a mapping gives it by top-down projection.
    noise : float or mapping, default 0.0
        Standard deviation of a resting drive under noise; a mapping gives it by population.
    method : {"euler", "exponential_euler"}, default "euler"
        Method of integration.
    target : {"numpy", "cython", "cpp_standalone"}, default "numpy"
        brian2's code generation; numpy needs no compiler. With the synapses engine, cpp_standalone
        compiles each plan into one C++ program, see ``docs/standalone.md``.
    equations : mapping of str to str, optional
        Further equations of populations, in brian2's language; they may read ``r``, ``a``, and ``c`` and
        ``u`` if the network has credit.
    extra : callable, optional
        Function from the groups by population name to further brian2 objects, such as monitors.
    state : State, Model, Simulation or path, optional
        What to start from instead of drawn weights: an object with a state, or a path that `cs.load` reads.

    Attributes
    ----------
    net : Network
        The declaration, a copy.
    weights : Weights
        Weights, biases and rule state, kept from trial to trial; set them by `Weights.overwrite`, or in
        brian2's own objects.
    built : BuiltCircuit
        brian2's own objects for the last batch of presentations: ``built.groups["V1"]`` is
        a NeuronGroup, ``built.engine.synapses`` the Synapses (engine "synapses"), ``built.network``
        the brian2 Network, ``built.own`` what ``extra`` made.

    Raises
    ------
    DeclarationError
        If the declaration cannot run.
    BuildError
        If it has no rate dynamics, or the time step is too long; the message says which would work.
    """

    @known_arguments("cs.brian2.build")
    def __init__(
        self,
        net: Network,
        seed: int = 0,
        *,
        engine: str = "batched",
        dt_ms: float = 1.0,
        apical_tau_ms: float | Mapping[str, float] = 10.0,
        noise: float | Mapping[str, float] = 0.0,
        method: str = "euler",
        target: str = "numpy",
        equations: Mapping[str, str] | None = None,
        extra: Callable[[Mapping[str, Any]], list[Any]] | None = None,
        state: Any = None,
    ) -> None:
        check_device()
        require_network("cs.brian2.build", net)
        require_known("engine", engine, ENGINES, BuildError)
        require_known("method", method, METHODS, BuildError)
        require_known("target", target, TARGETS, BuildError)
        dt_ms = float(positive_ms("simulation", dt_ms=dt_ms))
        net = net.copy()  # later changes of the declaration do not apply
        self.circuit = circuit(net, apical_tau_ms)
        say_without_dropout(net)
        self.net, self.seed = net, seed
        start = initial(net, seed) if state is None else as_state(state).fitted_to(net, seed)
        self.preprocessing = start.preprocessing
        self._origin = {} if state is None else dict(start.origin)  # counts of torch's order and noise
        self.weights = Weights(self.circuit, start)
        check_additions(net, equations, extra)
        self.setup = Setup(engine, dt_ms, method, self._noise(noise), dict(equations or {}), target)
        check(self.circuit, self.weights, self.setup.dt_ms, method)
        warn_where_coarse(self.circuit, self.setup.dt_ms)
        if engine == "synapses":
            check_no_sharing(self.circuit)
            check_in_synapses(self.circuit)
            normalised.check_in_synapses(net)
        equations_of(self.circuit, self.setup, frozenset())
        if target == STANDALONE:
            standalone.check_standalone(self.circuit, self.setup)
        self._extra = extra
        self._restored: Carryover | None = None  # restored, and not yet used
        self._loops: Memory = {}  # state of closed loops
        self._made: BuiltCircuit | None = None  # built when needed: it may hold millions of neurons
        self._kept: list[BuiltCircuit] = []  # for batches of other sizes, the last one first

    def _noise(self, given: float | Mapping[str, float]) -> dict[str, float]:
        moving = [name for name in self.net.populations if name not in self.circuit.sources]
        if not isinstance(given, Mapping):
            require_nonnegative("simulation", noise=given)
            return dict.fromkeys(moving, float(given))
        for name, sd in given.items():
            require_known(
                f"population with a drive in noise of {self.net.name}",
                name,
                dict.fromkeys(moving),
                BuildError,
            )
            require_nonnegative(f"population {name}", noise=sd)
        return {name: float(sd) for name, sd in given.items()}

    @property
    def equations(self) -> str:
        """The equations that brian2 integrates, population by population."""
        features = frozenset() if self._made is None else self._made.features
        texts = equations_of(self.circuit, self.setup, features)
        return "\n\n".join(f"{name}:\n{_indented(text)}" for name, text in texts.items())

    @property
    def built(self) -> BuiltCircuit:
        """brian2's objects, for the last batch of presentations."""
        if self.setup.target == STANDALONE:
            raise RunError(
                f"network {self.net.name}: a C++ program's brian2 objects exist only while it is compiled; "
                'read simulation.weights, or use target="numpy"'
            )
        return self._made if self._made is not None else self._build(1, frozenset())

    @property
    def stage(self) -> BuiltCircuit:
        """The former name of `built`."""
        return self.built

    def _build(self, presentations: int, features: frozenset[str]) -> BuiltCircuit:
        made = self._made
        if made is None or (made.presentations, made.features) != (presentations, features):
            if made is not None:
                made.engine.take_edits()
            kept = next(
                (b for b in self._kept if (b.presentations, b.features) == (presentations, features)), None
            )
            self._made = made = kept or self._new(presentations, features)
            self._kept = most_recent(made, self._kept)
        return made

    def _new(self, presentations: int, features: frozenset[str]) -> BuiltCircuit:
        with brian2_as_found(self.setup.target):
            return BuiltCircuit(self.circuit, self.weights, self.setup, presentations, features, self._extra)

    def operating_points(self) -> list[OperatingPoint]:
        """Eigenvalues of every loop at the present state: whether it settles, and dt is short enough.

        One entry for each set of populations that drive one another, by projections of any kind.
        """
        return operating_points(self.built)

    @known_arguments("run")
    def run(self, protocol: Any, *, arm: str | None = None, progress: bool = True) -> xr.Dataset:
        """Carry out a protocol and return its recording.

        ``protocol`` is a `Protocol` or a `Sequence`. Weights continue from their present values, which are
        the first snapshot where weights are recorded. The recording has one arm, named ``arm`` or, by
        default, as the network; ``progress`` shows a bar if the run takes long.

        Raises
        ------
        DeclarationError
            If the protocol does not fit the network.
        RunError
            If a duration is not a multiple of the time step, or weights leave the stable range.

        Notes
        -----
        Noise is a function of the seed and of stage, block, trial and step within the protocol. A second run
        of the same protocol has the same noise; ``build(net, seed=1, state=simulation)`` continues with the
        same weights and other noise.
        """
        from cortex_sim.recording.session import record

        return record(self, protocol, arm=arm, progress=progress)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.simulation(self)

    # -- session interface (cortex_sim.protocol.plan.Session) -------------------------------------------

    closes_loops = True

    def carry_out(self, plan: Plan, first: int, keep: Callable[[Sample], None]) -> None:
        """Run ``plan.shown[first:]``; ``keep`` receives the sample of each when it is over."""
        self.check(plan)
        self.weights.accept(self.weights.allowed)
        if self.setup.target == STANDALONE:
            self._compile(plan, first, keep)
            return
        features, loops = _features(plan), Loops(plan, self._loops, first)
        for size, group in groupby(plan.shown[first:], key=lambda shown: len(shown.trials)):
            before = self._last()
            built = self._build(size, features)
            before.go_on(built)
            self._restored = None
            with brian2_as_found(self.setup.target):
                Runner(built, self.weights, self.seed, plan.wanted, keep, loops).run(list(group))
        if self._made is not None:
            report(self._made)

    def _compile(self, plan: Plan, first: int, keep: Callable[[Sample], None]) -> None:
        if first:
            raise RunError(
                f"network {self.net.name}: a C++ program runs as a whole and cannot be resumed; "
                'start from the beginning, or use target="numpy"'
            )
        standalone.carry_out(self.circuit, self.weights, self.setup, plan, keep, self._extra)

    def check(self, plan: Plan) -> None:
        """Raise if the plan cannot be carried out: durations off the time step, batches too large, …."""
        standalone.check_open(plan, self.setup)
        for size in {len(shown.trials) for shown in plan.shown}:
            check_patches(self.circuit, size)
            check_memory(self.circuit, size)
        check(self.circuit, self.weights, self.setup.dt_ms, self.setup.method)
        for shown in plan.shown:
            if self.setup.engine == "synapses":
                _one_by_one(shown, self.net.name)
        check_steps(self.circuit, plan, self.setup.dt_ms)

    def _last(self) -> Carryover:
        """State carried over from the last trial."""
        if self._restored is not None:
            return self._restored
        return Carryover() if self._made is None else Carryover.after(self._made)

    def weights_of(self, projection: str) -> np.ndarray:
        """A copy of a projection's weights as declared, or of its rule's state "pre->post:variable"."""
        if self._made is not None and self.setup.target != STANDALONE:
            self._made.engine.take_edits()
        return self.weights.kept(projection)

    def state(self) -> State:
        """What the network has learned so far, to save it or to start another simulation or model from it."""
        if self._made is not None and self.setup.target != STANDALONE:
            self._made.engine.take_edits()
        from cortex_sim import __version__

        own = {"backend": "brian2", "seed": self.seed, "cortex_sim_version": __version__}
        about: dict[str, Any] = {"preprocessing": self.preprocessing, "origin": self._origin | own}
        return State(self.net, **self.weights.as_learned(), **about)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that the next trial depends on, by name."""
        return self.weights.as_state() | self._last().as_arrays() | self._loops

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to a `checkpoint`.

        Raises
        ------
        RunError
            If it is damaged, or of another network; then nothing is changed.
        """
        require_own(self.net.name, self.weights.as_state(), state)
        restored = Carryover.from_arrays(state)
        restored.check(self.circuit)
        self.weights.load_state(state)
        self._restored, self._loops = restored, memory_of(state)
        if self._made is not None:
            self._made.engine.push()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: brian2's own objects are built again, and continue from the present state.

        Raises
        ------
        RunError
            If ``extra`` is a function that cannot be written to a file.
        """
        name = getattr(self._extra, "__qualname__", "")
        if "<" in name:
            raise RunError(
                f"network {self.net.name}: a simulation whose extra is {name} cannot be pickled; define that "
                "function at the top of a module, or keep simulation.checkpoint() and simulation.state()"
            )
        return self._parts()

    def __deepcopy__(self, known: dict[int, Any]) -> Simulation:
        """An independent simulation with the same weights and state."""
        made = Simulation.__new__(type(self))
        known[id(self)] = made
        parts = self._parts()
        extra = parts.pop("_extra")
        vars(made).update(deepcopy(parts, known), _extra=extra)
        return made

    def _parts(self) -> dict[str, Any]:
        if self._made is not None:
            self._made.engine.take_edits()
        return vars(self) | {"_restored": self._last(), "_made": None, "_kept": []}

    def attributes(self) -> dict[str, Any]:
        """Provenance of a recording: network, rule, seed, backend, versions, time constants."""
        from cortex_sim import __version__

        rules = {registered_name("rule", p.plasticity) for p in self.circuit.plastic()}
        return {
            "network": self.net.name,
            "rule": ", ".join(sorted(rules)) or "none",
            "seed": self.seed,
            "backend": "brian2",
            "engine": self.setup.engine,
            "dt_ms": self.setup.dt_ms,
            "method": self.setup.method,
            "brian2_version": brian2.__version__,
            "cortex_sim_version": __version__,
        }


def _features(plan: Plan) -> frozenset[str]:
    gates = (item for phase in plan.different_phases() for item in phase.gates.items())
    return frozenset(name for name, gate in gates if gate.delay_ms or gate.noise_sd)


def _one_by_one(shown: Shown, network: str) -> None:
    if len(shown.trials) > 1:
        raise BuildError(
            f"network {network}: the synapses engine shows one presentation at a time. Got batch="
            f'{len(shown.trials)}; use batch=1, or engine="batched"'
        )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def session(net: Network, seed: int, conditions: Conditions) -> Simulation:
    """Simulation under an experiment's conditions; see `cortex_sim.backends.registry`."""
    return Simulation(
        net,
        seed,
        engine=conditions.engine,
        dt_ms=conditions.dt_ms,
        apical_tau_ms=conditions.apical_tau_ms,
        noise=conditions.noise,
        state=conditions.state,
    )
