"""``cortex-sim respond``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cortex_sim.checks import look_up
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json
from cortex_sim.errors import DataError, RunError


@app.command(epilog="Example: cortex-sim respond runs/tower --data mnist.npz --count 100 --out tower.nc")
def respond(
    run: Annotated[Path, typer.Argument(help="Run directory, a checkpoint, or a file of cs.save.")],
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
    credit: Annotated[bool, typer.Option("--credit", help="Record credit too.")] = False,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Present stimuli to a trained network, with the preprocessing of its training, and record it."""
    import torch

    from cortex_sim.backends.torch import load
    from cortex_sim.data import PARTS
    from cortex_sim.data import stimuli as read_stimuli
    from cortex_sim.training.run import CHECKPOINT, RUN, load_data, saved_settings
    from cortex_sim.training.settings import Settings
    from cortex_sim.training.shown import preprocessing_of

    torch.set_num_threads(threads)
    began = time.monotonic()
    if out.exists():
        raise RunError(f"--out {out}: already exists; give a new file")
    if not out.parent.is_dir():
        raise RunError(f"--out {out}: no folder {out.parent}")
    if data is not None and stimuli is not None:
        raise DataError("give --data (a labelled set) or --stimuli (any), not both")
    look_up("--split", split, dict.fromkeys(PARTS), DataError)
    checkpoint = run / CHECKPOINT if run.is_dir() else run
    model = load(checkpoint)
    if stimuli is not None:
        shown = read_stimuli(stimuli).fit_to(model.net.populations[model.stimulus].shape, model.stimulus)
    else:
        alone = data is not None and not (checkpoint.parent / RUN).is_file()
        settings = Settings() if alone else saved_settings(checkpoint.parent)
        if data is not None:  # --data: held out is what the run held out
            held = settings.hold_out if split == "validation" else 0
            settings = replace(settings, data=data, hold_out=held)
        shown = load_data(settings, model.net, standardise=False).part(split)
    shown = shown[:count].shown_through(preprocessing_of(checkpoint, model.net))
    variables = list(dict.fromkeys([*(variable or ["rate", "drive"]), *(["credit"] if credit else [])]))
    recorded = model.respond(shown, populations=population, variables=variables, out=out)
    with recorded:
        dims = {str(k): int(v) for k, v in recorded.sizes.items()}
    populations = [name for name in model.net.populations if not population or name in population]
    result = {
        "out": str(out),
        "dims": dims,
        "populations": populations,
        "seconds": round(time.monotonic() - began, 3),
    }
    if as_json:
        print_json(result)
    else:
        sizes = ", ".join(f"{v} {k}s" for k, v in dims.items())
        typer.echo(f"{out}: {sizes}; populations {', '.join(populations)}")
    return 0
