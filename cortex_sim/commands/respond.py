"""``cortex-sim respond``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex_sim.checks import counted, require_known
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json
from cortex_sim.errors import DataError, RunError

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.responding import InTime

BACKENDS = ("torch", "brian2")


@app.command(epilog="Example: cortex-sim respond runs/tower --data mnist.npz --count 100 --out tower.nc")
def respond(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_OR_RUN",
            help="Run directory, a checkpoint, or a file of cs.save; with --arm a protocol; or, untrained, a "
            "model or path/to/file.py:function.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Recording to write (netCDF).")],
    data: Annotated[str | None, typer.Option(help="Data set; by default the run's own.")] = None,
    stimuli: Annotated[
        str | None,
        typer.Option(help="Stimuli without labels: a folder of pictures, FILE.npy, FILE.npz[:ARRAY]."),
    ] = None,
    split: Annotated[str, typer.Option(help="Part of the data set: train, validation or test.")] = "test",
    count: Annotated[int | None, typer.Option(help="Number of presentations; all by default.", min=1)] = None,
    population: Annotated[
        list[str] | None, typer.Option(help="Population to record; repeatable; all by default.")
    ] = None,
    variable: Annotated[
        list[str] | None, typer.Option(help="rate, drive or credit; repeatable; by default rate and drive.")
    ] = None,
    credit: Annotated[bool, typer.Option("--credit", help="Also record credit.")] = False,
    crop: Annotated[
        str | None, typer.Option(help="centre: crop pictures of another aspect ratio to the model's.")
    ] = None,
    degrees: Annotated[
        float | None,
        typer.Option(help="Visual angle of the stimuli, in degrees; by default they fill the field of view."),
    ] = None,
    model_degrees: Annotated[
        float, typer.Option(help="Visual angle of the model's field of view, in degrees.")
    ] = 8.0,
    like: Annotated[
        str | None,
        typer.Option(help="Preprocessing of an untrained model: that of a RUN or of a data set, or none."),
    ] = None,
    arm: Annotated[
        str | None, typer.Option(help="Arm of a protocol, simulated first: its network after the trials.")
    ] = None,
    rule: Annotated[
        str | None, typer.Option(help="Rule of an untrained model; by default as declared.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of an untrained model's weights; 0 by default.", min=0)
    ] = None,
    backend: Annotated[str, typer.Option(help="torch (equilibrium) or brian2 (dynamics in time).")] = "torch",
    present_ms: Annotated[
        float | None, typer.Option(help="With brian2: how long each stimulus is presented, in ms.")
    ] = None,
    every_ms: Annotated[
        float | None, typer.Option(help="With brian2: length of time bins, in ms; by default only the end.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Presentations at a time.", min=1)] = None,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Present stimuli to a network, preprocessed as in its training, and record its responses."""
    from threadpoolctl import threadpool_limits

    from cortex_sim.data.fitting import View
    from cortex_sim.responding import candidate, respond_to
    from cortex_sim.responding.labelled import labelled

    began = time.monotonic()
    _check_place(out, data, stimuli)
    timing = _timing(backend, present_ms, every_ms)
    _use(threads, backend)
    view = View(crop, degrees, model_degrees)
    shown = candidate(model, rule=rule, seed=seed, like=like, arm=arm)
    for name in population or []:
        require_known("population", name, shown.net.populations, DataError)
    given = _read(stimuli) if stimuli is not None else labelled(shown, data, split)
    variables = list(dict.fromkeys([*(variable or ["rate", "drive"]), *(["credit"] if credit else [])]))
    with threadpool_limits(limits=threads), _bar() as progress:
        recorded = respond_to(
            shown,
            given[:count],
            populations=population,
            variables=variables,
            view=view,
            in_time=timing,
            batch=batch_size,
            out=out,
            progress=progress,
        )
    _report(recorded, out, time.monotonic() - began, as_json)
    return 0


def _check_place(out: Path, data: str | None, stimuli: str | None) -> None:
    if out.exists():
        raise RunError(f"--out {out}: already exists; give a new file")
    if not out.parent.is_dir():
        raise RunError(f"--out {out}: no folder {out.parent}; create it first")
    if data is not None and stimuli is not None:
        raise DataError("give --data (a labelled set) or --stimuli (any), not both")


def _timing(backend: str, present_ms: float | None, every_ms: float | None) -> InTime | None:
    """How stimuli are presented in time; None at equilibrium."""
    from cortex_sim.responding import InTime

    require_known("--backend", backend, dict.fromkeys(BACKENDS), RunError)
    if backend == "torch":
        for option, given in (("--present-ms", present_ms), ("--every-ms", every_ms)):
            if given is not None:
                raise RunError(
                    f"{option} {given:g}: torch settles at once; add --backend brian2, or leave it out"
                )
        return None
    if present_ms is None:
        raise RunError(
            "--backend brian2: give --present-ms, how long each stimulus is presented, such as 400; for "
            "settled rates, many times the sum of all populations' time constants"
        )
    return InTime(present_ms, every_ms)


def _use(threads: int, backend: str) -> None:
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)


def _read(path: str) -> Any:
    from cortex_sim.data import stimuli

    return stimuli(path)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with (done, total), which draws a bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("presentations")
        yield lambda done, total: drawn.update(task, completed=done, total=total)


def _report(recorded: xr.Dataset, out: Path, seconds: float, as_json: bool) -> None:
    with recorded:
        dims = {str(k): int(v) for k, v in recorded.sizes.items()}
        populations = list(dict.fromkeys(recorded["population"].values.tolist()))
    if as_json:
        print_json({"out": str(out), "dims": dims, "populations": populations, "seconds": round(seconds, 3)})
        return
    sizes = ", ".join(counted(v, k) for k, v in dims.items())
    typer.echo(f"{out}: {sizes}; populations {', '.join(populations)}")
