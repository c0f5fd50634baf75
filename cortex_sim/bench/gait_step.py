"""The cost of one whole training step relative to backpropagation in plain torch.

Ours: forward, credit, updates, orthogonality control and feedback renewal, optimiser's step, in the
configuration of ``protocols/defaults``. The baseline: ``nn.Sequential``, ``cross_entropy``, autograd,
the same optimiser. Blocks of whole cycles (everything that acts every n-th step acts equally often in
each block) are interleaved, and medians over blocks are compared.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.feedback import Inverse
from cortex_sim.network import Network
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.training.settings import network, resolve

BATCH = 256
RULES = ("gait_prop", "backprop")
Step = Callable[[], None]


def deep_in_plain_torch() -> nn.Module:
    """gait_cifar_deep in plain torch."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(3072, 1024), nn.LeakyReLU(0.1)]
    for _ in range(5):
        layers += [nn.Linear(1024, 1024), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Linear(1024, 10))


def conv4_in_plain_torch() -> nn.Module:
    """conv4 in plain torch."""
    layers: list[nn.Module] = []
    for before, after, stride in [(3, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 2)]:
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, 10))


BASELINES: dict[str, Callable[[], nn.Module]] = {
    "gait_cifar_deep": deep_in_plain_torch,
    "conv4": conv4_in_plain_torch,
}


def stimuli(batches: int) -> tuple[Tensor, Tensor]:
    """Noise images and labels: the cost does not depend on them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batches * BATCH, 3, 32, 32, generator=generator)
    return x, torch.randint(0, 10, (len(x),), generator=generator)


def plain_step(name: str, x: Tensor, y: Tensor, optimiser: dict[str, Any]) -> Step:
    """One step of backpropagation in plain torch, on the next batch."""
    torch.manual_seed(0)
    net = BASELINES[name]()
    settings = dict(optimiser)
    adam = getattr(torch.optim, settings.pop("name"))(net.parameters(), **settings)
    next_batch = _indices(len(x))

    def step() -> None:
        index = next_batch()
        loss = nn.functional.cross_entropy(net(x[index]), y[index])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        loss.item()

    return step


def our_step(name: str, rule: str, x: Tensor, y: Tensor) -> tuple[Step, int]:
    """One step of a rule in its default configuration, and the updates in one of its cycles."""
    settings = resolve(name, flags={"rule": rule})
    net = network(settings)
    trainer = Trainer(backend.build(net), x, y, 1000, BATCH, settings.optimiser, settings.schedule)
    next_batch = _indices(len(x))
    return lambda: trainer.update(next_batch()), cycle(net)


def cycle(net: Network) -> int:
    """Updates after which everything that acts every n-th step has acted equally often."""
    periods = [r.every for p in net.bottom_ups for r in p.regularisers if isinstance(r, HardOrthogonality)]
    periods += [p.feedback.refresh for p in net.top_downs if isinstance(p.feedback, Inverse)]
    return lcm(*periods)


def _indices(count: int) -> Callable[[], Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    state = {"at": 0}

    def take() -> Tensor:
        start = state["at"] % count
        state["at"] += BATCH
        return order[start : start + BATCH]

    return take


@dataclass(frozen=True)
class Timing:
    """Median seconds of one step, ours and the baseline's, and every block's ratio."""

    ours: float
    baseline: float
    ratios: list[float]


def measure(name: str, rule: str, blocks: int) -> Timing:
    """Time both sides in interleaved blocks; the order within a pair alternates."""
    x, y = stimuli(batches=8)
    ours, length = our_step(name, rule, x, y)
    baseline = plain_step(name, x, y, resolve(name, flags={"rule": rule}).optimiser)
    length = max(length, 8)
    sides: dict[str, Step] = {"ours": ours, "baseline": baseline}
    seconds: dict[str, list[float]] = {"ours": [], "baseline": []}
    for block in range(blocks + 1):
        for side in sorted(sides, reverse=bool(block % 2)):
            began = time.perf_counter()
            for _ in range(length):
                sides[side]()
            if block:  # the first pair warms up
                seconds[side].append((time.perf_counter() - began) / length)
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["baseline"], strict=True)]
    return Timing(statistics.median(seconds["ours"]), statistics.median(seconds["baseline"]), ratios)


def memory_of(name: str, rule: str | None, threads: int, steps: int = 18) -> int:
    """Peak resident bytes of a fresh process above what it held after import and data loading."""
    code = "from cortex_sim.bench.gait_step import report_memory; report_memory()"
    wanted = [name, rule or "", str(threads), str(steps)]
    done = subprocess.run([sys.executable, "-c", code, *wanted], capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1])["bytes"])


def report_memory() -> None:
    """Entry of the fresh process: run steps, print the growth of the resident peak."""
    name, rule, threads, steps = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    x, y = stimuli(batches=2)
    before = _resident()
    _reset_peak()
    if rule:
        step, _ = our_step(name, rule, x, y)
    else:
        step = plain_step(name, x, y, resolve(name, flags={"rule": "backprop"}).optimiser)
    for _ in range(int(steps)):
        step()
    print(json.dumps({"bytes": _peak() - before}))


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


def gait_step(
    blocks: int, threads: int, networks: list[str], report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One result per network and rule; ratio is ours ÷ baseline. ``report`` gets progress."""
    torch.set_num_threads(threads)
    results = []
    for name in networks:
        report(f"{name}: memory of plain torch")
        plain_bytes = statistics.median(memory_of(name, None, threads) for _ in range(3))
        for rule in RULES:
            report(f"{name}, {rule}: {blocks} pairs of blocks, then memory")
            timing = measure(name, rule, blocks)
            ours_bytes = statistics.median(memory_of(name, rule, threads) for _ in range(3))
            quartiles = statistics.quantiles(timing.ratios, n=4) if len(timing.ratios) > 1 else None
            results.append(
                {
                    "network": name,
                    "rule": rule,
                    "ratio": timing.ours / timing.baseline,
                    "ratio_quartiles": quartiles,
                    "ours_s": timing.ours,
                    "baseline_s": timing.baseline,
                    "memory_ratio": ours_bytes / plain_bytes,
                    "ours_bytes": ours_bytes,
                    "baseline_bytes": plain_bytes,
                    "batch": BATCH,
                    "blocks": blocks,
                }
            )
    return results
