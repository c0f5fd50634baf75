"""Muon: every matrix of weights by orthogonalised steps, biases by a second optimiser, under every rule."""

import math
import re

import numpy as np
import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs
from cortex_sim.backends.torch.training import Trainer, make_optimiser, make_schedule
from cortex_sim.rules.base import WORDS

BIASES = {"name": "SGD", "lr": 0.5}


def orthogonalised(m, steps=5, a=3.4445, b=-4.7750, c=2.0315):
    """Five iterations X ← aX + (bXXᵀ + c(XXᵀ)²)X from X = M/‖M‖, in float64."""
    x = m / np.linalg.norm(m)
    for _ in range(steps):
        g = x @ x.T
        x = a * x + (b * g + c * g @ g) @ x
    return x


def gradient(shape, rng):
    """Of full rank, so that iterations in bfloat16 (torch's) and in float64 keep together."""
    u, _, v = np.linalg.svd(rng.normal(size=(shape[0], math.prod(shape[1:]))), full_matrices=False)
    return ((u * rng.uniform(0.5, 1.0, u.shape[1])) @ v).reshape(shape)


@pytest.mark.parametrize("network", [chain, conv])
def test_a_step_is_that_of_the_equation_for_matrices_and_kernels(network):
    model = cs.torch.build(network().with_rule("kolen_pollack"), precision="64")
    lr, decay, momentum, rng = 0.1, 0.2, 0.9, np.random.default_rng(0)
    settings = {"name": "Muon", "lr": lr, "weight_decay": decay, "momentum": momentum, "others": BIASES}
    optimiser, buffers = make_optimiser(model, settings), {}
    learn = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {p.dim() for p in learn.values()} >= {1, 2} and any("learned" in name for name in learn)
    for _ in range(2):
        before = {name: p.detach().numpy().copy() for name, p in learn.items()}
        for p in learn.values():
            g = gradient(tuple(p.shape), rng) if p.dim() > 1 else rng.normal(size=tuple(p.shape))
            p.grad = torch.from_numpy(g)
        optimiser.step()
        for name, p in learn.items():
            g, moved = p.grad.numpy(), p.detach().numpy() - before[name]
            if name.startswith("biases"):
                np.testing.assert_allclose(moved, -0.5 * g, atol=1e-12)
                continue
            g = g.reshape(len(g), -1)
            buffers[name] = momentum * buffers.get(name, 0) + (1 - momentum) * g
            direction = orthogonalised((1 - momentum) * g + momentum * buffers[name])
            scale = lr * math.sqrt(max(1, g.shape[0] / g.shape[1]))
            step = -lr * decay * before[name].reshape(g.shape) - scale * direction
            assert np.linalg.norm(moved.reshape(g.shape) - step) < 0.06 * np.linalg.norm(step), (
                name
            )  # bfloat16


def test_in_another_spelling_it_is_the_same():
    """Not an optimiser of everything, biases among them."""
    models = [cs.torch.build(chain().with_rule("backprop")) for _ in range(2)]
    ours, theirs = (make_optimiser(m, name) for m, name in zip(models, ("muon", "Muon"), strict=True))
    assert type(ours) is type(theirs) and str(ours) == str(theirs)


def test_a_kernel_steps_as_its_matrix_does():
    net = conv().with_rule("backprop")
    model = cs.torch.build(net)
    optimiser = make_optimiser(model, {"name": "Muon", "lr": 0.05, "others": BIASES})
    x, y = shown(net)
    twins = {n: w.detach().clone().flatten(1).requires_grad_() for n, w in model.weights.items()}
    theirs = torch.optim.Muon(twins.values(), lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.as_tensor(x).float(), y).backward()
        for name, twin in twins.items():
            twin.grad = model.weights[name].grad.flatten(1).clone()
        optimiser.step()
        theirs.step()
    assert any(w.dim() == 4 for w in model.weights.values())
    for name, twin in twins.items():
        torch.testing.assert_close(model.weights[name].detach().flatten(1), twin.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("word", sorted(set(WORDS) - {"tdca"}))
def test_it_trains_under_every_rule(word):
    network = chain if word == "target_prop" else conv  # which takes chains of Dense alone
    net = network("leaky_relu", init="orthogonal").with_rule(word)
    model = cs.torch.build(net)
    x, y = (torch.as_tensor(part) for part in shown(net, count=16))
    run = Trainer(model, x.float(), y, 4, 8, {"name": "Muon", "lr": 0.01}, "OneCycleLR")
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    for _ in range(4):
        assert np.isfinite(run.train_epoch())
    for name, p in model.named_parameters():
        assert not p.requires_grad or not torch.equal(p, before[name]), name


def test_each_group_keeps_its_own_rate_along_a_schedule():
    model = cs.torch.build(chain().with_rule("backprop"))
    optimiser = make_optimiser(model, {"name": "Muon", "lr": 0.02, "others": {"name": "AdamW", "lr": 1e-3}})
    schedule = make_schedule(optimiser, {"name": "OneCycleLR", "pct_start": 0.3}, 10)
    rates = []
    for _ in range(9):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    np.testing.assert_allclose(np.divide(*np.transpose(rates)), 20)
    assert max(r for r, _ in rates) == pytest.approx(0.02)


def test_weights_that_moved_to_other_memory_are_followed():
    net = chain().with_rule("backprop")
    model = cs.torch.build(net)
    optimiser = make_optimiser(model, {"name": "Muon", "lr": 0.1})
    model.double().float()  # as a device's memory would be, another
    x, y = shown(net)
    before = model.weights["V1->V2"].detach().clone()
    model(torch.as_tensor(x).float(), y).backward()
    optimiser.step()
    assert (model.weights["V1->V2"] - before).norm() > 0.01


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"others": "Muon"}, "Muon: others is for parameters that are not matrices, which Muon cannot"),
        ({"others": "Adamm"}, "unknown optimiser Muon: others 'Adamm' (did you mean 'Adam'?)"),
        ({"others": {"name": "SGD", "betas": 3}}, "optimiser Muon: others SGD: unknown setting 'betas'"),
        ({"adjust_lr_fn": "none"}, "optimiser Muon: Adjust learning rate function none is not supported"),
        ({"decay": "weights"}, "optimiser Muon: unknown setting 'decay'; known: adjust_lr_fn"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    model = cs.torch.build(chain().with_rule("backprop"))
    with pytest.raises(cs.CortexSimError, match=re.escape(message)):
        make_optimiser(model, {"name": "Muon", **settings})
