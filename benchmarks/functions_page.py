"""Tables and figures of ``docs/results-functions.md``, from the results of ``benchmarks/functions.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import marked_tables
import numpy as np

from cortex_sim.tdca.functions.families import FAMILIES
from cortex_sim.tdca.functions.settings import NEVER_SEEN, TRAINED
from cortex_sim.tdca.studies.jobs import Folders

SEEDS = (0, 1, 2)
DIMENSIONS = (2, 10, 30)
ARMS = {
    "first_order": "credit network, first order",
    "first_order_tuned": "credit network, rate and fall chosen for each n",
    "adam_4": "Adam × 4 starts",
    "adam_1": "Adam × 1 start",
    "adam_4_noise": "Adam × 4 starts + annealed noise",
    "momentum_4": "gradient descent + momentum × 4 starts",
    "momentum_1": "gradient descent + momentum × 1 start",
    "lbfgs": "L-BFGS, restarted",
    "zero_order": "credit network, zero order",
    "snes": "SNES",
    "cma_es": "CMA-ES",
    "random_search": "random search",
}
OURS = tuple(ARMS)[:2]
GRADIENTS = tuple(ARMS)[:8]
RIVALS = GRADIENTS[2:]
VALUES = tuple(ARMS)[8:]
STEEPER = ("0.5", "1", "1.5")
SHORT = {"first_order": "first order", "first_order_tuned": "first order, chosen", "zero_order": "zero order"}
CONTROLS = {
    "first_order": {
        "": "credit network, first order",
        "silent": "network silent",
        "units": "credits of other units",
        "apart": "points do not exchange positions",
        "quiet": "noise off",
    },
    "first_order_tuned": {
        "": "credit network, rate and fall chosen for each n",
        "silent": "network silent",
    },
    "zero_order": {
        "": "credit network, zero order",
        "silent": "network silent",
        "units": "credits of other units",
        "samples": "weights of other samples",
    },
}
GROUPS = {"trained": TRAINED, "never seen": NEVER_SEEN}
NOT_YET = "not run yet"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def results(folders: Folders, arm: str) -> list[dict[str, Any]]:
    """Kept results of an arm, one for each outer seed; baselines have one."""
    found = (folders.kept(f"{arm}-{seed}") for seed in SEEDS)
    return [result for result in found if result is not None]


def solved(result: dict[str, Any], n: int, names: Sequence[str], control: str = "") -> np.ndarray:
    """Whether each task of these families is solved, (family, task)."""
    suffix = f":{control}" if control else ""
    cells = [result["per_life"][f"n{n} {name}{suffix}"]["solved_at"] for name in names]
    return np.array([[at is not None for at in cell] for cell in cells])


def share(folders: Folders, arm: str, n: int, names: Sequence[str], control: str = "") -> str:
    """Per cent solved: the mean over outer seeds, and their range where there are several."""
    each = [100 * solved(r, n, names, control).mean() for r in results(folders, arm)]
    if not each:
        return "–"
    spread = f" ({min(each):.0f}–{max(each):.0f})" if len(each) > 1 else ""
    return f"{np.mean(each):.0f}{spread}"


def shares(folders: Folders, arms: Sequence[str], suffix: str = "") -> list[str]:
    """Arms by number of variables: trained and never-seen families."""
    lines = _head("", *(f"n = {n}, {group}" for n in DIMENSIONS for group in GROUPS))
    for arm in arms:
        key = f"{arm}{suffix}"
        cells = [share(folders, key, n, names) for n in DIMENSIONS for names in GROUPS.values()]
        lines.append(_row(ARMS[arm], *cells if results(folders, key) else [NOT_YET, *cells[1:]]))
    return lines


def families(folders: Folders) -> list[str]:
    """Every family at n = 10."""
    names = [*TRAINED, *NEVER_SEEN]
    lines = _head("n = 10", *(name.replace("_", "–") for name in names))
    for arm in ARMS:
        cells = [share(folders, arm, 10, [name]).partition(" ")[0] for name in names]
        lines.append(_row(ARMS[arm], *cells))
    return lines


def controls(folders: Folders) -> list[str]:
    """Both trained rules under their controls."""
    lines = _head("", *(f"n = {n}, {group}" for n in DIMENSIONS for group in GROUPS))
    for arm, known in CONTROLS.items():
        for control, said in known.items():
            cells = [share(folders, arm, n, names, control) for n in DIMENSIONS for names in GROUPS.values()]
            lines.append(_row(said, *cells))
    return lines


def difference(folders: Folders, ours: str, theirs: str, n: int, names: Sequence[str]) -> str:
    """Points of ours minus theirs with a 95 % interval that resamples tasks and outer seeds together."""
    mine, other = results(folders, ours), results(folders, theirs)
    if not mine or not other:
        return "–"
    a = np.array([solved(r, n, names) for r in mine], float)  # (seed, family, task)
    b = np.array([solved(r, n, names) for r in other], float)
    return _said(100 * (a - b.mean(0)) if len(b) == 1 else 100 * (a - b))


def _said(gap: np.ndarray) -> str:
    low, high = _interval(gap)
    return f"{gap.mean():+.0f} [{low:+.0f}, {high:+.0f}]"


def _interval(gap: np.ndarray) -> tuple[float, float]:
    """Percentiles of means over resampled seeds, crossed with tasks resampled within each family."""
    of_seed, of_task = _resampled(*gap.shape)
    by_seed = np.einsum("dkt,skt->ds", of_task, gap) / gap.shape[1]
    low, high = np.percentile((of_seed * by_seed).sum(1), [2.5, 97.5])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _resampled(seeds: int, kinds: int, tasks: int, draws: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Weights of seeds (draw, seed) and of tasks (draw, family, task): the same in every interval."""
    rng = np.random.default_rng(0)
    of_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    return of_seed, rng.multinomial(tasks, np.full(tasks, 1 / tasks), (draws, kinds)) / tasks


