"""A layered, plastic credit network
=================================

A layered, plastic credit network compared with backpropagation, with and without its decorrelation.

Top-down weights that learn beside the bottom-up ones: Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486.
Top-down credit assignment: arXiv 2208.01416, its abstracts only; the form of the credit network and its
outer loops are ours.

Question and prediction
-----------------------

Can a top-down network with its own layers and plasticity train a network as well as backpropagation does,
without a copy of the bottom-up weights? Its :doc:`credit populations </rules/tdca>` mirror the hierarchy;
top-down weights start at random, or from a mirror phase of spontaneous activity, and learn from the same
pair of signals as the bottom-up ones in parallel. An outer loop trains their decay; gain and initial size
stay at 1, and are trained in two further arms. All synapses read :doc:`decorrelated rates
</decorrelation>`, which is an option for every rule.

Prediction: as good as backpropagation with the same decorrelation; better than plain backpropagation, also
on other data sets, widths and depths. It is not predicted that learned credit is better than
backpropagation where both read the same.

**Controls**, each of which must remove the lead: hidden credits of other units, of other presentations,
noise of equal norm, none. Each ingredient is left out in turn: decorrelation, centring, the mirror phase,
or most of it. In further arms gain and initial size are trained, or only rates and schedule are, which is
Kolen–Pollack's rule with decorrelation.

What is modelled, and what is not
---------------------------------

ReLU networks of 196-H-10 units, batch size 32, on images pooled to 14×14, and a small convolutional
network. Every arm gets its rates and schedule from the same outer loop at the same budget. The outer loop
backpropagates through inner steps (meta-gradient); inner runs under the credit network do not. Both
synapses of a pair are assumed to receive the same two signals at the same time. Top-down weights of a
convolution have its kernel's shape and are shared over positions, like its bottom-up weights. Decorrelation
is not local to a synapse, except in its local form.

Run it
------

.. code-block:: none

   export CORTEX_SIM_DATA=FOLDER
   # an interrupted command continues where it stopped
   python benchmarks/tdca.py run layered layered_cnn layered_rivals layered_parts --jobs 2
   python benchmarks/tdca.py page
   python benchmarks/tdca.py figures

The results state the seconds of each outer loop (``outer_seconds``); those kept were measured with other work
on the machine.

Result
------

.. image:: /figures/tdca_layered.png
   :alt: Accuracy over inner steps

Numbers, paired differences and prior criteria: :doc:`results </results-layered>`.

Three outer seeds, the same 12 inner runs. Minus plain backpropagation: +0.8 [+0.6, +0.9], +0.6 and +0.5
[+0.4, +0.7] points after 100, 300 and 1000 steps on MNIST, H = 64; +2.3, +1.7 and +1.3 on Fashion-MNIST.
Minus backpropagation with the same decorrelation: −0.1 [−0.4, +0.1] after 30 steps, and +0.1 [+0.0, +0.1]
after 1000; with four hidden populations, of which the outer loop saw one, −0.1 [−0.5, +0.3] after 100 and
+0.2 [+0.0, +0.3] after 1000. The controls destroy the lead: without hidden credit 86.1 % after 1000 steps,
with that of other units or presentations less.

What would refute it
--------------------

An interval of the difference from plain backpropagation that is not above 0 at 100, 300 or 1000 steps on
MNIST; one of the difference from backpropagation with the same decorrelation that reaches below −.5: not met
on H = 64; a control that learns as fast as the credit network: not met.
"""

from typing import Any

from cortex_sim.tdca.studies.drawing import curve, finish_curves
from cortex_sim.tdca.studies.jobs import Folders, Job, studied

