"""Rules defined outside the package: a class, one line to register it, and it is used."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import built, chain, conv, dense_chain, shown

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.rules import base
from cortex_sim.rules.base import Arrival


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_TABLES", {k: dict(t) for k, t in registry._TABLES.items()})
    monkeypatch.setattr("cortex_sim.words.WORDS", words := dict(base.WORDS))
    monkeypatch.setattr(base, "WORDS", words)


def register_oja():
    @cs.register("rule", "own_oja")
    @dataclass(frozen=True)
    class Oja:
        norm: float = 1.0

        def change(self, w, r_pre, r_post):
            x, y = r_pre, r_post
            return y.T @ x / len(x) - (y * y).mean(0)[:, None] * w / self.norm**2

    return Oja


def principal(rule):
    net = cs.Network("own_oja")
    net.population("retina", 5)
    net.population("V1", 1)
    net.bottom_up("retina", "V1", plasticity=rule)
    return net


@pytest.mark.parametrize("by", ["object", "name", "settings"])
def test_an_unsupervised_rule(by):
    oja = register_oja()
    given = {"object": oja(norm=2.0), "name": "own_oja", "settings": {"name": "own_oja", "norm": 2.0}}[by]
    x = np.random.default_rng(0).normal(size=(500, 5)) * [3, 1, 1, 1, 1]
    model = cs.torch.build(principal(given), precision="64")
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    model.attach(optimiser)
    for _ in range(500):
        optimiser.zero_grad()
        model(x).backward()
        optimiser.step()
    w = model.weights["retina->V1"].detach().numpy()[0]
    component = np.linalg.eigh(x.T @ x)[1][:, -1]
    length = 1.0 if by == "name" else 2.0
    np.testing.assert_allclose(np.abs(w), length * np.abs(component), atol=1e-6)


def test_an_own_rule_needs_no_name_to_run():
    @dataclass(frozen=True)
    class Hebb:
        def change(self, w, r_pre, r_post):
            return r_post.T @ r_pre / len(r_pre)

    x = np.random.default_rng(0).normal(size=(7, 5))
    model = cs.torch.build(principal(Hebb()), precision="64")
    w = model.weights["retina->V1"].detach().numpy()
    assert relative_error(model.updates(x)["retina->V1"], (x @ w.T).T @ x / 7) < 1e-12


def test_a_rule_with_state_is_saved_and_loaded(tmp_path):
    @cs.register("rule", "sliding")
    @dataclass(frozen=True)
    class Sliding:
        rate: float = 0.1
        state: ClassVar = {"mean": cs.PerPre(0.0)}

        def change(self, w, r_pre, r_post, state):
            centred = r_pre - state["mean"]
            moved = state["mean"] + self.rate * centred.mean(0)
            return r_post.T @ centred / len(r_pre), {"mean": moved}

    model = cs.torch.build(principal(Sliding(rate=0.2)), precision="64")
    x = torch.ones(8, 5, dtype=torch.float64)
    settings = {"name": "SGD", "lr": 0.01}
    trainer = Trainer(model, x, torch.zeros(8, dtype=torch.long), 1, 4, settings)
    trainer.train_epoch()
    mean = model.local.of("retina->V1")["mean"]
    np.testing.assert_allclose(mean, 1 - 0.8**2)
    checkpoint.save(tmp_path / "own.safetensors", trainer, {})
    loaded = cs.torch.load(tmp_path / "own.safetensors")
    assert loaded.net.projection("retina->V1").plasticity == Sliding(rate=0.2)
    assert torch.equal(loaded.local.of("retina->V1")["mean"], mean)


def test_a_supervised_rule_with_feedback_of_its_own():
    """Credit through a transpose that is twice too long, by a word."""

    @cs.register("rule", "loud")
    @dataclass(frozen=True)
    class Loud:
        arrival: ClassVar = Arrival.CHAIN
        accepts: ClassVar = (cs.Given,)

    net = dense_chain((11, 7, 3))
    w = net.initial_weights(0)["V1->IT"]
    cs.register_word("loud", cs.Word(Loud(), paired=lambda up: cs.TopDown(cs.Given(2 * w.T))))
    model, plain = built(net.with_rule("loud")), built(net.with_rule("backprop"))
    x, y = shown(net)
    ours, theirs = model.updates(x, y), plain.updates(x, y)
    assert relative_error(ours["retina->V1"], 2 * theirs["retina->V1"]) < 1e-12
    assert relative_error(ours["V1->IT"], theirs["V1->IT"]) < 1e-12


def test_a_target_rule():
    """Targets halfway: credit below is half of what the inverse would bring."""

    @cs.register("rule", "halfway")
    @dataclass(frozen=True)
    class Halfway:
        arrival: ClassVar = Arrival.TARGETS
        accepts: ClassVar = (cs.Inverse,)
        needs_float64: ClassVar = False
        chain_only: ClassVar = False

        def top_step(self):
            return 1.0

        def delivered(self, carry, above, r_below):
            return carry(0.5 * above.c * above.activation.gain(above.a)), above.step

    word = cs.Word(Halfway(), paired=lambda up: cs.TopDown(cs.Inverse(of=up)))
    cs.register_word("halfway", word)
    net = chain()
    x, y = shown(net)
    ours = built(net.with_rule("halfway")).credits(x, y)
    whole = built(net.with_rule("gait_prop")).credits(x, y)
    for name, factor in (("IT", 1), ("V2", 0.5), ("V1", 0.25)):
        assert relative_error(ours[name].detach(), factor * whole[name].detach()) < 1e-12


def test_a_plastic_top_down_rule():
    """Any class with ``of`` and ``change``: here feedback that only forgets."""

    @cs.register("rule", "forgetting")
    @dataclass(frozen=True)
    class Forgetting:
        of: str
        reads_credit: ClassVar = True

        def change(self, w, u_pre, r_post):
            return -w

    word = cs.Word(cs.FeedbackAlignment(), paired=lambda up: cs.TopDown(cs.Random(), Forgetting(of=up)))
    cs.register_word("forgetting", word)
    net = chain().with_rule("forgetting")
    model = built(net)
    change = model.updates(*shown(net))["V2->V1"]
    assert relative_error(change, -model.feedback.learned["V2->V1"].detach()) < 1e-12


def register_pull():
    @cs.register("regulariser", "pull")
    @dataclass(frozen=True)
    class Pull:
        """Towards rows of mean zero: Δw/η = −strength · mean of the row."""

        strength: float = 0.3
        lateral: ClassVar = True

        def change(self, w):
            return -self.strength * (w.mean(1)[:, None] + 0 * w)

    return Pull


@pytest.mark.parametrize("network", [chain, conv])
def test_a_regulariser_acts_on_weights_as_rules_see_them(network):
    pull = register_pull()
    net = network().with_rule("kolen_pollack")
    pulled = net.copy()
    for p in (*net.bottom_ups, *net.top_downs):
        more = (*p.regularisers, pull(0.7))
        pulled.projections[p.name] = replace(p, regularisers=more) if p.plasticity else p
    ours, plain = built(pulled), built(net)
    x, y = shown(net)
    for model in (ours, plain):
        model(x, y).backward()
    for p in (q for q in net.projections.values() if q.plasticity is not None):
        w = ours.feedback.learned[p.name] if p.is_top_down else ours.weights[p.name]
        as_plain = plain.feedback.learned[p.name] if p.is_top_down else plain.weights[p.name]
        op, values = net.operator(p), w.detach()
        matrix = op.feedback_matrix(values) if p.is_top_down else op.matrix(values)
        expected = 0.7 * matrix.mean(1, keepdim=True).expand_as(matrix)
        found = w.grad - as_plain.grad
        found = op.feedback_matrix(found) if p.is_top_down else op.matrix(found)
        assert relative_error(found, expected) < 1e-10


def test_a_regulariser_that_would_never_act_is_refused():
    @cs.register("regulariser", "idle")
    @dataclass(frozen=True)
    class Idle:
        strength: float = 0.3

    net = dense_chain((5, 3))
    net.projections.clear()
    with pytest.raises(cs.DeclarationError, match=r"projection retina->IT: Idle has no change\(w\)"):
        net.bottom_up("retina", "IT", regulariser=Idle())


def test_what_is_no_rule_is_refused():
    @dataclass(frozen=True)
    class Nothing:
        pass

    with pytest.raises(cs.DeclarationError, match="or an object with change or arrival, accepts"):
        principal(Nothing())
    with pytest.raises(cs.DeclarationError, match="must be a dataclass"):
        cs.register("rule", "plain")(type("Plain", (), {"change": None}))
