"""``cortex-sim respond``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json
from cortex_sim.errors import RunError


@app.command(epilog="Example: cortex-sim respond runs/tower --data mnist.npz --count 100 --out tower.nc")
def respond(
    run: Annotated[Path, typer.Argument(help="Run directory, or a checkpoint.")],
    out: Annotated[Path, typer.Option(help="Recording to write (netCDF).")],
    data: Annotated[str | None, typer.Option(help="Data set; else the run's own.")] = None,
    count: Annotated[int | None, typer.Option(help="Test presentations to show; else all.", min=1)] = None,
    credit: Annotated[bool, typer.Option("--credit", help="Record credit too.")] = False,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Show test stimuli to a trained network and record every population."""
    import torch

    from cortex_sim import recording
    from cortex_sim.backends.torch.checkpoint import load_model
    from cortex_sim.training.run import CHECKPOINT, load_data, saved_settings
    from cortex_sim.training.shown import preprocessing_of

    torch.set_num_threads(threads)
    began = time.monotonic()
    if out.exists():
        raise RunError(f"--out {out}: something stands there; give a new file")
    if not out.parent.is_dir():
        raise RunError(f"--out {out}: no folder {out.parent}")
    checkpoint = run / CHECKPOINT if run.is_dir() else run
    model = load_model(checkpoint)
    settings = saved_settings(checkpoint.parent)
    settings = settings if data is None else replace(settings, data=data)
    images = load_data(settings, model.net, standardise=False)
    x, y = images.x_test[:count], images.y_test[:count]
    shown = preprocessing_of(checkpoint, model.net)
    recorded = model.respond(shown.apply(x), y if credit else None)
    recording.save(recorded, out)
    result = {
        "out": str(out),
        "dims": {str(k): int(v) for k, v in recorded.sizes.items()},
        "populations": list(model.net.populations),
        "seconds": round(time.monotonic() - began, 3),
    }
    if as_json:
        print_json(result)
    else:
        dims = ", ".join(f"{v} {k}s" for k, v in result["dims"].items())  # type: ignore[attr-defined]
        typer.echo(f"{out}: {dims}; populations {', '.join(model.net.populations)}")
    return 0
