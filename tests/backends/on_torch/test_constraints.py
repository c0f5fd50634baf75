"""Constraints in training: after every step of every optimiser, and in a session at equilibrium."""

import copy

import numpy as np
import pytest
import torch
from constrained import kept
from timed import protocol

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint, optimising
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.backends.torch.training import Trainer

REFUSES = ("LBFGS", "SparseAdam")
OPTIMISERS = sorted(name for name in optimising._OPTIMISERS if name not in REFUSES)
MASK = np.random.default_rng(2).random((11, 13)) < 0.6
MASK[:, :2] = True
RATES = np.random.default_rng(3).uniform(0.5, 2, size=(11, 13)) * (np.arange(13) != 4)
STIMULI = np.random.default_rng(0).normal(size=(22, 13))
LABELS = np.random.default_rng(1).integers(3, size=22)


def network(rates=True, word="backprop"):
    net = cs.Network("constrained")
    net.population("retina", 13)
    net.population("V1", 11, activation="tanh", bias=False)
    net.population("IT", 3, bias=False)
    first = [cs.Dale([1, 5]), cs.Bounds(-0.6, 0.6), *([cs.LearningRates(RATES)] if rates else [])]
    net.bottom_up("retina", "V1", cs.Dense("he", mask=MASK), plasticity="backprop", constraint=first)
    rows = [cs.Bounds(0, 0.5), cs.RowNorm(1.5, "subtractive")]
    net.bottom_up("V1", "IT", cs.Sparse(in_degree=7), plasticity="backprop", constraint=rows)
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


def assert_holds(net, w, tolerance=1e-12):
    """Masks, signs and bounds exactly, sums to rounding."""
    first, second = w["retina->V1"], w["V1->IT"]
    signs = np.where(np.isin(np.arange(13), [1, 5]), -1, 1)
    assert not first[~MASK].any() and (first * signs >= 0).all()
    assert np.abs(first).max() <= np.float64(first.dtype.type(0.6))
    assert not second[~net.wiring(net.projection("V1->IT"))].any()
    assert second.min() >= 0 and second.max() <= 0.5
    np.testing.assert_allclose(second.sum(1), 1.5, rtol=tolerance)


def arrays(model):
    return {name: w.detach().numpy().copy() for name, w in model.weights.items()}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_hold_after_every_step_of_every_optimiser(name):
    net = network()
    model = cs.torch.build(net)
    trainer = Trainer(
        model, torch.as_tensor(STIMULI).float(), torch.as_tensor(LABELS), 4, 8, {"name": name, "lr": 0.05}
    )
    start = arrays(model)
    seen = []
    for _ in range(4):
        trainer.train_epoch(lambda: seen.append(assert_holds(net, arrays(model), 1e-6)))
    assert len(seen) == 12
    end = arrays(model)
    moved = np.abs(end["retina->V1"] - start["retina->V1"])
    assert moved.max() > 1e-3
    np.testing.assert_array_equal(moved[:, 4], 0)  # whose learning rate is 0


def test_a_step_is_the_rules_with_each_synapses_rate_then_clipped():
    net = network()
    model = cs.torch.build(net, precision="64")
    optimiser = torch.optim.SGD(model.parameters(), lr=2.0)
    model.attach(optimiser)
    w = arrays(model)
    for _ in range(5):
        change = {n: c.numpy() for n, c in model.updates(STIMULI, LABELS).items()}
        assert not change["retina->V1"][~MASK].any()
        signs = np.where(np.isin(np.arange(13), [1, 5]), -1, 1)
        low, high = np.where(signs < 0, -0.6, 0.0), np.where(signs < 0, 0.0, 0.6)
        exists = net.wiring(net.projection("V1->IT"))
        w = {
            "retina->V1": MASK * np.clip(w["retina->V1"] + 2.0 * RATES * change["retina->V1"], low, high),
            "V1->IT": kept(w["V1->IT"] + 2.0 * change["V1->IT"], 0.0, 0.5 * exists, 1.5, "subtractive"),
        }
        optimiser.zero_grad()
        model(STIMULI, LABELS).backward()
        optimiser.step()
        for name, ours in arrays(model).items():
            np.testing.assert_allclose(ours, w[name], atol=1e-12, err_msg=name)


def test_adams_step_is_scaled_by_each_synapses_rate():
    ours, plain = (cs.torch.build(network(rates), precision="64") for rates in (True, False))
    moved = []
    for model in (ours, plain):
        start = arrays(model)["retina->V1"]
        model.attach(optimiser := torch.optim.Adam(model.parameters(), lr=1e-3))
        model(STIMULI, LABELS).backward()
        optimiser.step()
        moved.append(arrays(model)["retina->V1"] - start)
    inside = MASK & (np.abs(arrays(ours)["retina->V1"]) > 2e-3) & (np.abs(start) < 0.59)
    np.testing.assert_allclose(moved[0][inside], (RATES * moved[1])[inside], atol=1e-12)
    assert inside.sum() > 20


