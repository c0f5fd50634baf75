"""The network that both rules share: against its equation, and where it starts."""

import numpy as np
import pytest
import torch

from cortex_sim.tdca.functions.first_order import FirstOrder
from cortex_sim.tdca.functions.network import SmallNetwork
from cortex_sim.tdca.functions.zero_order import ZeroOrder


def test_outputs_equal_the_equation_of_each_member_at_each_place():
    rng, net = np.random.default_rng(0), SmallNetwork(inputs=7, hidden=5)
    named = {name: rng.normal(size=(3, *shape)) for name, shape in net.shapes().items()}
    seen = rng.normal(size=(3, 7, 4))
    found = net.outputs({k: torch.tensor(v) for k, v in named.items()}, torch.tensor(seen))
    for m in range(3):
        for place in range(4):
            hidden = np.tanh(named["hidden"][m] @ seen[m, :, place] + named["hidden_bias"][m])
            wanted = named["outputs"][m] @ hidden + named["outputs_bias"][m]
            np.testing.assert_allclose([float(o[m, place]) for o in found], wanted, rtol=1e-12)


def test_before_training_the_outputs_are_0_and_hidden_units_differ():
    net = SmallNetwork(inputs=400, hidden=50)
    named = net.draw(1)
    assert abs(named["hidden"].std() * 20 - 1) < 0.05  # √inputs = 20
    given = {k: torch.tensor(v)[None] for k, v in named.items()}
    outputs = net.outputs(given, torch.ones(1, 400, 2, dtype=torch.float64))
    assert all(bool((o == 0).all()) for o in outputs)


@pytest.mark.parametrize("form", [FirstOrder(), ZeroOrder()])
def test_both_rules_begin_with_its_parameters(form):
    drawn, own = form.draw(3), form.network.draw(3)
    assert list(form.shapes())[: len(own)] == list(own)
    for name, values in own.items():
        np.testing.assert_array_equal(drawn[name], values)
