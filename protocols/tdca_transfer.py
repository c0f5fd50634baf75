"""Transfer of a trained credit network: data sets, widths, depths, activations, horizons, numbers of tasks.

The paper (arXiv 2208.01416) claims that one credit network serves unseen data sets and other
architectures; the networks, ranges and controls here are ours. Nothing is trained for it: the rules of the
first table are tested in new conditions with the rates of their own outer loops, and failures are kept.

Prediction: with redrawn diffusion, the credit network's advantage over direct feedback alignment after 100
steps holds at a quarter to four times its width and on Fashion-MNIST; it shrinks with depth, since one set of
channels sends every population the same, and with activations whose gain never vanishes; beyond the longest
inner run of training (1000 steps) the scheduled rate is an extrapolation that may fail. Number of tasks: a
credit network sees error and target, never the stimulus, so that there is little to memorise: few label
permutations should do almost as well as a thousand.
"""

from typing import Any

import numpy as np

from cortex_sim.tdca.studies.compare import accuracies_by_seed, spread
from cortex_sim.tdca.studies.drawing import heat
from cortex_sim.tdca.studies.jobs import SWEEP, Folders, Job, studied
from cortex_sim.tdca.studies.transfer import Cell, Transfer

RUN_BY = "python benchmarks/tdca.py run transfer tasks, then python benchmarks/tdca.py figures"
SOURCES = ("tdca_mnist", "tdca_shared", "dfa_mnist", "backprop_mnist")
HOME = 64
WIDTHS = (16, 32, 64, 128, 256)
DEPTHS = (1, 2, 3, 4)
ACTIVATIONS = ("relu", "tanh", "leaky_relu", "softplus")
HORIZONS = (1000, 2000, 4000, 8000, 16000)
DATA = ("mnist", "fashion_mnist", "digits", "cifar10")
STEPS = (100, 1000)
HOME_TASKS = "tasks of training"
NUMBERS = tuple(2**n for n in range(11))


def cells() -> list[Cell]:
    """All conditions in which a trained rule is tested."""
    found = [Cell(f"data {name}", name, STEPS) for name in DATA]
    for data in DATA[:2]:
        found += [Cell(f"{data} width {n}", data, STEPS, {"hidden": [n]}) for n in WIDTHS]
        found += [Cell(f"{data} depth {n}", data, STEPS, {"hidden": [HOME] * n}) for n in DEPTHS]
        found += [Cell(f"{data} activation {f}", data, STEPS, {"activation": f}) for f in ACTIVATIONS]
    for data in DATA[:2]:
        found += [Cell(f"{data} horizon {n}", data, (n,)) for n in HORIZONS]
    return found


def jobs() -> dict[str, list[Any]]:
    """Outer loops on these numbers of tasks, MNIST only; and each source rule in every cell."""
    mnist = {"sources": ["mnist"], "weights": None, "limit": None}
    tasks = [Job(f"tasks_{n}", "tdca_mnist", 0, {**SWEEP, "tasks": {**mnist, "number": n}}) for n in NUMBERS]
    home = (Cell(HOME_TASKS, None, STEPS),)
    seen = [Transfer(f"tasks_{n}", 0, home) for n in NUMBERS]
    return {"transfer": [Transfer(name, 0, tuple(cells())) for name in SOURCES], "tasks": [*tasks, *seen]}


def figures(folders: Folders) -> dict[str, Any]:
    """Heat maps, credit network minus direct feedback alignment; accuracy over the number of tasks."""
    from cortex_sim.viz.panels import new_figure

    drawn = new_figure(12, 8.4)
    panels = drawn.subplots(4, 3, width_ratios=[5, 4, 5], height_ratios=[4, 2, 4, 2])
    both = [(data, n) for data in DATA[:2] for n in STEPS]
    rows = [f"{_SHORT[data]}, {n}" for data, n in both]
    shown = None
    for top, source in ((0, "tdca_mnist"), (2, "tdca_shared")):
        ours, theirs = f"transfer_{source}", "transfer_dfa_mnist"
        for axes, what, columns in zip(
            panels[top], ("width", "depth", "activation"), (WIDTHS, DEPTHS, ACTIVATIONS), strict=True
        ):
            cells = [[(f"{data} {what} {c}", n) for c in columns] for data, n in both]
            shown = heat(axes, folders, ours, theirs, rows, columns, cells)
            axes.set_title(f"{_SAID[source]}: {what}", fontsize=9)
        below = panels[top + 1]
        horizons = [[(f"{data} horizon {n}", n) for n in HORIZONS] for data in DATA[:2]]
        shorts = [_SHORT[data] for data in DATA[:2]]
        heat(below[0], folders, ours, theirs, shorts, HORIZONS, horizons)
        below[0].set_title(f"{_SAID[source]}: horizon", fontsize=9)
        sets = [[(f"data {data}", n) for data in DATA] for n in STEPS]
        heat(below[1], folders, ours, theirs, [str(n) for n in STEPS], [_SHORT[d] for d in DATA], sets)
        below[1].set_title(f"{_SAID[source]}: data set", fontsize=9)
        below[2].set_axis_off()
    drawn.suptitle(
        "credit network minus direct feedback alignment, points; below it our accuracy", fontsize=10
    )
    bar = panels[1, 2].inset_axes([0.1, 0.5, 0.8, 0.15])
    drawn.colorbar(shown, cax=bar, orientation="horizontal", label="points", extend="both")
    return {"tdca_transfer": drawn, "tdca_tasks": _numbers(folders)}


_SHORT = {"mnist": "MNIST", "fashion_mnist": "Fashion", "digits": "digits", "cifar10": "CIFAR-10"}
_SAID = {"tdca_mnist": "dense", "tdca_shared": "shared"}


def _numbers(folders: Folders) -> Any:
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(9, 3.6)
    for axes, steps in zip(drawn.subplots(1, 2), STEPS, strict=True):
        for (prefix, label, said), colour in zip(
            (
                ("transfer_tasks", HOME_TASKS, "the tasks of training"),
                ("tasks", "mnist", "other label permutations"),
                ("tasks", "fashion_mnist", "Fashion-MNIST, never seen"),
            ),
            COLOURS,
            strict=False,
        ):
            cells = [(n, spread(accuracies_by_seed(folders, f"{prefix}_{n}", label, steps))) for n in NUMBERS]
            seen = np.array([(n, *cell) for n, cell in cells if cell is not None])
            if len(seen):
                axes.errorbar(*seen.T, color=colour, marker="o", ms=4, capsize=2, label=said)
        plain(axes, "label permutations in meta-training", "test accuracy")
        axes.set_title(f"after {steps} steps", fontsize=10)
        axes.set_xscale("log", base=2)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    return drawn


def main() -> None:
    """Run the jobs that are not done yet, into ``runs/tdca``, and draw; needs those of the first table."""
    studied("tdca_transfer", [job for jobs_ in jobs().values() for job in jobs_], figures)


if __name__ == "__main__":
    main()
