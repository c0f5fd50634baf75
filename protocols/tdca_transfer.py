"""One trained credit network elsewhere: data sets, widths, depths, activations, horizons, numbers of tasks.

The paper (arXiv 2208.01416) claims that one credit network serves data sets it never saw and other
architectures; the networks, ranges and controls here are ours. Nothing is trained for it: the outer loops of
the first table live other lives, each rule with the rates it was found to need at home, and failures stay.

Prediction: with diffusion drawn anew, the credit network's advantage over direct feedback alignment after 100
steps holds at a quarter to four times its width and on Fashion-MNIST; it shrinks with depth, since one set of
channels tells every population the same, and with activations whose gain never vanishes; beyond the longest
life of training (1000 steps) the scheduled rate is an extrapolation that may fail. Number of tasks: a credit
network sees error and target, never the stimulus, so that there is little to memorise: few label
permutations should do almost as well as a thousand.
"""

from typing import Any

from cortex_sim.tdca.studies.jobs import Job
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
NUMBERS = tuple(2**n for n in range(11))
BUDGET: dict[str, Any] = {
    "iterations": 150,
    "testing": {
        "data": ["mnist", "fashion_mnist"],
        "steps": [100, 300, 1000],
        "widths": {},
        "elsewhere": [],
        "controls": [],
    },
}


def cells() -> list[Cell]:
    """Everywhere else that a trained rule is taken."""
    found = [Cell(f"data {name}", name, STEPS) for name in DATA]
    for data in DATA[:2]:
        found += [Cell(f"{data} width {n}", data, STEPS, {"hidden": [n]}) for n in WIDTHS]
        found += [Cell(f"{data} depth {n}", data, STEPS, {"hidden": [HOME] * n}) for n in DEPTHS]
        found += [Cell(f"{data} activation {f}", data, STEPS, {"activation": f}) for f in ACTIVATIONS]
    for data in DATA[:2]:
        found += [Cell(f"{data} horizon {n}", data, (n,)) for n in HORIZONS]
    return found


def jobs() -> dict[str, list[Any]]:
    """Outer loops on so many tasks, MNIST alone; and each source rule in every cell."""
    mnist = {"sources": ["mnist"], "weights": None, "limit": None}
    tasks = [Job(f"tasks_{n}", "tdca_mnist", 0, {**BUDGET, "tasks": {**mnist, "number": n}}) for n in NUMBERS]
    return {"transfer": [Transfer(name, 0, tuple(cells())) for name in SOURCES], "tasks": tasks}
