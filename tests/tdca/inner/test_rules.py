"""What a rule changes in each of several inner runs is what it changes in a declared network on torch."""

from itertools import product

import numpy as np
import pytest
import torch
from networks import conv, dense_chain

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, SharedCredit, TrainedCredit
from cortex_sim.errors import BuildError, DeclarationError
from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import (
    Backprop,
    Direct,
    ErrorDiffusion,
    LowRank,
    Moment,
    ReadoutOnly,
    TopDownCredit,
)
from cortex_sim.tdca.inner.step import Plain

RUNS, PRESENTATIONS, OUTPUTS = 3, 5, 7
CHAINS = [(13, OUTPUTS), (13, 11, OUTPUTS), (5, 3, 11, OUTPUTS), (11, 5, 3, 13, OUTPUTS)]
BROADCAST = {
    "direct_feedback_alignment": Direct(),
    "error_diffusion": ErrorDiffusion(),
    "low_rank_feedback": LowRank(),
}
CREDIT = {
    "dense": DenseCredit(OUTPUTS, channels=3, hidden=5),
    "raw": DenseCredit(OUTPUTS, channels=3, hidden=5, context="raw"),
    "pooled": DenseCredit(OUTPUTS, channels=3, hidden=5, pooled=True),
    "ungated": DenseCredit(OUTPUTS, channels=3, hidden=5, gated=False, signs=True),
    "levels": DenseCredit(OUTPUTS, channels=[2, 3], hidden=5, levels=2),
    "shared": SharedCredit(channels=3, hidden=5),
}


def chain(sizes, *settings, **named):
    return dense_chain(sizes, *settings, **named).with_rule("backprop")


def runs_of(net, rule):
    """Inner runs with weights, biases and presentations of their own; seeds 0, 1, …"""
    body = architecture(net)
    runs = Cohort(body, rule, Plain(), RUNS, dtype=torch.float64)
    runs.begin(torch.ones(RUNS, dtype=torch.bool), torch.arange(RUNS), torch.full((RUNS,), 10.0))
    rng = np.random.default_rng(0)
    runs.biases = [torch.as_tensor(rng.normal(size=b.shape)) for b in runs.biases]
    x = torch.as_tensor(rng.normal(size=(RUNS, PRESENTATIONS, body.inputs)))
    y = torch.eye(body.outputs, dtype=torch.float64)[
        rng.integers(0, body.outputs, size=(RUNS, PRESENTATIONS))
    ]
    return runs, x, y


def model_of(net, runs, run):
    """The declared network on torch, with the weights and biases of one inner run."""
    model = cs.torch.build(net, seed=run, precision="64")
    for layer, b in zip(runs.body.layers, runs.biases, strict=True):
        model.biases[layer.projection.post].data.copy_(b[run, 0])
    return model


def changes_in(runs, parameters, x, y):
    _, local = runs.changes(parameters, x, y)
    return [torch.bmm(u.transpose(1, 2), read) / PRESENTATIONS for u, read in local]


def assert_same(runs, changes, models, x, y):
    for run, model in enumerate(models):
        shown = x[run].reshape(-1, *runs.body.layers[0].pre)
        expected = model.updates(shown, y[run])
        for layer, change in zip(runs.body.layers, changes, strict=True):
            wanted = expected[layer.projection.name].detach().flatten(1).numpy()
            np.testing.assert_allclose(change[run].numpy(), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "sizes, activation, objective",
    list(product(CHAINS, ("relu", "tanh"), ("cross_entropy", "squared_error"))),
)
def test_backprop(sizes, activation, objective):
    net = chain(sizes, activation, objective=objective)
    runs, x, y = runs_of(net, Backprop())
    models = [model_of(net, runs, run) for run in range(RUNS)]
    assert_same(runs, changes_in(runs, {}, x, y), models, x, y)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_backprop_through_convolutions_is_the_gradient(activation):
    net = conv(activation).with_rule("backprop")
    runs, x, y = runs_of(net, Backprop())
    changes = changes_in(runs, {}, x, y)
    for ws in runs.weights:
        ws.requires_grad_(True)
    _, rates, _ = runs.body.settle(runs.weights, runs.biases, x, runs.body.transfers({}))
    error = -(y * torch.log_softmax(rates[-1], -1)).sum(-1).mean(1).sum()
    for change, gradient in zip(changes, torch.autograd.grad(error, runs.weights), strict=True):
        torch.testing.assert_close(change, -gradient, rtol=1e-9, atol=1e-9)
        assert gradient.abs().max() > 1e-3
    models = [model_of(net, runs, run) for run in range(RUNS)]
    assert_same(runs, [c.detach() for c in changes], models, x, y)


@pytest.mark.parametrize("word, sizes, activation", list(product(BROADCAST, CHAINS[1:], ("relu", "tanh"))))
def test_fixed_broadcasts(word, sizes, activation):
    net = chain(sizes, activation).with_rule(word)
    runs, x, y = runs_of(net, BROADCAST[word])
    models = [model_of(net, runs, run) for run in range(RUNS)]
    names = [layer.projection.post for layer in runs.body.layers[:-1]]
    runs.fixed = [
        torch.stack([m.feedback.plastic_or_free(f"IT->{name}").detach() for m in models]) for name in names
    ]
    assert_same(runs, changes_in(runs, {}, x, y), models, x, y)


