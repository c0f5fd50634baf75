"""Peak memory of training steps relative to backpropagation in plain torch, each in a fresh process."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from cortex_sim.bench.cases import PLAIN, Case, cases
from cortex_sim.bench.points import found
from cortex_sim.errors import RunError

RULES = ("backprop", "gait_prop", "feedback_alignment")
_APART = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}


def memory_row(case: Case, rule: str, threads: int, plain_bytes: float, repeats: int) -> dict[str, Any]:
    """Bytes of a rule over those of plain torch, medians of fresh processes."""
    ours = statistics.median(peak_of(case, rule, threads) for _ in range(repeats))
    return {"memory_ratio": ours / plain_bytes, "ours_bytes": ours, "baseline_bytes": plain_bytes}


def plain_bytes(case: Case, threads: int, repeats: int) -> float:
    """Median peak memory of plain torch."""
    return statistics.median(peak_of(case, PLAIN, threads) for _ in range(repeats))


def peak_of(case: Case, side: str, threads: int, together: bool = True) -> int:
    """Peak resident bytes of a fresh process above what it held after import and data loading.

    ``side`` is a rule, or "plain torch". It runs one step more than a cycle, so that everything that
    acts every n-th step has acted. Without ``together``, glibc gives every large tensor its own pages and
    releases them at once, so that the peak is the memory in use, without gaps in the heap.
    """
    environment = os.environ | ({} if together else _APART)
    code = "from cortex_sim.bench.memory import report_peak; report_peak()"
    asked = json.dumps({"point": case.network, "batch": case.batch, "side": side, "threads": threads})
    done = subprocess.run(
        [sys.executable, "-c", code, asked], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"bench: the process that measures memory of {case.network}, {side}, failed: {why}")
    return int(json.loads(done.stdout.splitlines()[-1])["bytes"])


def report_peak() -> None:
    """Entry point of the fresh process: run steps, print the growth of the resident peak."""
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(int(asked["threads"]))
    case = found(asked["point"], int(asked["batch"]))
    x, y = case.stimuli(batches=2)
    before = _resident()
    _reset_peak()
    side = case.side(asked["side"], x, y)
    for _ in range(side.length + 1):
        side.step()
    print(json.dumps({"bytes": _peak() - before}))


def memory(
    threads: int,
    networks: Sequence[str],
    report: Callable[[str], None],
    batch: int | None = None,
    repeats: int = 3,
) -> list[dict[str, Any]]:
    """One result per network and rule; ratio is ours ÷ plain torch's. ``report`` gets progress.

    ``in_use_ratio`` is the same without the gaps that the allocator leaves in the heap.
    """
    every, results = cases(batch), []
    for name in networks:
        case = every[name]
        report(f"{name}: plain torch")
        plain, in_use = plain_bytes(case, threads, repeats), peak_of(case, PLAIN, threads, together=False)
        for rule in RULES:
            report(f"{name}: {rule}")
            row = memory_row(case, rule, threads, plain, repeats)
            row |= {"in_use_ratio": peak_of(case, rule, threads, together=False) / in_use}
            row = {"network": name, "rule": rule, "ratio": row["memory_ratio"], "batch": case.batch, **row}
            results.append(row)
    return results


def _status(field: str) -> int | None:
    path = Path("/proc/self/status")
    if not path.is_file():
        return None
    line = next(line for line in path.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _resident() -> int:
    now = _status("VmRSS")
    return now if now is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peak() -> int:
    peak = _status("VmHWM")
    return peak if peak is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reset_peak() -> None:
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
