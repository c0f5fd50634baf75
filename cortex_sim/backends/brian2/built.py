"""brian2's own objects of one simulation, for a batch of presentations: groups, engine, clock."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import brian2
import numpy as np
from brian2.devices.device import RuntimeDevice
from brian2.equations.equations import EquationError

from cortex_sim.backends.brian2.batched import Batched
from cortex_sim.backends.brian2.circuit import Apical, Circuit
from cortex_sim.backends.brian2.credit_equations import credit_equations
from cortex_sim.backends.brian2.credit_units import CreditUnit, credit_units
from cortex_sim.backends.brian2.equations import (
    ARRIVING,
    MOVING,
    constants,
    patch_equations,
    population_equations,
    sending,
    unit_state_equations,
)
from cortex_sim.backends.brian2.reuse import prepare_once
from cortex_sim.backends.brian2.sharing import supervised_inputs
from cortex_sim.backends.brian2.synaptic import Synaptic
from cortex_sim.backends.brian2.tabulated import Tabulated
from cortex_sim.backends.brian2.teaching import Teaching
from cortex_sim.backends.brian2.views import Unit, View
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.credit.in_parts import InParts
from cortex_sim.errors import BuildError
from cortex_sim.loops import loops_of
from cortex_sim.runs.room import require_memory

STANDALONE = "cpp_standalone"

#: Apical states of patches that one simulation may hold; with more, one step takes seconds.
PATCH_LIMIT = 20_000_000
STATES_OF_A_UNIT = 6  # at least: drive, rate, inputs and what is sent


@dataclass(frozen=True)
class Setup:
    """How a circuit is simulated: everything but its input."""

    engine: str
    dt_ms: float
    method: str
    noise: Mapping[str, float]
    equations: Mapping[str, str]
    target: str = "numpy"


def check_device() -> None:
    """Raise `BuildError` if the calling script chose another device, which would capture brian2's objects."""
    device = brian2.get_device()
    if not isinstance(device, RuntimeDevice):
        raise BuildError(
            f"brian2: the script has set the device {type(device).__name__}, which cannot run step by step; "
            'call brian2.set_device("runtime") first (for a C++ program give cs.brian2.build '
            'engine="synapses", target="cpp_standalone": it sets the device for as long as it needs it)'
        )


@contextmanager
def brian2_as_found(target: str) -> Iterator[None]:
    """Use a code generation target, in float64, and leave brian2's preferences and random state as found."""
    check_device()
    device = brian2.get_device()
    before, random = brian2.prefs["codegen.target"], device.get_random_state()
    brian2.prefs["codegen.target"] = target
    try:
        with (
            float64(),
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),  # reported when the window closes
        ):
            yield
    finally:
        brian2.prefs["codegen.target"] = before
        device.set_random_state(random)


@contextmanager
def float64() -> Iterator[None]:
    """Make brian2's variables float64, whatever precision the calling script prefers for its own objects."""
    before = brian2.prefs["core.default_float_dtype"]
    brian2.prefs["core.default_float_dtype"] = np.float64
    try:
        yield
    finally:
        brian2.prefs["core.default_float_dtype"] = before


def equations_of(circuit: Circuit, setup: Setup, features: frozenset[str]) -> dict[str, str]:
    """Text of every group's equations, by population (for patches, by projection)."""
    found = {}
    for name in circuit.net.populations:
        extra = setup.equations.get(name, "")
        text = population_equations(
            circuit, name, features=features, noisy=bool(setup.noise.get(name)), extra=extra
        )
        if setup.engine == "synapses":
            state, _ = unit_state_equations(circuit, name)
            sent = [] if name in circuit.sources else ["sent_r", *sending(circuit, name)]
            text = "\n".join([text, *(f"{variable} : 1" for variable in sent), state]).strip()
            if "bias : 1" in text and supervised_inputs(circuit, name):
                u = "u" if circuit.population(name).normaliser is None else "u_behind"
                moved = f"dbias/dt = eta_bias * {u} : 1\neta_bias : Hz (shared)"
                text = re.sub(r"^bias : 1$", moved, text, flags=re.MULTILINE)
        found[name] = text
    for name in circuit.net.credit_populations:
        also = "\nsent_r : 1" if setup.engine == "synapses" else ""
        found[name] = credit_equations(circuit, name) + also
    for p in circuit.apicals:
        if p.patchwise:
            found[p.name] = patch_equations(circuit, p) + "\nlistening : 1 (shared)"
    return found


def patch_states(circuit: Circuit, p: Apical) -> int:
    """Apical states per presentation of a convolution's inverse: places · C_in·k·k, C_in of all groups."""
    assert p.up is not None
    return p.operator.groups * p.operator.places * int(np.prod(circuit.net.weight_shape(p.up)[1:]))


