"""State: everything that a network has learned, as one object that every backend can give and take.

It contains weights, biases, free feedback weights, auxiliary units, the state of rules, the parameters of
activations, and the preprocessing with which stimuli were shown. Its file (safetensors and JSON, with a
checksum) contains no code.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim import preprocessing as shown_through
from cortex_sim.calling import known_arguments
from cortex_sim.checks import require_path
from cortex_sim.declaration_yaml import from_dict, to_dict
from cortex_sim.errors import BuildError, DeclarationError, RunError
from cortex_sim.network import Network
from cortex_sim.normalisers.base import first_values, same_map
from cortex_sim.preprocessing import Held
from cortex_sim.presynaptic.held import first_readings
from cortex_sim.projection import Projection
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse
from cortex_sim.runs.files import read_tensors, write_tensors
from cortex_sim.transfers import initial_values, parameters_of
from cortex_sim.wiring import in_one_only, require_same_connections

_log = logging.getLogger(__name__)

FORMAT = 1
CHECKPOINT = "checkpoint.safetensors"  # of a run directory
Arrays = Mapping[str, np.ndarray]
Variables = Mapping[str, Arrays]  # by projection or population, then by name


@dataclass(frozen=True, eq=False)
class State:
    """What a network has learned, whichever backend it learned on.

    Attributes
    ----------
    network : Network
        The declaration.
    weights : mapping of str to array
        Bottom-up and lateral weights by projection, in the declaration's shape: (post, pre), or for a
        convolution (C_out, C_in, k, k).
    biases : mapping of str to array
        By population, one per unit or, if the shape has channels, one per channel.
    feedback : mapping of str to array
        Free top-down weights by projection; tied weights follow from ``weights``.
    rule_state : mapping of str to mapping
        State of rules by projection and variable.
    auxiliary : mapping of str to array
        Rows of auxiliary units by bottom-up projection (GAIT-prop's square form).
    transfers : mapping of str to mapping
        Parameters of activations by population and name, one per unit or per channel.
    normalisers : mapping of str to mapping
        Gain, and running mean and variance, of normalisers by population, one per unit or per channel.
    readings : mapping of str to mapping
        Slow state of the transforms that plastic synapses read through (``reads=...``), by projection and
        variable.
    preprocessing : Preprocessing, mapping of source to Preprocessing, or None
        How stimuli were shown; None if unknown.
    origin : mapping
        Plain data on where the state comes from: backend, seed, updates, precision, version.
    """

    network: Network
    weights: Arrays
    biases: Arrays = field(default_factory=dict)
    feedback: Arrays = field(default_factory=dict)
    rule_state: Variables = field(default_factory=dict)
    auxiliary: Arrays = field(default_factory=dict)
    transfers: Variables = field(default_factory=dict)
    normalisers: Variables = field(default_factory=dict)
    readings: Variables = field(default_factory=dict)
    preprocessing: Held | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """A one-line summary, without the weights themselves."""
        count = sum(np.size(w) for w in self.all_weights().values())
        origin = ", ".join(f"{name} {value}" for name, value in self.origin.items())
        return f"State({self.network.name!r}: {count} weights{'; ' + origin if origin else ''})"

    def all_weights(self) -> dict[str, np.ndarray]:
        """Weights of every projection that has independent weights, by name."""
        return {**self.weights, **self.feedback}

    def save(self, path: str | Path) -> None:
        """Write the state to a file, completely or not at all; see `save`."""
        write_tensors(Path(path), tensors_of(self), {"kind": "state", **metadata_of(self)})

    def fitted_to(self, net: Network, seed: int = 0) -> State:
        """The same weights and biases for a network that may learn by another rule.

        Bottom-up and lateral weights and all biases must fit. Free feedback weights, auxiliary units and
        rule state are kept where ``net`` has the same feedback and rule; elsewhere they take the initial
        values of a new network (drawn from ``seed``), which is logged.

        Raises
        ------
        BuildError
            If a population or projection differs in kind or shape, or is missing on either side.
        """
        _require_same_populations(self.network, net)
        new = initial(net, seed)
        _require_same_shapes("projection", "weights", self.weights, new.weights, net)
        _require_same_shapes("population", "biases", self.biases, new.biases, net)
        require_same_connections(self.network, net)
        for name, values in new.transfers.items():
            kept = self.transfers.get(name, {})
            _require_same_shapes(f"population {name}: parameter", "values", kept, values, net)
        for name, values in new.normalisers.items():
            kept = self.normalisers.get(name, {})
            _require_same_shapes(f"population {name}: normaliser's", "values", kept, values, net)
        feedback = {n: self._feedback(n, net, drawn) for n, drawn in new.feedback.items()}
        rules = {n: self._rule_state(n, net, fresh) for n, fresh in new.rule_state.items()}
        return replace(
            self,
            network=net,
            feedback=feedback,
            rule_state=rules,
            readings={n: self._reading(n, net, fresh) for n, fresh in new.readings.items()},
            auxiliary={n: rows for n, rows in self.auxiliary.items() if n in net.projections},
        )

    def _feedback(self, name: str, net: Network, drawn: np.ndarray) -> np.ndarray:
        theirs, kept = net.projection(name), self.feedback.get(name)
        if kept is not None and kept.shape == drawn.shape:
            ours = self.network.projection(name)
            if (ours.feedback, ours.plasticity) == (theirs.feedback, theirs.plasticity):
                return kept
        _log.info("projection %s: its feedback weights are drawn again, since the state has none", name)
        return drawn

    def _rule_state(self, name: str, net: Network, fresh: Arrays) -> Arrays:
        ours, theirs = self.network.projections.get(name), net.projections[name]
        kept = self.rule_state.get(name)
        same = ours is not None and ours.plasticity == theirs.plasticity
        if kept is not None and same and _shapes(kept) == _shapes(fresh):
            return kept
        if fresh:
            _log.info("projection %s: its rule starts from its initial state, since none is stored", name)
        return fresh

    def _reading(self, name: str, net: Network, fresh: Arrays) -> Arrays:
        ours, kept = self.network.projections.get(name), self.readings.get(name)
        same = ours is not None and ours.reads == net.projections[name].reads
        if kept is not None and same and _shapes(kept) == _shapes(fresh):
            return kept
        _log.info("projection %s: its reads=... starts from its initial state, since none is stored", name)
        return fresh


def initial(net: Network, seed: int = 0) -> State:
    """Initial state of a network: weights drawn from ``seed``, biases 0, rules in their initial state."""
    drawn = net.initial_weights(seed)
    top_down = {name for name in drawn if net.projection(name).is_top_down}
    return State(
        network=net,
        weights={name: w for name, w in drawn.items() if name not in top_down},
        biases={
            name: np.zeros(population.bias_shape)
            for name, population in net.populations.items()
            if population.bias and net.inputs(name)
        },
        feedback={name: drawn[name] for name in drawn if name in top_down},
        rule_state={p.name: _first(net, p, drawn[p.name]) for p in _with_state(net)},
        transfers=_first_transfers(net),
        normalisers={n: first_values(p) for n, p in net.populations.items() if p.normaliser is not None},
        readings=first_readings(net),
        origin={"seed": seed, "updates": 0},
    )


def first_snapshot(state: State) -> dict[str, np.ndarray]:
    """Contents of a recording's first snapshot: weights, and rule states as "pre->post:variable"."""
    kept = {
        f"{n}:{v}": np.asarray(x) for n, variables in state.rule_state.items() for v, x in variables.items()
    }
    return {**state.all_weights(), **kept}


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in arrays.items()}


