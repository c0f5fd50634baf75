"""The cost and the peak memory of one whole training step relative to backpropagation in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cortex_sim.bench.cases import cases
from cortex_sim.bench.memory import memory_row, plain_bytes
from cortex_sim.bench.throughput import step_rows

NETWORKS = ("gait_cifar_deep", "conv4")
RULES = ("gait_prop", "backprop")
REPEATS = 3  # of each process that measures memory


def gait_step(
    blocks: int, threads: int, networks: Sequence[str], report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One result per network and rule; ratio is ours ÷ baseline. ``report`` gets progress."""
    every, results = cases(), []
    for name in networks:
        case = every[name]
        report(f"{name}: {blocks} blocks of each rule")
        rows = step_rows(case, RULES, blocks, threads)
        report(f"{name}: memory")
        plain = plain_bytes(case, threads, REPEATS)
        results += [row | memory_row(case, row["rule"], threads, plain, REPEATS) for row in rows]
    return results
