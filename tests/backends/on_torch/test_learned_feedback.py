"""Learned feedback approaches what it stands for: inverse and transpose."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import cosine, relative_error
from networks import Spread, built, chain, conv, shown

import cortex_sim as cs

# -- learned feedback approaches what it stands for ------------------------------------------------


def learn_down(net, learned, steps, rate, start=None):
    """Train only the top-down weights of one projection, by plain SGD, slower in the second half."""
    model = built(net)
    if start is not None:
        model.set_weights({learned: start})
    optimiser = torch.optim.SGD([model.feedback.learned[learned]], lr=rate)
    model.attach(optimiser)
    x, y = shown(net, count=100)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate if step < steps / 2 else rate / 20
        optimiser.zero_grad()
        model(x, y).backward()
        optimiser.step()
    return model


@pytest.mark.parametrize(
    "post, pre",
    [pytest.param(5, 11, id="fewer units than inputs"), pytest.param(11, 5, id="more units, from 0")],
)
def test_inverse_learning_reaches_the_inverse(post, pre):
    net = cs.Network("pair")
    net.population("retina", 3)
    net.population("V1", pre)
    net.population("IT", post)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", cs.Dense(init=Spread(0.7, 1.4)), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule("gait_prop_learned")
    start = np.zeros((pre, post)) if post > pre else None
    model = learn_down(net, "IT->V1", 400, 0.5, start)
    exact = np.linalg.pinv(model.weights["V1->IT"].detach().numpy())
    sampling = 0.1 if post < pre else 1e-6  # what W does not see of ξ is noise, where there is any
    assert relative_error(model.feedback.learned["IT->V1"].detach(), exact) < sampling


def test_inverse_learning_beside_a_convolution_reaches_the_inverse_of_its_patches():
    net = cs.Network("conv pair")
    net.population("retina", shape=(2, 4, 4))
    net.population("V1", shape=(2, 4, 4))
    net.population("V2", shape=(5, 2, 2))
    net.bottom_up("retina", "V1", cs.Conv2d(1), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.Conv2d(3, init=Spread(0.7, 1.4)), plasticity="backprop")
    net.objective("V2", "squared_error")
    net = net.with_rule("gait_prop_learned")
    model = learn_down(net, "V2->V1", 400, 0.5)
    exact = np.linalg.pinv(model.weights["V1->V2"].detach().numpy().reshape(5, -1))
    learned = model.feedback.learned["V2->V1"].detach().numpy().reshape(5, -1).T
    assert relative_error(learned, exact) < 0.1


def test_kolen_pollack_becomes_the_transpose():
    """W − Bᵀ shrinks by exactly the decay at every step, whatever the stimuli."""
    net = chain(init="orthogonal").with_rule("kolen_pollack")
    net.projections = {
        n: replace(p, regularisers=tuple(cs.Decay(0.5) for _ in p.regularisers))
        for n, p in net.projections.items()
    }
    model = built(net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)

    def gap():
        return model.weights["V1->V2"].detach() - model.feedback.learned["V2->V1"].detach().T

    first = gap()
    for step in range(50):
        x, y = shown(net, seed=step)
        optimiser.zero_grad()
        model(x, y).backward()
        optimiser.step()
    assert relative_error(gap(), first * (1 - 0.1 * 0.5) ** 50) < 1e-9


def test_kolen_pollack_becomes_the_transpose_of_a_kernel():
    net = conv(init="orthogonal").with_rule("kolen_pollack")
    model = built(net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)

    def gap():
        return model.weights["V2->V4"].detach() - model.feedback.learned["V4->V2"].detach()

    first, before = gap(), model.weights["V2->V4"].detach().clone()
    for step in range(10):
        x, y = shown(net, seed=step)
        optimiser.zero_grad()
        model(x, y).backward()
        optimiser.step()
    assert relative_error(gap(), first * (1 - 0.1 * 1e-4) ** 10) < 1e-9
    assert relative_error(model.weights["V2->V4"].detach(), before) > 1e-3


def test_weight_mirror_points_along_the_transpose():
    net = chain(init="orthogonal").with_rule("weight_mirror")
    model = learn_down(net, "V2->V1", 200, 0.05)
    w = model.weights["V1->V2"].detach().numpy()
    assert cosine(model.feedback.learned["V2->V1"].detach().numpy(), w.T) > 0.98


def test_weight_mirror_beside_a_convolution():
    net = conv(init="orthogonal").with_rule("weight_mirror")
    model = learn_down(net, "V4->V2", 100, 0.05)
    w = model.weights["V2->V4"].detach().numpy()
    assert cosine(model.feedback.learned["V4->V2"].detach().numpy(), w) > 0.97
