"""``cortex-sim bench``: ratios measured side by side."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from cortex_sim.checks import look_up
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import RunError


@app.command(epilog="Example: cortex-sim bench gait-step --json")
def bench(
    name: Annotated[str, typer.Argument(help="Benchmark: gait-step.")] = "gait-step",
    network: Annotated[list[str] | None, typer.Option(help="Only this network; repeatable.")] = None,
    blocks: Annotated[int, typer.Option(help="Timed pairs of blocks.", min=2)] = 9,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Measure what a training step costs beside backpropagation in plain torch."""
    look_up("benchmark", name, {"gait-step": None}, RunError)
    import torch

    from cortex_sim.bench.gait_step import BASELINES, gait_step

    for wanted in network or []:
        look_up("network of gait-step", wanted, BASELINES, RunError)
    with Console(stderr=True).status("measuring; leave the machine alone") as status:
        results = gait_step(blocks, threads, network or list(BASELINES), status.update)
    if as_json:
        cpu = torch.backends.cpu.get_cpu_capability()
        print_json({"results": results, "threads": threads, "device": "cpu", "instruction_set": cpu})
        return 0
    rows = [
        (
            f"{r['network']}, {r['rule']}",
            r["ratio"],
            1e3 * r["ours_s"],
            1e3 * r["baseline_s"],
            r["memory_ratio"],
        )
        for r in results
    ]
    columns = ("network, rule", "time ratio", "ours (ms)", "plain torch (ms)", "memory ratio")
    print_table("one training step, batch 256, medians of interleaved blocks", columns, rows)
    return 0
