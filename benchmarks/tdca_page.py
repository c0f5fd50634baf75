"""Tables of ``docs/results-tdca.md`` from the results of ``benchmarks/tdca.py``."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import marked_tables

from cortex_sim import library
from cortex_sim.tdca.studies.compare import (
    BySeed,
    Difference,
    accuracies_by_seed,
    difference,
    difference_over_runs,
    spread,
)
from cortex_sim.tdca.studies.jobs import Folders

STEPS = (30, 100, 300, 1000)
SAID = {
    "tdca_mnist": "credit network, error",
    "tdca_mnist_raw": "credit network, raw (loss-free)",
    "tdca_mnist_nres": "credit network, error, by NRES",
    "tdca_shared": "credit network, shared, error",
    "backprop_mnist": "backpropagation",
    "dfa_mnist": "direct feedback alignment",
    "backprop_mnist_adam": "backpropagation, Adam's step alone",
    "dfa_mnist_adam": "direct feedback alignment, Adam's step alone",
    "low_rank_mnist": "low-rank feedback, rank 9",
    "error_diffusion_mnist": "error diffusion",
    "tdca_mnist_untrained": "control: credit network untrained, frozen",
    "readout_mnist": "control: readout only",
    "tdca_cnn": "credit network, error",
    "dfa_cnn": "direct feedback alignment",
    "backprop_cnn": "backpropagation",
}
SPOILED = {
    "units": "control: credits of other units",
    "presentations": "control: credits of other presentations",
    "noise": "control: noise of equal norm",
    "silent": "control: no credit below the top",
}
NOT_YET = "not run yet"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def _percent(cell: tuple[float, float] | None) -> str:
    return "–" if cell is None else f"{100 * cell[0]:.1f} ± {100 * cell[1]:.1f}"


def _points(found: Difference | None) -> str:
    if found is None:
        return "–"
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _arm(folders: Folders, name: str, label: str, said: str, steps: Sequence[int]) -> str:
    """Row of an arm: accuracies, outer method, seeds, seconds."""
    cells = [accuracies_by_seed(folders, name, label, n) for n in steps]
    results = [r for s in range(3) if (r := folders.kept(f"{name}-{s}")) is not None]
    if not results:
        return _row(said, *[NOT_YET] + ["–"] * (len(steps) - 1), "–", "–", "–", "–")
    seconds = f"{statistics.median(r['outer_seconds'] for r in results):.0f}"
    method, count = results[0]["searcher"]["name"].replace("_", "-"), str(results[0]["parameters"])
    return _row(said, *(_percent(spread(c)) for c in cells), method, str(len(results)), count, seconds)


def accuracies(folders: Folders, label: str, steps: Sequence[int], names: Sequence[str]) -> list[str]:
    """Table of arms, and of every corrupted credit that was tested; controls are always listed."""
    lines = _head("rule", *map(str, steps), "outer method", "outer seeds", "outer parameters", "outer s")
    lines += [_arm(folders, name, label, SAID[name], steps) for name in names]
    source = names[0]
    for how, said in SPOILED.items():
        if label in ("mnist", "digits"):
            lines.append(_arm(folders, source, f"{label}:{how}", said, steps))
    return lines


def differences(
    folders: Folders, baseline: str, labels: Sequence[str], names: Sequence[str], steps: Sequence[int]
) -> list[str]:
    """Table of paired differences from a rule, in points, 95 % intervals."""
    lines = _head("rule", "where", *map(str, steps), "outer seeds")
    for name in names:
        for label in labels:
            found = [_difference(folders, name, baseline, label, n) for n in steps]
            seeds = max((d.seeds for d in found if d is not None), default=0)
            lines.append(_row(SAID[name], label, *map(_points, found), str(seeds) if seeds else NOT_YET))
    return lines


def _difference(folders: Folders, ours: str, theirs: str, label: str, steps: int) -> Difference | None:
    return difference(
        accuracies_by_seed(folders, ours, label, steps), accuracies_by_seed(folders, theirs, label, steps)
    )


FIRST = ("tdca_mnist", "tdca_mnist_raw", "tdca_mnist_nres", "tdca_shared", "backprop_mnist", "dfa_mnist")
FIRST = (*FIRST, "backprop_mnist_adam", "dfa_mnist_adam", "low_rank_mnist", "error_diffusion_mnist")
FIRST = (*FIRST, "tdca_mnist_untrained", "readout_mnist")
CREDIT = FIRST[:4]
WHERE = ("mnist", "mnist@256", "fashion_mnist")


def asked(folders: Folders) -> list[str]:
    """Criteria and aims set before the runs, with the results."""
    lines = _head("", "at", "must", "aim", "measured", "must met", "aim met")

    def level(
        label: str, must: Sequence[float | None], aim: Sequence[float | None], steps: Sequence[int]
    ) -> None:
        for n, low, high in zip(steps, must, aim, strict=True):
            cell = spread(accuracies_by_seed(folders, "tdca_mnist", label, n))
            verdicts = [_met(cell, bound) for bound in (low, high)]
            bounds = ["–" if b is None else f"{100 * b:.1f} %" for b in (low, high)]
            lines.append(_row(f"accuracy, {label}", str(n), *bounds, _percent(cell), *verdicts))

    level("mnist", (0.76, 0.85, 0.89, 0.91), (0.80, 0.88, 0.91, 0.935), STEPS)
    level("fashion_mnist", (0.68, 0.74, 0.79), (0.72, 0.77, 0.80), STEPS[1:])
    for theirs in ("dfa_mnist", "dfa_mnist_adam"):
        for label in WHERE[:2]:
            for n in STEPS:
                found = _difference(folders, "tdca_mnist", theirs, label, n)
                early = n < 300
                must = "interval above 0" if early else "not below -0.5"
                met = "–" if found is None else _yes(found.low > 0 if early else found.mean >= -0.005)
                aim = "–" if found is None else _yes(found.low > 0)
                said = f"minus {SAID[theirs]}, {label}"
                lines.append(_row(said, str(n), must, "interval above 0", _points(found), met, aim))
    for n in STEPS:
        found = _difference(folders, "tdca_mnist", "backprop_mnist", "mnist@256", n)
        aim = "–" if found is None else _yes(found.mean >= -0.02)
        lines.append(
            _row("minus backpropagation, mnist@256", str(n), "–", "not below -2", _points(found), "–", aim)
        )
    return lines


def again(folders: Folders) -> list[str]:
    """The credit network minus its rivals, on new inner runs: over seeds, then over inner runs."""
    lines = _head("minus", "on", *map(str, STEPS), "interval over")
    for theirs in ("dfa_mnist", "dfa_mnist_adam", "backprop_mnist"):
        for label in WHERE:
            arms = [(f"again_{name}", label) for name in ("tdca_mnist", theirs)]
            for interval, over in ((difference, "outer seeds"), (difference_over_runs, "inner runs")):
                found = [interval(*(accuracies_by_seed(folders, *arm, n) for arm in arms)) for n in STEPS]
                count = next((_units(folders, *arms[0], over) for d in found if d is not None), NOT_YET)
                lines.append(_row(SAID[theirs], label, *map(_points, found), count))
    return lines


def _units(folders: Folders, name: str, label: str, over: str) -> str:
    """How many outer seeds or inner runs an interval is over."""
    tested = accuracies_by_seed(folders, name, label, STEPS[0])
    return f"{len(tested) if over == 'outer seeds' else len(next(iter(tested.values())))} {over}"


def _met(cell: tuple[float, float] | None, bound: float | None) -> str:
    return "–" if cell is None or bound is None else _yes(cell[0] >= bound)


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"


def beaten(folders: Folders) -> list[str]:
    """Where backpropagation is beaten: the interval of the paired difference is above 0."""
    found = []
    for name in CREDIT:
        for label in WHERE:
            for n in (*STEPS, 3000):
                d = _difference(folders, name, "backprop_mnist", label, n)
                if d is not None and d.low > 0:
                    found.append(f"- {SAID[name]}, {label}, {n} steps: {_points(d)} points")
    if found:
        return found
    known = _difference(folders, "tdca_mnist", "backprop_mnist", "mnist", 100)
    return ["Nowhere." if known is not None else f"{NOT_YET.capitalize()}."]


def late(folders: Folders) -> list[str]:
    """Change on Fashion-MNIST from 300 to 3000 steps, of the rules that were run that long."""
    found = {
        name: difference(*(accuracies_by_seed(folders, name, "fashion_mnist", n) for n in (3000, 300)))
        for name in FIRST
    }
    rows = [_row(SAID[name], _points(d), str(d.seeds)) for name, d in found.items() if d is not None]
    head = _head("rule", "3000 minus 300 steps, points", "outer seeds")
    return head + (rows or [_row(NOT_YET, "–", "–")])


def diffusion(folders: Folders) -> list[str]:
    """Accuracy by K and number of classes; then by kernel; then the position of the knee."""
    protocol: Any = library.load_module("protocols", "tdca_diffusion")
    steps = (100, 1000)
    lines = _head(
        "classes", "K", *(f"{n} steps" for n in steps), "minus K = n, 1000", "parameters", "outer s"
    )
    for classes in protocol.CLASSES:
        names = {str(k): protocol.name_of(classes, k) for k in protocol.CHANNELS}
        names["n, identity"] = protocol.name_of(classes, protocol.UNITS, "identity")
        names["direct feedback alignment"] = f"diffusion_c{classes}_dfa"
        whole = accuracies_by_seed(folders, names["n, identity"], "mnist", 1000)
        for said, name in names.items():
            lines.append(_swept(folders, (str(classes), said), name, whole))
    lines += [
        "",
        *_head("kernel, K = 16", "", "100 steps", "1000 steps", "minus ring, 1000", "parameters", "outer s"),
    ]
    home = accuracies_by_seed(folders, protocol.name_of(10, 16), "mnist", 1000)
    lines += [_swept(folders, (said, ""), name, home) for said, name in protocol.kernels_tried().items()]
    return [*lines, "", *(_knee(folders, protocol, classes) for classes in protocol.CLASSES)]


def _swept(folders: Folders, said: tuple[str, str], name: str, whole: BySeed) -> str:
    result = folders.kept(f"{name}-0")
    if result is None:
        return _row(*said, NOT_YET, "–", "–", "–", "–")
    cells = [accuracies_by_seed(folders, name, "mnist", n) for n in (100, 1000)]
    against_whole = _points(difference(cells[1], whole))
    numbers = str(result["parameters"]), f"{result['outer_seconds']:.0f}"
    return _row(*said, *(_percent(spread(c)) for c in cells), against_whole, *numbers)


def _knee(folders: Folders, protocol: Any, classes: int) -> str:
    """Smallest K that, like every larger one, is within a point of K = n after 1000 steps."""
    cells = {
        k: spread(accuracies_by_seed(folders, protocol.name_of(classes, k), "mnist", 1000))
        for k in protocol.CHANNELS
    }
    whole = spread(
        accuracies_by_seed(folders, protocol.name_of(classes, protocol.UNITS, "identity"), "mnist", 1000)
    )
    if whole is None or any(cell is None for cell in cells.values()):
        return f"- Knee for {classes} classes: {NOT_YET}."
    near = {k: cell[0] >= whole[0] - 0.01 for k, cell in cells.items() if cell is not None}
    knee = [k for k in near if all(within for other, within in near.items() if other >= k)]
    if not knee:
        return f"- {classes} classes: every K that was tried costs a point or more after 1000 steps."
    below = [k for k in protocol.CHANNELS if k < knee[0]]
    tried = f"; K = {below[-1]}, the next smaller one tried, costs more" if below else ""
    return f"- {classes} classes: K = {knee[0]} and above cost less than one point after 1000 steps{tried}."


def tasks(folders: Folders) -> list[str]:
    """Number of label permutations in meta-training."""
    protocol: Any = library.load_module("protocols", "tdca_transfer")
    lines = _head(
        "permutations",
        "its own, 1000 steps",
        "others, 100 steps",
        "others, 1000 steps",
        "Fashion-MNIST, 1000",
    )
    for n in protocol.NUMBERS:
        own = spread(accuracies_by_seed(folders, f"transfer_tasks_{n}", protocol.HOME_TASKS, 1000))
        others = [
            spread(accuracies_by_seed(folders, f"tasks_{n}", label, steps))
            for label, steps in (("mnist", 100), ("mnist", 1000), ("fashion_mnist", 1000))
        ]
        lines.append(_row(str(n), _percent(own), *map(_percent, others)))
    return lines


def transfer(folders: Folders) -> list[str]:
    """Every cell: our accuracy, those of the two other rules, and the paired differences."""
    protocol: Any = library.load_module("protocols", "tdca_transfer")
    lines = _head(
        "where",
        "steps",
        "dense",
        "shared",
        "direct feedback alignment",
        "backpropagation",
        "dense minus DFA",
        "shared minus DFA",
    )
    for cell in protocol.cells():
        for n in cell.steps:
            found = [
                accuracies_by_seed(folders, f"transfer_{source}", cell.label, n)
                for source in protocol.SOURCES
            ]
            pairs = [_points(difference(ours, found[2])) for ours in found[:2]]
            lines.append(_row(cell.label, str(n), *(_percent(spread(f)) for f in found), *pairs))
    return lines


TABLES: dict[str, Callable[[Folders], list[str]]] = {
    "asked": asked,
    "mnist": lambda f: accuracies(f, "mnist", (*STEPS, 3000), FIRST),
    "mnist_256": lambda f: accuracies(f, "mnist@256", (*STEPS, 3000), FIRST),
    "fashion": lambda f: accuracies(f, "fashion_mnist", (*STEPS, 3000), FIRST),
    "late": late,
    "dfa": lambda f: differences(f, "dfa_mnist", WHERE, (*CREDIT, "backprop_mnist"), (*STEPS, 3000)),
    "backprop": lambda f: differences(f, "backprop_mnist", WHERE, CREDIT, (*STEPS, 3000)),
    "again": again,
    "beaten": beaten,
    "diffusion": diffusion,
    "transfer": transfer,
    "tasks": tasks,
    "cnn": lambda f: accuracies(f, "mnist", STEPS, ("tdca_cnn", "dfa_cnn", "backprop_cnn")),
    "cnn_fashion": lambda f: accuracies(f, "fashion_mnist", STEPS, ("tdca_cnn", "dfa_cnn", "backprop_cnn")),
}


def page(text: str, folders: Folders, tables: dict[str, Callable[[Folders], list[str]]] = TABLES) -> str:
    """The page with each table between its two markers."""
    return marked_tables.rewritten(text, lambda name: "\n".join(tables[name](folders)))