def differences(folders: Folders) -> list[str]:
    """Both trained rules minus each of their rivals."""
    lines = _head("minus", *(f"n = {n}, {group}" for n in DIMENSIONS for group in GROUPS))
    for ours, rivals in (*((arm, RIVALS) for arm in OURS), ("zero_order", VALUES[1:])):
        for theirs in rivals:
            cells = [
                difference(folders, ours, theirs, n, names) for n in DIMENSIONS for names in GROUPS.values()
            ]
            lines.append(_row(f"{SHORT[ours]} minus {ARMS[theirs]}", *cells))
    return lines


def asked(folders: Folders) -> list[str]:
    """Criteria set before the runs, and whether they are met."""
    lines = _head("", "must", "aim", "measured", "must met", "aim met")

    def mean(arm: str, n: int, group: str) -> float | None:
        each = [100 * solved(r, n, GROUPS[group]).mean() for r in results(folders, arm)]
        return float(np.mean(each)) if each else None

    def line(said: str, must: float | None, aim: float | None, found: float | None, unit: str = " %") -> None:
        bounds = ["–" if bound is None else f"≥ {bound:.0f}{unit}" for bound in (must, aim)]
        met = [
            "–" if bound is None or found is None else ("yes" if found >= bound else "**no**")
            for bound in (must, aim)
        ]
        lines.append(_row(said, *bounds, NOT_YET if found is None else f"{found:.1f}{unit}", *met))

    for arm in OURS:
        for n, bounds in (
            (10, {"trained": (65, 74), "never seen": (40, 57)}),
            (30, {"trained": (None, 65), "never seen": (None, 55)}),
        ):
            for group, (must, aim) in bounds.items():
                line(f"{SHORT[arm]}, n = {n}, {group}", must, aim, mean(arm, n, group))
        for group, names in GROUPS.items():
            rival, level = _best(folders, names)
            ours = mean(arm, 10, group)
            gap = None if ours is None or level is None else ours - level
            line(f"{SHORT[arm]} minus {rival}, n = 10, {group}", 10, None, gap, " points")
        rival, level = _best(folders, list(FAMILIES))
        own = left_out(folders, 10, arm)
        gap = None if own is None or level is None else 100 * own.mean() - level
        line(f"{SHORT[arm]} minus {rival}, n = 10, ten families, each never seen", 10, None, gap, " points")
    for n in DIMENSIONS:
        for group in GROUPS:
            ours, snes = mean("zero_order", n, group), mean("snes", n, group)
            gap = None if ours is None or snes is None else ours - snes
            line(f"zero order minus SNES, n = {n}, {group}", -5, 5 if n == 10 else None, gap, " points")
    return lines


