"""``cortex-sim bench``: ratios measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from cortex_sim.checks import look_up
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import RunError

Results = list[dict[str, Any]]


def _gait_step(blocks: int, threads: int, networks: list[str], report: Callable[[str], None]) -> Results:
    from cortex_sim.bench.gait_step import BASELINES, gait_step

    for wanted in networks:
        look_up("network of gait-step", wanted, BASELINES, RunError)
    return gait_step(blocks, threads, networks or list(BASELINES), report)


def _brian2(blocks: int, threads: int, networks: list[str], report: Callable[[str], None]) -> Results:
    from threadpoolctl import threadpool_limits

    from cortex_sim.bench.brian2 import NETWORKS, brian2_cost

    for wanted in networks:
        look_up("network of brian2", wanted, NETWORKS, RunError)
    with threadpool_limits(threads):
        return brian2_cost(blocks, networks or list(NETWORKS), report)


def _tdca(blocks: int, threads: int, networks: list[str], report: Callable[[str], None]) -> Results:
    from cortex_sim.bench.tdca import NAMES, tdca_cost

    for wanted in networks:
        look_up("result of tdca", wanted, dict.fromkeys(NAMES), RunError)
    return [r for r in tdca_cost(blocks, threads, report) if not networks or r["network"] in networks]


def _data(blocks: int, threads: int, networks: list[str], report: Callable[[str], None]) -> Results:
    from cortex_sim.bench.data import NAMES, data_speed

    for wanted in networks:
        look_up("place of data", wanted, dict.fromkeys(NAMES), RunError)
    return data_speed(blocks, networks or list(NAMES), report)


@dataclass(frozen=True)
class _Benchmark:
    """A benchmark: what measures it, and how a person reads its results."""

    measure: Callable[[int, int, list[str], Callable[[str], None]], Results]
    title: str
    columns: Sequence[str]
    row: Callable[[dict[str, Any]], Sequence[object]]


_BENCHMARKS = {
    "gait-step": _Benchmark(
        _gait_step,
        "one training step, batch 256, medians of interleaved blocks",
        ("network, rule", "time ratio", "ours (ms)", "plain torch (ms)", "memory ratio"),
        lambda r: (
            f"{r['network']}, {r['rule']}",
            r["ratio"],
            1e3 * r["ours_s"],
            1e3 * r["baseline_s"],
            r["memory_ratio"],
        ),
    ),
    "brian2": _Benchmark(
        _brian2,
        "seconds for one simulated second (dt 1 ms, with credit), medians of interleaved blocks",
        ("network, engine, batch", "time ratio", "ours (s)", "script (s)", "fresh process (s)"),
        lambda r: (
            f"{r['network']}, {r['engine']}, {r['batch']}",
            r["ratio"],
            r["ours_s"],
            r["baseline_s"],
            r.get("whole_s"),
        ),
    ),
    "tdca": _Benchmark(
        _tdca,
        "one inner step of 256 inner runs, 196-64-10, batch 32, medians of interleaved blocks",
        ("ours / baseline", "time ratio", "ours (µs)", "baseline (µs)", "an inner run alone"),
        lambda r: (
            {
                "step": "all inner runs, over direct feedback alignment",
                "lives": "an inner run, over the floor",
                "layered": "layered form, over direct feedback alignment",
                "layered_decorrelated": "the same, both with decorrelation",
            }[r["network"]],
            r["ratio"],
            1e6 * r["ours_s"],
            1e6 * r["baseline_s"],
            r["alone_ratio"] if "alone_ratio" in r else f"{1e6 * r['alone_s']:.0f} µs",
        ),
    ),
    "data": _Benchmark(
        _data,
        "pictures of 500 x 375 at 224 x 224, batch 32, medians of interleaved blocks",
        ("place, workers", "time ratio", "ours (pictures/s)", "decoding alone (pictures/s)"),
        lambda r: (
            ", ".join(r["network"].split("-")),
            r["ratio"],
            r["pictures_per_s"],
            r["decoded_per_s"],
        ),
    ),
}


@app.command(epilog="Example: cortex-sim bench gait-step --json")
def bench(
    name: Annotated[str, typer.Argument(help="Benchmark: gait-step, brian2, tdca or data.")] = "gait-step",
    network: Annotated[list[str] | None, typer.Option(help="Only this network; repeatable.")] = None,
    blocks: Annotated[int, typer.Option(help="Timed pairs of blocks.", min=2)] = 9,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Measure the cost: of gait-step, brian2, tdca or data, each against a baseline of its own."""
    chosen = look_up("benchmark", name, _BENCHMARKS, RunError)
    with Console(stderr=True).status("measuring; leave the machine alone") as status:
        results = chosen.measure(blocks, threads, network or [], status.update)
    if as_json:
        print_json({"results": results, "threads": threads, "device": "cpu", **_instruction_set(name)})
        return 0
    print_table(chosen.title, chosen.columns, [chosen.row(r) for r in results])
    return 0


def _instruction_set(name: str) -> dict[str, str]:
    """The instruction set that torch computes with, where torch was measured."""
    if name == "brian2":
        return {}
    import torch

    return {"instruction_set": torch.backends.cpu.get_cpu_capability()}
