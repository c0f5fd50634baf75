"""Tables and figure of ``docs/results-several-tasks.md``, from results of ``benchmarks/several_tasks.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import functions_page
import marked_tables
import numpy as np

from cortex_sim import library
from cortex_sim.tdca.functions.settings import NEVER_SEEN, TRAINED
from cortex_sim.tdca.several.network import KINDS
from cortex_sim.tdca.studies.jobs import Folders

PROTOCOL = "tdca_several_tasks"
WORDS = {"supervised": "targets", "reinforcement": "reward", "functions": "functions"}
MEASURES = {
    "supervised": "accuracy on MNIST after 100 steps, %",
    "reinforcement": "return, mean over D, R and E",
    "functions": "tasks solved, n = 10, trained families, %",
}
SCALE = {"supervised": 100, "reinforcement": 1, "functions": 100}
DIGITS = {"supervised": 1, "reinforcement": 2, "functions": 0}
FIRST_ORDER = ("adam_1", "adam_4", "adam_4_noise", "momentum_1", "momentum_4", "lbfgs")
BASELINE = {"supervised": "backprop", "reinforcement": "reinforce"}
CHANCE = ("10.0", "0.00", "0")  # in the order of kinds; random search as on the page of functions
SHARE = 0.8  # of the specialist's lead that the criterion asks for
DRAWS = 4000
NOT_YET = "not run yet"
GATHERED = "gathered"  # key of what benchmarks/several_tasks.py reads from run directories
PROBABILITIES = (0.1, 0.5, 0.9)  # of the action taken, or of the right class

Values = np.ndarray  # (seed, stratum, run)


@cache
def protocol() -> Any:
    """The protocol's module."""
    return library.load_module("protocols", PROTOCOL)


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def head(*cells: str) -> list[str]:
    """The first two lines of a table."""
    return [row(*cells), "|" + "---|" * len(cells)]


def seeds(folders: Folders, names: Sequence[str]) -> list[int]:
    """Outer seeds under which all of these were run."""
    return [s for s in protocol().SEEDS if all(folders.kept(f"{name}-{s}") is not None for name in names)]


def values(folders: Folders, kind: str, name: str, among: Sequence[int]) -> Values | None:
    """What inner runs of a kind reach, (seed, stratum, run); a baseline of functions has one seed."""
    if name in FIRST_ORDER:
        theirs = protocol().optimiser(folders, name)
        return None if theirs is None else protocol().values(theirs, kind)[None]
    found = [protocol().values(folders.kept(f"{name}-{seed}"), kind) for seed in among]
    return np.array(found) if found else None


def baseline(folders: Folders, kind: str) -> str:
    """Name of the baseline: on functions, that of six tuned optimisers which solves most tested tasks."""
    if kind != "functions":
        return BASELINE[kind]
    found = {name: values(folders, kind, name, [0]) for name in FIRST_ORDER}
    return max(FIRST_ORDER, key=lambda name: -1.0 if (v := found[name]) is None else float(v.mean()))


def resampled(arrays: Sequence[Values]) -> list[np.ndarray]:
    """Means (draw,) of each over inner runs resampled within strata, the same ones in all arms and seeds."""
    strata, runs = arrays[0].shape[1:]
    rng = np.random.default_rng(0)
    weight = rng.multinomial(runs, np.full(runs, 1 / runs), (DRAWS, strata)) / runs
    return [np.einsum("dtr,str->d", weight, a) / (len(a) * strata) for a in arrays]


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % of them."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _arrays(folders: Folders, kind: str, names: Sequence[str]) -> list[Values] | None:
    own = [name for name in names if name not in FIRST_ORDER]
    among = seeds(folders, own)
    found = [values(folders, kind, name, among) for name in names]
    return None if not among or any(v is None for v in found) else [v for v in found if v is not None]


def difference(folders: Folders, kind: str, ours: str, theirs: str) -> str:
    """Mean of ours minus theirs with its interval."""
    arrays = _arrays(folders, kind, (ours, theirs))
    if arrays is None:
        return "–"
    a, b = resampled(arrays)
    mean, (low, high) = float(arrays[0].mean() - arrays[1].mean()), interval(a - b)
    scale, digits = SCALE[kind], DIGITS[kind] + (kind == "functions")
    return f"{scale * mean:+.{digits}f} [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}]"


def shared(folders: Folders, kind: str, name: str, over: str) -> tuple[float, float, float] | None:
    """Lead of an arm as a share of the specialist's, with its interval; None if the specialist has none."""
    arrays = _arrays(folders, kind, (name, kind, over))
    if arrays is None:
        return None
    ours, special, base = resampled(arrays)
    if interval(special - base)[0] <= 0:
        return None
    means = [float(a.mean()) for a in arrays]
    return (means[0] - means[2]) / (means[1] - means[2]), *interval((ours - base) / (special - base))