def _best(folders: Folders, names: Sequence[str]) -> tuple[str, float | None]:
    """The first-order baseline that solves most at n = 10, and the per cent it solves."""
    levels = {arm: 100 * solved(r, 10, names).mean() for arm in RIVALS for r in results(folders, arm)}
    if not levels:
        return "the best tuned baseline of first order", None
    best = max(levels, key=lambda arm: levels[arm])
    return ARMS[best], levels[best]


def left_out(folders: Folders, n: int, arm: str = "first_order") -> np.ndarray | None:
    """Tasks solved by the loop that never saw their family, (1, family, task); None if one is missing."""
    names, cells = list(FAMILIES), []
    for i in range(0, len(names), 2):
        found = folders.kept(f"{arm.replace('first_order', f'rotated_{i // 2}')}-0")
        if found is None:
            return None
        cells.extend(solved(found, n, names[i : i + 2]))
    return np.array([cells], float)


def unseen(folders: Folders) -> list[str]:
    """All ten families, each never seen: share solved, and points above each baseline."""
    lines = _head("ten families, each never seen", *(f"n = {n}" for n in DIMENSIONS))
    for arm in OURS:
        ours = {n: left_out(folders, n, arm) for n in DIMENSIONS}
        level = [NOT_YET if own is None else f"{100 * own.mean():.1f} %" for own in ours.values()]
        lines.append(_row(ARMS[arm], *level))
        for rival in RIVALS:
            cells = []
            for n, own in ours.items():
                there = [solved(result, n, list(FAMILIES)) for result in results(folders, rival)[:1]]
                cells.append("–" if own is None or not there else _said(100 * (own - there[0])))
            lines.append(_row(f"{SHORT[arm]} minus {ARMS[rival]}", *cells))
    return lines


def levels(folders: Folders) -> list[str]:
    """How far each first-order rule gets on families of which few tasks are solved."""
    names = ("ackley", "levy", "rastrigin", "schwefel")
    lines = _head("", *(f"n = {n}, {name}" for n in DIMENSIONS[1:] for name in names))
    for arm in GRADIENTS:
        cells = [_level(results(folders, arm), n, name) for n in DIMENSIONS[1:] for name in names]
        lines.append(_row(ARMS[arm], *cells))
    return lines


def _level(found: Sequence[dict[str, Any]], n: int, name: str) -> str:
    """Median level over tasks and seeds, in per cent; results keep it to a thousandth."""
    if not found:
        return "–"
    median = 100 * float(np.median([r["per_life"][f"n{n} {name}"]["level"] for r in found]))
    return f"{median:.3g}" if median >= 0.001 else "< 0.001"


def steeper(folders: Folders) -> list[str]:
    """Rates that fall faster than the trained ones: per cent solved, and the level on Ackley's tasks."""
    kinds = {"trained": TRAINED, "never seen": NEVER_SEEN, "Ackley": ["ackley"]}
    lines = _head("a", *(f"n = {n}, {said}" for n in (10, 30) for said in (*kinds, "Ackley's level")))
    for said, arm in {
        "as trained": "first_order",
        **{f"+ {a}": f"first_order_fall_{a}" for a in STEEPER},
    }.items():
        cells, found = [], results(folders, arm)
        for n in (10, 30):
            cells += [share(folders, arm, n, names) for names in kinds.values()]
            cells.append(_level(found, n, "ackley"))
        lines.append(_row(said, *cells))
    return lines


