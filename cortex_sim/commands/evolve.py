"""``cortex-sim evolve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.checks import counted
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Seed, Threads, print_json, print_table
from cortex_sim.errors import RunError


@app.command(epilog="Example: cortex-sim evolve tdca_mnist --data-dir data --out runs/tdca_mnist")
def evolve(
    out: Annotated[Path, typer.Option(help="Run directory to make (or, with --resume, to continue in).")],
    config: Annotated[str | None, typer.Argument(help="Configuration: a name, or a YAML file.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of named data sets; by default $CORTEX_SIM_DATA.")
    ] = None,
    seed: Seed = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    threads: Threads = 1,
    workers: Annotated[
        int, typer.Option(help="Processes that share the inner runs, each with --threads threads.", min=1)
    ] = 1,
    ray_address: Annotated[
        str | None,
        typer.Option(help='Ray cluster to use, "auto" for this machine\'s; by default $RAY_ADDRESS.'),
    ] = None,
    as_json: Json = False,
) -> int:
    """Train a credit network in an outer loop; the result is credit.safetensors."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    from dataclasses import replace

    import torch

    from cortex_sim.tdca.evolving.reading import configured
    from cortex_sim.tdca.evolving.run import evolve as run
    from cortex_sim.tdca.evolving.run import saved_settings
    from cortex_sim.tdca.workers.spreading import Workers

    torch.set_num_threads(threads)
    if ray_address is not None and workers == 1:
        raise RunError(f"--ray-address {ray_address}: there are no workers; give --workers 2 or more")
    if config is None and not resume:
        raise RunError("evolve: give a configuration, such as tdca_mnist or a YAML file")
    settings = saved_settings(out) if resume else configured(str(config))
    if seed is not None and not resume:
        settings = replace(settings, seed=seed)
    if resume:
        _unchanged(settings, config, seed, out)
    metrics = run(settings, out, data_dir, resume, Workers(workers, threads, ray_address))
    for name in metrics["missing"]:
        typer.echo(f"cortex-sim: not tested on {name}: its file is missing", err=True)
    if as_json:
        print_json({**metrics, "out": str(out)})
    else:
        _report(settings, metrics, out)
    return 0


def _unchanged(settings: Any, config: str | None, seed: int | None, out: Path) -> None:
    """Options given again with --resume must be those that the run was started with."""
    from cortex_sim.tdca.evolving.reading import configured

    if seed is not None and seed != settings.seed:
        raise RunError(f"--resume {out}: seed is {settings.seed} in run.yaml, {seed} now; leave it out")
    if config is None:
        return
    saved, given = settings.as_dict(), configured(config).as_dict()
    for name in {**saved, **given}:
        if name != "seed" and given.get(name) != saved.get(name):
            raise RunError(
                f"--resume {out}: {name} is {saved.get(name)!r} in run.yaml, {given.get(name)!r} now; leave "
                "the configuration out"
            )


def _report(settings: Any, metrics: dict[str, Any], out: Path) -> None:
    print_table(*settings.table(metrics))
    typer.echo(
        f"{metrics['rule']['name']}: {counted(metrics['parameters'], 'outer parameter')}, "
        f"{counted(metrics['iterations'], 'outer update')}, {metrics['seconds']:.0f} s\nrun directory: {out}"
    )
