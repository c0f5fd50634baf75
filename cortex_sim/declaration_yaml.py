"""A network as YAML and back, without loss: the declaration is data, and reading it runs no code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim import yaml_text
from cortex_sim.arrays import array_from_data, array_to_data, is_array_data
from cortex_sim.checks import look_up, require_known
from cortex_sim.credit.step import TrainedStep
from cortex_sim.credit.teacher import Teacher
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import GivenWeights
from cortex_sim.projection import BOTTOM_UP, GAIN, LATERAL, RECURRENT, TOP_DOWN
from cortex_sim.registry import make, to_data

if TYPE_CHECKING:
    from cortex_sim.network import Network

_LATER = ("apical_coupling", "normaliser", "dropout")  # written only if they are given
_POPULATION = ("shape", "activation", "tau_ms", "bias", "nonnegative", *_LATER)
_RECURRENT = ("kind", "pre", "post", "connector", "plasticity", "regularisers", "by_word", "constraints")
_BOTTOM_UP = (*_RECURRENT, "reads", "reads_by_word")
_TOP_DOWN = ("kind", "pre", "post", "feedback", "plasticity", "regularisers", "constraints")
_GAIN = ("kind", "pre", "post", "connector", "plasticity", "regularisers", "constraints")
_LATERAL = ("kind", "pre", "post", "weights", "plasticity", "regularisers", "constraints")
_NETWORK = ("network", "populations", "projections", "objective", "teacher", "step")


def to_dict(net: Network) -> dict[str, Any]:
    """The declaration as plain data (strings, numbers, lists, dicts)."""
    data: dict[str, Any] = {"network": net.name, "populations": {}, "projections": []}
    for population in net.populations.values():
        data["populations"][population.name] = {
            "shape": list(population.shape),
            "activation": to_data("activation", population.activation),
            "tau_ms": population.tau_ms,
            "bias": population.bias,
            "nonnegative": population.nonnegative,
        }
        if population.apical_coupling:
            data["populations"][population.name]["apical_coupling"] = population.apical_coupling
        if population.normaliser is not None:
            data["populations"][population.name]["normaliser"] = to_data("normaliser", population.normaliser)
        if population.dropout:
            data["populations"][population.name]["dropout"] = population.dropout
    if net.teacher is not None:
        data["teacher"] = net.teacher.to_data()
    if net.step is not None:
        data["step"] = net.step.to_data()
    for p in net.projections.values():
        entry: dict[str, Any] = {"kind": p.kind, "pre": p.pre, "post": p.post}
        if p.is_top_down:
            entry["feedback"] = to_data("feedback", p.feedback)
        elif not p.is_lateral:
            entry["connector"] = to_data("connector", p.connector)
        elif isinstance(init := getattr(p.connector, "init", None), GivenWeights):
            entry["weights"] = array_to_data(init.weights)
        if p.plasticity is not None:
            entry["plasticity"] = to_data("rule", p.plasticity)
        if p.regularisers:
            entry["regularisers"] = [to_data("regulariser", r) for r in p.regularisers]
        if p.constraints:
            entry["constraints"] = [to_data("constraint", c) for c in p.constraints]
        if p.reads is not None:
            entry["reads"] = to_data("reads", p.reads)
        if p.reads_by_word:
            entry["reads_by_word"] = True
        if p.by_word:
            entry["by_word"] = [to_data("regulariser", r) for r in p.by_word]
        data["projections"].append(entry)
    if net.objective_function is not None:
        data["objective"] = {"population": net.objective_at, **to_data("objective", net.objective_function)}
    return data


def from_dict(data: Any) -> Network:
    """Network from plain data; unknown keys are errors that list the known ones."""
    from cortex_sim.network import Network

    if not isinstance(data, dict) or "network" not in data:
        raise DeclarationError(f"network YAML: needs the keys {', '.join(_NETWORK)}")
    if "credit_populations" in data:
        raise DeclarationError(
            f"network YAML {data['network']}: credit_populations belong to the teacher and cannot be "
            'declared one by one; use net.with_rule("tdca", credit=...) and write that network'
        )
    _only("network YAML", data, _NETWORK)
    net = Network(data["network"])
    populations, projections = data.get("populations") or {}, data.get("projections") or []
    if not isinstance(populations, dict) or not isinstance(projections, list):
        raise DeclarationError(
            f"network YAML {net.name}: populations must be a mapping (name: settings), and projections a list"
        )
    for name, entry in populations.items():
        _only(f"population {name}", entry, _POPULATION)
        net.population(name, **entry)
    if data.get("teacher") is not None:
        net.teacher = Teacher.from_data(data["teacher"])
    if data.get("step") is not None:
        net.step = TrainedStep.from_data(data["step"])
    for entry in projections:
        _add_projection(net, entry)
    if data.get("objective"):
        objective = data["objective"]
        _only("objective", objective, tuple(objective))
        settings = {key: value for key, value in objective.items() if key != "population"}
        net.objective(objective.get("population", ""), make("objective", settings))
    return net


def _add_projection(net: Network, entry: Any) -> None:
    _only("projection", entry, (*_TOP_DOWN, *_BOTTOM_UP, *_LATERAL))
    for key in ("kind", "pre", "post"):
        if key not in entry:
            raise DeclarationError(f"projection {entry}: needs {key}")
    own = {
        "plasticity": entry.get("plasticity"),
        "regulariser": entry.get("regularisers"),
        "constraint": entry.get("constraints"),
    }
    add = look_up(
        "kind of projection",
        entry["kind"],
        {
            BOTTOM_UP: _driving,
            RECURRENT: _driving,
            TOP_DOWN: _top_down,
            LATERAL: _lateral,
            GAIN: _gain,
        },
    )
    add(net, entry, own)


def _driving(net: Network, entry: dict[str, Any], own: dict[str, Any]) -> None:
    kind = entry["kind"].replace("_", "-")
    loops = entry["kind"] == RECURRENT
    _only(f"{kind} projection {entry['pre']}->{entry['post']}", entry, _RECURRENT if loops else _BOTTOM_UP)
    add: Any = net.recurrent if loops else net.bottom_up
    also = {} if loops else {"reads": entry.get("reads")}
    made = add(entry["pre"], entry["post"], entry.get("connector", "dense"), **own, **also)
    added = tuple(make("regulariser", r) for r in entry.get("by_word") or ())
    for regulariser in added:
        if regulariser not in made.regularisers:
            raise DeclarationError(
                f"projection {made.name}: by_word lists {regulariser!r}, which regularisers does not; remove "
                "it from by_word, or add it to regularisers"
            )
    by_word = bool(entry.get("reads_by_word")) and made.reads is not None
    net.projections[made.name] = replace(made, by_word=added, reads_by_word=by_word)


def _top_down(net: Network, entry: dict[str, Any], own: dict[str, Any]) -> None:
    _only(f"top-down projection {entry['pre']}->{entry['post']}", entry, _TOP_DOWN)
    feedback: Any = entry.get("feedback")
    net.top_down(entry["pre"], entry["post"], feedback=feedback, **own)


def _gain(net: Network, entry: dict[str, Any], own: dict[str, Any]) -> None:
    _only(f"gain projection {entry['pre']}->{entry['post']}", entry, _GAIN)
    link = entry.get("connector", "dense")
    net.top_down(entry["pre"], entry["post"], effect="gain", connector=link, **own)


def _lateral(net: Network, entry: dict[str, Any], own: dict[str, Any]) -> None:
    name = f"{entry['pre']}->{entry['post']}"
    _only(f"lateral projection {name}", entry, _LATERAL)
    if entry["pre"] != entry["post"]:
        raise DeclarationError(
            f"projection {name}: a lateral projection connects a population to itself; give pre and post "
            "the same name, or use another kind"
        )
    weights: Any = entry.get("weights")
    net.lateral(entry["pre"], weights=array_from_data(weights) if is_array_data(weights) else weights, **own)


def _only(owner: str, entry: Any, known: tuple[str, ...]) -> None:
    if not isinstance(entry, dict):
        raise DeclarationError(f"{owner}: expected settings, key: value. Got {entry!r}")
    for key in entry:
        require_known(f"key of {owner}", key, dict.fromkeys(known))


def write(net: Network, path: str | Path | None = None) -> str:
    """YAML text of the network; also written to ``path``, whole or not at all."""
    return yaml_text.write(to_dict(net), path)


def read(source: str | Path) -> Network:
    """Network from YAML text, or from a file where ``source`` is a path."""
    return from_dict(yaml_text.read("network", source))
