"""Row norms over two projections in training, under every optimiser, and at equilibrium."""

import copy

import numpy as np
import pytest
import torch
from constrained import kept

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

NAMES = ["left->V1", "right->V1"]
BOTH = cs.RowNorm(2.0, "subtractive", over=NAMES)
DRAW = np.random.default_rng(0)
STIMULI = {"left": DRAW.normal(size=(22, 7)), "right": DRAW.normal(size=(22, 4))}
LABELS = DRAW.integers(3, size=22)


def network(norm=BOTH, word="backprop", top=True, **settings):
    net = cs.Network("two eyes")
    net.population("V1", 5, activation="tanh" if top else "linear", bias=False)
    for eye, size, link in (("left", 7, cs.Dense("he")), ("right", 4, cs.Sparse(in_degree=3))):
        net.population(eye, size)
        net.bottom_up(eye, "V1", link, plasticity=word, constraint=[cs.Bounds(0, 0.5), norm], **settings)
    if not top:
        return net
    net.population("IT", 3)
    net.bottom_up("V1", "IT", plasticity=word)
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


def side_by_side(model):
    return np.concatenate([model.weights[name].detach().numpy() for name in NAMES], axis=1)


def taken(model, optimiser):
    optimiser.zero_grad()
    model(STIMULI, LABELS).backward()
    optimiser.step()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "AdamW"])
def test_hold_after_every_step(name):
    net = network()
    model = cs.torch.build(net)
    start = side_by_side(model)
    model.attach(optimiser := getattr(torch.optim, name)(model.parameters(), lr=0.05))
    for _ in range(6):
        taken(model, optimiser)
        w = side_by_side(model)
        np.testing.assert_allclose(w.sum(1), 2.0, rtol=1e-6)
        assert w.min() >= 0 and w.max() <= 0.5
        assert not w[:, 7:][~net.wiring(net.projection("right->V1"))].any()
    assert np.abs((w - start)[:, :7].sum(1)).max() > 1e-3  # only together


def test_a_step_is_the_rules_then_the_row_is_shifted():
    net = network()
    model = cs.torch.build(net, precision="64")
    model.attach(optimiser := torch.optim.SGD(model.parameters(), lr=2.0))
    w = side_by_side(model)
    high = 0.5 * np.concatenate([np.ones((5, 7)), net.wiring(net.projection("right->V1"))], axis=1)
    for _ in range(4):
        change = model.updates(STIMULI, LABELS)
        step = np.concatenate([change[name].numpy() for name in NAMES], axis=1)
        w = kept(w + 2.0 * step, 0.0, high, 2.0, "subtractive")
        taken(model, optimiser)
        np.testing.assert_allclose(side_by_side(model), w, atol=1e-12)


def test_frozen_weights_stay_and_the_others_make_up_for_them():
    model = cs.torch.build(network(), precision="64")
    model.weights["left->V1"].requires_grad_(False)
    start = side_by_side(model)
    model.attach(optimiser := torch.optim.SGD([model.weights["right->V1"]], lr=2.0))
    for _ in range(3):
        taken(model, optimiser)
    w = side_by_side(model)
    np.testing.assert_array_equal(w[:, :7], start[:, :7])
    np.testing.assert_allclose(w.sum(1), 2.0, rtol=1e-12)
    assert np.abs(w - start).max() > 1e-3


def test_fit_states_and_copies_keep_them(tmp_path):
    model = cs.torch.build(network())
    model.fit((STIMULI, LABELS), epochs=2, optimiser="Adam", progress=False)
    cs.save(model, tmp_path / "state.safetensors")
    sim = cs.brian2.build(model.net, state=cs.load(tmp_path / "state.safetensors"))
    both = sum(sim.weights.outward(name).sum(1) for name in NAMES)
    np.testing.assert_allclose(both, 2.0, rtol=1e-12)
    twin = copy.deepcopy(model)
    twin.attach(optimiser := torch.optim.SGD(twin.parameters(), lr=0.5))
    taken(twin, optimiser)
    np.testing.assert_allclose(side_by_side(twin).sum(1), 2.0, rtol=1e-6)
    w = {name: model.weights[name].detach().numpy() for name in NAMES}
    with pytest.raises(cs.BuildError, match="left->V1 and right->V1: the sum of row 0 is"):
        model.set_weights({"left->V1": 0.9 * w["left->V1"]})
    free = cs.torch.build(network(norm=cs.RowNorm(1.0, "subtractive")))
    with pytest.raises(cs.BuildError, match="left->V1 and right->V1: the sum of row 0 is"):
        model.set_weights({n: 0.9 * free.weights[n].detach() for n in NAMES})


@pytest.mark.parametrize("method", ["subtractive", "multiplicative"])
def test_a_session_at_equilibrium_ends_as_time_does(method):
    norm = cs.RowNorm(1.2, method, over=NAMES)
    net = network(norm, "hebbian", top=False)
    shown = {name: np.abs(x[:3]) for name, x in STIMULI.items()}
    phases = [cs.Phase("settle", 120, drive=shown), cs.Phase("learn", 40, drive=shown, plasticity=True)]
    script = cs.Protocol(*phases, trials=6, batch=1, eta_per_s=2e-3)
    settled, in_time = QuasiStatic(net), cs.brian2.build(net)
    start = side_by_side(settled.model)
    for sim in (settled, in_time):
        sim.run(script, progress=False)
    found = side_by_side(settled.model)
    np.testing.assert_allclose(found.sum(1), 1.2, rtol=1e-12)
    theirs = np.concatenate([in_time.weights.outward(name) for name in NAMES], axis=1)
    np.testing.assert_allclose(found, theirs, atol=1e-6)
    assert np.abs((found - start)[:, :7].sum(1)).max() > 1e-5


def test_a_closed_window_at_equilibrium_keeps_its_weights():
    net = network(cs.RowNorm(1.2, "subtractive", over=NAMES), "hebbian", top=False)
    shown = {name: np.abs(x[:3]) for name, x in STIMULI.items()}
    learn = cs.Phase("learn", 100, drive=shown, plasticity=["right->V1"])
    settled = QuasiStatic(net)
    start = side_by_side(settled.model)
    settled.run(cs.Protocol(learn, batch=1, eta_per_s=0.5), progress=False)
    w = side_by_side(settled.model)
    np.testing.assert_array_equal(w[:, :7], start[:, :7])
    np.testing.assert_allclose(w.sum(1), 1.2, rtol=1e-12)
    assert np.abs(w - start).max() > 1e-3
