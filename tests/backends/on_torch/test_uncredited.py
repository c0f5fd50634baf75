"""Lateral projections and those of gain carry no credit: what that costs, and that it is said."""

import logging

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.uncredited import uncredited, uncredited_remarks

SIZES = {"retina": 12, "A": 9, "B": 7, "FEF": 5, "IT": 4}


def network(kind, strength=0.3, word="backprop", **feedback):
    rng = np.random.default_rng(0)
    net = cs.Network(kind)
    for name, size in SIZES.items():
        net.population(name, size, activation="linear" if name == "IT" else "tanh")
    for pre, post in (("retina", "A"), ("A", "B"), ("B", "IT")):
        net.bottom_up(pre, post, cs.Dense(init="orthogonal"), plasticity="backprop")
    net.bottom_up("FEF", "B", cs.Dense(np.zeros((7, 5))))

    def drawn(post, pre):
        return strength * rng.normal(size=(SIZES[post], SIZES[pre])) / np.sqrt(SIZES[pre])

    within = drawn("A", "A")
    np.fill_diagonal(within, 0)
    match kind:
        case "lateral":
            net.lateral("A", weights=within)
        case "recurrent":
            net.recurrent("A", "A", cs.Dense(-within), plasticity="backprop")
        case _:
            pre, post = kind.removeprefix("gain ").split()
            net.top_down(pre, post, effect="gain", connector=cs.Dense(drawn(post, pre)))
    net.objective("IT", "cross_entropy")
    return net.with_rule(word, **feedback)


@pytest.fixture(scope="module")
def shown():
    rng = np.random.default_rng(1)
    return {"retina": rng.normal(size=(30, 12)), "FEF": rng.normal(size=(30, 5))}, np.arange(30) % 4


def angles(model, x, y):
    ours, theirs = model.updates(x, y), model.backprop_updates(x, y)
    similar = {
        name: torch.nn.functional.cosine_similarity(ours[name].flatten(), theirs[name].flatten(), dim=0)
        for name in ("retina->A", "A->B", "B->IT")
    }
    return {name: float(torch.rad2deg(torch.arccos(c.clamp(-1, 1)))) for name, c in similar.items()}


@pytest.mark.parametrize("word, feedback", [("backprop", {}), ("gait_prop", {"damping": 0.0})])
@pytest.mark.parametrize(
    "kind, affected",
    [
        ("lateral", {"retina->A"}),
        ("gain A B", {"retina->A"}),
        ("gain B A", {"retina->A", "A->B"}),
        ("gain FEF A", set()),
    ],
)
def test_weights_before_it_miss_a_part_of_the_gradient_and_no_others(word, feedback, kind, affected, shown):
    net = network(kind, word=word, **feedback)
    found = angles(cs.torch.build(net, precision="64"), *shown)
    for name, angle in found.items():
        assert 3 < angle < 40 if name in affected else angle < 1e-4, (name, angle)
    assert bool(uncredited(net)) == bool(affected)


def test_negative_recurrent_weights_in_place_of_lateral_ones_carry_the_whole_gradient(shown):
    """The same rates, and the gradient of autograd through 200 steps to the fixed point."""
    x, y = shown
    lateral, recurrent = (cs.torch.build(network(k), precision="64") for k in ("lateral", "recurrent"))
    np.testing.assert_allclose(lateral.respond(x).rate.values, recurrent.respond(x).rate.values, atol=1e-10)
    w = {n: v.detach().clone().requires_grad_() for n, v in recurrent.weights.items()}
    inputs, a = torch.tensor(x["retina"]), torch.zeros(30, 9, dtype=torch.float64)
    for _ in range(200):
        a = a + 0.5 * (inputs @ w["retina->A"].T + torch.tanh(a) @ w["A->A recurrent"].T - a)
    b = torch.tanh(torch.tanh(a) @ w["A->B"].T + torch.tanh(torch.tensor(x["FEF"])) @ w["FEF->B"].T)
    torch.nn.functional.cross_entropy(b @ w["B->IT"].T, torch.tensor(y)).backward()
    for name, change in recurrent.updates(x, y).items():
        torch.testing.assert_close(change, -w[name].grad, atol=1e-10, rtol=1e-8)


def test_it_is_said(shown, caplog):
    x, y = shown
    net = network("lateral")
    said = (
        "network lateral: no credit passes through A->A (lateral), so upstream weights that learn by "
        "Backprop miss part of the gradient; recurrent projections carry credit, and with negative weights "
        "can replace lateral ones"
    )
    assert uncredited_remarks(net) == [said] and "lateral, without credit" in str(net)
    assert uncredited_remarks(network("gain FEF A")) == uncredited_remarks(network("recurrent")) == []
    assert "gain, without credit" in str(network("gain B A"))
    with caplog.at_level(logging.WARNING):
        cs.torch.build(net).fit((x, y), epochs=1)
        assert said in caplog.messages
        caplog.clear()
        learn = cs.Phase("learn", 100, drive=x, nudge={"IT": y}, plasticity=True)
        cs.Experiment(net, {"a": cs.Protocol(learn)})
        assert caplog.messages == [said]


def test_nothing_is_missing_where_nothing_learns_from_credit():
    net = network("lateral").with_rule("oja")
    assert uncredited_remarks(net) == []
    free = cs.Network("free")
    free.population("x", 3)
    free.population("A", 2)
    free.bottom_up("x", "A", plasticity="hebbian")
    free.lateral("A")
    assert uncredited(free) == []
