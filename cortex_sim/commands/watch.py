"""``cortex-sim watch``."""

from __future__ import annotations

from typing import Annotated

import typer

from cortex_sim.cli import app

PORT = 8477


@app.command(epilog="Example: cortex-sim watch runs/backprop runs/gait")
def watch(
    subjects: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="What to watch, as for report: each [NAME=] and a run."),
    ],
    port: Annotated[
        int, typer.Option(help="Port of the address on this machine; 0: any free one.", min=0, max=65535)
    ] = PORT,
) -> int:
    """Serve the report of ongoing runs to a browser on this machine, and keep it up to date until Ctrl-C."""
    from cortex_sim.html_report.reading import named
    from cortex_sim.html_report.watching import ADDRESS, server

    with server([named(one) for one in subjects], port) as serving:
        typer.echo(f"http://{ADDRESS}:{serving.server_port}/ follows {', '.join(subjects)}; Ctrl-C ends this")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            typer.echo("no longer watching; the runs continue", err=True)
    return 0
