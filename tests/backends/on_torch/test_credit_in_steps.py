"""Too few steps for credit: populations that none reaches are named: theirs are the changes of 0."""

import logging

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.torch.credit_in_steps import out_of_reach
from cortex_sim.backends.torch.timed import steps_with_target

SIZES = {"retina": 5, "V1": 4, "V2": 7, "IT": 3}
rng = np.random.default_rng(0)
TARGETS = rng.random((6, 8, 3))


def deep():
    net = cs.Network("deep")
    for name, size in SIZES.items():
        net.population(name, size, activation="linear" if name == "IT" else "logistic")
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "squared_error")
    return net.with_rule("backprop")


def only_in(*bins):
    targets = np.full_like(TARGETS, np.nan)
    targets[:, bins] = TARGETS[:, bins]
    return targets


@pytest.mark.parametrize(
    "targets", [TARGETS[:, -1], TARGETS, TARGETS[:, 1::2], only_in(0), only_in(1, 4)], ids=range(5)
)
@pytest.mark.parametrize("truncate", [None, 1, 2, 3, 4, 5, 7, 8])
def test_they_are_those_without_a_change(targets, truncate):
    how = cs.torch.Unrolled(8, 2.0, truncate=truncate)
    model = cs.torch.build(deep(), precision="64", settling=how)
    changes = model.updates(rng.random((6, 8, 5)), targets)
    still = {name.partition("->")[2] for name, change in changes.items() if not change.any()}
    judged = steps_with_target(model.target_tensor(targets), how)
    assert set(out_of_reach(model.net, how, judged)) == still


@pytest.mark.parametrize("truncate, named", [(7, True), (5, False)])
def test_training_says_so(truncate, named, caplog):
    model = cs.torch.build(deep(), settling=cs.torch.Unrolled(8, 2.0, truncate=truncate))
    with caplog.at_level(logging.WARNING):
        model.fit((rng.random((6, 8, 5)), TARGETS[:, -1]), epochs=1, progress=False)
    said = (
        "network deep: no credit reaches V1, V2, so weights onto them do not learn: credit passes one "
        "projection per step, and the last target is at step 1 of its segment of 7; it must be at step 3"
    )
    assert (said in caplog.text) == named