@pytest.mark.parametrize(
    "word", ["backprop", "gait_prop", "feedback_alignment", "kolen_pollack", "sign_symmetric", "oja", "bcm"]
)
def test_missing_synapses_stay_missing_under_every_rule_and_in_its_feedback(word):
    net = network(rates=False, word=word)
    model = cs.torch.build(net, precision="64")
    model.attach(optimiser := torch.optim.Adam(model.parameters(), lr=0.02))
    for _ in range(5):
        optimiser.zero_grad()
        model(STIMULI, LABELS).backward()
        optimiser.step()
    assert_holds(net, arrays(model))
    for name, b in model.feedback.free.items():
        exists = net.wiring(net.projection(name))
        assert not b.detach().numpy()[~exists].any() and b.detach().numpy()[exists].all()
    up = arrays(model)["V1->IT"]
    for p in net.top_downs:
        if p.name == "IT->V1" and word in ("backprop", "gait_prop"):
            b = model.feedback.matrix(p.name, model.weights["V1->IT"]).detach().numpy()
            inverse = up.T @ np.linalg.inv(up @ up.T + 1e-3 * np.eye(3))
            np.testing.assert_allclose(b, up.T if word == "backprop" else inverse, atol=1e-10)


def test_an_optimiser_that_is_not_attached_is_refused():
    model = cs.torch.build(network())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model(STIMULI, LABELS).backward()
    optimiser.step()
    with pytest.raises(cs.RunError, match=r"retina->V1 has Dale, which acts after each optimiser step; call"):
        model(STIMULI, LABELS)


def test_a_checkpoint_resumes_to_the_same_bits(tmp_path):
    def trainer():
        x, y = torch.as_tensor(STIMULI).float(), torch.as_tensor(LABELS)
        return Trainer(cs.torch.build(network()), x, y, 4, 8, {"name": "Adam", "lr": 0.05})

    whole, half, again = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.train_epoch()
    for _ in range(2):
        half.train_epoch()
    checkpoint.save(tmp_path / "half.safetensors", half, {})
    checkpoint.restore(again, tmp_path / "half.safetensors")
    for _ in range(2):
        again.train_epoch()
    for name, w in arrays(whole.model).items():
        np.testing.assert_array_equal(w, arrays(again.model)[name])


def test_states_and_copies_keep_them_and_weights_from_outside_must_be_allowed(tmp_path):
    model = cs.torch.build(network())
    model.fit((STIMULI, LABELS), epochs=2, optimiser="Adam", progress=False)
    cs.save(model, tmp_path / "state.safetensors")
    sim = cs.brian2.build(model.net, state=cs.load(tmp_path / "state.safetensors"))
    np.testing.assert_allclose(sim.weights.outward("V1->IT").sum(1), 1.5, rtol=1e-12)
    twin = copy.deepcopy(model)
    twin.attach(optimiser := torch.optim.SGD(twin.parameters(), lr=0.5))
    twin(STIMULI, LABELS).backward()
    optimiser.step()
    assert_holds(model.net, arrays(twin), 1e-6)
    with pytest.raises(cs.BuildError, match="projection V1->IT: .* weights are not zero where there is no"):
        model.set_weights({"V1->IT": np.ones((3, 11))})
    with pytest.raises(cs.BuildError, match="the sum of row 0 is 0.7, but RowNorm keeps it at 1.5"):
        exists = model.net.wiring(model.net.projection("V1->IT"))
        model.set_weights({"V1->IT": 0.1 * exists})


@pytest.mark.parametrize("method", ["subtractive", "multiplicative"])
def test_a_session_at_equilibrium_holds_them_and_ends_as_time_does(method):
    net = cs.Network("slow")
    net.population("retina", 7)
    net.population("V1", 5, tau_ms=5.0, bias=False)
    rows = [cs.Bounds(0, 0.3), cs.RowNorm(1.0, method), cs.LearningRates(RATES[:5, :7])]
    net.bottom_up("retina", "V1", cs.Sparse(in_degree=5), plasticity="hebbian", constraint=rows)
    x = np.abs(np.random.default_rng(0).normal(size=(3, 7)))
    script = protocol(net, x, ms=60.0, learn_ms=40.0, batch=1, whole_eta_per_s=2e-3, whole_trials=6)
    settled, in_time = QuasiStatic(net), cs.brian2.build(net)
    settled.run(script)
    in_time.run(script)
    one, two = settled.model.weights["retina->V1"].detach().numpy(), in_time.weights.outward("retina->V1")
    start = net.initial_weights(0)["retina->V1"]
    np.testing.assert_allclose(one.sum(1), 1.0, rtol=1e-12)
    assert one.max() <= 0.3 and not one[~net.wiring(net.projection("retina->V1"))].any()
    assert np.abs(one - start).max() > 1e-5
    np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("over", [(), ("a->c", "b->c")], ids=["one", "joint"])
def test_a_state_dict_that_is_not_allowed_is_refused_before_anything_is_written(over):
    net = cs.Network("given")
    for name, units in (("a", 4), ("b", 3), ("c", 5)):
        net.population(name, units)
    for pre in ("a", "b"):
        kept = [cs.Bounds(0), cs.RowNorm(1.0, over=over)]
        net.bottom_up(pre, "c", plasticity="hebbian", constraint=kept)
    model = cs.torch.build(net, seed=0)
    saved = {name: values.clone() for name, values in model.state_dict().items()}
    cs.torch.build(net, seed=1).load_state_dict(saved)
    wrong = {**saved, "weights.b->c": 2 * saved["weights.b->c"]}
    with pytest.raises(cs.BuildError, match=r"b->c.*RowNorm"):
        model.load_state_dict(wrong)
    for name, values in model.state_dict().items():
        assert torch.equal(values, saved[name]), name
