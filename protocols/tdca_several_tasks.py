"""One credit network for several tasks
====================================

One small network that scales credit for images, choices and functions, trained on all of them at once.

Top-down credit assignment: arXiv 2208.01416, its abstracts only, which say that one network serves several
tasks; the form of the network, its inputs and its outer loop are ours.

Question and prediction
-----------------------

Can one credit network serve networks that learn from targets, policies that learn from reward, and points
that minimise functions, as well as a network that was trained on one of these alone? Where not, which
kinds of task interfere?

Criterion: in each of the three, its lead over the baseline is at least 80 % of the specialist's lead.

Prediction: with a cue that names the kind of task, yes on functions and from reward, since these read
mostly different inputs; less without the cue. From targets there is little to gain: the
:doc:`layered form </results-layered>` gained nothing by training its credit network.

**Arms**: the network trained by all kinds, with and without the cue; by each kind alone (specialists) and by
each pair; by none, so that only rates and schedules are trained. In every arm inner runs of all three kinds
train their own rates and schedules with equally many outer updates; arms differ in whose gradients reach the
network. A network trained on other kinds is therefore tested with rates that fit it.

**Baselines**: backpropagation, with and without the same decorrelation; REINFORCE by backpropagation; the
best of six tuned optimisers of first order.

What is modelled, and what is not
---------------------------------

One population of twelve tanh units with two outputs reads the same eleven signals everywhere, set to 0
where a kind has none: how large the credit is, relative to its running mean and deviation and to its
initial size; how wrong the present state is; traces of earlier gradients; distances to other points; time
left. In all kinds one output scales credit, c = b exp(o); on functions the other adds to it. Below the top,
credit is carried down by plastic top-down weights (:doc:`layered form </rules/tdca>`). The outer loop
backpropagates through inner steps where inner runs learn from targets or reward, and is antithetic
evolution on functions; no inner run backpropagates. That one network can be used at all three places says
nothing about where in a brain it would be.

Run it
------

.. code-block:: none

   export CORTEX_SIM_DATA=FOLDER
   python benchmarks/several_tasks.py run      # continues where it stopped
   python benchmarks/several_tasks.py page
   python benchmarks/several_tasks.py figures

Result
------

.. image:: /figures/several_tasks.png
   :alt: Every arm in each kind of task, with the baselines

Tables, intervals and which criteria are met: :doc:`results </results-several-tasks>`.

The criterion is met on targets and on functions, not from reward, where the network trained by all keeps
half of the specialist's lead under one outer seed and none under another; without the cue it keeps none.
Targets and reward train the same gain, but with different steepness. Against the prediction, training the
credit network gains something from targets (0.4 points over rates and schedules alone).

What would refute it
--------------------

A share of the specialist's lead below 80 % in one of the kinds, or a network trained by other kinds alone
that does as well as the specialist: then nothing in it is special to a task.
"""

from functools import cache
from typing import Any

from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.several.network import KINDS
from cortex_sim.tdca.studies.jobs import Folders, Job, studied

RUN_BY = "python benchmarks/several_tasks.py run, then page, then figures"
CONFIG = "several_tasks"
SEEDS = (0, 1, 2)
S, R, F = KINDS
#: Arms: what they are called, whose gradients reach the network, and whether it is cued.
ARMS: dict[str, tuple[str, list[str], bool]] = {
    "joint": ("all three", [S, R, F], True),
    "untrained": ("none: rates and schedules alone", [], True),
    "supervised": ("targets", [S], True),
    "reinforcement": ("reward", [R], True),
    "functions": ("functions", [F], True),
    "joint_without_cue": ("all three, without cue", [S, R, F], False),
    "reinforcement_functions": ("reward and functions", [R, F], True),
    "supervised_reinforcement": ("targets and reward", [S, R], True),
    "supervised_functions": ("targets and functions", [S, F], True),
}
BASELINES = {
    "backprop": "backpropagation",
    "backprop_decorrelated": "backpropagation, the same decorrelation",
    "reinforce": "REINFORCE, backpropagation",
}
OPTIMISER = "lbfgs"  # the best on the tested tasks of the six on the page of functions
RIVALS = {
    S: {name: BASELINES[name] for name in ("backprop", "backprop_decorrelated")},
    R: {"reinforce": BASELINES["reinforce"]},
    F: {OPTIMISER: "L-BFGS, restarted"},
}


