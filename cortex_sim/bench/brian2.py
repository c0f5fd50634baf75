"""The cost of a built simulation relative to a straightforward brian2 script for the same network.

Both simulate the same dense chain with credit (GAIT-prop by dynamic inversion) for the same
presentations in one process, in interleaved blocks; medians over blocks are compared. ``whole_s`` is a
fresh process for one simulated second, including imports.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cortex_sim.backends.brian2 import Simulation, build
from cortex_sim.bench.brian2_by_hand import BatchedByHand, SynapsesByHand
from cortex_sim.network import Network
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.protocol import Protocol

NETWORKS: dict[str, tuple[int, ...]] = {
    "64-128-64-10": (64, 128, 64, 10),
    "784-256-256-10": (784, 256, 256, 10),
}
#: Engine and batch size. A block is one simulated second.
CASES = (("batched", 1), ("batched", 256), ("synapses", 1))
BLOCK_MS, DT_MS = 1000.0, 1.0


def chain(sizes: Sequence[int]) -> Network:
    """Dense chain under GAIT-prop, without biases, like the script."""
    net = Network("-".join(map(str, sizes)))
    names = ["retina", *(f"V{i}" for i in range(1, len(sizes) - 1)), "IT"]
    for name, size in zip(names, sizes, strict=True):
        net.population(name, size, activation="linear" if name == "IT" else "leaky_relu", bias=False)
    for pre, post in pairwise(names):
        net.bottom_up(pre, post, plasticity="gait_prop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop")


def shown(net: Network, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise stimuli and labels: the cost does not depend on them."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, net.populations["retina"].size)), rng.integers(10, size=count)


def protocol(net: Network, count: int, ms: float) -> Protocol:
    """One nudged phase, with all presentations in one batch."""
    x, y = shown(net, count)
    return Protocol(Phase("show", ms, drive={"retina": x}, nudge={"IT": y}), batch=count)


@dataclass(frozen=True)
class Pair:
    """The built simulation and the script, each ready to simulate ``ms``."""

    simulation: Simulation
    script: BatchedByHand | SynapsesByHand
    protocol: Protocol
    ms: float

    def ours(self) -> None:
        """One block of the built simulation, recorded as usual."""
        self.simulation.run(self.protocol)

    def by_hand(self) -> None:
        """One block of the script."""
        self.script.run(self.ms)


def pair(name: str, engine: str, batch: int, ms: float) -> Pair:
    """Both sides, from the same weights and for the same presentations."""
    net = chain(NETWORKS[name])
    simulation = build(net, engine=engine, dt_ms=DT_MS)
    weights = [simulation.weights.outward(p.name) for p in net.bottom_ups]
    x, y = shown(net, batch)
    by_hand = BatchedByHand if engine == "batched" else SynapsesByHand
    return Pair(simulation, by_hand(weights, x, np.eye(10)[y], DT_MS), protocol(net, batch, ms), ms)


def measure(sides: Pair, blocks: int) -> dict[str, Any]:
    """Seconds for one simulated second, medians of interleaved blocks, and their ratio."""
    runs: dict[str, Callable[[], None]] = {"ours": sides.ours, "baseline": sides.by_hand}
    seconds: dict[str, list[float]] = {"ours": [], "baseline": []}
    for block in range(blocks + 1):
        for side in sorted(runs, reverse=bool(block % 2)):
            began = time.perf_counter()
            runs[side]()
            if block:  # the first pair warms up
                seconds[side].append((time.perf_counter() - began) * 1000 / sides.ms)
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["baseline"], strict=True)]
    return {
        "ratio": statistics.median(seconds["ours"]) / statistics.median(seconds["baseline"]),
        "ratio_quartiles": statistics.quantiles(ratios, n=4) if len(ratios) > 1 else None,
        "ours_s": statistics.median(seconds["ours"]),
        "baseline_s": statistics.median(seconds["baseline"]),
    }


def one_second(name: str, batch: int) -> None:
    """Entry point of the fresh process: one simulated second from scratch."""
    net = chain(NETWORKS[name])
    build(net, dt_ms=DT_MS).run(protocol(net, batch, 1000.0))


def whole_process(name: str, batch: int, repeats: int = 3) -> float:
    """Median seconds of a fresh process that simulates one second."""
    code = f"from cortex_sim.bench.brian2 import one_second; one_second({name!r}, {batch})"
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def brian2_cost(blocks: int, networks: Sequence[str], report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One result per network, engine and batch; ratio is ours ÷ the script. ``report`` gets progress."""
    results = []
    for name in networks:
        large = name == "784-256-256-10"
        for engine, batch in CASES:
            report(f"{name}, {engine}, batch {batch}: {blocks} pairs of blocks")
            found = {"network": name, "engine": engine, "batch": batch, "dt_ms": DT_MS, "blocks": blocks}
            found |= measure(pair(name, engine, batch, BLOCK_MS), blocks)
            if large and engine == "batched":
                report(f"{name}, batch {batch}: fresh processes")
                found["whole_s"] = whole_process(name, batch)
            results.append(found)
    return results
