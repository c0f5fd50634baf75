"""Tables of ``docs/results-layered.md`` from the results of ``benchmarks/tdca.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tdca_page import NOT_YET, SPOILED, _head, _percent, _row

from cortex_sim import library
from cortex_sim.tdca.studies.compare import BySeed, Difference, accuracies_by_seed, difference, spread
from cortex_sim.tdca.studies.crossed import Crossed, crossed_difference
from cortex_sim.tdca.studies.jobs import Folders

STUDY = library.load_module("protocols", "tdca_layered")
TRANSFER = library.load_module("protocols", "tdca_transfer")
STEPS: tuple[int, ...] = STUDY.STEPS
SAID: dict[str, str] = STUDY.SAID
OURS = "layered"
WHERE = {
    "mnist": "MNIST, H = 64",
    "mnist@256": "MNIST, H = 256",
    "mnist@deep": "MNIST, four hidden populations",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10 (JPEG), grey",
}
RIVALS = [name for name in SAID if name != OURS]
LEFT_OUT = {
    "layered_without_decorrelation": "centred, not decorrelated (s = 0)",
    "layered_without_centring": "decorrelated, not centred (c = 0)",
    "layered_without_both": "synapses read rates",
    "layered_without_mirror": "initial B random, no mirror phase",
    "layered_chain_alone": "neither: Kolen–Pollack's chain alone",
    "layered_local": "local decorrelation",
    "layered_short_mirror": "mirror phase of 320 presentations",
    "layered_with_gain": "κ trained too",
    "layered_with_scale": "initial size of B trained too",
    "layered_only_rates": "λ not trained",
    "layered_untrained": "only rates and schedule trained",
}


def points(found: Crossed | Difference | None, family: Crossed | None = None) -> str:
    """A difference with its interval; starred where the interval for a whole family excludes 0 too."""
    if found is None:
        return "–"
    star = "\\*" if family is not None and (family.low > 0 or family.high < 0) else ""
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]{star}"


def _cells(folders: Folders, name: str, label: str) -> list[str]:
    found = [accuracies_by_seed(folders, name, label, n) for n in STEPS]
    seeds = max(len(f) for f in found)
    if not seeds:
        return [NOT_YET, *["–"] * len(STEPS)]
    return [*(_percent(spread(f)) for f in found), str(seeds)]


def accuracies(folders: Folders, label: str) -> list[str]:
    """Every arm on one data set or network; on the first one also controls of the layered form."""
    lines = _head("arm", *map(str, STEPS), "outer seeds")
    lines += [_row(said, *_cells(folders, name, label)) for name, said in SAID.items()]
    if label == "mnist":
        lines += [_row(said, *_cells(folders, OURS, f"mnist:{how}")) for how, said in SPOILED.items()]
    return lines


def differences(folders: Folders) -> list[str]:
    """The layered form minus every other arm, everywhere; the family of comparisons is the whole table."""
    lines = _head("minus", "on", *map(str, STEPS), "outer seeds")
    size = len(RIVALS) * len(WHERE) * len(STEPS)
    for name in RIVALS:
        for label, said in WHERE.items():
            pairs = [
                (accuracies_by_seed(folders, OURS, label, n), accuracies_by_seed(folders, name, label, n))
                for n in STEPS
            ]
            found = [points(crossed_difference(*p), crossed_difference(*p, comparisons=size)) for p in pairs]
            seeds = len(pairs[0][0].keys() & pairs[0][1].keys())
            lines.append(_row(SAID[name], said, *found, str(seeds) if seeds else NOT_YET))
    return lines


def parts(folders: Folders) -> list[str]:
    """Each ingredient left out, one outer seed; differences over inner runs; and on four populations."""
    deep = (100, 1000)
    heads = [f"{n}, four hidden" for n in deep]
    lines = _head("arm", *map(str, STEPS), "minus the whole, at 30", "at 1000", *heads)
    whole = {n: accuracies_by_seed(folders, OURS, "mnist", n, (0,)) for n in STEPS}
    for name, said in {OURS: "the whole", **LEFT_OUT}.items():
        own = {n: accuracies_by_seed(folders, name, "mnist", n, (0,)) for n in STEPS}
        if not own[STEPS[0]]:
            lines.append(_row(said, NOT_YET, *["–"] * (len(STEPS) + 3)))
            continue
        less = ["" if name == OURS else _over_runs(own[n], whole[n]) for n in (STEPS[0], STEPS[-1])]
        wide = [_percent(spread(accuracies_by_seed(folders, name, "mnist@deep", n, (0,)))) for n in deep]
        lines.append(_row(said, *(_percent(spread(own[n])) for n in STEPS), *less, *wide))
    return lines


def _over_runs(ours: BySeed, theirs: BySeed) -> str:
    d = difference(ours, theirs)
    return "–" if d is None else f"{100 * d.mean:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"


def convolutions(folders: Folders) -> list[str]:
    """The convolutional network on both data sets, and without hidden credit."""
    lines = _head("arm", "on", *map(str, STEPS), "outer seeds")
    said = ("layered credit network", "backpropagation, the same decorrelation", "backpropagation")
    for label in ("mnist", "fashion_mnist", "mnist:silent"):
        for config, arm in zip(STUDY.CNN, said, strict=True):
            name = f"layered_of_{config}"
            where = {"mnist": "MNIST", "mnist:silent": "MNIST, no credit below the top"}.get(
                label, WHERE.get(label)
            )
            lines.append(_row(arm, where, *_cells(folders, name, label)))
    return lines


def transfer(folders: Folders) -> list[str]:
    """The layered form and backpropagation in architectures and settings that outer loops have not seen."""
    steps = TRANSFER.STEPS
    heads = [f"{said}, {n}" for said in ("layered", "backpropagation") for n in steps]
    minus = [f"minus, {n}" for n in steps]
    lines = _head("where", *heads, *minus, "inner runs that fail", "outer seeds")
    for cell in TRANSFER.layered_cells():
        at = [n for n in steps if n in cell.steps] or [None, *cell.steps]  # one horizon: the last column
        found = [[_transferred(folders, name, cell.label, n) for n in at] for name in TRANSFER.LAYERED]
        apart = [points(_paired(*pair)) for pair in zip(*found, strict=True)]
        reached = [_percent(spread(one)) for arm in found for one in arm]
        seeds = max(len(one) for arm in found for one in arm)
        home = [_transferred(folders, name, str(cell.data), steps[-1]) for name in TRANSFER.LAYERED]
        lost = " / ".join(_failures(arm[-1], usual) for arm, usual in zip(found, home, strict=True))
        lines.append(_row(cell.label, *reached, *apart, lost, str(seeds) if seeds else NOT_YET))
    return lines


def _transferred(folders: Folders, name: str, label: str, steps: int | None) -> BySeed:
    if steps is None:
        return {}
    return accuracies_by_seed(folders, f"transfer_{name}", label, steps, TRANSFER.LAYERED_SEEDS)


def _paired(ours: BySeed, theirs: BySeed) -> Crossed | Difference | None:
    """Difference over outer seeds and inner runs; over inner runs alone if they share only one seed."""
    return crossed_difference(ours, theirs) or difference(ours, theirs)


def _failures(found: BySeed, usual: BySeed) -> str:
    """How many inner runs end more than 20 points below the mean of the settings of meta-training."""
    mean = spread(usual)
    if not found or mean is None:
        return "–"
    ends = [run for runs in found.values() for run in runs]
    failed = sum(run < mean[0] - 0.2 for run in ends)
    return f"**{failed} of {len(ends)}**" if failed else "0"


MUST = {
    "mnist": (85.0, 90.5, 93.2, 95.5),
    "mnist@deep": (None, 80.0, None, 94.5),
}
AIM = {
    "mnist": (86.4, 91.2, 93.8, 95.9),
    "mnist@deep": (None, 84.0, None, 95.5),
}


def asked(folders: Folders) -> list[str]:
    """Criteria set before the runs, with what was measured."""
    lines = _head("", "at", "must", "aim", "measured", "must met", "aim met")
    for label, musts in MUST.items():
        for n, must, aim in zip(STEPS, musts, AIM[label], strict=True):
            cell = spread(accuracies_by_seed(folders, OURS, label, n))
            if must is None:
                continue
            met = ["–" if cell is None else _yes(100 * cell[0] >= bound) for bound in (must, aim)]
            lines.append(
                _row(f"accuracy, {WHERE[label]}", str(n), f"{must} %", f"{aim} %", _percent(cell), *met)
            )
    for rival, label, steps, must, aim in BOUNDS:
        for n in steps:
            found = crossed_difference(
                accuracies_by_seed(folders, OURS, label, n), accuracies_by_seed(folders, rival, label, n)
            )
            verdicts = ["–" if found is None else _yes(bound[1](found, n)) for bound in (must, aim)]
            row = (f"minus {SAID[rival]}, {WHERE[label]}", str(n), must[0], aim[0], points(found), *verdicts)
            lines.append(_row(*row))
    return lines


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"


Bound = tuple[str, Callable[[Crossed, int], bool]]
ABOVE: Bound = ("interval above 0", lambda d, n: d.low > 0)
LEAD: Bound = ("+1 (+.5 at 1000)", lambda d, n: d.mean >= (0.005 if n == 1000 else 0.01))
NOT_LESS: Bound = ("lower end ≥ −.5", lambda d, n: d.low >= -0.005)
EQUAL: Bound = ("within ±.2", lambda d, n: abs(d.mean) <= 0.002)
WIDE: Bound = ("mean ≥ −.3", lambda d, n: d.mean >= -0.003)
AHEAD: Bound = ("mean > 0", lambda d, n: d.mean > 0)
ELSEWHERE: Bound = ("mean ≥ 0", lambda d, n: d.mean >= 0)
POINT: Bound = ("+1 at 300, 1000", lambda d, n: n == 100 or d.mean >= 0.01)
BOUNDS: list[tuple[str, str, Sequence[int], Bound, Bound]] = [
    ("layered_backprop", "mnist", STEPS[1:], ABOVE, LEAD),
    ("layered_backprop_decorrelated", "mnist", STEPS, NOT_LESS, EQUAL),
    ("layered_backprop", "mnist@256", STEPS, WIDE, AHEAD),
    ("layered_backprop", "fashion_mnist", STEPS[1:], ELSEWHERE, POINT),
    ("layered_backprop", "cifar10", STEPS[1:], ELSEWHERE, POINT),
]
TABLES: dict[str, Callable[[Folders], list[str]]] = {
    "layered_asked": asked,
    **{
        f"layered_{label.replace('@', '_')}": lambda folders, label=label: accuracies(folders, label)
        for label in WHERE
    },
    "layered_differences": differences,
    "layered_parts": parts,
    "layered_cnn": convolutions,
    "layered_transfer": transfer,
}
