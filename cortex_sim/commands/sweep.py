"""``cortex-sim sweep``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, print_json, print_table


@app.command(
    epilog="Example: cortex-sim sweep digits_mlp --rule backprop --rule gait_prop --seeds 5 --out runs/rules"
)
def sweep(
    model: Annotated[str, typer.Argument(help="Model, or path/to/file.py:function.")],
    out: Annotated[Path, typer.Option(help="Folder to make (or with --resume, to continue in).")],
    rule: Annotated[list[str] | None, typer.Option(help="Rule, repeatable; by default as declared.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0.", min=1)] = 1,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="name=a,b,c to try each value, repeatable.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set name, or a file or folder.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes through the training set.")] = None,
    jobs: Annotated[int, typer.Option(help="Runs in parallel, one process each.", min=1)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted sweep.")] = False,
    as_json: Json = False,
) -> int:
    """Train every rule with every setting and seed; results are kept and gathered in one table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from cortex_sim.runs import directory
    from cortex_sim.runs.sweep import sweep as run
    from cortex_sim.training import sweeping
    from cortex_sim.viz.sweeps import by_rule, tested_on

    if not resume:
        directory.require_new(out)
    flags = {"data": data, "epochs": epochs}
    asked = sweeping.jobs(model, rule or [None], seeds, setting or [], flags)

    def report(line: str) -> None:
        typer.echo(line, err=as_json)

    rows = run(asked, sweeping.trained, out, jobs, report)
    by_rule(rows, out / f"{tested_on(rows)}_accuracy.png")
    if as_json:
        print_json({"out": str(out), "jobs": len(asked), "rows": rows})
    else:
        _report(rows, out)
    return 0


def _report(rows: list[dict[str, Any]], out: Path) -> None:
    from cortex_sim.viz.sweeps import spreads, tested_on

    table = [(label, len(values), mean, sd) for label, (values, mean, sd) in spreads(rows).items()]
    print_table(f"{tested_on(rows)} accuracy over seeds", ("", "seeds", "mean", "sd"), table)
    typer.echo(f"results: {out / 'results.csv'}")
