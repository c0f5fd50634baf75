"""Protocols and experiments as YAML and back, without loss; reading them runs no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim import declaration_yaml, library, yaml_text
from cortex_sim.arrays import array_from_data, array_to_data, is_array_data
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.protocol import yaml_settings
from cortex_sim.protocol.experiment import Arm, Experiment
from cortex_sim.protocol.inputs import Noise, Nudge, Stimuli, TimeSeries
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.values import same

#: An object of each class with all defaults: what equals them is left out of the text.
_PLAIN = {
    Phase: Phase("phase", 1.0),
    Protocol: Protocol(Phase("phase", 1.0)),
    Record: Record(),
    Noise: Noise(0.0),
    TimeSeries: TimeSeries([0.0], 1.0),
    Stimuli: Stimuli("digits"),
    Nudge: Nudge([0.0]),
}
_ALWAYS = ("name", "duration_ms", "phases", "sd", "values", "bin_ms", "data", "split", "seed", "goal")
_NETWORK = ("model", "settings", "rule", "feedback")
_INPUTS: dict[str, Any] = {"sd": Noise, "values": TimeSeries, "data": Stimuli, "goal": Nudge}
_EXPERIMENT = tuple(f.name for f in fields(Experiment))


def to_data(value: Any) -> Any:
    """A phase, protocol, experiment or a part of one as plain data."""
    if isinstance(value, Experiment):
        own = {name: getattr(value, name) for name in _EXPERIMENT if name not in ("network", "arms")}
        arms = {name: to_data(arm) for name, arm in value.arms.items()}
        return {"network": declaration_yaml.to_dict(value.network), **own, "arms": arms}
    if isinstance(value, Arm):
        if value.network is None:
            return to_data(value.protocol)
        return {"network": declaration_yaml.to_dict(value.network), "protocol": to_data(value.protocol)}
    if type(value) in _PLAIN:
        plain = _PLAIN[type(value)]
        settings = {f.name: getattr(value, f.name) for f in fields(value)}
        return {
            name: to_data(item)
            for name, item in settings.items()
            if name in _ALWAYS or not same(item, getattr(plain, name))
        }
    if isinstance(value, np.ndarray):
        return array_to_data(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_data(item) for key, item in value.items()}
    return value


def write(value: Protocol | Experiment, path: str | Path | None = None) -> str:
    """YAML text of a protocol or an experiment; also written to ``path``, whole or not at all."""
    return yaml_text.write(to_data(value), path)


def protocol_from_yaml(source: str | Path, seed: int = 0) -> Protocol:
    """Protocol from YAML text, or from a file where ``source`` is a path.

    ``seed`` draws from data sets whose entry gives none.
    """
    return protocol_from_data(yaml_text.read("protocol", source), seed)


def experiment_from_yaml(source: str | Path, seed: int = 0) -> Experiment:
    """Experiment from YAML text, or from a file where ``source`` is a path.

    ``seed`` draws from data sets whose entry gives none.
    """
    return experiment_from_data(yaml_text.read("protocol", source), seed)


def phase_from_data(data: Any, seed: int = 0) -> Phase:
    """Phase from plain data."""
    owner = f"phase {data.get('name', '')}".strip() if isinstance(data, dict) else "phase"
    given = _settings(owner, data, Phase)
    for key in ("drive", "nudge"):
        if isinstance(given.get(key), dict):
            given[key] = {name: _input(f"{owner}: {key}", v, seed) for name, v in given[key].items()}
    return Phase(**given)


def protocol_from_data(data: Any, seed: int = 0) -> Protocol:
    """Protocol from plain data."""
    given = _settings("protocol", data, Protocol)
    phases = given.pop("phases")
    if not isinstance(phases, list):
        raise DeclarationError(f"protocol: phases must be a list of phases. Got {phases!r}")
    if given.get("record") is not None:
        given["record"] = Record(**_settings("record", given["record"], Record))
    if given.get("probe") is not None:
        given["probe"] = protocol_from_data(given["probe"], seed)
    return Protocol(*(phase_from_data(phase, seed) for phase in phases), **given)


def experiment_from_data(data: Any, seed: int = 0) -> Experiment:
    """Experiment from plain data."""
    given = _settings("experiment", data, Experiment)
    network, arms = _network("experiment", given.pop("network"), None), given.pop("arms")
    if not isinstance(arms, dict):
        raise DeclarationError(f"experiment: arms must be name: protocol. Got {arms!r}")
    return Experiment(network, {n: _arm(n, arm, network, seed) for n, arm in arms.items()}, **given)


def _arm(name: str, data: Any, network: Network, seed: int) -> Arm:
    if not isinstance(data, dict) or "protocol" not in data:
        return Arm(protocol_from_data(data, seed))
    given = _settings(f"arm {name}", data, Arm)
    own = given.get("network")
    protocol = protocol_from_data(given["protocol"], seed)
    return Arm(protocol, None if own is None else _network(f"arm {name}", own, network))


def _network(owner: str, data: Any, base: Network | None) -> Network:
    """A network declared in full, or a shipped model, and a rule in place of its own."""
    if isinstance(data, dict) and "network" in data:
        return declaration_yaml.from_dict(data)
    given = {"model": data} if isinstance(data, str) else data
    given = yaml_settings.settings(f"network of {owner}", given, _NETWORK)
    name = given.get("model")
    if name is None and base is None:
        raise DeclarationError(f"network of {owner}: needs a model, or a network declared in full")
    if isinstance(name, str) and ".py" in name:
        raise DeclarationError(
            f"network of {owner}: {name} is code, which a YAML file does not run; name a shipped model, "
            "declare the network in full (net.to_yaml()), or write the experiment in Python"
        )
    net = base if name is None else library.model(name, **(given.get("settings") or {}))
    assert net is not None
    feedback = given.get("feedback") or {}
    if given.get("rule") is None:
        if feedback:
            raise DeclarationError(f"network of {owner}: feedback settings need a rule; add rule: gait_prop")
        return net
    return net.with_rule(given["rule"], **feedback)


def _input(owner: str, data: Any, seed: int) -> Any:
    """A drive or nudge: a number, a list, an array's data, or one of the classes by its main key."""
    if is_array_data(data):
        return array_from_data(data)
    if not isinstance(data, dict):
        return data
    for key, cls in _INPUTS.items():
        if key in data:
            given = _settings(owner, data, cls)
            if cls is Stimuli:
                return Stimuli(**{"seed": seed, **given})
            given[key] = _input(owner, given[key], seed)
            return cls(**given)
    raise DeclarationError(
        f"{owner}: a mapping needs one of the keys {', '.join(_INPUTS)} (noise, a time series, a data set, "
        f"a nudge). Got {data!r}"
    )


def _settings(owner: str, data: Any, cls: Any) -> dict[str, Any]:
    """Settings of a class by name; what has no default must be there."""
    given = yaml_settings.settings(owner, data, tuple(f.name for f in fields(cls)))
    for f in fields(cls):
        if f.name not in given and f.default is MISSING and f.default_factory is MISSING:
            raise DeclarationError(f"{owner}: needs {f.name}")
    return given