@pytest.mark.parametrize("form, sizes, activation", list(product(CREDIT, CHAINS[1:], ("relu", "tanh"))))
def test_credit_networks(form, sizes, activation):
    network, rng = CREDIT[form], np.random.default_rng(1)
    trained = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in network.draw(0).items()}
    net = chain(sizes, activation).with_rule("tdca", credit=TrainedCredit(network, trained, {}))
    rule = TopDownCredit(network)
    runs, x, y = runs_of(net, rule)
    models = [model_of(net, runs, run) for run in range(RUNS)]
    names = [layer.projection.post for layer in runs.body.layers[:-1]]
    wanted = [f"TDCA {name}->{name}" for name in names]
    if form == "shared":
        wanted += [f"TDCA base->TDCA {name}" for name in names]
    runs.fixed = [torch.stack([m.feedback.fixed.get_buffer(name) for m in models]) for name in wanted]
    parameters = {name: torch.as_tensor(p) for name, p in trained.items()}
    changes = changes_in(runs, parameters, x, y)
    assert_same(runs, changes, models, x, y)
    # each inner run with its own copy of φ learns the same
    own = {name: p.expand(RUNS, *p.shape) for name, p in parameters.items()}
    for one, other in zip(changes, changes_in(runs, own, x, y), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_what_broadcasts_draw_at_birth():
    body = architecture(chain((13, 300, 200, OUTPUTS)))
    rng = np.random.default_rng(0)
    for b in Direct().fixed(body, rng):
        np.testing.assert_allclose(b.var(), 1 / OUTPUTS, rtol=0.1)
    for b in LowRank(rank=2).fixed(body, rng):
        assert np.linalg.matrix_rank(b) == 2
        np.testing.assert_allclose(b.std(), (1 / OUTPUTS) ** 0.5, rtol=0.5)
    for b, units in zip(ErrorDiffusion(signs=True).fixed(body, rng), (300, 200), strict=True):
        np.testing.assert_array_equal(np.abs(b), np.eye(OUTPUTS)[np.arange(units) % OUTPUTS])
        assert b.min() == -1.0


def credits_of(how, number=0):
    runs, x, y = runs_of(chain((5, 3, 11, OUTPUTS)), Direct())
    told = {}

    class Listening(Direct):
        def credits(self, body, parameters, fixed, moment):
            told["plain"] = super().credits(body, parameters, fixed, moment)
            return told["plain"]

    altered = Altered(Direct(), how)
    object.__setattr__(altered, "rule", Listening())
    transfers = runs.body.transfers({})
    drives, rates, _ = runs.body.settle(runs.weights, runs.biases, x, transfers)
    _, error = runs.body.judged(rates[-1], y)
    found = altered.credits(
        runs.body, {}, runs.fixed, Moment(runs.weights, drives, rates, y, error, number, transfers)
    )
    return told["plain"], found


def test_controls_leave_the_top_alone():
    for how in ("units", "presentations", "noise", "silent"):
        plain, found = credits_of(how)
        assert torch.equal(plain[-1], found[-1])
        assert all(not torch.equal(p, f) for p, f in zip(plain[:-1], found[:-1], strict=True)), how


def test_shuffled_units_keep_the_credits_of_each_presentation():
    plain, found = credits_of("units")
    for p, f in zip(plain[:-1], found[:-1], strict=True):
        torch.testing.assert_close(f.sort(2).values, p.sort(2).values, rtol=0, atol=0)


def test_shuffled_presentations_keep_the_credits_of_each_unit():
    plain, found = credits_of("presentations")
    for p, f in zip(plain[:-1], found[:-1], strict=True):
        torch.testing.assert_close(f.sort(1).values, p.sort(1).values, rtol=0, atol=0)
        rows = [[torch.equal(a, b) for b in p[0]] for a in f[0]]
        assert np.array(rows).sum() == PRESENTATIONS  # whole presentations change place


def test_noise_has_the_norm_of_each_presentations_credit():
    plain, found = credits_of("noise")
    for p, f in zip(plain[:-1], found[:-1], strict=True):
        torch.testing.assert_close(f.norm(dim=2), p.norm(dim=2), rtol=1e-12, atol=0)
        assert (torch.cosine_similarity(p, f, dim=2).abs() < 0.999).all()
    assert not torch.equal(found[0], credits_of("noise", number=1)[1][0])  # another in every step


@pytest.mark.parametrize("rule", [Altered(Direct(), "silent"), ReadoutOnly()])
def test_without_credit_below_only_the_readout_changes(rule):
    runs, x, y = runs_of(chain((5, 3, 11, OUTPUTS)), rule)
    *below, top = changes_in(runs, {}, x, y)
    assert all(not change.any() for change in below)
    assert top.abs().max() > 1e-3


def test_unknown_controls_and_wrong_outputs_are_refused():
    with pytest.raises(DeclarationError, match="known: noise, presentations, silent, units"):
        Altered(Direct(), "sign")
    with pytest.raises(DeclarationError, match="trained for 10 output units, but the network has 7"):
        runs_of(chain((5, 3, OUTPUTS)), TopDownCredit())


def test_only_chains_live_side_by_side():
    net = cs.Network("fork")
    for name in ("retina", "V1", "V2"):
        net.population(name, 3)
    net.population("IT", 2)
    for pre, post in (("retina", "V1"), ("retina", "V2"), ("V1", "IT"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule("backprop")
    with pytest.raises(BuildError, match="need a chain of populations, but retina projects to 2"):
        architecture(net)
