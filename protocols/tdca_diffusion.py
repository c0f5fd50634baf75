"""Credit diffusion
================

The number of credit channels that suffice, how they spread, and what they save.

Top-down credit assignment: arXiv 2208.01416, its abstracts only; the form of the credit network and its
outer loops are ours. The knee for low-rank feedback: arXiv 2502.20580.

Question and prediction
-----------------------

A credit network need not address every unit separately. It sends K channels, which spread over the n units of
a population by a fixed kernel D: c = D g. How few channels suffice, and does it matter how they spread?

Prediction: feedback through K channels has rank ≤ K, and an error over C classes that sums to zero spans C
− 1 dimensions. Accuracy therefore has its knee at K ≈ C − 1, for 2, 5 and 10 classes; K = 16 is within half a
point of K = n for ten classes, and the parameters of the channels fall in proportion to K. Above the knee
the kernel's type matters little; one as wide as several channels lowers the rank and hurts. Without f′
learning is slower but continues.

**Controls**: K = n with the identity (no diffusion), direct feedback alignment at the same outer budget,
receptor signs at random.

What is modelled, and what is not
---------------------------------

MNIST pooled to 14×14, one hidden population of H = 64 units; 150 outer updates by meta-gradient each, one
outer seed, 6 inner runs: a sweep, not a proof. An inner run with 2 or 5 classes has randomly chosen ones,
with as many output units. Kernels are fixed for an inner run; one of them (*learned*) is itself trained by
the outer loop, for this width only. The parameters counted include the credit network's own hidden layers,
which do not depend on K.

Run it
------

.. code-block:: none

   export CORTEX_SIM_DATA=FOLDER
   python benchmarks/tdca.py run diffusion --jobs 2
   python benchmarks/tdca.py page
   python benchmarks/tdca.py figures

About a minute for each of 38 outer loops.

Result
------

.. image:: /figures/tdca_diffusion.png
   :alt: Accuracy over channels, cost, kernels

Bars are one standard deviation over inner runs; the ring is 0.5 channels wide. Numbers and the position of
the knee: :doc:`results </results-tdca>`.

Intervals are 95 % over the 6 inner runs, under one outer loop each.

**The position of the knee is consistent with the prediction, no more**: K was tried at powers of two, so C
− 1 = 9 itself was not. For ten classes accuracy after 1000 steps rises with K up to 16 (K = 4 costs 5.2
points, K = 8 1.0 [0.6, 1.5], K = 16 0.2 [−0.1, 0.5]): the knee is between 4 and 16. For five classes K = 2
costs 5.8 points and K = 4 = C − 1 0.2: it is above 2 and at most 4. For two classes none is visible; K = 1
= C − 1 costs 0.2 [0.0, 0.4]. K = 16 is 0.2 points below K = n = 64 [−0.5, +0.1]: within the half point that
was predicted, though the interval reaches its limit. The parameters of the channels are in proportion to K
(42 for each); those of the rest of the network, 2060, do not change.

**Kernels**: ring, line, sheet, block, modulo and a learned one are within 0.5 points of each other (93.8 to
94.3); the learned one leads the sheet by +0.5 [+0.3, +0.7], most other pairs are not distinguished. A ring
one channel wide costs 0.4 points, one two channels wide 4.9, a kernel in which every unit receives all
channels (*dense*) 1.6, random receptor signs 1.5. It does not matter that neighbours receive the same
(*modulo*, where they do not: −0.1 [−0.7, +0.4] to the ring); it may matter that a unit receives few
channels.

**Not as expected**: fewer channels save hardly any outer time (4 % from K = 64 to 1: the credit network is
a small part of an inner step). With K = 1 accuracy *falls* from 100 steps on, for ten classes and for five.
Without f′ learning continues, 3.3 points worse.

What would refute it
--------------------

A knee far from C − 1, or K = 16 more than half a point below K = n at ten classes.
"""

from itertools import product
from typing import Any

import numpy as np

from cortex_sim.tdca.studies.compare import accuracies_by_seed, spread
from cortex_sim.tdca.studies.jobs import SWEEP, Folders, Job, studied

RUN_BY = "python benchmarks/tdca.py run diffusion, then python benchmarks/tdca.py figures"
UNITS = 64
CHANNELS = (1, 2, 4, 8, 16, 32, 64)
CLASSES = (10, 2, 5)
KERNELS = ("line", "sheet", "block", "modulo", "dense")
WIDTHS = (0.25, 1.0, 2.0)  # 0.5 is the default


def name_of(classes: int, channels: int, kernel: str = "ring") -> str:
    """Arm with these numbers of classes and channels, and this kernel."""
    return f"diffusion_c{classes}_k{channels}_{kernel}"


def job(name: str, classes: int = 10, channels: int = 16, **credit: Any) -> Job:
    """An outer loop of the sweep's budget."""
    return _job(name, "tdca_mnist", classes, {"credit_network": {"channels": channels, **credit}})


def _job(name: str, config: str, classes: int, rule: dict[str, Any]) -> Job:
    few: dict[str, Any] = {}
    if classes != 10:
        few = {"tasks": {"classes": classes}, "model_settings": {"classes": classes}}
        if "credit_network" in rule:
            rule = {"credit_network": {**rule["credit_network"], "outputs": classes}}
    return Job(name, config, 0, {**SWEEP, **few, **({"rule": rule} if rule else {})})


