"""``cortex-sim evaluate``."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from cortex_sim.checks import counted
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table


@app.command(epilog="Example: cortex-sim evaluate runs/tower --data mnist.npz")
def evaluate(
    run: Annotated[
        str,
        typer.Argument(help="Run directory, its best.safetensors or averaged.safetensors, or a state file."),
    ],
    data: Annotated[
        str | None, typer.Option(help="Data set name, or a file or folder; by default the run's own.")
    ] = None,
    split: Annotated[str, typer.Option(help="Part of the data set: train, validation or test.")] = "test",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Measure accuracy and objective of a trained network, as a whole and by class."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    from cortex_sim.training.scoring import score

    began = time.monotonic()
    torch.set_num_threads(threads)
    found = score(run, data, split, device=device)
    if as_json:
        print_json({**found, "split": split, "seconds": round(time.monotonic() - began, 3)})
        return 0
    among = "" if found["top5_accuracy"] is None else f", top-5 accuracy {found['top5_accuracy']:.2%}"
    right = "no classes" if found["accuracy"] is None else f"accuracy {found['accuracy']:.2%}{among}"
    typer.echo(
        f"{run} on {found['data']}: {right}, objective {found['loss']:.4g}, "
        f"{counted(found['presentations'], 'presentation')}"
    )
    rows = [(name, one["accuracy"], one["presentations"]) for name, one in found["per_class"].items()]
    print_table("by class", ("class", "accuracy", "presentations"), rows)
    return 0
