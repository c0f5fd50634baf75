"""Step time and memory over depth, width, batch and processes, relative to plain torch, under GAIT-prop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cortex_sim.backends.torch import distributed
from cortex_sim.bench.cases import PLAIN, Case, cases
from cortex_sim.bench.memory import memory_row, plain_bytes
from cortex_sim.bench.parts import our_parts, plain_parts
from cortex_sim.bench.points import points
from cortex_sim.bench.timing import Side, clock, interleaved
from cortex_sim.errors import RunError

RULE = "gait_prop"
PROCESSES = (1, 2)
PROCESSES_OF = {"vgg_like": "vgg_like", "dense": "gait_cifar_deep"}


def point_row(case: Case, blocks: int, threads: int) -> dict[str, Any]:
    """Step time, with its parts on both sides, and memory of one network."""
    torch.set_num_threads(threads)
    x, y = case.stimuli(batches=2)
    ours, our = our_parts(case, RULE, x, y, threads)
    plain, its = plain_parts(case, x, y, threads)
    sides = {"ours": ours, PLAIN: plain}
    interleaved(sides, 1, threads, warm_up=0)
    for parts in (our, its):
        parts.reset()
    timed = interleaved(sides, blocks, threads, warm_up=0)
    row = timed.over("ours", PLAIN) | {"parts": our.means(), "baseline_parts": its.means()}
    return row | memory_row(case, RULE, threads, plain_bytes(case, threads, 1), 1) | {"clock": clock(threads)}


def processes_row(name: str, batch: int, count: int, blocks: int, threads: int) -> dict[str, Any]:
    """Step time of ``count`` processes that share each batch; gloo averages gradients on both sides."""
    asked = json.dumps({"network": name, "batch": batch, "blocks": blocks, "threads": threads})
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [*torchrun, "-m", "cortex_sim.bench.rank", asked]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    rows = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not rows:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"bench: {count} processes of {name} failed: {why}")
    found: dict[str, Any] = json.loads(rows[-1])
    return found


def rank_row(name: str, batch: int, blocks: int, threads: int) -> dict[str, Any]:
    """What one of several processes measures, by the wall clock, which includes waiting for the others."""
    torch.set_num_threads(threads)
    distributed.start("cpu")
    case = cases(batch)[name]
    x, y = case.stimuli(batches=2)
    sides: dict[str, Side] = {side: case.side(side, x, y) for side in (RULE, PLAIN)}
    row = interleaved(sides, blocks, threads, by="wall").over(RULE, PLAIN)
    distributed.finish()
    return row | {"clock": "wall"}


def scaling(
    blocks: int,
    threads: int,
    networks: Sequence[str],
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One result per network, axis (depth, width, batch, processes) and size. ``report`` gets progress."""
    results = []
    for family in networks:
        measured: dict[tuple[str, int], dict[str, Any]] = {}
        for point in points(family):
            case = point.case
            report(f"{case.network}, batch {case.batch}")
            key = case.network, case.batch
            measured[key] = measured.get(key) or point_row(case, blocks, threads)
            results.append(_row(family, point.axis, point.size) | point.sizes | measured[key])
        for count in PROCESSES:
            report(f"{family}: {count} processes")
            name = PROCESSES_OF[family]
            whole = cases()[name].batch
            row = processes_row(name, whole, count, blocks, threads)
            results.append(_row(name, "processes", count) | {"batch": whole, "memory_ratio": None} | row)
    return results


def _row(network: str, axis: str, size: int) -> dict[str, Any]:
    return {"network": network, "rule": RULE, "axis": axis, "size": size}