def check_patches(circuit: Circuit, presentations: int) -> None:
    """Raise `BuildError` where a convolution's inverse has more apical states than can be simulated."""
    for p in circuit.apicals:
        count = patch_states(circuit, p) * presentations if p.patchwise else 0
        if count > PATCH_LIMIT:
            raise BuildError(
                f"projection {p.name}: {count} apical states of patches are too many for rate dynamics (at "
                f'most {PATCH_LIMIT}); use a smaller batch, or backend "torch"'
            )


def check_memory(circuit: Circuit, presentations: int) -> None:
    """Raise `BuildError` where the state of a batch of presentations does not fit in memory."""
    populations = circuit.net.populations.values()
    compartments = sum(circuit.net.populations[p.projection.post].size for p in circuit.apicals)
    states = (STATES_OF_A_UNIT * sum(p.size for p in populations) + compartments) * presentations
    require_memory(
        f"network {circuit.net.name}",
        f"a batch of {presentations:,} presentation{'s' * (presentations != 1)}, "
        f"with {states:,} state variables,",
        8 * states,
        "use a smaller batch",
        BuildError,
    )


class Steps(Protocol):
    """Runner of a circuit, called at every step."""

    def start_step(self) -> None:
        """Begin a step."""

    def drive_arrives(self) -> None:
        """Deliver delayed and noisy drives."""

    def end_step(self) -> None:
        """End a step."""


