"""Time and memory of training steps, over plain torch's: ``docs/speed.md`` and its figure.

    python benchmarks/speed.py run [NAME ...]  # measures what is missing, one file NAME.json each
    python benchmarks/speed.py page            # writes tables and figure from these files

A file is what ``cortex-sim bench ... --json`` printed, with the command.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "speed.md"
FIGURE = HERE.parent / "docs" / "figures" / "speed.png"
RESULTS = HERE / "results" / "speed"
COMMANDS = {
    "vgg_like": "bench throughput --network vgg_like --blocks 4",
    "resnet_like": "bench throughput --network resnet_like --blocks 4",
    "gait_cifar_deep": "bench throughput --network gait_cifar_deep --published --blocks 3",
    "gait_imagenet": "bench throughput --network gait_imagenet --published --batch 32 --blocks 3",
    "conv4": "bench throughput --network conv4 --blocks 3",
    **{
        f"memory_{network}": f"bench memory --network {network} --blocks 2"
        for network in ("vgg_like", "resnet_like", "gait_cifar_deep")
    },
    "scaling_vgg_like": "bench scaling --network vgg_like --blocks 2",
    "scaling_dense": "bench scaling --network dense --blocks 2",
}
NETWORKS = ("vgg_like", "resnet_like", "gait_cifar_deep", "gait_imagenet", "conv4")
RULES = {"backprop": "backpropagation", "gait_prop": "GAIT-prop", "feedback_alignment": "feedback alignment"}
UNITS = {"depth": "depth", "width": "width", "batch": "batch"}
Rows = list[dict[str, Any]]


def run(names: list[str]) -> None:
    """Measure those of these that are missing, one after another."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = RESULTS / f"{name}.json"
        if path.exists():
            continue
        command = COMMANDS[name]
        asked = [sys.executable, "-m", "cortex_sim", *shlex.split(command), "--json"]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        found = {"command": f"cortex-sim {command} --json"} | json.loads(done.stdout.splitlines()[-1])
        path.write_text(json.dumps(_rounded(found), indent=1) + "\n", "utf-8")
        print(name, flush=True)


def _rounded(value: Any) -> Any:
    """Floats to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def results(name: str) -> Rows:
    """Rows of one file; none before it is measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8"))["results"] if path.exists() else []


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "Not measured yet."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ratio(row: dict[str, Any]) -> str:
    low, _, high = row["ratio_quartiles"]
    return f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})"


def steps() -> str:
    """Step time by network and rule."""
    head = [
        "network, batch",
        "rule",
        "ratio (quartiles)",
        "ours (ms)",
        "plain torch (ms)",
        "loop / plain loop",
    ]
    lines = []
    for network in NETWORKS:
        for row in results(network):
            loop = f"{row['loop_throughput']:.2f}" if "loop_throughput" in row else ""
            times = [f"{1e3 * row[key]:.0f}" for key in ("ours_s", "baseline_s")]
            lines.append([f"{network}, {row['batch']}", RULES[row["rule"]], _ratio(row), *times, loop])
    return _table(head, lines)


def published() -> str:
    """The published algorithm over ours."""
    lines = [
        [
            f"{network}, {row['batch']}",
            f"{row['published_ratio']:.1f}",
            f"{1e3 * row['published_s']:.0f}",
            f"{1e3 * row['ours_s']:.0f}",
        ]
        for network in NETWORKS
        for row in results(network)
        if "published_ratio" in row
    ]
    return _table(["network, batch", "published / ours", "published (ms)", "ours (ms)"], lines)


def memory() -> str:
    """Peak memory by network and rule."""
    lines = [
        [f"{row['network']}, {row['batch']}", RULES[row["rule"]], f"{row['ratio']:.2f}"]
        + [f"{1e-6 * row[key]:.0f}" for key in ("ours_bytes", "baseline_bytes")]
        + [f"{row['in_use_ratio']:.2f}" if "in_use_ratio" in row else "not measured"]
        for network in NETWORKS
        for row in results(f"memory_{network}")
    ]
    return _table(["network, batch", "rule", "ratio", "ours (MB)", "plain torch (MB)", "ratio in use"], lines)


