"""``cortex-sim sweep``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, print_json, print_table
from cortex_sim.errors import RunError


@app.command(
    epilog="Example: cortex-sim sweep digits_mlp --rule backprop --rule gait_prop --seeds 5 --out rules, "
    "or cortex-sim sweep cut_top_down --seeds 20 --jobs 4 --set eta_per_s=0.1,0.4 --out cut"
)
def sweep(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|PROTOCOL",
            help="Model, or path/to/file.py:function; or a protocol, its path/to/file.py or a YAML file.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make (or, with --resume, to continue in).")],
    rule: Annotated[
        list[str] | None, typer.Option(help="For a model: rule, repeatable; by default as declared.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0.", min=1)] = 1,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="name=a,b,c to try each value, repeatable.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="For a model: data set name, or a file or folder.")] = None,
    epochs: Annotated[int | None, typer.Option(help="For a model: passes through the training set.")] = None,
    backend: Annotated[str | None, typer.Option(help="For a protocol: brian2 (default) or torch.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="For a protocol: only this arm; repeatable.")] = None,
    statistic: Annotated[
        str | None, typer.Option(help="For a protocol: rate or credit, for the table and the figure.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Runs in parallel, one process each.", min=1)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted sweep.")] = False,
    as_json: Json = False,
) -> int:
    """Train every rule, or run a protocol, with every setting and seed; results are gathered in one table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    of_model = {"--rule": rule, "--data": data, "--epochs": epochs}
    of_protocol = {"--backend": backend, "--arm": arm, "--statistic": statistic}

    def report(line: str) -> None:
        typer.echo(line, err=as_json)

    if _is_protocol(subject):
        _refuse(of_model, f"{subject} is a protocol")
        return _protocol(subject, out, seeds, setting or [], of_protocol, jobs, resume, report, as_json)
    _refuse(of_protocol, f"{subject} is a model")
    from cortex_sim.runs import directory
    from cortex_sim.runs.sweep import sweep as run
    from cortex_sim.training import sweeping
    from cortex_sim.viz.sweeps import by_rule, tested_on

    if not resume:
        directory.require_new(out)
    flags = {"data": data, "epochs": epochs}
    asked = sweeping.jobs(subject, rule or [None], seeds, setting or [], flags)
    rows = run(asked, sweeping.trained, out, jobs, report)
    by_rule(rows, out / f"{tested_on(rows)}_accuracy.png")
    if as_json:
        print_json({"out": str(out), "jobs": len(asked), "rows": rows})
    else:
        _report(rows, out)
    return 0


def _is_protocol(subject: str) -> bool:
    """YAML files, Python files without a function, and names of shipped protocols; models otherwise."""
    from cortex_sim.experiments import finding

    return Path(subject).suffix in (".yaml", ".yml", ".py") or subject in finding.names()


def _refuse(given: dict[str, Any], why: str) -> None:
    for option, value in given.items():
        if value:
            raise RunError(f"sweep: {why}, which has no {option}; leave it out")


def _protocol(
    subject: str,
    out: Path,
    seeds: int,
    assignments: list[str],
    asked: dict[str, Any],
    jobs: int,
    resume: bool,
    report: Callable[[str], None],
    as_json: bool,
) -> int:
    """Run a protocol with every setting and seed: a dataset, a figure and a table of statistics."""
    from cortex_sim.experiments.seed_statistics import over_seeds
    from cortex_sim.experiments.sweeping import as_value
    from cortex_sim.experiments.sweeping import sweep as run
    from cortex_sim.training.sweeping import values_of
    from cortex_sim.viz.arms import compare_arms

    settings = {name: [as_value(v) for v in values] for name, values in map(values_of, assignments)}
    with run(
        subject,
        seeds,
        settings,
        backend=asked["--backend"] or "brian2",
        out=out,
        arms=asked["--arm"],
        jobs=jobs,
        resume=resume,
        progress=False,
        report=report,
    ) as found:
        statistics = over_seeds(found, asked["--statistic"])
        statistics.to_csv(out / "over_seeds.csv")
        compare_arms(found, asked["--statistic"], path=out / "sweep.png")
        sizes = {str(name): int(length) for name, length in found.sizes.items()}
    if as_json:
        groups = {name: values.tolist() for name, values in statistics.values.items()}
        print_json({"out": str(out), "dims": sizes, "measured": statistics.measured, "groups": groups})
    else:
        typer.echo(f"{statistics}\n{out / 'sweep.nc'}, {out / 'sweep.png'}, {out / 'over_seeds.csv'}")
    return 0


def _report(rows: list[dict[str, Any]], out: Path) -> None:
    from cortex_sim.viz.sweeps import spreads, tested_on

    table = [(label, len(values), mean, sd) for label, (values, mean, sd) in spreads(rows).items()]
    print_table(f"{tested_on(rows)} accuracy over seeds", ("", "seeds", "mean", "sd"), table)
    typer.echo(f"results: {out / 'results.csv'}")
