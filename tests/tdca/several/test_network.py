"""The shared network at each kind: its equation in float64, and specialists' networks as limiting cases."""

import math

import numpy as np
import pytest
import torch

from cortex_sim.credit import TopSignals
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.first_order import INPUTS, FirstOrder
from cortex_sim.tdca.functions.tasks import draw
from cortex_sim.tdca.inner.layout import Layout
from cortex_sim.tdca.reinforcement.modulation import ModulatedCredit
from cortex_sim.tdca.reinforcement.outcome import read_as_policy
from cortex_sim.tdca.several.credit import SlottedCredit
from cortex_sim.tdca.several.network import KINDS, SharedNetwork
from cortex_sim.tdca.several.parts import Assembly


def at_random(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: torch.tensor(rng.normal(size=shape)) for name, shape in shapes.items()}


def received(runs=2, count=5, outputs=3, reward=False, seed=0):
    """Signals at the top; of reward, the goal goes on with outcome, weight, reward and end."""
    rng = np.random.default_rng(seed)
    rates = rng.normal(size=(runs, count, outputs))
    goal = np.eye(outputs)[rng.integers(outputs, size=(runs, count))]
    odds = np.exp(rates) / np.exp(rates).sum(-1, keepdims=True)
    rest = rng.normal(size=(runs, count, 4))
    error = rest[..., :2].prod(-1, keepdims=True) * (goal - odds) if reward else goal - odds
    whole = np.concatenate((goal, rest), -1) if reward else goal
    time = rng.uniform(size=runs)
    return TopSignals(*(torch.tensor(a) for a in (rates, whole, error)), torch.tensor(time)), odds, rest


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("cue", [True, False])
def test_credit_is_the_equation_one_presentation_at_a_time(kind, cue):
    reward = kind == "reinforcement"
    shared = SharedNetwork(hidden=7, cue=cue)
    named = at_random(shared.shapes())
    network = SlottedCredit(hidden=7, context="actions" if reward else "error")
    signals, odds, rest = received(reward=reward)
    found, channels = network.credits(shared.at(named, kind), signals, [])
    w, b, v, c = (named[n].numpy() for n in ("hidden", "hidden_bias", "outputs", "outputs_bias"))
    q = named["cue"].numpy()[:, KINDS.index(kind)] if cue else 0.0
    for run, t in np.ndindex(2, 5):
        chosen = int(signals.goal[run, t, :3].argmax())
        action = np.eye(3)[chosen] - odds[run, t]
        outcome, weight = (rest[run, t, 0], rest[run, t, 1]) if reward else (1.0, 1.0)
        size = (outcome * action) @ (outcome * action) / ((1 - 1 / 3) ** 2 + 2 * (1 / 3) ** 2)
        slots = dict.fromkeys(INPUTS, 0.0)
        slots["scaled gradient"] = outcome
        slots["time left"] = 1 - 2 * float(signals.time[run])
        slots["value relative to the best"] = 1 - 2 * odds[run, t, chosen]
        slots["size of the gradient"] = math.log(math.sqrt(size)) / 4
        gain = (v @ np.tanh(w @ np.array(list(slots.values())) + b + q) + c)[1]
        expected = weight * outcome * action * math.exp(gain)
        np.testing.assert_allclose(found[run, t].numpy(), expected, rtol=1e-7)
    assert channels == []


def test_where_nothing_is_shown_or_nothing_came_of_it_there_is_no_credit():
    network = SlottedCredit(hidden=4, context="actions")
    named = {n: p.requires_grad_() for n, p in at_random(network.shapes()).items()}
    signals, _, _ = received(reward=True)
    signals.goal[..., 3] = 0.0
    found, _ = network.credits(named, signals, [])
    assert not found.any()
    found.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in named.values())


def test_before_training_credit_is_what_it_would_be_without():
    for context, reward in (("error", False), ("actions", True)):
        network = SlottedCredit(context=context)
        named = {n: torch.tensor(p) for n, p in network.draw(0).items()}
        signals, _, _ = received(reward=reward)
        torch.testing.assert_close(network.credits(named, signals, [])[0], signals.error, atol=1e-12, rtol=0)


