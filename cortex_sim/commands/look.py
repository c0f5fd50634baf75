"""``cortex-sim list``, ``cortex-sim rule`` and ``cortex-sim show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortex_sim import library
from cortex_sim.checks import require_known
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, print_json
from cortex_sim.errors import RunError


@app.command(epilog="Example: cortex-sim rule gait_prop")
def rule(
    name: Annotated[str, typer.Argument(help="Rule, as listed by cortex-sim list rules.")],
    as_json: Json = False,
) -> int:
    """Print the identity card of a rule: equation, source, feedback, where it runs, departures, limits."""
    from cortex_sim.cards import card

    found = card(name)
    if as_json:
        print_json({"name": found.name, **dict(found.rows)})
    else:
        typer.echo(str(found))
    return 0


def _words() -> list[str]:
    """Rules of a whole network, for ``--rule`` and ``with_rule``."""
    from cortex_sim.rules.base import WORDS

    return sorted(WORDS)


def _rules() -> list[str]:
    """All rules: those of a whole network, then those of single projections."""
    from cortex_sim.cards import known_rules

    return known_rules()


def _registered(kind: str) -> list[str]:
    import cortex_sim  # noqa: F401 - registers what ships
    from cortex_sim import registry

    hidden = {"connector": (), "initialiser": ("array", "zeros")}.get(kind, ())
    return [name for name in registry.names(kind) if name not in hidden]


def _data() -> list[str]:
    from cortex_sim import data

    return data.names()


KINDS = {
    "models": lambda: library.names("models"),
    "rules": _rules,
    "activations": lambda: _registered("activation"),
    "normalisers": lambda: _registered("normaliser"),
    "augmentations": lambda: _registered("augmentation"),
    "connectors": lambda: _registered("connector"),
    "constraints": lambda: _registered("constraint"),
    "reads": lambda: _registered("reads"),
    "initialisers": lambda: _registered("initialiser"),
    "data": _data,
    "protocols": lambda: library.names("protocols"),
}


@app.command("list", epilog="Example: cortex-sim list rules")
def list_(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; all by default.")] = None,
    as_json: Json = False,
) -> int:
    """List what is included: models, rules, activations, connectors, data sets, protocols and more."""
    if kind is not None:
        require_known("kind", kind, KINDS, RunError)
    found = {name: names() for name, names in KINDS.items() if kind in (None, name)}
    if as_json:
        print_json(found)
        return 0
    for name, names in found.items():
        if kind == "protocols":
            _print_protocols(names)
        elif name == "rules":
            words = _words()
            typer.echo(f"rules: {', '.join(words)}")
            alone = [rule for rule in names if rule not in words]
            typer.echo(f"rules of single projections (plasticity=...): {', '.join(alone)}")
        else:
            typer.echo(f"{name}: {', '.join(names) or 'none'}")
    return 0


def _print_protocols(names: list[str]) -> None:
    """Protocols and configurations, each with the command that runs it."""
    from cortex_sim.experiments.finding import command_of

    width = max(map(len, names), default=0)
    for name in names:
        typer.echo(f"{name:{width}}  {command_of(name)}")


@app.command(epilog="Example: cortex-sim show gait_tower --rule gait_prop --draw tower.png")
def show(
    model: Annotated[str, typer.Argument(help="Model, or path/to/file.py:function.")],
    rule: Annotated[str | None, typer.Option(help="Rule, such as gait_prop; by default as declared.")] = None,
    credit: Annotated[
        str | None, typer.Option(help="Credit network of --rule tdca: a file, or a name.")
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Draw into this PNG, SVG or PDF.")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the declaration as YAML.")] = False,
    as_json: Json = False,
) -> int:
    """Print a network as a table, and draw it."""
    from cortex_sim.declaration_yaml import to_dict

    net = library.model(model)
    if rule is not None:
        net = net.with_rule(rule, credit=credit)
    elif credit is not None:
        raise RunError("show: --credit needs --rule tdca")
    net.check()
    if draw is not None:
        net.draw(draw)
    if as_json:
        print_json(to_dict(net))
    else:
        typer.echo(net.to_yaml() if as_yaml else str(net))
    return 0