def jobs() -> list[Job]:
    """Every arm and baseline, one outer seed after the other."""
    first, rest = list(ARMS)[:5], list(ARMS)[5:]
    found = []
    for seed in SEEDS:
        found += [arm(name, seed) for name in first] + baselines(seed) + [arm(name, seed) for name in rest]
    return found


def arm(name: str, seed: int) -> Job:
    """One outer loop over all kinds."""
    _, trained_by, cue = ARMS[name]
    return Job(name, CONFIG, seed, {"trained_by": trained_by, "network": {"cue": cue}})


def baselines(seed: int) -> list[Job]:
    """Rules without a credit network: the same inner runs, outer updates, outer rates and tests."""
    joint = configured(CONFIG)
    found = []
    for name in BASELINES:
        kind = R if name == "reinforce" else S
        given = {**getattr(joint, kind), "rule": {"name": "backprop"}, "iterations": joint.iterations}
        given["searcher"] = {"rate": getattr(joint.search(), kind), "final": joint.search().final}
        if kind == S:
            given["hold"] = [held for held in given["hold"] if held in ("slopes", "falls")]
            given["searcher"]["apart"] = True
            if name == "backprop":
                given["model_settings"] = {**given["model_settings"], "reads": None}
        base = "reinforcement_match_to_sample" if kind == R else f"{name}_mnist"
        found.append(Job(name, base, seed, given))
    return found


def values(result: dict[str, Any], kind: str) -> Any:
    """What a kind's inner runs are judged by, (stratum, run): the same strata and runs in every arm.

    Of targets, accuracy on MNIST after 100 inner steps; from reward, the return over an inner run, by D, R
    and E; on functions, whether a task of n = 10 is solved, by trained family.
    """
    import numpy as np

    own = {name.removeprefix(f"{kind}/"): cells for name, cells in result["per_life"].items()}
    if kind == S:
        return np.array([own["mnist"]["100"]])
    if kind == R:
        return np.array([own[setting]["mean"] for setting in "DRE"])
    solved = [[at is not None for at in own[f"n10 {name}"]["solved_at"]] for name in _families()]
    return np.array(solved, dtype=float)


@cache
def _families() -> list[str]:
    return configured(CONFIG).functions["families"]


def optimiser(folders: Folders, name: str) -> dict[str, Any] | None:
    """Result of a tuned optimiser, of the study of functions whose results lie beside these."""
    kept = Folders(folders.runs, folders.results.parent / "functions").kept(f"{name}-0")
    return kept and {"per_life": {f"{F}/{label}": cell for label, cell in kept["per_life"].items()}}


def figures(folders: Folders) -> dict[str, Any]:
    """A panel for each kind: every arm, one dot for each outer seed, and the baseline."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    labels = {S: "accuracy on MNIST, 100 steps", R: "return of match-to-sample", F: "tasks solved, n = 10"}
    drawn = new_figure(11, 3.8)
    for axes, kind in zip(drawn.subplots(1, 3, sharey=True), KINDS, strict=True):
        for row, name in enumerate(reversed(ARMS)):
            found = _means(folders, name, kind)
            trained = kind in ARMS[name][1]
            axes.plot(found, [row] * len(found), "o", color=COLOURS[0 if trained else 1], ms=5, alpha=0.7)
        for (name, said), style in zip(RIVALS[kind].items(), ("--", ":"), strict=False):
            means = _means(folders, name, kind)
            if means:
                axes.axvline(sum(means) / len(means), ls=style, color="0.4", lw=1, label=said)
        plain(axes, labels[kind], "")
        axes.set_title({S: "targets", R: "reward", F: "functions"}[kind], fontsize=10)
        axes.set_ylim(-2, len(ARMS) - 0.5)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=7, loc="lower right")
    first = drawn.axes[0]
    first.set_yticks(range(len(ARMS)), [said for said, _, _ in reversed(ARMS.values())], fontsize=8)
    first.set_ylabel("network trained by")
    return {"several_tasks": drawn}


def _means(folders: Folders, name: str, kind: str) -> list[float]:
    """Mean over inner runs, of every outer seed."""
    found = [folders.kept(f"{name}-{seed}") for seed in SEEDS]
    if name == OPTIMISER:
        found = [optimiser(folders, name)]
    return [float(values(result, kind).mean()) for result in found if result is not None]


def main() -> None:
    """Run the jobs that are not done yet, into ``runs/tdca``, and draw."""
    studied("tdca_several_tasks", jobs(), figures)


if __name__ == "__main__":
    main()
