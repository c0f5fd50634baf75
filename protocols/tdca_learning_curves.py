"""Learning curves under a credit network
======================================

Learning under a credit network compared with backpropagation and fixed broadcast rules.

Question and prediction
-----------------------

Can a network trained to send credit replace the backward pass? A :doc:`credit network </rules/tdca>` reads
the state of the output and sends every hidden unit its credit. Prediction: with it, early learning is
almost as fast as by backpropagation, well ahead of direct feedback alignment at 30 and 100 steps, and
not behind it at 300 and 1000, on the trained width (H = 64 hidden units) and on one never seen (H = 256).

**Controls**, each of which must remove the early advantage: hidden credits of other units, of other
presentations, noise of equal norm, none; the credit network untrained and frozen, its rates and schedule
searched; readout only.

What is modelled, and what is not
---------------------------------

ReLU networks of 196-H-10 units, batch size 32, on images pooled to 14×14; and a small convolutional
network. Every rule gets its rates and schedule from the same outer loop at the same budget; initial
weights, tasks and presentations of the test runs are the same for all rules and all outer seeds:
differences are paired by inner run. The outer loop backpropagates through inner steps (meta-gradient),
except where it is called NRES (noise-reuse evolution strategies). The paper (arXiv 2208.01416) claims
learning without backpropagation; contexts, sizes, step and outer loops are ours.

Run it
------

.. code-block:: none

   export CORTEX_SIM_DATA=FOLDER
   python benchmarks/tdca.py run first_table cnn --jobs 2     # continues where it stopped
   python benchmarks/tdca.py page
   python benchmarks/tdca.py figures

At most 10 minutes of one thread for each of 28 outer loops, and three for the convolutional network.

Result
------

.. image:: /figures/tdca_learning_curves.png
   :alt: Accuracy over inner steps

Bands are one standard deviation over inner runs and outer seeds together. Numbers, paired differences and
prior criteria: :doc:`results </results-tdca>`.

Intervals are 95 %, over outer seeds if there are three, else over inner runs (see
:doc:`the page of results </results-tdca>`). The test runs are the same under every outer seed.

**Slightly ahead of direct feedback alignment on MNIST.** On 24 inner runs made for this comparison, the
same under 3 outer seeds: +1.7 [+0.9, +2.5], +1.0, +0.6, +0.4 [+0.2, +0.5] points after 30, 100, 300 and
1000 steps on H = 64 and +0.8 [+0.3, +1.3], +0.8, +0.8, +0.3 [+0.2, +0.4] on H = 256; every interval is
above 0, over seeds as well as over inner runs. On the 6 inner runs of the first table the first of H = 256
is not distinguishable from 0 (+0.2 [−0.5, +0.9]), and no lead is left after 3000 steps (+0.1 [−0.2, +0.4]
and −0.0 [−0.4, +0.3]). On Fashion-MNIST, where no prediction was made here, the same network is behind:
−0.9 [−1.6, −0.2] after 30 steps, −1.2 [−2.0, −0.3] after 1000.

**Not as predicted.** "Well ahead" is one or two points early. Nor is learning "almost as fast as by
backpropagation", which leads by 5.3 and 2.6 points at 30 steps and 0.9 and 0.7 at 1000, and is nowhere
exceeded.

**The loss-free context *raw*** (one outer seed, 6 inner runs; against *error* of the same seed) is not
distinguishable from *error* on MNIST at 30 steps, differs by at most 0.6 points, in either direction, at
100 and 300, and falls behind the more the longer an inner run lasts: on H = 64 −0.6 [−0.9, −0.4] after 1000
steps and −1.3 [−1.6, −1.1] after 3000, on H = 256 −0.1 [−0.4, +0.1] and −0.9 [−1.3, −0.6].

**A credit network found by NRES**, with no backward pass anywhere (one outer seed, 6 inner runs): level
with direct feedback alignment from 300 steps on (after 1000 −0.1 [−0.4, +0.2] on H = 64), behind it early
(−2.8 [−4.0, −1.5] after 30) and on Fashion-MNIST (−3.2 [−4.9, −1.4] after 1000).

**The controls**: hidden credits of other units or other presentations destroy learning; noise of equal norm
stays 7 to 9 points below a readout that learns alone, no hidden credit at all within a point of it. But the
untrained credit network, with rates and schedule searched, achieves most of it: training the network itself
adds +2.2 [+1.0, +3.4], +3.2, +2.1 and +1.5 [+1.0, +1.9] points on H = 64 to its initial state with a good
schedule, and after 30 steps on H = 256 nothing measurable (−0.1 [−1.2, +1.1]). There a readout alone is as
good (the credit network minus it: −0.1 [−1.1, +1.0]): that early, in such a wide population, neither control
removes the lead, because hidden credit does not matter yet. The step that all rules share improves
direct feedback alignment by 3.0 points at 30 steps over Adam's alone.

**The convolutional network** (one outer seed, 6 inner runs): the credit network is behind direct feedback
alignment early (−6.4 [−11.5, −1.3] after 30 steps) and ahead after 1000 (88.0 to 84.3, +3.6 [+1.8, +5.4]),
but not measurably above no credit below the top at all (87.6; +0.4 [−1.7, +2.5]): it does not train
convolutions.

What would refute it
--------------------

An interval of the paired difference from direct feedback alignment at 30 or 100 steps that is not above 0:
met on the first 6 inner runs, H = 256, 30 steps, and not on the 24. A control that learns as fast as the
credit network: met by the untrained one and by the readout alone on H = 256 at 30 steps, nowhere else on
MNIST. Accuracy on H = 256 below that of direct feedback alignment: not met up to 1000 steps.
"""