class BuiltCircuit:
    """Neurons and engine for a batch of ``presentations``, with their own brian2 network and clock."""

    def __init__(
        self,
        circuit: Circuit,
        weights: Weights,
        setup: Setup,
        presentations: int,
        features: frozenset[str],
        extra: Callable[[Mapping[str, Any]], list[Any]] | None = None,
    ) -> None:
        if setup.engine == "synapses" and presentations > 1:
            raise BuildError(
                f"network {circuit.net.name}: the synapses engine shows one presentation at a time. Got "
                f'batch={presentations}; use batch=1, or engine="batched"'
            )
        self.circuit, self.setup, self.presentations = circuit, setup, presentations
        self.weights = weights
        self.features = features
        self.delayed: dict[str, deque[np.ndarray]] = {}  # signals in transit, oldest first
        self.clock = brian2.Clock(setup.dt_ms * brian2.ms)
        self.texts = equations_of(circuit, setup, features)
        self.groups = {name: self._group(name) for name in circuit.net.populations}
        credit = {name: self._credit_group(name) for name in circuit.net.credit_populations}
        self.patches = {p.name: self._patches(p.name) for p in circuit.apicals if p.patchwise}
        views = {name: self._see(group) for name, group in self.groups.items()}
        self.units = {
            name: Unit(circuit, name, view, features, weights, setup.engine == "synapses")
            for name, view in views.items()
        }
        parts = (
            None
            if circuit.teacher is None
            else InParts(circuit.teacher, circuit.teacher.placed(weights.matrix))
        )
        self.credit_units = credit_units(parts, {name: self._see(group) for name, group in credit.items()})
        self.every_unit: dict[str, Unit | CreditUnit] = {**self.units, **self.credit_units}
        self.groups |= credit
        self.patch_views = {name: View(group, presentations) for name, group in self.patches.items()}
        shared = (circuit, weights, self.units, self.patch_views, self.clock)
        self.engine: Batched | Synaptic
        if setup.engine == "synapses":
            self.engine = Synaptic(*shared, self.groups, self._see)
        else:
            teaching = None if parts is None else Teaching(parts, weights, self.units, self.credit_units)
            self.engine = Batched(*shared, teaching)
        self.own = extra(self.groups) if extra is not None else []
        self.network = brian2.Network(*self.groups.values(), *self.patches.values(), *self.engine.objects)
        self.runner: Steps | None = None  # while it runs
        self.looping = [n for loop in loops_of(circuit.net, gains=True) for n in loop.populations]
        if setup.target != STANDALONE:
            self.network.add(*self._steps())
            prepare_once(self.network.sorted_objects)
        self.network.add(*self.own)

    def _steps(self) -> list[Any]:
        """Operations that call the present runner in every step."""

        def start() -> None:
            if self.runner is not None:
                self.runner.start_step()

        def arrive() -> None:
            if self.runner is not None:
                self.runner.drive_arrives()

        def end() -> None:
            if self.runner is not None:
                self.runner.end_step()

        made = [brian2.NetworkOperation(start, clock=self.clock, when="start")]
        if self.features:
            arriving = brian2.NetworkOperation(arrive, clock=self.clock, when="groups", order=ARRIVING)
            made.append(arriving)
        return [*made, brian2.NetworkOperation(end, clock=self.clock, when="end")]

    def _see(self, group: Any) -> View | Tabulated:
        compiled = self.setup.target == STANDALONE
        return Tabulated(group) if compiled else View(group, self.presentations)

    def _group(self, name: str) -> Any:
        population = self.circuit.population(name)
        namespace = constants(self.circuit, name, brian2.ms)
        if self.setup.engine == "synapses":
            namespace |= unit_state_equations(self.circuit, name)[1]
        try:
            return brian2.NeuronGroup(
                population.size * self.presentations,
                self.texts[name],
                method=self.setup.method,
                namespace=namespace,
                clock=self.clock,
                order=MOVING,
                name=self.circuit.identifier[name],
            )
        except (EquationError, SyntaxError, ValueError, KeyError, TypeError) as exception:
            why = " ".join(str(exception).split())
            raise BuildError(
                f"population {name}: its equations are refused by brian2 ({why}); write each as in "
                '"dx/dt = -x / (10*ms) : 1"'
            ) from exception

    def _credit_group(self, name: str) -> Any:
        population = self.circuit.net.credit_populations[name]
        group = brian2.NeuronGroup(
            population.size * self.presentations,
            self.texts[name],
            method=self.setup.method,
            namespace={"tau": population.tau_ms * brian2.ms},
            clock=self.clock,
            order=MOVING,
            name=self.circuit.identifier[name],
        )
        if population.biases is not None:
            group.bias = np.tile(population.biases, self.presentations)
        return group

    def _patches(self, name: str) -> Any:
        p = next(p for p in self.circuit.apicals if p.name == name)
        assert p.up is not None
        return brian2.NeuronGroup(
            patch_states(self.circuit, p) * self.presentations,
            self.texts[name],
            method=self.setup.method,
            namespace=constants(self.circuit, p.projection.post, brian2.ms),
            clock=self.clock,
            order=MOVING,
            name=f"patches_{self.circuit.identifier[name]}",
        )

    @property
    def neurons(self) -> int:
        """Number of neurons in all groups."""
        return sum(len(group) for group in (*self.groups.values(), *self.patches.values()))

    def views(self) -> dict[str, View | Tabulated]:
        """Views of all groups by name."""
        found: dict[str, View | Tabulated] = {name: unit.view for name, unit in self.units.items()}
        found |= {name: unit.view for name, unit in self.credit_units.items()}
        return found | {f"patches of {n}": v for n, v in self.patch_views.items()}

    def lasting(self) -> set[str]:
        """Variables that persist from trial to trial: biases, activations' parameters, rule state."""
        var = self.circuit.var
        plastic = self.circuit.plastic()
        kept = {var(v, p.name) for p in plastic for v in p.rule.state}
        return kept | {variable for _, variable, _, _ in self.weights.of_units()} | {"bias"}

    def passing(self) -> dict[str, np.ndarray]:
        """All other variables of every group, which a trial carries over to the next.

        Drives, compartments, sent and received signals, inputs, noise: every variable of a group is included,
        so that a reset, a checkpoint or a resume cannot miss one.
        """
        lasting = self.lasting()
        found: dict[str, np.ndarray] = {}
        for name, view in self.views().items():
            assert isinstance(view, View)
            found |= {f"{name}:{v}": view[v] for v in view.own_variables() if v not in lasting}
        return found

    def parameters_of_users(self) -> set[str]:
        """Parameters within the user's own equations, named as in `passing`: only the user sets them."""
        return {
            f"{name}:{variable}"
            for name, text in self.setup.equations.items()
            for variable in brian2.Equations(text).parameter_names
        }

    def moving_variables(self) -> dict[str, tuple[View | Tabulated, str]]:
        """Drives and compartments, which equations integrate: view and variable by name."""
        found: dict[str, tuple[View | Tabulated, str]] = {}
        for name, unit in self.units.items():
            if not unit.is_source:
                found[f"{name}:a"] = unit.view, "a"
                if "g" in unit.view:
                    found[f"{name}:g"] = unit.view, "g"
                for p in self.circuit.apical_inputs(name):
                    found[f"{name}:{p.name}"] = unit.view, self.circuit.var("c", p.name)
        for name, credit_unit in self.credit_units.items():
            found |= {
                f"{name}:{v}": (credit_unit.view, v) for v in ("a", "injected") if v in credit_unit.view
            }
        for name, view in self.patch_views.items():
            found[f"{name}:x"] = view, "x"
        for name, text in self.setup.equations.items():
            for variable in brian2.Equations(text).diff_eq_names:
                found[f"{name}:{variable}"] = self.units[name].view, variable
        return found