def _with_state(net: Network) -> list[Projection]:
    return [p for p in net.projections.values() if p.rule.state]


def _first(net: Network, p: Projection, w: np.ndarray) -> Arrays:
    """A rule's initial state; rules see a convolution's weights as (C_out, C_in·k·k)."""
    op = net.operator(p)
    post, pre = (op.feedback_matrix(w) if p.is_top_down else op.matrix(w)).shape
    shapes = {PerPost: (post,), PerPre: (pre,), PerSynapse: (post, pre), Global: ()}
    variables = p.rule.state
    return {v: np.full(shapes[type(kind)], float(kind.initial)) for v, kind in variables.items()}


def _first_transfers(net: Network) -> Variables:
    """Initial parameters of activations; sources have none."""
    driven = {n: p for n, p in net.populations.items() if net.inputs(n)}
    return {n: initial_values(p) for n, p in driven.items() if parameters_of(p)}


def _require_same_populations(kept: Network, net: Network) -> None:
    for name in {**kept.populations, **net.populations}:
        ours, theirs = kept.populations.get(name), net.populations.get(name)
        if ours is None or theirs is None:
            raise in_one_only(f"population {name}", ours is None, kept, net)
        if not same_map(ours.normaliser, theirs.normaliser):
            raise BuildError(
                f"population {name}: has normaliser {theirs.normaliser!r} in network {net.name}, but "
                f"{ours.normaliser!r} in the state; give the state of the same network"
            )
        if (ours.shape, ours.activation) != (theirs.shape, theirs.activation):
            raise BuildError(
                f"population {name}: has shape {theirs.shape} and activation {theirs.activation!r} in "
                f"network {net.name}, but {ours.shape} and {ours.activation!r} in the state; give the state "
                "of the same network"
            )


def _require_same_shapes(kind: str, what: str, kept: Arrays, new: Arrays, net: Network) -> None:
    for name in {**kept, **new}:
        ours, theirs = kept.get(name), new.get(name)
        if ours is None or theirs is None:
            parts = f"network {net.name}", "the state"
            one, other = parts if ours is None else parts[::-1]
            raise BuildError(
                f"{kind} {name}: {one} has {what}, but {other} does not; give the state of the same network"
            )
        if np.shape(ours) != np.shape(theirs):
            raise BuildError(
                f"{kind} {name}: {what} have shape {np.shape(theirs)} in network {net.name}, but "
                f"{np.shape(ours)} in the state; give the state of the same network"
            )


# -- as a file ------------------------------------------------------------------------------------


