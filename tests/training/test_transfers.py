"""A training step reads one thing from the device: the objective, and with it whether inverses exist."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import cortex_sim as cs
from cortex_sim.backends.torch.training import Diverged, Trainer

READS = ("_local_scalar_dense", "_to_copy", "is_nonzero", "nonzero")


class Reads(TorchDispatchMode):
    """Counts what would halt an accelerator, or convert."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().removeprefix("aten::")
        self.found[name] += name in READS
        return func(*args, **(kwargs or {}))


def trainer(word, **feedback):
    built = cs.torch.build(cs.model("digits_mlp").with_rule(word, **feedback))
    rng = np.random.default_rng(0)
    x = built.stimulus_tensor(rng.normal(size=(16, 64)))
    y = built.target_tensor(rng.integers(10, size=16))
    return Trainer(built, x, y, 5, 8, {"name": "SGD", "lr": 1e-3})


WORDS = ["backprop", "gait_prop", "gait_prop_learned", "kolen_pollack", "target_prop", "tdca"]


@pytest.mark.parametrize("word", WORDS)
def test_a_step_reads_at_most_one_number(word):
    training = trainer(word, **({"refresh": 2} if word == "gait_prop" else {}))
    training.update(torch.arange(8))
    for _ in range(2):  # with and without a renewal of the inverse
        with Reads() as reads:
            training.update(torch.arange(8))
        assert sum(reads.found.values()) <= 1, dict(reads.found)


def test_the_counter_counts():
    with Reads() as reads:
        float(torch.ones(1).double())
    assert reads.found["_to_copy"] == 1 and reads.found["_local_scalar_dense"] == 1


def test_weights_that_lose_their_rank_end_the_run_before_the_next_update():
    training = trainer("gait_prop", damping=0)
    built = training.model
    training.update(torch.arange(8))
    with torch.no_grad(), built.feedback.deferring():
        built.weights["V1->IT"][1:] = 0.0
        built.after_update()
    kept = {name: w.clone() for name, w in built.weights.items()}
    with pytest.raises(Diverged, match=r"step 1, .*projection V1->IT: .* lost full rank"):
        training.update(torch.arange(8))
    assert all(torch.equal(w, kept[name]) for name, w in built.weights.items())