from typing import Any

from cortex_sim.tdca.studies.drawing import curve, finish_curves
from cortex_sim.tdca.studies.jobs import Folders, Job, studied
from cortex_sim.tdca.studies.transfer import Cell, Transfer

RUN_BY = "python benchmarks/tdca.py run first_table cnn, then python benchmarks/tdca.py figures"
SEEDS = (0, 1, 2)
FIRST = ("tdca_mnist", "dfa_mnist", "backprop_mnist")
ADAM = ("dfa_mnist_adam", "backprop_mnist_adam")
FIXED = ("error_diffusion_mnist", "low_rank_mnist", "tdca_mnist_untrained")
ONCE = ("tdca_mnist_raw", "tdca_mnist_nres", "readout_mnist", "tdca_shared")
RIVALS = ("tdca_mnist", "dfa_mnist", "dfa_mnist_adam", "backprop_mnist")
AGAIN = (  # 24 inner runs that no other test uses; the same for every outer seed
    Cell("mnist", "mnist", (30, 100, 300, 1000)),
    Cell("mnist@256", "mnist", (30, 100, 300, 1000), {"hidden": [256]}),
    Cell("fashion_mnist", "fashion_mnist", (30, 100, 300, 1000)),
)
CNN = ("tdca_cnn", "dfa_cnn", "backprop_cnn")


def jobs() -> dict[str, list[Any]]:
    """Outer loops of the first table and of the convolutional network, most important first."""
    first = [Job(name, name, seed) for seed in SEEDS for name in FIRST]
    controls = [Job(name, name) for name in (*FIXED[:2], FIXED[2], *ONCE)]
    repeated = [Job(name, name, seed) for seed in SEEDS[1:] for name in FIXED]
    adam = [Job(name, name, seed) for name in ADAM for seed in SEEDS]
    again = [
        Transfer(name, seed, AGAIN, "again", inner_runs=24, start_seed=1) for name in RIVALS for seed in SEEDS
    ]
    return {
        "first_table": [*first, *controls, *repeated, *adam],
        "again": again,
        "cnn": [Job(name, name) for name in CNN],
    }


STEPS = (30, 100, 300, 1000, 3000)
RULES = {
    "tdca_mnist": "credit network, error",
    "tdca_mnist_raw": "credit network, raw",
    "tdca_mnist_nres": "credit network, error, by NRES",
    "tdca_shared": "credit network, shared",
    "backprop_mnist": "backpropagation",
    "dfa_mnist": "direct feedback alignment",
    "low_rank_mnist": "low-rank feedback",
    "error_diffusion_mnist": "error diffusion",
}
CONTROLS = {
    "units": "other units",
    "presentations": "other presentations",
    "noise": "noise",
    "silent": "none",
}


def figures(folders: Folders) -> dict[str, Any]:
    """Accuracy over steps: two widths, Fashion-MNIST, the controls; the convolutional network."""
    from cortex_sim.viz.panels import COLOURS, new_figure

    drawn = new_figure(11, 7.6)
    panels = drawn.subplots(2, 2)
    for axes, label, title in zip(
        panels.flat,
        ("mnist", "mnist@256", "fashion_mnist"),
        ("MNIST, H = 64", "MNIST, H = 256 (never seen)", "Fashion-MNIST (never seen), H = 64"),
        strict=False,
    ):
        for (name, said), colour in zip(RULES.items(), COLOURS, strict=True):
            curve(axes, folders, name, label, STEPS, said, color=colour)
        finish_curves(axes, STEPS, title)
    last = panels[1, 1]
    curve(last, folders, "tdca_mnist", "mnist", STEPS, "credit network, error", color=COLOURS[0])
    for (how, said), colour in zip(CONTROLS.items(), COLOURS[1:], strict=False):
        curve(last, folders, "tdca_mnist", f"mnist:{how}", STEPS, f"hidden credit: {said}", color=colour)
    curve(last, folders, "tdca_mnist_untrained", "mnist", STEPS, "untrained, frozen", color="0.3", ls="--")
    curve(last, folders, "readout_mnist", "mnist", STEPS, "readout only", color="0.6", ls="--")
    finish_curves(last, STEPS, "controls: MNIST, H = 64")
    for axes, free in ((panels[0, 0], "lower right"), (last, "center right")):
        if axes.lines:
            axes.legend(frameon=False, fontsize=8, loc=free)
    return {"tdca_learning_curves": drawn, "tdca_cnn": _convolutional(folders)}


def _convolutional(folders: Folders) -> Any:
    from cortex_sim.viz.panels import COLOURS, new_figure

    drawn = new_figure(9, 3.6)
    for axes, data in zip(drawn.subplots(1, 2), ("mnist", "fashion_mnist"), strict=True):
        for (name, said), colour in zip(
            (
                ("tdca_cnn", RULES["tdca_mnist"]),
                ("backprop_cnn", "backpropagation"),
                ("dfa_cnn", RULES["dfa_mnist"]),
            ),
            (COLOURS[0], COLOURS[4], COLOURS[5]),
            strict=True,
        ):
            curve(axes, folders, name, data, STEPS[:4], said, color=colour)
        finish_curves(axes, STEPS[:4], f"two convolutions: {data}")
        if axes.lines:
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return drawn


def main() -> None:
    """Run the jobs that are not done yet, into ``runs/tdca``, and draw."""
    studied("tdca_learning_curves", [job for jobs_ in jobs().values() for job in jobs_], figures)


if __name__ == "__main__":
    main()