def _percent(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "no lead"
    mean, low, high = (100 * value for value in found)
    return f"{mean:.0f} % [{low:.0f}, {high:.0f}]"


def said(kind: str, mean: float) -> str:
    """A mean in the units of its kind."""
    return f"{SCALE[kind] * mean:.{DIGITS[kind]}f}"


def asked(folders: Folders) -> list[str]:
    """The criterion by kind, which is on the lead over the baseline; then leads over other rivals."""
    lines = head("lead", "of the specialist", "of the network trained by all", "must", "measured", "met")
    for kind in KINDS:
        first = baseline(folders, kind)
        more = ["backprop_decorrelated"] if kind == "supervised" else []
        for over in (first, *more, "untrained"):
            leads = [difference(folders, kind, name, over) for name in (kind, "joint")]
            found = shared(folders, kind, "joint", over)
            must, met = "–", "–"
            if over == first:
                must = f"≥ {100 * SHARE:.0f} % of the specialist's"
                if leads[0] != "–":
                    met = "yes" if found and found[0] >= SHARE else "**no**"
            lines.append(row(f"{WORDS[kind]}: over {called(over)}", *leads, must, _percent(found), met))
    return lines


def called(name: str) -> str:
    """What a baseline or the untrained network is called."""
    script = protocol()
    if name in FIRST_ORDER:
        return functions_page.ARMS[name]
    return "rates and schedules alone" if name == "untrained" else script.BASELINES.get(name, name)


def interference(folders: Folders) -> list[str]:
    """Rows trained on, columns tested on: the value, and the lead as a share of the specialist's."""
    lines = head("network trained by", *(f"{WORDS[kind]}: {MEASURES[kind]}" for kind in KINDS), "outer seeds")
    for name, (title, _, _) in protocol().ARMS.items():
        among = seeds(folders, [name])
        cells = []
        for kind in KINDS:
            found = values(folders, kind, name, among)
            if found is None:
                cells.append(NOT_YET)
                continue
            share = shared(folders, kind, name, baseline(folders, kind))
            part = "" if share is None else f" ({100 * share[0]:.0f} %)"
            cells.append(said(kind, float(found.mean())) + part)
        lines.append(row(title, *cells, str(len(among))))
    for kind in KINDS:
        more = ["backprop_decorrelated"] if kind == "supervised" else []
        for name in (baseline(folders, kind), *more):
            among = seeds(folders, [name]) if name not in FIRST_ORDER else [0]
            found = values(folders, kind, name, among)
            own = NOT_YET if found is None else said(kind, float(found.mean()))
            lines.append(row(called(name), *(own if k == kind else "" for k in KINDS), str(len(among))))
    lines.append(row("chance; on functions random search", *CHANCE, ""))
    return lines


PAIRS = (
    ("joint", None, "all three minus the specialist"),
    ("joint", "untrained", "all three minus rates and schedules alone"),
    ("joint", "joint_without_cue", "all three: with minus without cue"),
)


def differences(folders: Folders) -> list[str]:
    """Paired differences by kind."""
    lines = head("", *(WORDS[kind] for kind in KINDS))
    for ours, theirs, title in PAIRS:
        lines.append(row(title, *(difference(folders, kind, ours, theirs or kind) for kind in KINDS)))
    for kind in KINDS:
        cells = [difference(folders, k, kind, "untrained") for k in KINDS]
        lines.append(row(f"{WORDS[kind]} alone minus rates and schedules alone", *cells))
    return lines


def _means(found: Sequence[float], digits: int, scale: int) -> str:
    """Mean over outer seeds, and their range where there are several."""
    if not found:
        return NOT_YET
    each = [f"{scale * value:.{digits}f}" for value in (np.mean(found), min(found), max(found))]
    return each[0] if len(found) == 1 else f"{each[0]} ({each[1]}–{each[2]})"


def _kept(folders: Folders, name: str) -> list[dict[str, Any]]:
    """Conditions of every outer seed, without the kind in their names."""
    found = []
    for seed in protocol().SEEDS:
        kept = folders.kept(f"{name}-{seed}")
        if kept is not None:
            found.append({label.rpartition("/")[2]: cell for label, cell in kept["per_life"].items()})
    return found


def _named(names: Sequence[str]) -> list[tuple[str, str]]:
    script = protocol()
    return [(name, script.ARMS[name][0] if name in script.ARMS else script.BASELINES[name]) for name in names]


def _mean(found: Sequence[float]) -> float:
    return float(np.mean(found))


def supervised(folders: Folders) -> list[str]:
    """Accuracy by inner steps."""
    steps = ("30", "100", "300")
    lines = head("accuracy on MNIST, %, after", *(f"{n} steps" for n in steps))
    for name, title in _named([*protocol().ARMS, "backprop", "backprop_decorrelated"]):
        kept = _kept(folders, name)
        lines.append(row(title, *(_means([_mean(k["mnist"][n]) for k in kept], 1, 100) for n in steps)))
    return lines


def reward(folders: Folders) -> list[str]:
    """Return over the inner run, and solved after it, by setting."""
    lines = head("", *(f"return, {s}" for s in "DRE"), *(f"solved after, {s}, %" for s in "DRE"))
    for name, title in _named([*protocol().ARMS, "reinforce"]):
        kept = _kept(folders, name)
        cells = [_means([_mean(k[s]["mean"]) for k in kept], 2, 1) for s in "DRE"]
        cells += [_means([_mean(k[s]["solved"]) for k in kept], 0, 100) for s in "DRE"]
        lines.append(row(title, *cells))
    return lines


def functions(folders: Folders) -> list[str]:
    """Share solved by number of variables and group of families."""
    groups = {"trained": TRAINED, "never seen": NEVER_SEEN}
    cells = [(n, group) for n in (2, 10) for group in groups]
    lines = head("solved, %", *(f"n = {n}, {group}" for n, group in cells))
    named = [(title, _kept(folders, name)) for name, title in _named(list(protocol().ARMS))]
    for name in FIRST_ORDER:
        theirs = protocol().optimiser(folders, name)
        if theirs is not None:
            own = {label.rpartition("/")[2]: cell for label, cell in theirs["per_life"].items()}
            named.append((called(name), [own]))
    for title, kept in named:
        shares = [[_solved(k, n, groups[group]) for k in kept] for n, group in cells]
        lines.append(row(title, *(_means(found, 0, 100) for found in shares)))
    return lines


def _solved(kept: dict[str, Any], n: int, families: Sequence[str]) -> float:
    return _mean([at is not None for name in families for at in kept[f"n{n} {name}"]["solved_at"]])


def cosines(folders: Folders) -> list[str]:
    """Cosines between kinds' gradients of the network, over the outer loop."""
    pairs = list(combinations(KINDS, 2))
    lines = head("network trained by", *(f"{WORDS[a]}, {WORDS[b]}" for a, b in pairs))
    kept = {key: one["cosines"] for key, one in _gathered(folders).items()}
    for name in ("joint", "joint_without_cue", "untrained"):
        found = [kept[key] for seed in protocol().SEEDS if (key := f"{name}-{seed}") in kept]
        cells = [[c for one in found for c in one[f"cosine_{a}_{b}"]] for a, b in pairs]
        said = [f"{np.mean(c):+.2f} ({min(c):+.2f} to {max(c):+.2f})" if c else NOT_YET for c in cells]
        lines.append(row(protocol().ARMS[name][0], *said))
    return lines


def _gathered(folders: Folders) -> dict[str, Any]:
    """What was read from run directories, by job."""
    found = folders.kept(GATHERED) or {}
    return {key: one for key, one in found.items() if isinstance(one, dict)}


def gains(folders: Folders) -> list[str]:
    """Trained gains at actions or classes of three probabilities, divided by that of the least probable."""
    kept, heads = _gathered(folders), [f"π = {p:g}" for p in PROBABILITIES[1:]]
    lines = head("network trained by", *(f"{WORDS[kind]}, {h}" for kind in KINDS[:2] for h in heads))
    for name in ("supervised", "reinforcement", "supervised_reinforcement", "joint", "joint_without_cue"):
        found = [kept[key]["gains"] for seed in protocol().SEEDS if (key := f"{name}-{seed}") in kept]
        each = [
            [one[kind][i] / one[kind][0] for one in found]
            for kind in KINDS[:2]
            for i in range(1, len(PROBABILITIES))
        ]
        lines.append(row(protocol().ARMS[name][0], *(_means(cell, 2, 1) for cell in each)))
    return lines


def budgets(folders: Folders) -> list[str]:
    """Outer parameters, updates and seconds."""
    lines = head("", "outer parameters", "outer updates", "seconds of the outer loop, each seed")
    for name, title in _named([*protocol().ARMS, *protocol().BASELINES]):
        kept = [k for s in protocol().SEEDS if (k := folders.kept(f"{name}-{s}")) is not None]
        if not kept:
            lines.append(row(title, NOT_YET, "–", "–"))
            continue
        seconds = ", ".join(f"{k['outer_seconds']:.0f}" for k in kept)
        lines.append(row(title, str(kept[0]["parameters"]), str(kept[0]["iterations"]), seconds))
    return lines


TABLES: dict[str, Callable[[Folders], list[str]]] = {
    "asked": asked,
    "interference": interference,
    "differences": differences,
    "supervised": supervised,
    "reward": reward,
    "functions": functions,
    "cosines": cosines,
    "gains": gains,
    "budgets": budgets,
}


def page(text: str, folders: Folders) -> str:
    """The page with each table between its two markers."""
    return marked_tables.rewritten(text, lambda name: "\n".join(TABLES[name](folders)))


def draw(folders: Folders, into: Path) -> None:
    """The figure, with few colours, which keeps the file small."""
    from io import BytesIO

    from PIL import Image

    for title, figure in protocol().figures(folders).items():
        drawn = BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        Image.open(drawn).convert("RGB").quantize(96).save(into / f"{title}.png", optimize=True)
        print(into / f"{title}.png", flush=True)