def jobs() -> dict[str, list[Job]]:
    """Channels for each number of classes, then kernels, signs, widths and the gate at K = 16."""
    found = []
    for classes in CLASSES:
        found += [job(name_of(classes, k), classes, k) for k in CHANNELS]
        found.append(job(name_of(classes, UNITS, "identity"), classes, UNITS, kernel="identity"))
        found.append(_job(f"diffusion_c{classes}_dfa", "dfa_mnist", classes, {}))
    found += [job(name_of(10, 16, kernel), kernel=kernel) for kernel in KERNELS]
    found.append(job(name_of(10, 16, "learned"), kernel={"name": "learned", "units": UNITS}))
    found.append(job(name_of(10, 16, "ring_signs"), signs=True))
    found += [
        job(name_of(10, k, f"ring_width_{width:g}"), channels=k, kernel={"name": "ring", "width": width})
        for k, width in product((16,), WIDTHS)
    ]
    found.append(job(name_of(10, 16, "ring_ungated"), gated=False))
    return {"diffusion": found}


def figures(folders: Folders) -> dict[str, Any]:
    """Accuracy over K for each number of classes; parameters; kernels at K = 16."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 7.2)
    (early, late), (cost, kernels) = drawn.subplots(2, 2)
    for axes, steps in ((early, 100), (late, 1000)):
        for classes, colour in zip(CLASSES, COLOURS, strict=False):
            _over_channels(axes, folders, classes, steps, colour)
        plain(axes, "channels of credit, K", "test accuracy")
        axes.set_title(f"MNIST after {steps} steps; ×: K = n, no diffusion; dotted: DFA", fontsize=10)
        axes.set_xscale("log", base=2)
        axes.set_xticks(CHANNELS, [str(k) for k in CHANNELS])
    if late.lines:
        late.legend(frameon=False, fontsize=8, title="classes", loc="lower right")
    _cost(cost, folders)
    _kernels(kernels, folders)
    return {"tdca_diffusion": drawn}


def _over_channels(axes: Any, folders: Folders, classes: int, steps: int, colour: str) -> None:
    cells = [(k, spread(accuracies_by_seed(folders, name_of(classes, k), "mnist", steps))) for k in CHANNELS]
    seen = np.array([(k, *cell) for k, cell in cells if cell is not None])
    if len(seen):
        axes.errorbar(*seen.T, color=colour, marker="o", ms=4, capsize=2, label=str(classes))
    off = spread(accuracies_by_seed(folders, name_of(classes, UNITS, "identity"), "mnist", steps))
    if off is not None:
        axes.plot([UNITS], [off[0]], "x", color=colour, ms=8)
    fixed = spread(accuracies_by_seed(folders, f"diffusion_c{classes}_dfa", "mnist", steps))
    if fixed is not None:
        axes.axhline(fixed[0], color=colour, ls=":", lw=1)


def _cost(axes: Any, folders: Folders) -> None:
    from cortex_sim.viz.panels import COLOURS, plain

    found = [(k, folders.kept(f"{name_of(10, k)}-0")) for k in CHANNELS]
    known = np.array([(k, r["parameters"]) for k, r in found if r is not None])
    plain(axes, "channels of credit, K", "outer parameters")
    axes.set_title("size of the credit network, 10 classes", fontsize=10)
    if not len(known):
        axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", color="0.4")
        return
    axes.plot(known[:, 0], known[:, 1], "o-", color=COLOURS[0])
    axes.set_ylim(0, None)


def _kernels(axes: Any, folders: Folders) -> None:
    from cortex_sim.viz.panels import COLOURS, plain

    seen = [
        (said, cell)
        for said, name in kernels_tried().items()
        if (cell := spread(accuracies_by_seed(folders, name, "mnist", 1000))) is not None
    ]
    plain(axes, "test accuracy after 1000 steps", "")
    axes.set_title("kernels at K = 16, 10 classes", fontsize=10)
    if not seen:
        axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", color="0.4")
        return
    names, cells = zip(*reversed(seen), strict=True)
    mean, sd = np.array(cells).T
    axes.errorbar(mean, range(len(names)), xerr=sd, fmt="o", color=COLOURS[0], capsize=2)
    axes.set_yticks(range(len(names)), names, fontsize=8)


def kernels_tried() -> dict[str, str]:
    """Label of each kernel at K = 16, and its job."""
    found = {"ring, width 0.5": name_of(10, 16)}
    found |= {kernel: name_of(10, 16, kernel) for kernel in KERNELS}
    found |= {"learned": name_of(10, 16, "learned")}
    found |= {f"ring, width {w:g}": name_of(10, 16, f"ring_width_{w:g}") for w in WIDTHS}
    return found | {
        "ring, receptor signs": name_of(10, 16, "ring_signs"),
        "ring, without f′": name_of(10, 16, "ring_ungated"),
    }


def main() -> None:
    """Run the jobs that are not done yet, into ``runs/tdca``, and draw."""
    studied("tdca_diffusion", jobs()["diffusion"], figures)


if __name__ == "__main__":
    main()