def test_it_holds_no_policy_whatever_its_weights():
    network = SlottedCredit(hidden=6, context="actions")
    named = {n: p.float() for n, p in at_random(network.shapes()).items()}
    seen = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    largest = float(named["outputs"].abs().sum().exp())
    assert float(read_as_policy(network, named, 1.0, 1.0, 3)(seen).abs().max()) < 1e-6 * largest


def test_it_contains_the_network_that_modulates_reward():
    """In a choice task an episode has one step, so that the trace of its end is 1 at every step."""
    theirs = ModulatedCredit(hidden=5)
    named = at_random(theirs.shapes())
    signals, _, _ = received(reward=True)
    signals.goal[..., 6] = 1.0
    surprise, outcome, end = named["gain"].T
    ours = SlottedCredit(hidden=5, context="actions")
    embedded = {n: torch.zeros(shape, dtype=torch.float64) for n, shape in ours.shapes().items()}
    embedded["hidden"][:, INPUTS.index("scaled gradient")] = outcome
    embedded["hidden"][:, INPUTS.index("value relative to the best")] = surprise
    embedded["hidden_bias"] = named["gain_bias"][0] + end
    embedded["outputs"][1] = named["gain_out"][0]
    torch.testing.assert_close(
        ours.credits(embedded, signals, [])[0], theirs.credits(named, signals, [])[0], rtol=1e-12, atol=0
    )


def test_it_contains_the_network_of_functions_whatever_the_cue():
    rule = FirstOrder(hidden=5, points=2)
    specialist = {n: torch.tensor(p) for n, p in rule.draw(0).items()}
    specialist |= at_random(rule.network.shapes())
    shared = SharedNetwork(hidden=5)
    named = {**specialist, **at_random({"cue": (5, 3)})}
    named["hidden_bias"] = specialist["hidden_bias"] - named["cue"][:, KINDS.index("functions")]
    theirs = torch.cat([specialist[name].flatten() for name in rule.layout.shapes])
    assembly = Assembly("functions", shared, rule.layout, theirs, torch.ones(len(theirs), dtype=torch.bool))
    net = torch.cat([named[name].flatten() for name in shared.shapes()])
    ours = assembly.phi(torch.cat((net[shared.read("functions")], assembly.own)))
    torch.testing.assert_close(ours, theirs, atol=1e-14, rtol=0)
    tasks = draw(["sphere", "levy"], 3, 2, torch.Generator().manual_seed(0), torch.float64)
    runs = [list(rule.run(phi[None], tasks, 20, torch.Generator().manual_seed(1))) for phi in (ours, theirs)]
    for (a, _), (b, _) in zip(*runs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_phi_of_a_kind_is_put_together_by_name():
    shared = SharedNetwork(hidden=2)
    layout = Layout({"first": (3,), **shared.small.shapes(), "last": (2,)})
    start = torch.arange(layout.count).double()
    searched = torch.ones(layout.count, dtype=torch.bool)
    searched[1] = searched[-1] = False  # held
    assembly = Assembly("reinforcement", shared, layout, start, searched)
    assert assembly.own.tolist() == [0.0, 2.0, float(layout.count - 2)]
    net = torch.randn(shared.layout.count, generator=torch.Generator().manual_seed(0)).double()
    read = shared.read("reinforcement")
    assert len(read) == shared.layout.count - 2 * shared.hidden and assembly.count == len(read) + 3
    given = torch.cat((net[read], torch.tensor([-1.0, -2.0, -3.0])))
    named = layout.split(assembly.phi(torch.stack((given, 2 * given))))
    at = shared.at(shared.layout.split(net), "reinforcement")
    for name, p in at.items():
        torch.testing.assert_close(named[name], torch.stack((p, 2 * p)))
    assert named["first"].tolist() == [[-1.0, 1.0, -2.0], [-2.0, 1.0, -4.0]]
    assert named["last"].tolist() == [[-3.0, float(layout.count - 1)], [-6.0, float(layout.count - 1)]]
    given.requires_grad_()
    assembly.phi(given).square().sum().backward()
    assert given.grad.all()


def test_what_it_refuses():
    with pytest.raises(DeclarationError, match="context must be error, for targets, or actions"):
        SlottedCredit(context="raw")
    with pytest.raises(DeclarationError, match="hidden"):
        SharedNetwork(hidden=0)
    with pytest.raises(DeclarationError, match="cue"):
        SharedNetwork(cue="yes")
