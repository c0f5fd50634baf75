"""With which credit does a recurrent network learn sequences? Each arm at its best rate, three seeds.

    python benchmarks/sequences.py run --data mnist      # CORTEX_SIM_DATA=FOLDER says where mnist.npz is
    python benchmarks/sequences.py page                  # writes the tables into docs/results-sequences.md
    python benchmarks/sequences.py figures

Tasks, networks and arms are those of protocols/learning_sequences.py. Each arm chooses its learning rate on
validation trials with seed 100, from a grid that grows until the best rate is not at its edge; then seeds 0,
1 and 2 are tested with it. ``run`` continues where it stopped.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from pathlib import Path
from typing import Any

import marked_tables
import rates
import torch
from scipy import stats

from cortex_sim.runs.results import OneFile

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results-sequences.md"
FIGURE = HERE.parent / "docs" / "figures" / "learning_sequences.png"
RESULTS = HERE / "results" / "sequences" / "sequences.json"
FIRST = (0.003, 0.01, 0.03)
FINEST, COARSEST = 1e-4, 30.0
SEEDS, CHOOSING = (0, 1, 2), 100
#: Arms that the others are compared with.
AGAINST = ("broadcast without traces", "readout only", "backpropagation through time")


def protocol() -> Any:
    """The protocol's script as a module."""
    path = HERE.parent / "protocols" / "learning_sequences.py"
    spec = importlib.util.spec_from_file_location("learning_sequences", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(data: str, only: list[str], arms: list[str]) -> None:
    """Every run that is not kept yet, of some tasks and arms or of all."""
    torch.set_num_threads(1)
    script, results = protocol(), OneFile(RESULTS)
    for name, task in script.tasks(data).items():
        for arm in (arms or script.ARMS) if name in (only or [name]) else ():
            tried = sorted({*FIRST, *tried_rates(results.all(), name, arm)})
            for rate in tried:
                _once(script, results, name, task, arm, rate, CHOOSING, "validation")
                if rate == tried[-1]:
                    tried += _further(results.all(), name, arm, tried)
            best = chosen(results.all(), name, arm)
            for seed in SEEDS:
                _once(script, results, name, task, arm, best, seed, "test")


def _once(
    script: Any, results: OneFile, name: str, task: Any, arm: str, rate: float, seed: int, part: str
) -> None:
    key = f"{name}: {arm}: rate {rate:g}: seed {seed}"
    if results.get(key) is None:
        start = time.perf_counter()
        model = script.trained(task, script.ARMS[arm], rate, seed)
        found = {"score": script.score(model, task, part, seed), "rate": rate, "part": part}
        results.put(key, found | {"seconds": round(time.perf_counter() - start, 1)})
        print(key, found["score"], flush=True)


def tried_rates(kept: dict[str, Any], name: str, arm: str) -> list[float]:
    """Rates that were tried, ascending."""
    of = f"{name}: {arm}: rate "
    return sorted(v["rate"] for key, v in kept.items() if key.startswith(of) and v["part"] == "validation")


def chosen(kept: dict[str, Any], name: str, arm: str) -> float:
    """The rate with the best score on validation trials, the lowest of equal ones."""

    def at(rate: float) -> float:
        found: float = kept[f"{name}: {arm}: rate {rate:g}: seed {CHOOSING}"]["score"]
        return found

    return max(tried_rates(kept, name, arm), key=at)


def _further(kept: dict[str, Any], name: str, arm: str, tried: list[float]) -> list[float]:
    """The next rate, about three times beyond the edge at which the best is; none where it is inside."""
    best, order = chosen(kept, name, arm), sorted(tried)
    grid = [float(f"{lead}e{power}") for power in range(-4, 2) for lead in (1, 3)]
    if best == order[0] and best > FINEST:
        return [max(rate for rate in grid if rate < best)]
    if best == order[-1] and best < COARSEST:
        return [min(rate for rate in grid if rate > best)]
    return []


def scores(kept: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Test scores by task and arm, one for each seed; only of arms with all seeds."""
    script = protocol()
    found: dict[str, dict[str, list[float]]] = {}
    for name in script.tasks():
        for arm in script.ARMS:
            if tried_rates(kept, name, arm):
                rate = chosen(kept, name, arm)
                runs = [kept.get(f"{name}: {arm}: rate {rate:g}: seed {seed}") for seed in SEEDS]
                if all(runs):
                    found.setdefault(name, {})[arm] = [one["score"] for one in runs if one]
    return found


def paired(ours: list[float], theirs: list[float]) -> str:
    """Mean difference over seeds, in points, with its 95 % interval by Student's t."""
    apart = [100 * (one - other) for one, other in zip(ours, theirs, strict=True)]
    mean = statistics.mean(apart)
    half = stats.t.ppf(0.975, len(apart) - 1) * statistics.stdev(apart) / len(apart) ** 0.5
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def table(name: str) -> str:
    """One task: score, differences from the controls and from backpropagation, rate."""
    kept = OneFile(RESULTS).all()
    heads = ["credit", "score, %", *(f"minus {other}" for other in AGAINST), "learning rate"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    found = scores(kept)[name]
    for arm, values in found.items():
        cells = [arm, f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}"]
        others = [found.get(other) for other in AGAINST]
        cells += ["" if other in (None, values) else paired(values, other) for other in others]
        cells.append(rates.said(chosen(kept, name, arm), tried_rates(kept, name, arm)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with its tables between their markers."""
    return marked_tables.rewritten(text, table)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "page", "figures"])
    parser.add_argument("--data", default="mnist", help="images whose rows are shown")
    parser.add_argument("--only", nargs="*", default=[], help="tasks")
    parser.add_argument("--arms", nargs="*", default=[], help="names of arms")
    given = parser.parse_args()
    if given.what == "run":
        run(given.data, given.only, given.arms)
    elif given.what == "page":
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    else:
        protocol().figure(scores(OneFile(RESULTS).all())).savefig(FIGURE, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
