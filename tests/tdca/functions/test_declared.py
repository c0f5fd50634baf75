"""The point as a declared network: its biases change by −∇f, and by the credit network's credits."""

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.declared import FunctionObjective, point_network
from cortex_sim.tdca.functions.first_order import FirstOrder
from cortex_sim.tdca.functions.own import OwnFunction
from cortex_sim.tdca.functions.tasks import draw


def tasks_of(n=4):
    return draw(("levy", "beale"), n, 2, torch.Generator().manual_seed(3), torch.float64)


def at_biases(net, x):
    """A model of the network whose biases are x."""
    model = cs.torch.build(net, seed=0, precision="64")
    state = model.state_dict()
    (name,) = [key for key in state if "bias" in key]
    model.load_state_dict({**state, name: torch.tensor(x)})
    return model


SILENCE, UNREAD = np.zeros((1, 1)), np.zeros((1, 4))


@pytest.mark.parametrize("i", [0, 3])
def test_backpropagation_changes_biases_by_the_negative_gradient(i):
    tasks, x = tasks_of(), np.array([0.3, -0.7, 0.1, 0.9])
    model = at_biases(point_network(tasks, i), x)
    above, slope = tasks.measure(torch.tensor(x).expand(4, 1, 4))
    changes = model.updates(SILENCE, UNREAD, biases=True)
    np.testing.assert_allclose(changes["point"], -slope[i, 0], rtol=1e-10)
    assert not changes["silence->point"].any()
    np.testing.assert_allclose(model.respond(SILENCE)["rate"].values[0, -4:], x, rtol=1e-6)
    net = point_network(tasks, i)
    value = net.objective_function.value(x[None], None)
    np.testing.assert_allclose(value, [float(above[i, 0] + tasks.lowest[i])], rtol=1e-12)
    np.testing.assert_allclose(net.objective_function.credit(x[None], None), -slope[i, :1], rtol=1e-12)


def test_the_credit_network_moves_a_declared_network_as_it_moves_points():
    """Gradients from the declared network's own updates give the same path as the batched inner run."""
    tasks, form = tasks_of(), FirstOrder(hidden=5, points=2)
    rng = np.random.default_rng(0)
    phi = form.layout.joined(form.draw(0))[None].double()
    phi = phi + 0.3 * torch.tensor(rng.normal(size=phi.shape))
    alone = tasks.only(2)
    net = point_network(alone)

    def measured(x):
        models = [at_biases(net, row) for row in x]
        values = [float(net.objective_function.value(row[None], None)[0]) for row in x]
        return values, [-np.asarray(m.updates(SILENCE, UNREAD, biases=True)["point"]) for m in models]

    batched = [x[0, 0] for _, x in form.run(phi, alone, 12, torch.Generator().manual_seed(1))]
    declared = [
        x[0, 0] for _, x in form.run(phi, OwnFunction(measured, 4), 12, torch.Generator().manual_seed(1))
    ]
    torch.testing.assert_close(torch.stack(declared), torch.stack(batched), rtol=1e-8, atol=1e-8)


def test_yaml_round_trip_and_print():
    tasks, x = tasks_of(), np.array([[0.1, 0.2, -0.3, 0.4]])
    net = point_network(tasks, 1)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again.to_yaml() == net.to_yaml() and "FunctionObjective" in str(net)
    np.testing.assert_array_equal(
        again.objective_function.credit(x, None), net.objective_function.credit(x, None)
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(DeclarationError, match=r"turn has shape \(2, 2\), but shift has 4 values; give \(4,"):
        FunctionObjective("sphere", np.zeros(4), np.eye(2))
    with pytest.raises(DeclarationError, match="is of pairs of variables"):
        FunctionObjective("beale", np.zeros(3), np.eye(3))
    with pytest.raises(DeclarationError, match="scale must be a positive number"):
        FunctionObjective("sphere", np.zeros(3), np.eye(3), 0.0)
