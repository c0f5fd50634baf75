"""``cortex-sim bench``: ratios measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from cortex_sim.checks import listed, look_up, require_known
from cortex_sim.cli import app
from cortex_sim.commands.output import Json, Threads, print_json, print_table
from cortex_sim.errors import RunError

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class _Asked:
    """What the command line requests."""

    blocks: int
    threads: int
    networks: list[str]
    report: Callable[[str], None]
    batch: int | None = None
    published: bool = False

    def among(self, known: Iterable[str], what: str) -> list[str]:
        """The requested networks, all by default.

        Raises
        ------
        RunError
            If one is unknown.
        """
        names = dict.fromkeys(known)
        for wanted in self.networks:
            require_known(what, wanted, names, RunError)
        return self.networks or list(names)


def _gait_step(asked: _Asked) -> Results:
    from cortex_sim.bench.gait_step import NETWORKS, gait_step

    networks = asked.among(NETWORKS, "network of gait-step")
    return gait_step(asked.blocks, asked.threads, networks, asked.report)


def _throughput(asked: _Asked) -> Results:
    from cortex_sim.bench.cases import cases
    from cortex_sim.bench.throughput import throughput

    every = cases(asked.batch)
    networks = asked.among(every, "network of throughput")
    without = [name for name in networks if every[name].published is None]
    if asked.published and asked.networks and without:
        raise RunError(
            f"bench throughput: no published algorithm is configured for {listed(without)}; leave "
            f"--published out, or give one of {listed(n for n in every if n not in without)}"
        )
    return throughput(asked.blocks, asked.threads, networks, asked.report, asked.batch, asked.published)


def _scaling(asked: _Asked) -> Results:
    from cortex_sim.bench.points import AXES
    from cortex_sim.bench.scaling import scaling

    return scaling(asked.blocks, asked.threads, asked.among(AXES, "network of scaling"), asked.report)


def _memory(asked: _Asked) -> Results:
    from cortex_sim.bench.cases import cases
    from cortex_sim.bench.memory import memory

    networks = asked.among(cases(asked.batch), "network of memory")
    return memory(asked.threads, networks, asked.report, asked.batch, repeats=min(3, asked.blocks))


def _brian2(asked: _Asked) -> Results:
    from threadpoolctl import threadpool_limits

    from cortex_sim.bench.brian2 import NETWORKS, brian2_cost

    networks = asked.among(NETWORKS, "network of brian2")
    with threadpool_limits(asked.threads):
        return brian2_cost(asked.blocks, networks, asked.report)


def _tdca(asked: _Asked) -> Results:
    from cortex_sim.bench.tdca import NAMES, tdca_cost

    wanted = asked.among(NAMES, "result of tdca")
    return [r for r in tdca_cost(asked.blocks, asked.threads, asked.report) if r["network"] in wanted]


def _data(asked: _Asked) -> Results:
    from cortex_sim.bench.data import NAMES, data_speed

    return data_speed(asked.blocks, asked.among(NAMES, "place of data"), asked.report)


@dataclass(frozen=True)
class _Benchmark:
    """A benchmark: what measures it, how its results are tabulated, and the options that it takes."""

    measure: Callable[[_Asked], Results]
    title: str
    columns: Sequence[str]
    row: Callable[[dict[str, Any]], Sequence[object]]
    takes: frozenset[str] = frozenset()


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
    "throughput": _Benchmark(
        _throughput,
        "one training step in the shipped settings, medians of interleaved blocks",
        (
            "network, rule, batch",
            "time ratio",
            "ours (ms)",
            "plain torch (ms)",
            "loop / plain loop",
            "published / ours",
        ),
        lambda r: (
            f"{r['network']}, {r['rule']}, {r['batch']}",
            r["ratio"],
            1e3 * r["ours_s"],
            1e3 * r["baseline_s"],
            r.get("loop_throughput"),
            r.get("published_ratio"),
        ),
        frozenset({"batch", "published"}),
    ),
    "scaling": _Benchmark(
        _scaling,
        "one GAIT-prop training step, medians of interleaved blocks; only the axis named differs",
        ("network, axis", "time ratio", "ours (ms)", "plain torch (ms)", "memory ratio"),
        lambda r: (
            f"{r['network']}, {r['axis']} {r['size']}",
            r["ratio"],
            1e3 * r["ours_s"],
            1e3 * r["baseline_s"],
            r["memory_ratio"],
        ),
    ),
    "memory": _Benchmark(
        _memory,
        "peak memory of training steps, medians of fresh processes",
        ("network, rule, batch", "memory ratio", "ours (MB)", "plain torch (MB)", "ratio in use"),
        lambda r: (
            f"{r['network']}, {r['rule']}, {r['batch']}",
            r["ratio"],
            1e-6 * r["ours_bytes"],
            1e-6 * r["baseline_bytes"],
            r["in_use_ratio"],
        ),
        frozenset({"batch"}),
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


@app.command(epilog="Example: cortex-sim bench throughput --network vgg_like --json")
def bench(
    name: Annotated[
        str,
        typer.Argument(help="Benchmark: gait-step, throughput, scaling, memory, data, brian2 or tdca."),
    ] = "gait-step",
    network: Annotated[list[str] | None, typer.Option(help="Only this network; repeatable.")] = None,
    blocks: Annotated[
        int, typer.Option(help="Timed blocks of each side; for memory, processes, at most 3.", min=2)
    ] = 9,
    batch: Annotated[
        int | None, typer.Option(help="For throughput and memory: batch size, by default as shipped.", min=2)
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="For throughput: also time the papers' algorithm.")
    ] = False,
    threads: Threads = 1,
    as_json: Json = False,
) -> int:
    """Measure time and memory of training, reading or simulating, each against its own baseline."""
    chosen = look_up("benchmark", name, _BENCHMARKS, RunError)
    given = {"batch": batch is not None, "published": published}
    for option in (o for o, is_given in given.items() if is_given and o not in chosen.takes):
        having = listed(known for known, one in _BENCHMARKS.items() if option in one.takes)
        raise RunError(f"bench {name}: takes no --{option}; leave it out, or use {having}")
    with Console(stderr=True).status("measuring; run nothing else on this machine") as status:
        asked = _Asked(blocks, threads, network or [], status.update, batch, published)
        results = chosen.measure(asked)
    if as_json:
        print_json({"results": results, "threads": threads, "device": "cpu", **_versions(name)})
        return 0
    print_table(chosen.title, chosen.columns, [chosen.row(r) for r in results])
    return 0


def _versions(name: str) -> dict[str, str]:
    """Torch's version and the instruction set that it computes with, where it was measured."""
    if name == "brian2":
        return {}
    import torch

    return {"instruction_set": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__}
