"""The cost of one outer update with each searcher: the table of docs/outer-loops.md.

    python benchmarks/outer_loops.py             # CPU time of this process: little affected by other load
    python benchmarks/outer_loops.py channels    # the meta-gradient's update over K, for docs/results-tdca.md

A credit network of 16 channels trains 64-32-10 on the embedded digits, batch 32. Searchers over windows
advance 32 inner runs by 20 steps and evaluate a validation batch; searchers over whole inner runs evaluate 16
members × 2 inner runs of 150 steps. For costs over K, inner runs are 196-64-10, and rounds go through all K.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import torch

from cortex_sim.tdca.evolving.problem import problem
from cortex_sim.tdca.evolving.settings import OuterSettings

UPDATES = 5
ROUNDS = 9
CHANNELS = (1, 4, 16, 64)
SEARCHERS: dict[str, dict[str, Any]] = {
    "meta_gradient": {},
    "nres": {},
    "pgpe": {"members": 16},
    "snes": {"members": 16},
    "cma_es": {"members": 16, "separable": True},
}


def cost(name: str, settings: dict[str, Any]) -> tuple[int, float]:
    """Inner steps in one update, over all inner runs, and its median CPU time in ms."""
    whole = "members" in settings
    chosen = OuterSettings(
        model_settings={"inputs": 64, "hidden": [32]},
        tasks={"kind": "images", "sources": ["digits"], "side": 8},
        span={"shortest": 150, "longest": 150, "window": 10} if whole else {"longest": 300},
        searcher={"name": name, **settings},
        lives=2 if whole else 32,
    )
    given, centre = problem(chosen, None)
    search = chosen.search().begin(given, centre, UPDATES + 1, torch.Generator().manual_seed(0))
    search.step()
    seconds = []
    for _ in range(UPDATES):
        began = time.process_time()
        search.step()
        seconds.append(time.process_time() - began)
    steps = settings["members"] * 2 * 150 if whole else 32 * 20
    return steps, 1000 * statistics.median(seconds)


def channels() -> dict[int, float]:
    """Median CPU ms of one update of the meta-gradient, by K."""
    searches, took = {}, {k: [] for k in CHANNELS}
    for k in CHANNELS:
        chosen = OuterSettings(
            rule={"name": "tdca", "credit_network": {"name": "dense", "channels": k}},
            tasks={"kind": "images", "sources": ["digits"], "side": 14},
        )
        given, centre = problem(chosen, None)
        searches[k] = chosen.search().begin(given, centre, ROUNDS + 1, torch.Generator().manual_seed(0))
        searches[k].step()
    for _ in range(ROUNDS):
        for k in CHANNELS:
            began = time.process_time()
            searches[k].step()
            took[k].append(time.process_time() - began)
    return {k: 1000 * statistics.median(seconds) for k, seconds in took.items()}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    if sys.argv[1:] == ["channels"]:
        print("| K | CPU ms per update |\n|---|---|")
        for k, ms in channels().items():
            print(f"| {k} | {ms:.0f} |")
        return
    print(
        "| searcher | inner steps per update | CPU ms per update | CPU µs per inner step |\n|---|---|---|---|"
    )
    for name, settings in SEARCHERS.items():
        steps, ms = cost(name, settings)
        print(f"| `{name}` | {steps} | {ms:.0f} | {1000 * ms / steps:.0f} |", flush=True)


if __name__ == "__main__":
    main()
