"""Does a credit network pass local minima, or take longer steps? Twelve runs on each of two data sets.

    python benchmarks/landscapes.py run          # CORTEX_SIM_DATA=FOLDER says where mnist.npz is
    python benchmarks/landscapes.py page         # writes the tables into docs/results-landscapes.md
    python benchmarks/landscapes.py figures

Arms and measurements are those of protocols/landscapes.py. ``run`` continues where it stopped.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from cortex_sim.runs.results import OneFile

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results-landscapes.md"
FIGURE = HERE.parent / "docs" / "figures" / "landscapes.png"
RESULTS = HERE / "results" / "landscapes" / "landscapes.json"
DATA, SEEDS, STEPS = ("mnist", "digits"), 12, 300
COLUMNS = {
    "objective": ("objective at the end", 1, 3),
    "accuracy": ("test accuracy, %", 100, 1),
    "path": ("path", 1, 1),
    "distance": ("distance", 1, 1),
    "climb": ("climb on the line from the start", 1, 4),
    "crossings": ("steps over a barrier", 1, 1),
    "rises": ("steps that rise", 1, 1),
}
COMPONENTS = {"first": "first component, %", "second": "second, %"}


def protocol() -> Any:
    """The protocol's script as a module."""
    path = HERE.parent / "protocols" / "landscapes.py"
    spec = importlib.util.spec_from_file_location("landscapes_protocol", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run() -> None:
    """The study on each data set that is not kept yet."""
    torch.set_num_threads(1)
    script, results = protocol(), OneFile(RESULTS)
    for data in DATA:
        if results.get(data) is None:
            start = time.perf_counter()
            found = rounded(script.study(data, SEEDS, STEPS))
            results.put(data, found | {"seconds": round(time.perf_counter() - start)})
            print(data, found["cosine"], flush=True)


def rounded(value: Any) -> Any:
    """Numbers of six significant digits."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else float(f"{value:.6g}")


def spread(values: list[float], scale: float, digits: int) -> str:
    """Mean ± standard deviation over runs."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{scale * mean:.{digits}f} ± {scale * deviation:.{digits}f}"


def interval(values: list[float], digits: int = 3) -> str:
    """Mean over runs with its 95 % interval by Student's t."""
    mean = statistics.mean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.{digits}f} [{mean - half:.{digits}f}, {mean + half:.{digits}f}]"


def ordered(data: str, what: str) -> list[tuple[str, dict[str, list[float]]]]:
    """Arms, or pairs of them, in the protocol's order."""
    script, kept = protocol(), OneFile(RESULTS).all()[data][what]
    names = script.ARMS if what == "arms" else [f"{one} | {other}" for one, other in script.PAIRS]
    return [(name, kept[name]) for name in names]


def arms(data: str) -> str:
    """A row for each arm: where it ends, how it gets there, what is in the way."""
    lines = [f"| arm | {' | '.join(title for title, _, _ in COLUMNS.values())} |", "|---" * 8 + "|"]
    for arm, values in ordered(data, "arms"):
        cells = [spread(values[name], scale, digits) for name, (_, scale, digits) in COLUMNS.items()]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pairs(data: str) -> str:
    """A row for each pair of ends: distance, barrier, and in how many runs it is higher than a crossing."""
    lines = ["| ends | distance | barrier between them | runs with a barrier above .01 |", "|---" * 4 + "|"]
    for pair, values in ordered(data, "pairs"):
        high = sum(value > 0.01 for value in values["barrier"])
        cells = [spread(values["distance"], 1, 1), interval(values["barrier"]), f"{high} of {SEEDS}"]
        lines.append(f"| {pair.replace(' | ', ' – ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def components(data: str) -> str:
    """Variance explained, that of a random walk with the same step lengths, and slices."""
    heads = [f"{title} | of a random walk" for title in COMPONENTS.values()]
    lines = [f"| arm | {' | '.join(heads)} | rise along a random slice |", "|---" * 6 + "|"]
    for arm, values in ordered(data, "arms"):
        cells = [spread(values[name], 100, 0) for of in COMPONENTS for name in (of, f"{of}_null")]
        lines.append(f"| {arm} | {' | '.join(cells)} | {spread(values['slice'], 1, 3)} |")
    return "\n".join(lines)


TABLES = {"arms": arms, "pairs": pairs, "components": components}


def page(text: str) -> str:
    """The page with its tables between their markers."""

    def written(mark: re.Match[str]) -> str:
        what, data = mark.group(1), mark.group(2)
        return f"<!-- table {what} {data} -->\n\n{TABLES[what](data)}\n\n<!-- end {what} {data} -->"

    return re.sub(r"<!-- table (\w+) (\w+) -->.*?<!-- end \1 \2 -->", written, text, flags=re.DOTALL)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "page", "figures"])
    given = parser.parse_args()
    if given.what == "run":
        run()
    elif given.what == "page":
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    else:
        drawn = protocol().figure(OneFile(RESULTS).all()["mnist"])
        drawn.savefig(FIGURE, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
