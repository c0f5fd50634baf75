"""Learning curves of a credit network beside backpropagation and fixed broadcast rules.

Top-down credit assignment: arXiv 2208.01416 (its abstracts only; the credit network's inputs, form and outer
loops are ours). Every rule gets rates and schedule from the same outer loop at the same budget, and lives
the same lives: births, tasks and presentations are paired.

Prediction: taught by a credit network, lives learn early almost as fast as by backpropagation, well ahead of
direct feedback alignment at 30 and 100 steps, and are not behind it at 300 and 1000, on the trained width
(H = 64) and on one never seen (H = 256). Controls, each of which must take the early advantage away: credits
shuffled over units, credits of other presentations, noise of equal norm, no credit below the top; the credit
network untrained and frozen; readout only.
"""

from cortex_sim.tdca.studies.jobs import Job

RUN_BY = "python benchmarks/tdca.py run first_table cnn, then python benchmarks/tdca.py figures"
SEEDS = (0, 1, 2)
FIRST = ("tdca_mnist", "dfa_mnist", "backprop_mnist")
FIXED = ("error_diffusion_mnist", "low_rank_mnist", "tdca_mnist_untrained")
ONCE = ("tdca_mnist_raw", "tdca_mnist_nres", "readout_mnist", "tdca_shared")
CNN = ("tdca_cnn", "dfa_cnn", "backprop_cnn")


def jobs() -> dict[str, list[Job]]:
    """Outer loops of the first table and of the convolutional network, what matters most first."""
    first = [Job(name, name, seed) for seed in SEEDS for name in FIRST]
    controls = [Job(name, name) for name in (*FIXED[:2], FIXED[2], *ONCE)]
    repeated = [Job(name, name, seed) for seed in SEEDS[1:] for name in FIXED]
    return {"first_table": [*first, *controls, *repeated], "cnn": [Job(name, name) for name in CNN]}
