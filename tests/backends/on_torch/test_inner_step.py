"""Training takes the step of inner runs: n updates of one are n steps of the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer, batches
from cortex_sim.credit import DenseCredit, LayeredCredit, TrainedCredit
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.rules import TopDownCredit
from cortex_sim.tdca.inner.step import Adam, Mixed

BATCH, COUNT, EPOCHS = 7, 42, 3
UPDATES = COUNT // BATCH * EPOCHS
RATES = {
    "mixed": {
        "step_rate": [[[-1.2, -0.1], [-5.1, -0.3]], [[-0.9, 0.1], [-4.6, -0.2]]],
        "step_fall": [[0.3, -0.5], [-1.0, 0.4]],
    },
    "adam": {"step_rate": [[[-5.1, -0.3]], [[-4.6, -0.2]]], "step_fall": [[0.3], [-1.0]]},
}
STEPS = {"mixed": Mixed(), "adam": Adam()}
PRECISION = {"32": (torch.float32, 1e-5), "64": (torch.float64, 1e-9)}


def mlp(reads=None):
    net = cs.model("tdca_mlp", inputs=11, hidden=[8, 5], classes=3)
    return net.with_reads(reads)


def cnn(reads=None):
    return cs.model("tdca_cnn", side=8, maps=[3, 4], classes=3).with_reads(reads)


def first_form(step):
    network = DenseCredit(outputs=3, channels=4)
    parameters = network.draw(0)
    return TrainedCredit(network, parameters, about(step)), TopDownCredit(network)


def layered(step, decorrelated=False, mirror=0):
    network = LayeredCredit(mirror, decorrelated)
    start = {"log_gain": 0.4, "log_decay_up": -4.0, "log_decay_down": -3.5, "log_birth": -0.2}
    shares = {"mixing": 0.9, "centring": 1.3} if decorrelated else {}
    parameters = {name: np.array(value) for name, value in (start | shares).items()}
    return TrainedCredit(network, parameters, about(step)), Layered(LayeredCredit(mirror))


def about(step):
    return {"step": RATES[step], "settings": {"step": {"name": step}}}


def presentations(body, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(COUNT, body.inputs)), rng.integers(0, body.outputs, size=COUNT)


def by_inner_run(net, trained, rule, step, dtype):
    """Weights, top-down weights and biases after one inner run on the batches that training shows."""
    body = architecture(net)
    cohort = Cohort(body, rule, STEPS[step], 1, dtype=dtype)
    cohort.begin(torch.tensor([True]), torch.tensor([0]), torch.tensor([float(UPDATES)]))
    named = {**trained.parameters, **{n: np.array(x) for n, x in RATES[step].items()}}
    parameters = {n: torch.as_tensor(p).to(dtype) for n, p in named.items()}
    x, y = presentations(body)
    goal = np.eye(body.outputs)[y]
    kernels = [k[0].numpy().astype(float).copy() for k in cohort.fixed]
    with torch.no_grad():
        for epoch in range(EPOCHS):
            for index in batches(0, epoch, COUNT, BATCH):
                shown = (torch.as_tensor(v[index]).to(dtype)[None] for v in (x, goal))
                cohort.advance(parameters, *shown)
    return cohort, kernels


def by_training(net, trained, kernels, precision):
    """The same by `fit`."""
    declared = net.with_rule("tdca", credit=trained)
    model = cs.torch.build(declared, 0, precision=precision)
    if declared.teacher is not None:
        model.set_weights({f"TDCA {n}->{n}": k for n, k in zip(declared.teacher.hidden, kernels, strict=True)})
    x, y = presentations(architecture(net))
    model.fit((x.reshape(COUNT, *net.populations["retina"].shape), y), EPOCHS, batch_size=BATCH)
    return model


CASES = {
    "first form": (mlp, first_form, {}),
    "layered": (mlp, layered, {}),
    "layered, mirror": (mlp, layered, {"mirror": 20}),
    "layered, decorrelated": (mlp, layered, {"decorrelated": True}),
    "layered, convolutions": (cnn, layered, {"decorrelated": True, "mirror": 20}),
}


@pytest.mark.parametrize("precision", PRECISION)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("case", CASES)
def test_training_takes_the_steps_of_an_inner_run(case, step, precision):
    network, form, settings = CASES[case]
    trained, rule = form(step, **settings)
    dtype, tolerance = PRECISION[precision]
    reads = cs.Decorrelated(mixing=0.5, centring=0.5) if settings.get("decorrelated") else None
    cohort, kernels = by_inner_run(network(reads), trained, rule, step, dtype)
    model = by_training(network(), trained, kernels, precision)
    layers = cohort.body.layers
    for i, layer in enumerate(layers):
        ours = model.matrix(layer.link.name).detach().numpy()
        np.testing.assert_allclose(ours, cohort.weights[i][0].numpy(), rtol=0, atol=tolerance)
        bias = model.biases[layer.step.name].detach().numpy()
        np.testing.assert_allclose(bias, cohort.biases[i][0, 0].numpy(), rtol=0, atol=tolerance)
    for layer, b in zip(layers[1:], cohort.fixed if form is layered else (), strict=False):
        name = layer.projection.reverse_name
        ours = layer.operator.feedback_matrix(model.feedback.learned[name].detach()).T
        np.testing.assert_allclose(ours.numpy(), b[0].numpy(), rtol=0, atol=tolerance)
        before = model.net.initial_weights(0)[name]
        assert np.abs(before - model.feedback.learned[name].detach().numpy()).max() > 0.01
