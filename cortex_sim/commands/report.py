"""``cortex-sim report``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, print_json


@app.command(epilog="Example: cortex-sim report runs/backprop runs/gait v4 --out rules.html")
def report(
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="What to report, each [NAME=] and a run directory of train or evolve, a folder of "
            "compare --out, or a recording (.nc); those of one kind are shown side by side.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    present: Annotated[
        int,
        typer.Option(help="Stimuli of each run's own data to present for responses; 0: none.", min=0),
    ] = 100,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing file.")] = False,
    as_json: Json = False,
) -> int:
    """Write one self-contained HTML page about runs, comparisons and recordings, to share or print."""
    from cortex_sim.html_report.document import page
    from cortex_sim.html_report.reading import found, named, require_place
    from cortex_sim.runs.files import write_text

    began = time.monotonic()
    place = require_place(out, replace)
    read = found([named(one) for one in subjects])
    write_text(place, page(read, present))
    for said in read.notes:
        typer.echo(f"cortex-sim: {said}", err=True)
    if as_json:
        shown = [{"name": one.name, "path": str(one.path), "status": one.status} for one in read.all]
        seconds = round(time.monotonic() - began, 3)
        print_json({"out": str(out), "subjects": shown, "notes": read.notes, "seconds": seconds})
    else:
        typer.echo(str(out))
    return 0
