"""A connector, an activation that normalises, and a stimulus source of one's own, one class each.

Nothing but these three classes is written: training, responses, both backends, states, checkpoints and the
outer loop have them.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from networks import Spread
from own_parts import SMALL, TOP, Gratings, Standardised, built, forward, network, same, shown, statistics
from timed import by_population
from torch.nn.functional import cross_entropy

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.diagnostics import diagnose
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.backends.torch.training import Trainer, evaluate
from cortex_sim.rules.base import WORDS
from cortex_sim.tdca.inner.altered import Altered


@pytest.mark.parametrize("per", ["unit", "channel"])
def test_backprop_is_the_gradient_at_fixed_statistics(per):
    model, (x, y) = built(per=per), shown()
    weights = [w.detach().clone().requires_grad_(True) for w in model.weights.values()]
    top = forward(model, x, weights)[2]
    np.testing.assert_allclose(model.predict(x), top.detach(), rtol=1e-12)
    gradients = torch.autograd.grad(cross_entropy(top, torch.as_tensor(y)), weights)
    for changes in (model.updates(x, y), model.backprop_updates(x, y)):
        for change, gradient in zip(changes.values(), gradients, strict=True):
            torch.testing.assert_close(change, -gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("per", ["unit", "channel"])
def test_a_batch_that_is_learned_from_moves_the_statistics_once(per):
    model, (x, y) = built(per=per, adapted=False), shown()
    before, weights = statistics(model), list(model.weights.values())
    a1, a2, _ = (a.detach() for a in forward(model, x, weights))
    model.train()
    model(x, y).backward()
    values = {"V1": a1 if per == "unit" else a1.reshape(6, 2, 5).swapaxes(1, 2).reshape(30, 2), "V2": a2}
    for name, a in values.items():
        for variable, now in (("mean", a.mean(0)), ("variance", a.var(0, correction=0))):
            key = f"populations.{name}.transfer_{variable}"
            wanted = 0.8 * before[key] + 0.2 * now
            torch.testing.assert_close(model.get_buffer(key), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_whoever_only_looks_leaves_statistics_and_mode_alone(training):
    model, (x, y) = built(), shown()
    model.train(training)
    model.get_submodule("populations.V2").train(not training)  # a mode of its own, as for fine-tuning
    before, modes = statistics(model), [m.training for m in model.modules()]
    seen = []
    hook = model.get_submodule("populations.V1").register_forward_hook(lambda m, *_: seen.append(m.training))
    looks = {
        "updates": lambda: model.updates(x, y),
        "each": lambda: model.updates(x, y, per_presentation=True),
        "backprop_updates": lambda: model.backprop_updates(x, y),
        "credits": lambda: model.credits(x, y),
        "predict": lambda: model.predict(x),
        "loss": lambda: model.loss(x, y),
        "respond": lambda: model.respond(x, y),
        "evaluate": lambda: evaluate(model, torch.as_tensor(x), torch.as_tensor(y)),
        "diagnose": lambda: diagnose(model, x, y),
    }
    for name, look in looks.items():
        seen.clear()
        look()
        assert seen and not any(seen), f"{name} shows stimuli in training mode"
        assert same(statistics(model), before), name
        assert [m.training for m in model.modules()] == modes, name
    hook.remove()
    model.eval()(x, y)
    assert same(statistics(model), before)


@pytest.mark.parametrize("word", sorted({*WORDS} - {"target_prop"}))
def test_every_rule_trains_them_from_the_source(word):
    model = cs.torch.build(network(word), seed=0, precision="64")
    start, before = {n: w.detach().clone() for n, w in model.weights.items()}, statistics(model)
    model.fit(Gratings(), 2, batch_size=5, progress=False)
    for name, w in model.weights.items():
        assert torch.isfinite(w).all() and not torch.equal(w, start[name]), name
    assert all(not torch.equal(now, before[name]) for name, now in statistics(model).items())


def test_they_learn_what_the_source_shows():
    model, source = cs.torch.build(network(), seed=0), Gratings(120)
    before = evaluate(model, source)[0]
    model.fit(source, 60, batch_size=20, optimiser={"name": "Adam", "lr": 0.03}, progress=False)
    assert before < 0.6 and evaluate(model, source)[0] > 0.85


def test_responses_name_their_units():
    model = built()
    recording = model.respond(Gratings(12))
    assert dict(recording.sizes)["presentation"] == 12
    rates = by_population(model.net, recording, "rate")
    np.testing.assert_allclose(rates["IT"], model.predict(Gratings().batch(np.arange(12))[0]), rtol=1e-12)


@pytest.mark.parametrize("per", ["unit", "channel"])
def test_state_travels_to_brian2_and_back(per, tmp_path):
    model = built(per=per)
    cs.save(model, tmp_path / "own.safetensors")
    sim = cs.brian2.build(model.net, state=cs.load(tmp_path / "own.safetensors"), dt_ms=1.0)
    again = cs.torch.build(model.net, seed=7, state=sim.state(), precision="64")
    assert same(statistics(again), statistics(model))
    np.testing.assert_array_equal(again.predict(shown()[0]), model.predict(shown()[0]))


@pytest.mark.parametrize("word", ["backprop", "gait_prop", "oja"])
def test_in_time_and_at_equilibrium_they_are_one(word):
    model, (x, y) = built(word), shown(3)
    net = model.net
    phase = {"drive": {"retina": x}, "nudge": {"IT": y}}
    script = cs.Protocol(
        cs.Phase("settle", 2_000 if word == "gait_prop" else 500, **phase),
        cs.Phase("learn", 20, plasticity=True, **phase),
        batch=3,
        record=cs.Record(("rate", "drive", "credit"), phase="settle", weights=True),
        eta_per_s=5e-5,
    )
    sim, settled = cs.brian2.build(net, state=model.state(), dt_ms=1.0), QuasiStatic(net, state=model.state())
    in_time, at_once = sim.run(script), settled.run(script)
    for variable in ("rate", "drive", "credit"):
        ours, theirs = (by_population(net, recording, variable) for recording in (in_time, at_once))
        for name in set(theirs) - ({"retina"} if variable == "credit" else set()):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-8 * abs(theirs[name]).max())
    start = model.state().weights
    for p in net.bottom_ups:
        ours, theirs = (cs.recording.weights_of(seen, p.name)[1][-1] for seen in (in_time, at_once))
        change = theirs - start[p.name].reshape(theirs.shape)
        assert abs(change).max() > 1e-9
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6 * abs(change).max())
    kept = sim.state().transfers  # a protocol leaves them as they were
    assert all(
        np.array_equal(kept[n][v], x) for n, vs in model.state().transfers.items() for v, x in vs.items()
    )


def dense_network():
    """With synapses that the other engine can make one by one."""
    net = cs.Network("dense")
    net.population("retina", 8)
    net.population("V1", 5, activation=Standardised("unit"))
    net.population("IT", TOP)
    for pre, post in (("retina", "V1"), ("V1", "IT")):
        net.bottom_up(pre, post, cs.Dense(init=Spread(0.5, 1.0)), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")


def test_both_engines_take_the_same_steps():
    model = cs.torch.build(dense_network(), seed=0, precision="64")
    model.train()(*shown(9))
    x, y = shown(1)
    script = cs.Protocol(
        cs.Phase("learn", 30, drive={"retina": x}, nudge={"IT": y}, plasticity=True), eta_per_s=0.1
    )
    sims = [
        cs.brian2.build(model.net, state=model.state(), dt_ms=1.0, engine=e) for e in ("batched", "synapses")
    ]
    ours, theirs = (by_population(model.net, sim.run(script), "rate") for sim in sims)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)
    for sim in sims:
        assert np.array_equal(sim.state().transfers["V1"]["mean"], model.state().transfers["V1"]["mean"])


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_what_is_set_in_brian2s_group_acts(engine):
    net, (x, _) = dense_network(), shown(1)
    script = cs.Protocol(cs.Phase("settle", 300, drive={"retina": x}))
    sim = cs.brian2.build(net, dt_ms=1.0, engine=engine)
    before = by_population(net, sim.run(script), "rate")["V1"]
    sim.built.groups["V1"].transfer_mean = 0.7
    after = by_population(net, sim.run(script), "rate")["V1"]
    np.testing.assert_array_equal(sim.state().transfers["V1"]["mean"], np.full(5, 0.7))
    shift = np.arctanh(before) - np.arctanh(after)
    np.testing.assert_allclose(shift, 0.6 / np.sqrt(2 + SMALL), rtol=1e-9)


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path):
    def trainer():
        model = cs.torch.build(network(), seed=0)
        return Trainer(model, Gratings(), None, 4, 5, {"name": "Adam", "lr": 0.01})

    whole, first, again = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.train_epoch()
    for _ in range(2):
        first.train_epoch()
    checkpoint.save(tmp_path / "run.safetensors", first, {})
    checkpoint.restore(again, tmp_path / "run.safetensors")
    for _ in range(2):
        again.train_epoch()
    assert same(dict(again.model.named_parameters()), dict(whole.model.named_parameters()))
    assert same(statistics(again.model), statistics(whole.model))
    kept = cs.load(tmp_path / "run.safetensors").transfers
    np.testing.assert_array_equal(kept["V1"]["mean"], first.model.state().transfers["V1"]["mean"])


def test_they_are_written_and_read(monkeypatch):
    monkeypatch.setattr(registry, "_TABLES", {kind: dict(table) for kind, table in registry._TABLES.items()})

    @cs.register("activation", "test_named")
    @dataclass(frozen=True)
    class Named(Standardised):
        pass

    net = network("gait_prop", "unit")
    net.population("V3", 4, activation=Named("unit", share=0.3))
    net.bottom_up("V1", "V3")
    assert cs.Network.from_yaml(net.to_yaml()) == net
    assert "name: test_named" in net.to_yaml() and "share: 0.3" in net.to_yaml()
    assert "own_parts:Sliding" in net.to_yaml() and "retina" in str(net)


@dataclass(frozen=True)
class Forgetful(Standardised):
    """Does not give every parameter back."""

    def adapted(self, a, *, mean, variance):
        return {"mean": mean}


@dataclass(frozen=True)
class Deaf(Standardised):
    """Its gain does not take the parameters."""

    def gain(self, a):
        return 1 + 0 * a


@pytest.mark.parametrize(
    ("activation", "says"),
    [
        (Standardised("row"), 'activation Standardised: per .* must be "unit" or "channel".*Got \'row\''),
        (Deaf(), "population V1: Deaf: its gain does not accept the parameters mean, variance by name"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_declaration(activation, says):
    net = cs.Network("own")
    with pytest.raises(cs.DeclarationError, match=says):
        net.population("V1", 3, activation=activation)


def test_a_parameter_that_is_not_given_back_is_named():
    net = cs.Network("own")
    net.population("retina", 4)
    net.population("IT", TOP, activation=Forgetful("unit"))
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.objective("IT", "squared_error")
    model = cs.torch.build(net)
    with pytest.raises(cs.DeclarationError, match="population IT: adapted of Forgetful returns variance of"):
        model(np.ones((2, 4)), np.array([0, 1]))


@dataclass(frozen=True)
class Grain:
    """Part of a rule of one's own, of no kind."""

    size: int = 3


@dataclass(frozen=True)
class Grained(cs.Backprop):
    """A rule whose settings are called like kinds and hold something else; one is not set at all."""

    step: Grain = Grain()
    kernel: tuple[Grain, ...] = (Grain(),)
    context: Grain = field(init=False, repr=False)


def test_a_setting_called_like_a_kind_may_hold_something_else():
    rule = Grained()
    assert registry.make("rule", rule) is rule
    twice = Altered(Altered())  # its setting `rule` is an inner rule, no rule of projections
    assert registry.make("inner_rule", twice) is twice


def test_former_names_of_attributes_still_hold():
    model = built()
    model(*shown())
    assert model.error is model.last_objective
    sim = cs.brian2.build(model.net)
    assert sim.stage is sim.built
