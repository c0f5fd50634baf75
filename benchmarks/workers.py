"""Inner steps a second of one process and of two workers: the table of docs/outer-loops.md.

    python -P benchmarks/workers.py run      # a few minutes, on two cores that are otherwise idle
    python -P benchmarks/workers.py page     # writes the table into docs/outer-loops.md

Inner runs of 196-64-10 learn the embedded digits at 14 x 14, batch 32: 64 of them by 20 steps under
searchers over windows, 32 members with one inner run of 100 steps each under pgpe. One process and the
workers take turns, in blocks of a few outer updates; medians over blocks, and their ratio. Wall time depends
on other work of the machine. The ratio of CPU times, of one process to the slower worker together with the
process that searches, is what idle cores would give.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from cortex_sim.runs.results import OneFile
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.workers.crew import Crew
from cortex_sim.tdca.workers.spreading import Workers, spread

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "outer-loops.md"
RESULTS = HERE / "results" / "tdca" / "workers.json"
WORKERS, BLOCKS, UPDATES = 2, 6, 2
SEARCHERS: dict[str, dict[str, Any]] = {"meta_gradient": {}, "nres": {}, "pgpe": {"members": 32}}


def settings_of(name: str) -> OuterSettings:
    """An outer loop over 196-64-10."""
    whole = "members" in SEARCHERS[name]
    return OuterSettings(
        tasks={"kind": "images", "sources": ["digits"], "side": 14},
        span={"shortest": 100, "longest": 100, "window": 20} if whole else {},
        searcher={"name": name, **SEARCHERS[name]},
        lives=1 if whole else 64,
    )


def steps_of(name: str) -> int:
    """Inner steps of an outer update."""
    return SEARCHERS[name]["members"] * 100 if "members" in SEARCHERS[name] else 64 * 20


def measure(name: str) -> dict[str, Any]:
    """Inner steps a second (of one process, of the workers), and the ratio."""
    settings = settings_of(name)
    given, centre = settings.problem(None)
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    alone = settings.search().begin(settings.problem(None)[0], centre, 1000, generators[0])
    with spread(Workers(WORKERS), settings, None, given) as work:
        shared = settings.search().begin(work.problem, centre, 1000, generators[1])
        searches = {1: alone, WORKERS: shared}
        seconds: dict[int, list[float]] = {1: [], WORKERS: []}
        cpu: dict[int, list[float]] = {1: [], WORKERS: []}
        crew = work.crew
        assert crew is not None
        for block in range(BLOCKS + 1):
            for workers in sorted(searches, reverse=bool(block % 2)):
                before, began, own = cpu_seconds(crew), time.perf_counter(), time.process_time()
                for _ in range(UPDATES):
                    searches[workers].step()
                if block:  # the first is a warm-up
                    seconds[workers].append((time.perf_counter() - began) / UPDATES)
                    own, after = time.process_time() - own, cpu_seconds(crew)
                    slower = max(b - a for a, b in zip(before, after, strict=True))
                    cpu[workers].append((own + slower) / UPDATES)
        apart = float((alone.centre - shared.centre).abs().max())
    medians = {workers: statistics.median(found) for workers, found in seconds.items()}
    ratios = [a / b for a, b in zip(seconds[1], seconds[WORKERS], strict=True)]
    return {
        "steps_per_second": {str(w): round(steps_of(name) / s) for w, s in medians.items()},
        "ratio": round(medians[1] / medians[WORKERS], 3),
        "quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]],
        "ratio_cpu": round(statistics.median(cpu[1]) / statistics.median(cpu[WORKERS]), 3),
        "centres_apart": apart,
        "load_before": round(os.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
    }


def cpu_seconds(crew: Crew) -> list[float]:
    """CPU time of every worker so far."""
    return [crew.pool.answer(crew.pool.send(rank, "cpu_seconds")) for rank in range(crew.size)]


def table() -> str:
    """Inner steps a second by searcher."""
    lines = [
        f"| searcher | inner steps a second, one process | {WORKERS} workers "
        "| ratio | its quartiles | ratio of CPU times |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in OneFile(RESULTS).all().items():
        one, more = (f"{found['steps_per_second'][str(w)]:,}".replace(",", " ") for w in (1, WORKERS))
        low, high = found["quartiles"]
        ratios = f"{found['ratio']:.2f} | {low:.2f} to {high:.2f} | {found['ratio_cpu']:.2f}"
        lines.append(f"| `{name}` | {one} | {more} | {ratios} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with its table between the markers."""
    marked = f"<!-- table workers -->\n\n{table()}\n\n<!-- end workers -->"
    return re.sub(r"<!-- table workers -->.*?<!-- end workers -->", lambda _: marked, text, flags=re.DOTALL)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "page"])
    parser.add_argument("--only", nargs="*", default=[], choices=list(SEARCHERS))
    given = parser.parse_args()
    if given.what == "page":
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
        return
    torch.set_num_threads(1)
    results = OneFile(RESULTS)
    for name in given.only or SEARCHERS:
        results.put(name, measure(name))
        print(name, results.get(name), flush=True)


if __name__ == "__main__":
    main()
