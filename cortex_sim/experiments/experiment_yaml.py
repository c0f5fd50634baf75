"""Experiments as YAML and back, without loss; reading them runs no code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from cortex_sim import declaration_yaml, library, yaml_text
from cortex_sim.errors import DeclarationError
from cortex_sim.experiments.experiment import Arm, Experiment
from cortex_sim.network import Network
from cortex_sim.protocol import protocol_yaml, yaml_settings
from cortex_sim.protocol.protocol_yaml import class_settings, course_from_data

_NETWORK = ("model", "settings", "rule", "feedback")
_EXPERIMENT = tuple(f.name for f in fields(Experiment) if f.name not in ("network", "arms", "start"))


def to_data(experiment: Experiment) -> dict[str, Any]:
    """An experiment as plain data.

    Raises
    ------
    DeclarationError
        If it starts from a state in memory, which YAML cannot hold.
    """
    own = {name: getattr(experiment, name) for name in _EXPERIMENT}
    if experiment.start is not None:
        if not isinstance(experiment.start, str):
            raise DeclarationError(
                "Experiment: starts from a state in memory, which YAML cannot hold; write it with "
                "cs.save(state, PATH) and give start=PATH"
            )
        own["start"] = experiment.start
    arms = {name: _arm_to_data(arm) for name, arm in experiment.arms.items()}
    return {"network": declaration_yaml.to_dict(experiment.network), **own, "arms": arms}


def _arm_to_data(arm: Arm) -> Any:
    protocol = protocol_yaml.to_data(arm.protocol)
    if arm.network is None:
        return protocol
    return {"network": declaration_yaml.to_dict(arm.network), "protocol": protocol}


def write(experiment: Experiment, path: str | Path | None = None) -> str:
    """YAML text of an experiment; also written to ``path``, whole or not at all."""
    return yaml_text.write(to_data(experiment), path)


def experiment_from_yaml(source: str | Path, seed: int = 0) -> Experiment:
    """Experiment from YAML text, or from a file where ``source`` is a path.

    ``seed`` applies to data sets declared without one.
    """
    return experiment_from_data(yaml_text.read("protocol", source), seed)


def experiment_from_data(data: Any, seed: int = 0) -> Experiment:
    """Experiment from plain data."""
    given = class_settings("experiment", data, Experiment)
    network, arms = _network("experiment", given.pop("network"), None), given.pop("arms")
    if not isinstance(arms, dict):
        raise DeclarationError(f"experiment: arms must map names to protocols. Got {arms!r}")
    return Experiment(network, {n: _arm(n, arm, network, seed) for n, arm in arms.items()}, **given)


def _arm(name: str, data: Any, network: Network, seed: int) -> Arm:
    if not isinstance(data, dict) or "protocol" not in data:
        return Arm(course_from_data(data, seed))
    given = class_settings(f"arm {name}", data, Arm)
    own = given.get("network")
    protocol = course_from_data(given["protocol"], seed)
    return Arm(protocol, None if own is None else _network(f"arm {name}", own, network))


def _network(owner: str, data: Any, base: Network | None) -> Network:
    """A network declared in full, or a shipped model, whose rule may be replaced."""
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
            raise DeclarationError(
                f"network of {owner}: feedback settings need a rule; add one, such as rule: gait_prop"
            )
        return net
    return net.with_rule(given["rule"], **feedback)