def tensors_of(state: State) -> dict[str, np.ndarray]:
    """Arrays of a state by their names in a file."""
    found = {f"weight:{n}": w for n, w in state.weights.items()}
    found |= {f"bias:{n}": b for n, b in state.biases.items()}
    found |= {f"feedback:{n}": b for n, b in state.feedback.items()}
    found |= {f"auxiliary:{n}": a for n, a in state.auxiliary.items()}
    for name, variables in state.rule_state.items():
        found |= {f"rule:{name}:{v}": x for v, x in variables.items()}
    for name, variables in state.readings.items():
        found |= {f"reading:{name}:{v}": x for v, x in variables.items()}
    for name, variables in state.transfers.items():
        found |= {f"transfer:{name}:{v}": x for v, x in variables.items()}
    for name, variables in state.normalisers.items():
        found |= {f"normaliser:{name}:{v}": x for v, x in variables.items()}
    return {name: np.asarray(array) for name, array in found.items()}


def metadata_of(state: State) -> dict[str, Any]:
    """The rest of a state as plain data."""
    return {
        "state_format": FORMAT,
        "network": to_dict(state.network),
        "preprocessing": shown_through.as_data(state.network, state.preprocessing),
        "origin": dict(state.origin),
    }


def from_parts(metadata: Mapping[str, Any], tensors: Arrays, where: object) -> State:
    """State from the content of a file; other tensors of the file are ignored.

    Raises
    ------
    RunError
        If it contains no state that this version can read.
    """
    if metadata.get("state_format") != FORMAT:
        raise RunError(f"{where}: contains no network state that this version of cortex-sim can read")
    try:
        net = from_dict(metadata["network"])
        net.check()
    except DeclarationError as exception:
        raise RunError(f"{where}: {exception}") from None
    parts: dict[str, dict[str, np.ndarray]] = {}
    kinds = ("rule", "reading", "transfer", "normaliser")
    nested: dict[str, dict[str, dict[str, np.ndarray]]] = {kind: {} for kind in kinds}
    elsewhere = metadata.get("shared", {})  # a checkpoint keeps them under its model's names
    named = {ours: tensors[theirs] for ours, theirs in elsewhere.items()} if elsewhere else tensors
    for label, array in named.items():
        kind, _, name = label.partition(":")
        if kind in nested:
            name, _, variable = name.rpartition(":")
            nested[kind].setdefault(name, {})[variable] = array
        else:
            parts.setdefault(kind, {})[name] = array
    return State(
        network=net,
        weights=parts.get("weight", {}),
        biases=parts.get("bias", {}),
        feedback=parts.get("feedback", {}),
        rule_state=nested["rule"],
        auxiliary=parts.get("auxiliary", {}),
        transfers=nested["transfer"],
        normalisers=nested["normaliser"],
        readings=nested["reading"],
        preprocessing=shown_through.from_data(metadata.get("preprocessing")),
        origin=dict(metadata.get("origin") or {}),
    )


@known_arguments("cs.load")
def load(source: str | Path) -> State:
    """State from a file that `save` wrote, from a checkpoint, or from a run directory.

    The network is read from the file as data: no code is run.

    Parameters
    ----------
    source : str or Path
        A state file, a checkpoint, or a run directory.

    Raises
    ------
    RunError
        If there is no such file, or it is damaged.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> model = cs.torch.build(cs.model("digits_mlp"))
    >>> cs.save(model, "digits.safetensors")  # doctest: +SKIP
    >>> cs.brian2.build(model.net, state=cs.load("digits.safetensors"))  # doctest: +SKIP
    """
    path = require_path("cs.load", source, RunError)
    if path.is_dir():
        if not (path / CHECKPOINT).is_file():
            raise RunError(f"{path}: is no run directory (no {CHECKPOINT}); give one, or a state file")
        path = path / CHECKPOINT
    what = "checkpoint" if path.name == CHECKPOINT else "state"
    return from_parts(*read_tensors(path, what), where=f"{what} {path}")


@known_arguments("cs.save")
def save(thing: Any, path: str | Path) -> None:
    """Write the state of a model or simulation, or a state itself, completely or not at all.

    Parameters
    ----------
    thing : Model, Simulation or State
        What to save.
    path : path
        Usually ``NAME.safetensors``.

    Raises
    ------
    RunError
        If ``thing`` has no state, or it cannot be written.
    """
    as_state(thing).save(require_path("cs.save", path, RunError))


def as_state(thing: Any) -> State:
    """State of anything that has one: a state, a path, a run directory, a built model or simulation.

    Raises
    ------
    RunError
        If ``thing`` has no state.
    """
    if isinstance(thing, State):
        return thing
    if isinstance(thing, (str, Path)):
        return load(thing)
    found = thing.state() if callable(getattr(thing, "state", None)) else None
    if not isinstance(found, State):
        raise RunError(
            f"state: give a model, a simulation, a state (cs.load), a state file or a run directory. "
            f"Got {_short(thing)}"
        )
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 and "\n" not in text else f"a {type(value).__name__}"
