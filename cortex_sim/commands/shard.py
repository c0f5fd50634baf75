"""``cortex-sim shard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortex_sim.cli import app
from cortex_sim.commands.output import Json, print_json
from cortex_sim.errors import RunError


@app.command(epilog="Example: cortex-sim shard imagenet --out imagenet-shards")
def shard(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with train/CLASS/*.jpg and val/ or test/ likewise; with --index, folder of shards."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make (or, with --resume, to continue in).")
    ] = None,
    shard_size: Annotated[int, typer.Option(help="Pictures in one shard.", min=1)] = 1000,
    index: Annotated[
        bool, typer.Option("--index", help="Only write the indices of existing shards.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted sharding.")] = False,
    as_json: Json = False,
) -> int:
    """Pack a folder of pictures into tar shards with an index, from which train reads them in any order."""
    if index:
        if out is not None or resume:
            raise RunError(
                "shard --index writes the indices into the folder itself; leave --out and --resume out"
            )
        counts, left_out = _index(folder)
        where = folder
    else:
        if out is None:
            raise RunError("shard: give --out, a new folder for the shards, or --index for existing shards")
        counts, left_out = _shard(folder, out, shard_size, resume), []
        where = out
    if as_json:
        print_json({"out": str(where), "pictures": counts, "left_out": left_out})
        return 0
    said = ", ".join(f"{count} of {part}" for part, count in counts.items())
    typer.echo(f"{where}: {said}")
    if left_out:
        some = ", ".join(left_out[:10]) + (" …" if len(left_out) > 10 else "")
        typer.echo(f"left out, without a label or a picture: {len(left_out)} ({some})")
    return 0


def _shard(folder: Path, out: Path, size: int, resume: bool) -> dict[str, int]:
    from cortex_sim.data.streamed.sharding import planned, write_shards
    from cortex_sim.runs import directory
    from cortex_sim.runs.progress import bar

    plan = planned(folder, size)
    if not resume:
        directory.require_new(out)
    held = directory.held(out, "another process is writing shards into it")
    with held, bar(plan.pictures, "pictures") as done:
        return write_shards(plan, out, done.advance)


def _index(folder: Path) -> tuple[dict[str, int], list[str]]:
    from cortex_sim.data.streamed.indexing import write_index
    from cortex_sim.data.streamed.shards import shards_of
    from cortex_sim.runs.progress import bar

    found = shards_of(folder) if folder.is_dir() else {}
    if not found:
        raise RunError(f"shard --index {folder}: holds no shards such as train-000000.tar")
    counts, left_out = dict[str, int](), list[str]()
    with bar(sum(map(len, found.values())), "shards") as done:
        for name in found:
            counts[name], more = write_index(folder, name, after_each=lambda: done.advance(1))
            left_out += more
    return counts, left_out
