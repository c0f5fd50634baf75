"""``cortex-sim demo``: one network, five rules, real digits, a minute of CPU at most."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import RunError

RULES = ("backprop", "feedback_alignment", "gait_prop", "gait_prop_learned", "tdca")


@app.command(epilog="Example: cortex-sim demo --out runs/demo")
def demo(
    out: Annotated[Path | None, typer.Option(help="New directory; by default the next runs/demo-N.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, data order and noise.", min=0)] = 0,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Train one declared network on handwritten digits by five rules and compare them."""
    from cortex_sim.runs.directory import stands_at
    from cortex_sim.runs.log import JSONL
    from cortex_sim.training.run import train
    from cortex_sim.training.settings import resolve
    from cortex_sim.viz.curves import compare_rules, read_lines

    folder = next_folder(Path("runs")) if out is None else out
    if stands_at(folder):
        raise RunError(f"--out {folder}: already exists; give a new directory")
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for rule in RULES:
        typer.echo(f"digits_mlp learns by {rule} ...", err=True)
        settings = resolve("digits_mlp", flags={"rule": rule, "seed": seed, "threads": threads})
        results[rule] = train(settings, folder / rule)
    curves = {rule: read_lines(folder / rule / JSONL) for rule in RULES}
    picture = folder / "demo.png"
    compare_rules(curves, picture)
    if as_json:
        print_json({"out": str(folder), "figure": str(picture), "rules": results})
        return 0
    projections = list(results["backprop"]["angle_to_bp_deg"])
    columns = ("rule", "test accuracy", *(f"angle {name} (deg)" for name in projections), "seconds")
    rows = [
        (
            rule,
            f"{r['test_accuracy']:.1%}",
            *(r["angle_to_bp_deg"][n] for n in projections),
            r["seconds"],
        )
        for rule, r in results.items()
    ]
    print_table("digits_mlp on handwritten digits: angle of each update to backpropagation's", columns, rows)
    typer.echo("tdca takes the step of its own outer loop, the others Adam: compare angles, not speed")
    typer.echo(f"figure: {picture}\nruns: {folder}")
    return 0


def next_folder(parent: Path) -> Path:
    """The first of parent/demo-1, demo-2, … that does not exist."""
    number = 1
    while (parent / f"demo-{number}").exists():
        number += 1
    return parent / f"demo-{number}"
