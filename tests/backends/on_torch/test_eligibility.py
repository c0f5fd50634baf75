"""Eligibility traces: against the equations, in their limits, and that nothing goes back through time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import tracing
from agreement import relative_error
from unrolled import KINDS, numbers, three_areas

import cortex_sim as cs

DT = 2.0


def built(net, steps, dt_ms=DT, seed=1, **settings):
    model = cs.torch.build(net, seed, precision="64", settling=cs.torch.Unrolled(steps, dt_ms), **settings)
    rng = np.random.default_rng(seed)
    model.set_biases({n: 0.3 * rng.normal(size=v.shape) for n, v in model.biases.items()})
    return model


def traced(memory="leak", sizes=(7, 5, 4, 3)):
    return three_areas(sizes, word="e_prop").with_rule(cs.EProp(memory))


def softmax(r):
    grown = np.exp(r - r.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


@pytest.mark.parametrize("memory", ["leak", "unit", "none"])
@pytest.mark.parametrize(("seed", "dt"), [(0, DT), (1, DT), (2, 5.0)])  # 5 ms is τ of the top: no leak there
def test_equals_the_equations_synapse_by_synapse(memory, seed, dt):
    """Labels at the end of every time bin, sizes at random."""
    rng = np.random.default_rng(seed)
    sizes = tuple(rng.permutation([7, 5, 3, 2]))
    bins, each, count = 2, 3, 3
    model = built(traced(memory, sizes=sizes), bins * each, dt, seed=seed)
    x = rng.normal(size=(count, bins, sizes[0]))
    y = rng.integers(sizes[-1], size=(count, bins))
    if sizes[-1] == bins:
        y = np.eye(sizes[-1])[y]
    labels = y if y.ndim == 2 else y.argmax(2)

    def c_top(t, r, presentation):
        if (t + 1) % each:
            return None
        return (np.eye(sizes[-1])[labels[presentation, t // each]] - softmax(r)) / bins

    w, b, down = numbers(model)
    steps = np.repeat(x, each, axis=1).swapaxes(0, 1)
    dw, db = tracing.changes(model.net, KINDS, w, b, down, steps, c_top, dt, memory)
    found = model.updates(x, y, biases=True)
    for name, expected in (dw | db).items():
        assert np.abs(expected).max() > 1e-6, name
        np.testing.assert_allclose(found[name], expected, atol=1e-12, err_msg=name)


def one_area(word="e_prop_symmetric", memory="leak", recurrent=None, tau=7.0, top_tau=5.0, activation="tanh"):
    """retina -> A -> IT, with a recurrent projection of given weights."""
    net = cs.Network("one area")
    net.population("retina", 7)
    net.population("A", 5, activation=activation, tau_ms=tau)
    net.population("IT", 3, tau_ms=top_tau)
    net.bottom_up("retina", "A", plasticity="backprop")
    net.bottom_up("A", "IT", plasticity="backprop")
    if recurrent is not None:
        net.recurrent("A", "A", cs.Dense(init=recurrent), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule(word)
    for p in net.driving if memory != "leak" else ():
        net.projections[p.name] = replace(p, plasticity=cs.EProp(memory))
    return net


def sequences(bins=4, count=6, seed=3, inputs=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, bins, inputs)), rng.integers(3, size=(count, bins))


@pytest.mark.parametrize("dt", [2.0, 5.0])
@pytest.mark.parametrize("case", ["no recurrence", "onto itself"])
def test_without_paths_between_units_it_is_backpropagation_through_time(case, dt):
    """Even for w_ij between units, which are 0: no path from a unit leads through another."""
    itself = case == "onto itself"
    own = np.diag(np.random.default_rng(5).normal(size=5)) if itself else None
    model = built(one_area(memory="unit" if itself else "leak", recurrent=own), 8, dt)
    x, y = sequences()
    ours, exact = model.updates(x, y, biases=True), model.backprop_updates(x, y, biases=True)
    assert set(ours) == set(exact)
    for name, change in exact.items():
        assert relative_error(ours[name], change) < 1e-12, name


def test_paths_through_other_units_are_what_it_leaves_out():
    """Autograd on the same steps, with rates detached where they are read by recurrent synapses."""
    w = 0.5 * np.random.default_rng(5).normal(size=(5, 5))
    model = built(one_area(recurrent=w), 4)
    x, y = sequences()
    p = {n: v.detach().clone().requires_grad_() for n, v in (*model.weights.items(), *model.biases.items())}
    a, top = torch.zeros(6, 5, dtype=torch.float64), torch.zeros(6, 3, dtype=torch.float64)
    total = 0.0
    for t in range(4):
        r = torch.tanh(a)
        within = torch.as_tensor(x[:, t]) @ p["retina->A"].T + r.detach() @ p["A->A recurrent"].T + p["A"]
        a = a + DT / 7 * (within - a)
        top = top + DT / 5 * (r @ p["A->IT"].T + p["IT"] - top)
        total = total + torch.nn.functional.cross_entropy(top, torch.as_tensor(y[:, t])) / 4
    total.backward()
    ours, exact = model.updates(x, y, biases=True), model.backprop_updates(x, y, biases=True)
    for name, change in ours.items():
        assert relative_error(change, -p[name].grad) < 1e-12, name
    assert relative_error(ours["A->A recurrent"], exact["A->A recurrent"]) > 1e-2


@pytest.mark.parametrize("memory", ["leak", "none"])
def test_without_memory_it_is_direct_feedback_alignment(memory):
    """Units whose steps last τ have none: a stimulus held until the last target arrives settles it."""
    net = one_area("direct_feedback_alignment", tau=5.0)
    settled = cs.torch.build(net, 1, precision="64")
    model = built(one_area("e_prop", memory, tau=5.0), 2, 5.0)
    settled.load_state(model.state())
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(6, 7)), rng.integers(3, size=6)
    expected = settled.updates(x, y, biases=True)
    for name, change in model.updates(x, y, biases=True).items():
        assert relative_error(change, expected[name]) < 1e-12, name


def nodes_of(total):
    """Functions in the graph of a tensor."""
    seen, ahead = set(), [total.grad_fn]
    while ahead:
        one = ahead.pop()
        if one is not None and one not in seen:
            seen.add(one)
            ahead += [before for before, _ in one.next_functions]
    return len(seen)


def kept_for_backward(model, x, y):
    """Functions of the graph, and the most numbers that graphs keep at any time."""
    alive = [0, 0]

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            alive[0] += tensor.numel()
            alive[1] = max(alive)

        def __del__(self):
            alive[0] -= self.tensor.numel()

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        total = model.rule_terms(x, y, learning=False)[0]
    return nodes_of(total), alive[1]


@pytest.mark.parametrize("memory", ["leak", "unit"])
def test_what_is_kept_for_the_backward_pass_does_not_grow_with_steps(memory):
    def grown(net, steps):
        x, y = sequences(steps)
        return kept_for_backward(built(net, steps), x, np.eye(3)[y])

    net = one_area(memory=memory, recurrent=np.eye(5))
    assert grown(net, 3) == grown(net, 30)
    back = net.with_rule("backprop")
    assert np.all(np.divide(grown(back, 30), grown(back, 3)) > 5)


def test_a_convolution_learns_where_the_readout_has_no_leak():
    net = cs.Network("maps")
    net.population("retina", shape=(2, 5, 4))
    net.population("A", shape=(3, 4, 3), activation="tanh", tau_ms=7.0)
    net.population("IT", 3, tau_ms=5.0)
    net.bottom_up("retina", "A", cs.Conv2d(2), plasticity="backprop")
    net.bottom_up("A", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule("e_prop_symmetric")
    x, y = sequences(inputs=40)
    x = x.reshape(6, 4, 2, 5, 4)
    model = built(net, 4, 5.0)
    exact = model.backprop_updates(x, y, biases=True)
    for name, change in model.updates(x, y, biases=True).items():
        assert relative_error(change, exact[name]) < 1e-12, name
    with pytest.raises(cs.BuildError, match="retina->A: EProp needs a trace at every synapse.*use dt_ms=5"):
        built(net, 4, 2.0)


def test_credit_of_every_step_is_what_the_top_sends():
    model = built(traced(), 6)
    x, y = sequences(2)
    found = model.credits(x, y)
    r = torch.as_tensor(model.predict(x))
    assert set(found) == {"A", "B", "IT"}
    for step in range(6):
        hit = step % 3 == 2
        c = np.eye(3)[y[:, step // 3]] - softmax(r[:, step].numpy()) if hit else np.zeros((6, 3))
        np.testing.assert_allclose(found["IT"][:, step], c / 2, atol=1e-12)
        b = model.feedback.matrix("IT->B", None).detach().numpy()
        np.testing.assert_allclose(found["B"][:, step], c @ b.T / 2, atol=1e-12)


def test_bins_without_target_have_no_part():
    model = built(one_area(), 4)
    x, y = sequences()
    goal = np.eye(3)[y]
    goal[0, :3], goal[1, 1], goal[2] = np.nan, np.nan, np.nan
    exact = model.backprop_updates(x, goal, biases=True)
    for name, change in model.updates(x, goal, biases=True).items():
        assert relative_error(change, exact[name]) < 1e-12, name
    model(x, goal)
    assert float(model.last_objective) == pytest.approx(float(model.loss(x, goal)), rel=1e-12)


def test_the_backward_pass_leaves_minus_the_changes():
    model = built(traced("unit"), 6)
    x, y = sequences(2)
    model(x, y).backward()
    for name, change in model.updates(x, y, biases=True).items():
        own = model.weights[name] if name in model.weights else model.biases[name]
        np.testing.assert_allclose(own.grad, -change, atol=1e-14)


def test_unsupervised_synapses_learn_beside_it():
    def hebbian(word):
        net = one_area(word, recurrent=0.3 * np.eye(5))
        recurrent = net.projections["A->A recurrent"]
        net.projections["A->A recurrent"] = replace(recurrent, plasticity=cs.Hebbian())
        return built(net, 4).updates(*sequences())["A->A recurrent"]

    np.testing.assert_allclose(hebbian("e_prop"), hebbian("feedback_alignment"), atol=1e-14)


def test_synapses_that_do_not_exist_stay_at_zero():
    net = one_area()
    net.recurrent("A", "A", cs.Sparse(probability=0.4), plasticity=cs.EProp())
    model = built(net, 4)
    absent = (model.weights["A->A recurrent"] == 0).detach().numpy()
    change = model.updates(*sequences())["A->A recurrent"].numpy()
    assert 0 < absent.sum() < 25 and not change[absent].any() and change[~absent].all()


@pytest.mark.parametrize("word", ["e_prop", "e_prop_symmetric", "e_prop_diffused"])
def test_recalls_a_cue_after_a_delay(word):
    """The cue lasts one bin of eight; at the end its unit is to be the higher one."""
    net = cs.Network("memory")
    net.population("cue", 1)
    net.population("PFC", 24, activation="tanh", tau_ms=40)
    net.population("choice", 2, tau_ms=10)
    net.bottom_up("cue", "PFC", plasticity="backprop")
    net.recurrent("PFC", "PFC", plasticity="backprop")
    net.bottom_up("PFC", "choice", plasticity="backprop")
    net.objective("choice", "cross_entropy")
    x = np.zeros((2, 8, 1))
    x[:, 0, 0] = [-1, 1]
    model = cs.torch.build(net.with_rule(word), settling=cs.torch.Unrolled(8, dt_ms=10))
    curve = model.fit((x, [0, 1]), 40, batch_size=2, optimiser={"name": "Adam", "lr": 0.02})
    assert curve[-1]["train_accuracy"] == 1.0 and curve[-1]["train_loss"] < 0.05


def test_truncation_is_refused():
    with pytest.raises(cs.BuildError, match="EProp sends no credit back through time.*leave truncate out"):
        cs.torch.build(one_area(), settling=cs.torch.Unrolled(4, DT, truncate=2))


def test_rules_that_go_back_through_time_are_refused_beside_it():
    net = one_area()
    net.projections["A->IT"] = replace(net.projections["A->IT"], plasticity=cs.Backprop())
    with pytest.raises(cs.BuildError, match="A->IT: Backprop needs credit back through time"):
        built(net, 4)


def test_normalisers_are_refused():
    net = one_area()
    net.populations["A"] = replace(net.populations["A"], normaliser=cs.LayerNorm())
    with pytest.raises(cs.BuildError, match="population A: EProp needs rates that depend on"):
        built(net, 4)


def test_rate_dynamics_on_brian2_are_refused():
    with pytest.raises(cs.BuildError, match="retina->A: EProp keeps traces over unrolled steps"):
        cs.brian2.build(one_area())


def test_no_credit_arrives_where_the_only_target_is_at_the_first_step(caplog):
    model = built(one_area(), 4)
    x, y = sequences()
    goal = np.eye(3)[y]
    goal[:, 1:] = np.nan
    model.fit((x, goal), 1)
    assert "no credit reaches A" in caplog.text
