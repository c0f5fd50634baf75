"""Learning curves of a credit network compared with backpropagation and fixed broadcast rules.

Top-down credit assignment: arXiv 2208.01416 (its abstracts only; the credit network's inputs, form and outer
loops are ours). Every rule gets rates and schedule from the same outer loop at the same budget, and is
tested on the same inner runs: initial weights, tasks and presentations are paired.

Prediction: with a credit network early learning is almost as fast as by backpropagation, well ahead of
direct feedback alignment at 30 and 100 steps, and not behind it at 300 and 1000, on the trained width
(H = 64) and on a new one (H = 256). Controls, each of which must remove the early advantage: credits
shuffled over units, credits of other presentations, noise of equal norm, no credit below the top; the credit
network untrained and frozen; readout only.
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
AGAIN = (  # 24 inner runs of no other test; the same under every outer seed
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