def scaling() -> str:
    """Step time and memory over depth, width and batch, with the figure once it is drawn."""
    head = [
        "network",
        "depth",
        "width",
        "batch",
        "ratio (quartiles)",
        "ours (ms)",
        "memory ratio",
        "ours (MB)",
    ]
    lines = [
        [
            family,
            *_sizes(row),
            _ratio(row),
            f"{1e3 * row['ours_s']:.0f}",
            f"{row['memory_ratio']:.2f}",
            f"{1e-6 * row['ours_bytes']:.0f}",
        ]
        for family, row in _points()
    ]
    shown = "![Step time and memory over depth, width and batch](figures/speed.png)\n\n" * FIGURE.is_file()
    return shown + _table(head, lines)


def _points() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every network of the axes, once."""
    seen = set()
    for family in ("vgg_like", "dense"):
        for row in results(f"scaling_{family}"):
            if row["axis"] != "processes" and (family, *_sizes(row)) not in seen:
                seen.add((family, *_sizes(row)))
                yield family, row


def _sizes(row: dict[str, Any]) -> list[str]:
    return [str(row[axis]) for axis in UNITS]


def parts() -> str:
    """Where the time goes."""
    chosen = [(family, row) for family, row in _points() if "parts" in row]
    names = list(chosen[0][1]["parts"]) if chosen else []
    lines = []
    for family, row in chosen:
        label = f"{family} {' / '.join(_sizes(row))}"
        lines.append([label, "GAIT-prop", *(f"{1e3 * row['parts'][part]:.1f}" for part in names)])
        lines.append(["", "plain torch", *(f"{1e3 * row['baseline_parts'][part]:.1f}" for part in names)])
    return _table(["network, depth / width / batch", "", *(f"{name} (ms)" for name in names)], lines)


def processes() -> str:
    """Step time of several processes that share each batch."""
    lines = [
        [f"{row['network']}, {row['batch']}", str(row["size"]), _ratio(row)]
        + [f"{1e3 * row[key]:.0f}" for key in ("ours_s", "baseline_s")]
        for family in ("vgg_like", "dense")
        for row in results(f"scaling_{family}")
        if row["axis"] == "processes"
    ]
    return _table(
        ["network, batch", "processes", "ratio (quartiles)", "ours (ms)", "plain torch (ms)"], lines
    )


TABLES = {
    "steps": steps,
    "published": published,
    "memory": memory,
    "scaling": scaling,
    "parts": parts,
    "processes": processes,
}


def page(text: str) -> str:
    """The page with its tables between their markers."""
    for name, table in TABLES.items():
        written = f"<!-- table {name} -->\n\n{table()}\n\n<!-- end {name} -->"
        pattern = re.compile(rf"<!-- table {name} -->.*<!-- end {name} -->", re.DOTALL)
        text, found = pattern.subn(lambda _, written=written: written, text)
        assert found == 1, name
    return text


def draw(path: Path) -> None:
    """Step time and memory over depth, width and batch, both sides, both families."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain, save_figure

    figure = new_figure(9.5, 8)
    panels = figure.subplots(4, 3)
    for number, family in enumerate(("vgg_like", "dense")):
        rows = results(f"scaling_{family}")
        for column, axis in enumerate(UNITS):
            points = sorted((row for row in rows if row["axis"] == axis), key=lambda row: row["size"])
            kinds = {
                "step (ms)": ("ours_s", "baseline_s", 1e3),
                "memory (MB)": ("ours_bytes", "baseline_bytes", 1e-6),
            }
            for kind, (label, (ours, base, unit)) in enumerate(kinds.items()):
                axes = panels[2 * number + kind, column]
                for key, name, colour in ((base, "plain torch", "0.5"), (ours, "GAIT-prop", COLOURS[0])):
                    values = [unit * row[key] for row in points]
                    axes.plot(
                        [row["size"] for row in points], values, marker="o", ms=4, color=colour, label=name
                    )
                axes.set_xscale("log", base=2)
                axes.set_xticks([row["size"] for row in points], [str(row["size"]) for row in points])
                axes.minorticks_off()
                axes.set_ylim(bottom=0)
                plain(axes, axis, f"{family}: {label}" if column == 0 else "")
    panels[0, 0].legend(frameon=False)
    save_figure(figure, path)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "page"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these files", choices=[[], *COMMANDS])
    given = parser.parse_args()
    if given.what == "run":
        run(given.names or list(COMMANDS))
    else:
        if all(results(f"scaling_{family}") for family in ("vgg_like", "dense")):
            draw(FIGURE)
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
