"""Synapses that read decorrelated rates, on torch: every rule, every connector, training, files, ranks."""

import copy

import numpy as np
import pytest
import torch
from decorrelating import Reference
from networks import Spread, chain, conv, shown

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.capabilities import rule_of
from cortex_sim.errors import BuildError
from cortex_sim.rules.base import WORDS
from cortex_sim.state import tensors_of

SUPERVISED = [w for w in sorted(WORDS) if rule_of(WORDS[w].rule).supervised and w != "tdca"]
READS = cs.Decorrelated(centring=0.8)


def learned(net, updates=3, **settings):
    """A model in float64 whose readings have moved, and the batch to look at."""
    model = cs.torch.build(net, seed=1, precision="64", **settings)
    x, y = shown(net)
    model.train()
    for number in range(updates):
        model((number + 1) * x + 0.3, y)
    model.eval()
    return model, x, y


def matrix_of(model, name):
    """A and r̄ of what is read, A (r − c r̄)."""
    reading = model.presynaptic.of[name]
    state = {v: x.double() for v, x in reading.state().items()}
    n = len(state["mean"])
    a = reading.how.read({**state, "mean": torch.zeros(n)}, torch.eye(n, dtype=torch.float64)).T
    return a, reading.how.centring * state["mean"]


def looping():
    """A chain with recurrence, whose credit runs around the loop."""
    net = chain(init=Spread(0.3, 0.6))
    net.recurrent("V1", "V1", cs.Dense(init=Spread(0.1, 0.3)), plasticity="backprop")
    return net


