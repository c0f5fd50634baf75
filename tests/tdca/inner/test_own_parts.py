"""Inner runs and the outer loop over a connector and an activation of a user's own."""

import numpy as np
import torch
from own_parts import PRE, TOP, network, same, shown

import cortex_sim as cs
from cortex_sim.credit import DenseCredit
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout, start
from cortex_sim.tdca.inner.inner_runs import PersistentRuns, Span
from cortex_sim.tdca.inner.rules import Backprop, TopDownCredit
from cortex_sim.tdca.inner.step import Adam, Plain
from cortex_sim.tdca.outer import MetaGradient
from cortex_sim.tdca.tasks.settings import tasks_from


def test_an_inner_step_is_torchs_step_in_every_life():
    net, lives = network(), 2
    body = architecture(net)
    cohort = Cohort(body, Backprop(), Plain(), lives, dtype=torch.float64)
    cohort.begin(torch.ones(lives, dtype=torch.bool), torch.arange(lives), torch.full((lives,), 10.0))
    x, y = shown()
    several = torch.tensor(x).expand(lives, *x.shape)
    goal = torch.eye(TOP, dtype=torch.float64)[torch.tensor(y)].expand(lives, -1, -1)
    parameters = {name: torch.as_tensor(p) for name, p in Plain().draw().items()}
    saved = cohort.state()
    for _ in range(2):  # the second step meets what the first has moved
        _, local = cohort.changes({}, several, goal)
        models = []
        for life in range(lives):
            weights = {
                layer.projection.name: cohort.weights[i][life]
                .reshape(net.weight_shape(layer.projection))
                .numpy()
                for i, layer in enumerate(body.layers)
            }
            model = cs.torch.build(net, seed=life, precision="64")
            model.set_weights(weights)
            biases = {
                layer.step.name: b[life, 0] for layer, b in zip(body.layers, cohort.biases, strict=True)
            }
            model.set_biases(biases)
            for name, kept in model.transfer_values().items():
                for variable, values in kept.items():
                    values.copy_(cohort.transfers[name][variable][life])
            expected = model.updates(x, y)
            for layer, (u, read) in zip(body.layers, local, strict=True):
                change = (u[life].T @ read[life] / len(x)).reshape(expected[layer.projection.name].shape)
                torch.testing.assert_close(change, expected[layer.projection.name], rtol=1e-9, atol=1e-9)
            model.train()(x, y)
            models.append(model)
        with torch.no_grad():
            cohort.advance(parameters, several, goal)
        for life, model in enumerate(models):
            for name, kept in model.transfer_values().items():
                for variable, values in kept.items():
                    torch.testing.assert_close(
                        cohort.transfers[name][variable][life], values, rtol=1e-9, atol=1e-12
                    )
    other = Cohort(body, Backprop(), Plain(), lives, dtype=torch.float64)
    other.restore(cohort.state())
    assert same(other.state(), cohort.state()) and not same(saved, cohort.state())
    cohort.begin(torch.tensor([True, False]), torch.tensor([0, 0]), torch.full((2,), 10.0))
    assert torch.equal(cohort.transfers["V2"]["mean"][0], torch.full((4,), 0.1, dtype=torch.float64))
    assert torch.equal(cohort.transfers["V2"]["mean"][1], other.transfers["V2"]["mean"][1])


def test_the_outer_loop_trains_a_credit_network_over_them():
    rule, step = TopDownCredit(DenseCredit(TOP, channels=2, hidden=5)), Adam(0.01)
    span = Span(shortest=4, longest=8, window=4, batch=8, validation=16)
    tasks = tasks_from({"kind": "teacher", "widths": [PRE[0], 4, TOP]})
    lives = PersistentRuns(architecture(network()), rule, step, tasks, 4, span, seed=0)
    body = lives.cohort.body
    centre = layout(rule, step, body).joined(start(rule, step, 0, body))
    search = MetaGradient().begin(lives, centre, 5, torch.Generator().manual_seed(0))
    before = search.centre
    measured = [search.step() for _ in range(3)]
    assert all(np.isfinite(m["loss"]) and m["skipped"] == 0 for m in measured)
    assert not torch.equal(search.centre, before)
    moved = lives.cohort.transfers["V1"]["mean"]
    assert torch.isfinite(moved).all() and not (moved == moved[:1]).all()