RUN_BY = "python benchmarks/tdca.py run layered layered_rivals layered_parts, then page, then figures"
SEEDS = (0, 1, 2)
STEPS = (30, 100, 300, 1000)
TESTING: dict[str, Any] = {
    "data": ["mnist", "fashion_mnist", "cifar10"],
    "steps": list(STEPS),
    "lives": 12,
    "widths": {"256": {"hidden": [256]}, "deep": {"hidden": [64, 64, 64, 64]}},
    "elsewhere": ["mnist"],
    "controls": [],
}
CONTROLS = ["units", "presentations", "noise", "silent"]
READS = {"name": "decorrelated", "mixing": 0.7, "centring": 0.9, "every": 4}
ARMS = {  # name: configuration, and whether controls are tested
    "layered": ("layered_mnist", True),
    "layered_backprop": ("backprop_mnist", False),
    "layered_backprop_decorrelated": ("backprop_decorrelated_mnist", False),
}
RIVALS = {
    "layered_broadcast": ("broadcast_mnist", True),
    "layered_dfa": ("dfa_mnist", False),
    "layered_error_diffusion": ("error_diffusion_mnist", False),
    "layered_first_form": ("tdca_mnist", True),
}
DEEP = {"deep": {"hidden": [64, 64, 64, 64]}}
FEW = {"data": ["mnist"], "steps": list(STEPS), "lives": 12, "widths": DEEP, "elsewhere": [], "controls": []}
PARTS = {  # ingredients left out, one outer seed
    "layered_with_gain": {"hold": ["log_scale"]},
    "layered_with_scale": {"hold": ["log_gain"]},
    "layered_short_mirror": {"rule": {"credit_network": {"mirror": 320}}},
    "layered_only_rates": {"hold": ["log_gain", "log_decay_up", "log_decay_down", "log_scale"]},
    "layered_without_decorrelation": {"model_settings": {"reads": {**READS, "mixing": 0.0}}},
    "layered_without_centring": {"model_settings": {"reads": {**READS, "centring": 0.0}}},
    "layered_without_both": {"model_settings": {"reads": None}},
    "layered_without_mirror": {"rule": {"credit_network": {"mirror": 0}}},
    "layered_chain_alone": {"rule": {"credit_network": {"mirror": 0}}, "model_settings": {"reads": None}},
    "layered_local": {"model_settings": {"reads": {**READS, "local": True}}},
}
UNTRAINED = {"hold": ["mixing", "centring"], "frozen": True}  # rates and schedule are searched, as for all
SHORT = ["slopes", "falls"]  # held in 200 updates
SIZES = ["log_gain", "log_scale"]  # held at 1 in layered_mnist and layered_cnn
CNN = {"layered_cnn": [*SIZES, *SHORT], "backprop_decorrelated_cnn": SHORT, "backprop_cnn": SHORT}


def jobs() -> dict[str, list[Any]]:
    """Outer loops, most important first."""
    parts = {**PARTS, "layered_untrained": UNTRAINED}
    testing = {**FEW, "data": ["mnist", "fashion_mnist"], "widths": {}, "controls": ["silent"]}
    return {
        "layered": [_job(name, *arm, seed) for seed in SEEDS for name, arm in ARMS.items()],
        "layered_cnn": [
            Job(f"layered_of_{name}", name, 0, {"testing": testing, "hold": held})
            for name, held in CNN.items()
        ],
        "layered_rivals": [_job(name, *arm, seed) for seed in SEEDS for name, arm in RIVALS.items()],
        "layered_parts": [
            Job(name, "layered_mnist", 0, {**changed, "testing": FEW}) for name, changed in parts.items()
        ],
    }


def _job(name: str, config: str, controls: bool, seed: int) -> Job:
    return Job(name, config, seed, {"testing": {**TESTING, "controls": CONTROLS if controls else []}})


SAID = {
    "layered": "layered credit network",
    "layered_backprop_decorrelated": "backpropagation, the same decorrelation",
    "layered_backprop": "backpropagation",
    "layered_broadcast": "16 channels, plastic diffusion",
    "layered_first_form": "credit network, first form",
    "layered_dfa": "direct feedback alignment",
    "layered_error_diffusion": "error diffusion",
}


def figures(folders: Folders) -> dict[str, Any]:
    """Accuracy over steps: the width of meta-training, other widths and depths, other data, the controls."""
    from cortex_sim.viz.panels import COLOURS, new_figure

    drawn = new_figure(11, 7.6)
    panels = drawn.subplots(2, 2)
    for axes, label, title in zip(
        panels.flat,
        ("mnist", "mnist@256", "fashion_mnist", "mnist@deep"),
        ("MNIST, H = 64", "MNIST, H = 256", "Fashion-MNIST, H = 64", "MNIST, four hidden populations"),
        strict=True,
    ):
        for (name, said), colour in zip(SAID.items(), COLOURS, strict=False):
            curve(axes, folders, name, label, STEPS, said, color=colour)
        finish_curves(axes, STEPS, title)
    if panels[0, 0].lines:
        panels[0, 0].legend(frameon=False, fontsize=8, loc="lower right")
    return {"tdca_layered": drawn}


def main() -> None:
    """Run the jobs that are not done yet, into ``runs/tdca``, and draw."""
    studied("tdca_layered", [job for jobs_ in jobs().values() for job in jobs_], figures)


if __name__ == "__main__":
    main()