def rotated(folders: Folders) -> list[str]:
    """Every family when it was never seen, and when it was trained on, for each n."""
    names = list(FAMILIES)
    lines = _head("", *(name.replace("_", "–") for name in names), "all ten")
    for n in DIMENSIONS:
        rows: dict[str, dict[str, Any]] = {}
        for arm, said in zip(OURS, ("", ", rate and fall chosen"), strict=True):
            rows[f"never seen{said}"], rows[f"trained{said} (mean over the other loops)"] = _by_loops(
                folders, n, arm
            )
        for arm in RIVALS:
            for result in results(folders, arm)[:1]:
                rows[ARMS[arm]] = {name: 100 * solved(result, n, [name]).mean() for name in names}
        for said, cells in rows.items():
            mean = f"{np.mean(list(cells.values())):.0f}" if len(cells) == len(names) else NOT_YET
            each = [f"{cells[name]:.0f}" if name in cells else "–" for name in names]
            lines.append(_row(f"n = {n}, {said}", *each, mean))
    return lines


def _by_loops(folders: Folders, n: int, arm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Per cent by family: of the loop that never saw it, and the mean over those that did."""
    names, never, seen = list(FAMILIES), {}, {name: [] for name in FAMILIES}
    for i in range(0, len(names), 2):
        found = folders.kept(f"{arm.replace('first_order', f'rotated_{i // 2}')}-0")
        for name in names if found else ():
            level = 100 * solved(found, n, [name]).mean()
            if name in names[i : i + 2]:
                never[name] = level
            else:
                seen[name].append(level)
    return never, {name: float(np.mean(levels)) for name, levels in seen.items() if levels}


def settings(folders: Folders) -> list[str]:
    """Settings that tuning chose."""
    lines = _head("baseline", *(f"n = {n}" for n in DIMENSIONS))
    rows = {f"first order, chosen (seed {seed})": f"first_order_tuned-{seed}" for seed in SEEDS}
    for said, key in {**rows, **{ARMS[arm]: f"{arm}-0" for arm in (*RIVALS, *VALUES[1:])}}.items():
        found = folders.kept(key)
        chosen = [
            NOT_YET
            if found is None
            else ", ".join(f"{k} {v:.3g}" for k, v in found["settings"][f"n{n}"].items())
            for n in DIMENSIONS
        ]
        lines.append(_row(said, *(cell or "none" for cell in chosen)))
    return lines


def budgets(folders: Folders) -> list[str]:
    """Size and time of the outer loops."""
    lines = _head("", "outer parameters", "outer updates", "seconds of the outer loop, each seed")
    for arm in ("first_order", "zero_order"):
        found = results(folders, arm)
        seconds = ", ".join(f"{r['outer_seconds']:.0f}" for r in found) or NOT_YET
        about = (str(found[0]["parameters"]), str(found[0]["iterations"])) if found else ("–", "–")
        lines.append(_row(ARMS[arm], *about, seconds))
    return lines


TABLES: dict[str, Callable[[Folders], list[str]]] = {
    "asked": asked,
    "first": lambda folders: shares(folders, GRADIENTS),
    "zero": lambda folders: shares(folders, VALUES),
    "counted": lambda folders: [
        *shares(folders, GRADIENTS, "_counted"),
        *shares(folders, VALUES)[2:],
    ],
    "families": families,
    "controls": controls,
    "differences": differences,
    "rotated": rotated,
    "unseen": unseen,
    "levels": levels,
    "steeper": steeper,
    "settings": settings,
    "budgets": budgets,
}


def page(text: str, folders: Folders) -> str:
    """The page with each table between its two markers."""
    return marked_tables.rewritten(text, lambda name: "\n".join(TABLES[name](folders)))


def draw(folders: Folders, into: Path) -> None:
    """Both figures, with few colours, which keeps the files small."""
    from io import BytesIO

    from PIL import Image

    from cortex_sim import library

    for title, figure in library.load_module("protocols", "tdca_functions").figures(folders).items():
        drawn = BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        Image.open(drawn).convert("RGB").quantize(96).save(into / f"{title}.png", optimize=True)
        print(into / f"{title}.png", flush=True)
