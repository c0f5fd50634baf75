"""Settled rates and credits are torch's; a long plateau changes weights as one torch update does."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import ALL, Spread, dense_chain, fan_out
from timed import NEAR, assert_close, expected, protocol, settled, shown

import cortex_sim as cs

DENSE = ("chain", "widening", "several_inputs", "fan_out", "residual")


def both(net, engine="batched", seed=0, **build):
    x, y = shown(net, 3, seed)
    sim = cs.brian2.build(net, seed=seed, engine=engine, dt_ms=4.0, **build)
    rates, credits = settled(sim, x, y, batch=1 if engine == "synapses" else None)
    their_rates, their_credits = expected(net, x, y, seed)
    assert_close(rates, their_rates, 1e-6)
    assert_close(credits, their_credits, 1e-6, skip=net.stimulated)
    return their_credits


@pytest.mark.parametrize("name", ALL)
def test_dynamic_inversion_settles_at_the_damped_inverse(name):
    both(ALL[name](init=NEAR).with_rule("gait_prop"))


@pytest.mark.parametrize("name", ["fan_out", "residual"])
def test_synapses_settle_there_too(name):
    both(ALL[name](init=NEAR).with_rule("gait_prop"), engine="synapses")


@pytest.mark.parametrize("name", ["residual", "conv"])
@pytest.mark.parametrize(
    "word",
    ["backprop", "feedback_alignment", "direct_feedback_alignment", "sign_symmetric", "kolen_pollack"],
)
def test_other_feedback_settles_where_torch_says(name, word):
    credits = both(ALL[name](init=NEAR).with_rule(word))
    assert all(np.abs(c).max() > 1e-3 for n, c in credits.items() if n not in ("retina", "LGN"))


@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "logistic", "softplus", "linear"])
def test_every_activation(activation):
    both(fan_out(activation, init=NEAR, objective="squared_error").with_rule("gait_prop"))


def test_the_inverse_may_be_rescaled_and_integrated_exactly():
    net = fan_out(init=Spread(1.3, 1.5)).with_rule("gait_prop", rescale=True, damping=0.1)
    both(net)
    both(net, method="exponential_euler")
    both(fan_out(init=NEAR).with_rule("gait_prop", damping=0.0), method="exponential_euler")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(2, 128), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_random_chains_of_two_to_five_populations(sizes, seed):
    both(dense_chain(sizes, init=Spread(0.95, 1.05)).with_rule("gait_prop"), seed=seed)


@st.composite
def graphs(draw):
    """Two to five populations; each drives one or more later ones, so inputs meet and outputs part."""
    sizes = draw(st.lists(st.integers(2, 128), min_size=2, max_size=5))
    net = cs.Network("graph")
    names = ["retina", *(f"V{i}" for i in range(1, len(sizes) - 1)), "IT"]
    for name, size in zip(names, sizes, strict=True):
        net.population(name, size, activation="linear" if name == "IT" else "tanh")
    for number, pre in enumerate(names[:-1]):
        later = names[number + 1 :]
        onward = draw(st.sets(st.sampled_from(later), min_size=1)) | {later[0]}
        for post in names:
            if post in onward:
                net.bottom_up(pre, post, cs.Dense(init=Spread(0.95, 1.05)), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(net=graphs(), seed=st.integers(0, 99))
def test_random_graphs_with_fan_out_and_several_inputs(net, seed):
    """Under the inverse, and under the transpose, where credit is backpropagation's."""
    for word in ("gait_prop", "backprop"):
        both(net.with_rule(word), seed=seed)


@pytest.mark.parametrize("word", ["gait_prop", "backprop", "direct_feedback_alignment", "kolen_pollack"])
@pytest.mark.parametrize("name", ["fan_out", "conv", "onto_maps"])
def test_a_plateau_is_one_update(name, word):
    """Window opened after settling, η·T = 1e-4: Δw is torch's update times η·T, to 1 %."""
    net = ALL[name](init=NEAR).with_rule(word)
    x, y = shown(net, 4)
    sim = cs.brian2.build(net, dt_ms=4.0)
    before = {n: sim.weights.outward(n) for n in sim.weights.matrix}
    bias = {n: b.copy() for n, b in sim.weights.bias.items()}
    sim.run(protocol(net, x, y, learn_ms=1000.0, batch=4, whole_eta_per_s=1e-4))
    model = cs.torch.build(net, precision="64")
    changes = model.updates(x, y, biases=True)
    decay = sum(r.rate for p in net.bottom_ups for r in p.regularisers) / max(len(net.bottom_ups), 1)
    for name_, change in changes.items():
        if name_ in bias:
            ours, theirs = (sim.weights.bias[name_] - bias[name_]) / 1e-4, change.numpy()
        else:
            theirs = change.numpy() - decay * before[name_]
            ours = (sim.weights.outward(name_) - before[name_]) / 1e-4
        assert np.abs(ours - theirs).max() < 0.01 * np.abs(theirs).max(), name_


def test_with_transposed_feedback_the_plateau_is_backpropagation():
    net = ALL["residual"](init=NEAR).with_rule("backprop")
    x, y = shown(net, 4)
    sim = cs.brian2.build(net, dt_ms=4.0)
    before = {n: sim.weights.outward(n) for n in sim.weights.matrix}
    sim.run(protocol(net, x, y, learn_ms=1000.0, batch=4, whole_eta_per_s=1e-4))
    for name, change in cs.torch.build(net, precision="64").backprop_updates(x, y).items():
        ours = (sim.weights.outward(name) - before[name]) / 1e-4
        assert np.abs(ours - change.numpy()).max() < 0.01 * np.abs(change.numpy()).max()
