"""``cortex-sim simulate``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex_sim.checks import counted
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json


@app.command(epilog="Example: cortex-sim simulate cut_top_down --backend brian2 --out cut.nc")
def simulate(
    protocol: Annotated[str, typer.Argument(help="Protocol, path/to/file.py, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Recording to write (netCDF).")],
    backend: Annotated[str, typer.Option(help="brian2 (dynamics in time) or torch (equilibria).")] = "brian2",
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and noise.", min=0)] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after the last recorded trials.")
    ] = False,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Run a protocol's arms on a network into one recording; an interrupted run continues with --resume."""
    from cortex_sim.experiments import finding, running

    began = time.monotonic()
    experiment = finding.experiment(protocol, seed)
    with (
        _limited(threads),
        running.run(experiment, backend, seed, out=out, arms=arm, resume=resume) as recording,
    ):
        arms = list(dict.fromkeys(recording["arm"].values.tolist()))
        result: dict[str, Any] = {
            "out": str(out),
            "dims": {str(name): int(length) for name, length in recording.sizes.items()},
            "populations": list(dict.fromkeys(recording["population"].values.tolist())),
            "seconds": round(time.monotonic() - began, 3),
            "arms": arms,
            "backend": backend,
        }
    if as_json:
        print_json(result)
        return 0
    dims = ", ".join(counted(length, name) for name, length in result["dims"].items() if ":" not in name)
    typer.echo(
        f"{out}: {dims}; arms {', '.join(arms)}; populations {', '.join(result['populations'])}; "
        f"{result['seconds']:.1f} s"
    )
    return 0


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Let the matrix products of numpy, and of torch once it is imported, use this many threads."""
    import os

    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch when a backend imports it
    with threadpool_limits(limits=threads):
        yield