def masked():
    """A third of the synapses is missing."""
    net = cs.Network("masked")
    net.population("retina", 13)
    net.population("V1", 7, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Dense(mask=MASK), plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net


MASK = np.random.default_rng(0).random((7, 13)) < 0.67
CASES = [(network, word) for network in (chain, conv) for word in SUPERVISED]
CASES.remove((conv, "target_prop"))  # takes dense projections only
CASES += [
    (looping, "backprop"),
    (looping, "feedback_alignment"),
    (masked, "backprop"),
    (masked, "kolen_pollack"),
]


@pytest.mark.parametrize("network, word", CASES)
def test_every_rule_changes_with_what_is_read(network, word):
    """ΔW = (ΔW_plain − Σ u c r̄ᵀ) Aᵀ, presentation by presentation, where the bias's change is Σ u."""
    model, x, y = learned(network().with_rule(word).with_reads(READS))
    plain = cs.torch.build(network().with_rule(word), seed=1, precision="64")
    plain.set_weights(model.state().all_weights())
    ours = model.updates(x, y, biases=True, per_presentation=True)
    theirs = plain.updates(x, y, biases=True, per_presentation=True)
    for p in model.net.bottom_ups:
        a, mean = matrix_of(model, p.name)
        assert np.abs(a.numpy() - np.eye(len(a))).max() > 1e-3
        whole = theirs[p.name].reshape(len(theirs[p.name]), -1, len(mean))
        bias = theirs[p.post].reshape(*whole.shape[:2])
        expected = (whole - bias[..., None] * mean) @ a.T
        if p.name == "retina->V1" and network is masked:
            u = bias[..., None] * (torch.as_tensor(x)[:, None] - mean)
            expected = (u @ a.T) * torch.as_tensor(MASK)
        torch.testing.assert_close(ours[p.name].reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(ours[p.post], theirs[p.post])
    np.testing.assert_allclose(model.respond(x).rate, plain.respond(x).rate, rtol=1e-12)


@pytest.mark.parametrize("word", ["kolen_pollack", "backprop", "gait_prop", "hebbian"])
def test_a_batch_changes_by_the_mean_of_its_presentations(word):
    model, x, y = learned(chain().with_rule(word).with_reads(READS))
    each = model.updates(x, y, per_presentation=True)
    for name, change in model.updates(x, y).items():
        torch.testing.assert_close(each[name].mean(0), change)


@pytest.mark.parametrize("network", [chain, conv])
def test_kolen_pollack_weights_change_alike(network):
    model, x, y = learned(network().with_rule("kolen_pollack").with_reads(READS))
    changes = model.updates(x, y)
    for p in model.net.top_downs:
        op = model.net.operator(p)
        down, up = op.feedback_matrix(changes[p.name]), op.matrix(changes[p.reverse_name])
        torch.testing.assert_close(down, up.T)


@pytest.mark.parametrize("rule", [cs.Hebbian(), cs.Oja(), cs.Bcm(), cs.Covariance()])
def test_unsupervised_rules_receive_what_is_read(rule):
    net = cs.Network("pair")
    net.population("retina", 6)
    net.population("V1", 3, activation="tanh")
    net.bottom_up("retina", "V1", plasticity=rule, reads=cs.Decorrelated(group=2))
    model = cs.torch.build(net, precision="64")
    x = np.random.default_rng(0).normal(size=(5, 6))
    model.train()
    for _ in range(3):
        model(x)
    reading, w = model.presynaptic.of["retina->V1"], model.weights["retina->V1"].detach()
    state = {v: s.clone() for v, s in model.local.of("retina->V1").items()}
    seen = reading.how.read(reading.state(), torch.as_tensor(x))
    post = torch.tanh(torch.as_tensor(x) @ w.T)
    sides = (w, seen, post, state) if state else (w, seen, post)
    expected = rule.change(*sides)
    expected = expected[0] if state else expected
    torch.testing.assert_close(model.updates(x)["retina->V1"], expected)


@pytest.mark.parametrize("how", [cs.Decorrelated(), cs.Decorrelated(local=True, mixing=0.4, centring=0.5)])
def test_training_is_the_reference_loop(how):
    """Two layers under backpropagation, gradient descent, written out in numpy."""
    net = cs.Network("two")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh", bias=False)
    net.population("IT", 3, bias=False)
    net.bottom_up("retina", "V1", cs.Dense(init="xavier"), plasticity="backprop", reads=how)
    net.bottom_up("V1", "IT", cs.Dense(init="xavier"), plasticity="backprop", reads=how)
    net.objective("IT", "squared_error")
    model = cs.torch.build(net.with_rule("backprop"), precision="64")
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    w, v = (model.weights[n].detach().numpy().copy() for n in ("retina->V1", "V1->IT"))
    below, above = (Reference(n, s=how.mixing, c=how.centring, local=how.local) for n in (7, 5))
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, goal = rng.normal(size=(4, 7)) + 1, rng.normal(size=(4, 3))
        optimiser.zero_grad()
        model.train()(x, goal).backward()
        optimiser.step()
        r = np.tanh(x @ w.T)
        u = goal - r @ v.T
        u_below = (u @ v) * (1 - r**2)
        v = v + 0.1 * u.T @ above.read(r) / 4
        w = w + 0.1 * u_below.T @ below.read(x) / 4
        below.renew_as("retina->V1", x)
        above.renew_as("V1->IT", r)
        np.testing.assert_allclose(model.weights["retina->V1"].detach(), w, atol=1e-12)
        np.testing.assert_allclose(model.weights["V1->IT"].detach(), v, atol=1e-12)
        below.assert_state(model.presynaptic.of["retina->V1"].state())
        above.assert_state(model.presynaptic.of["V1->IT"].state())


@pytest.mark.parametrize("word", ["backprop", "kolen_pollack", "gait_prop", "direct_feedback_alignment"])
def test_nothing_mixed_and_nothing_taken_off_is_the_plain_rule_exactly(word):
    models = [
        cs.torch.build(net, seed=1)
        for net in (
            chain().with_rule(word),
            chain().with_rule(word).with_reads(cs.Decorrelated(mixing=0, centring=0)),
        )
    ]
    for model in models:
        model.fit(shown(model.net), 3, batch_size=2, optimiser={"name": "SGD", "lr": 0.1}, progress=False)
    plain, same = (model.state().all_weights() for model in models)
    for name, w in plain.items():
        np.testing.assert_array_equal(same[name], w)


def test_the_change_by_backpropagation_is_the_gradient_itself():
    model, x, y = learned(chain().with_rule("kolen_pollack").with_reads(READS))
    plain = cs.torch.build(chain().with_rule("backprop"), seed=1, precision="64")
    for name, change in plain.backprop_updates(x, y).items():
        torch.testing.assert_close(model.backprop_updates(x, y)[name], change)


def test_state_moves_in_training_only():
    model, x, y = learned(chain().with_rule("backprop").with_reads(READS))
    before = tensors_of(model.state())
    model.updates(x, y)
    model.respond(x)
    model(x, y)
    for name, values in tensors_of(model.state()).items():
        np.testing.assert_array_equal(values, before[name])
    model.train()(x, y)
    after = tensors_of(model.state())
    moved = {n for n in after if n.startswith("reading") and not np.array_equal(after[n], before[n])}
    assert {"reading:retina->V1:matrix", "reading:retina->V1:count", "reading:V2->IT:mean"} <= moved


def test_files_copies_and_other_rules_keep_the_state(tmp_path):
    model, _, _ = learned(conv().with_rule("backprop").with_reads(READS))
    cs.save(model, tmp_path / "kept.safetensors")
    expected = {n: x for n, x in tensors_of(model.state()).items() if n.startswith("reading")}
    assert len(expected) == 4 * 6
    others = {
        "file": cs.torch.build(model.net, state=cs.load(tmp_path / "kept.safetensors"), precision="64"),
        "copy": copy.deepcopy(model),
        "rule": cs.torch.build(model.net.with_rule("gait_prop"), state=model, precision="64"),
        "brian2": cs.brian2.build(model.net, state=model),
    }
    for how, other in others.items():
        found = tensors_of(other.state())
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{how}: {name}")
    again = cs.torch.build(conv().with_rule("backprop").with_reads(cs.Decorrelated(mixing=0.1)), state=model)
    assert not again.state().readings["retina->V1"]["count"]  # another reading begins again


def test_a_resumed_run_is_the_run(tmp_path):
    net = chain().with_rule("kolen_pollack").with_reads(cs.Decorrelated())
    x, y = (torch.as_tensor(v) for v in shown(net))

    def trainer():
        model = cs.torch.build(net, seed=3)
        return Trainer(model, x.float(), y, epochs=4, batch_size=2)

    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.train_epoch()
    for _ in range(2):
        first.train_epoch()
    checkpoint.save(tmp_path / "checkpoint.safetensors", first, {})
    checkpoint.restore(second, tmp_path / "checkpoint.safetensors")
    kept = cs.load(tmp_path / "checkpoint.safetensors")
    assert kept.readings["retina->V1"]["count"] == first.model.presynaptic.of["retina->V1"].count > 0
    for _ in range(2):
        second.train_epoch()
    ours, theirs = tensors_of(second.model.state()), tensors_of(whole.model.state())
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_unrolled_steps_are_refused():
    with pytest.raises(BuildError, match="retina->V1: Decorrelated is measured on settled rates"):
        cs.torch.build(chain().with_rule("backprop").with_reads(READS), settling=cs.torch.Unrolled(steps=3))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("word", ["kolen_pollack", "oja"])
def test_compiled_training_is_eager_training(word):
    eager, compiled = (cs.torch.build(conv().with_rule(word).with_reads(READS), seed=1) for _ in range(2))
    x, y = (torch.as_tensor(values) for values in shown(eager.net))
    for model, step in ((eager, eager), (compiled, torch.compile(compiled, backend="aot_eager"))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        model.attach(optimiser)
        for _ in range(4):
            optimiser.zero_grad()
            step(x.float(), y).backward()
            optimiser.step()
    for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(eager.presynaptic.buffers(), compiled.presynaptic.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)
