"""GAIT-prop's limit form is the published finite form as its step goes to 0 (DESIGN 3.1)."""

from dataclasses import replace

import chain_credit
import finite_gait
import numpy as np
import pytest
from agreement import assert_changes, assert_direction_and_length, relative_error
from graphs import ACTIVATIONS, as_graph, credit_of_labels
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from networks import (
    ALL,
    Spread,
    built,
    chain,
    conv,
    dense_chain,
    fan_out,
    several_inputs,
    shown,
    widening,
)

import cortex_sim as cs

every_network = pytest.mark.parametrize("network", ALL.values(), ids=ALL)
every_activation = pytest.mark.parametrize(
    "activation", ["linear", "leaky_relu", "tanh", "logistic", "softplus"]
)


def tame(graph, x):
    """No drive so near a kink, or so far into saturation, that a step of 1e-7 is lost there."""
    drives, _ = graph.settle(x)
    for name, a in drives.items():
        if graph.activation[name] == "LeakyRelu" and np.abs(a).min() < 1e-5:
            return False
        if graph.activation[name] in ("Tanh", "Logistic") and np.abs(a).max() > 3:
            return False
        if graph.activation[name] == "Softplus" and a.min() < -8:  # small rates keep digits
            return False
    return True


def with_labels(y):
    return lambda r_top: credit_of_labels(r_top, y)


def auxiliary_rows(graph, rng=None):
    """Rows that span the complement; with ``rng``, that tell the rows of W apart from it."""
    rows = {}
    for link in graph.links:
        missing = link.matrix.shape[1] - len(link.matrix)
        if link.pre != graph.stimulus and link.plastic and missing > 0:
            rows[link.name] = finite_gait.complement(link.matrix)
            if rng is not None:
                rows[link.name] = rows[link.name] + 0.3 * rng.normal(size=rows[link.name].shape)
    return rows


@every_activation
def test_the_graph_reference_is_the_published_chain(activation):
    model = built(chain(activation).with_rule("gait_prop", damping=0))
    x, y = shown(model.net)
    graph = as_graph(model)
    assert tame(graph, x)
    rows = auxiliary_rows(graph, np.random.default_rng(0))
    layers = [(k.matrix, graph.bias[k.post], graph.activation[k.post], rows.get(k.name)) for k in graph.links]
    for gamma in (None, 1e-3):
        errors = finite_gait.published(layers, x, with_labels(y), gamma=gamma)
        drives, rates = graph.settle(x)
        credits = finite_gait.credits(
            graph, drives, rates, with_labels(y)(rates["IT"]), gamma=gamma, auxiliary=rows
        )
        for error, name in zip(errors, ("V1", "V2", "IT"), strict=True):
            assert relative_error(credits[name], error) < 1e-5


@every_network
@every_activation
def test_limit_equals_finite(network, activation):
    model = built(network(activation).with_rule("gait_prop", damping=0))
    x, y = shown(model.net)
    graph = as_graph(model)
    assert tame(graph, x)
    published = finite_gait.changes(graph, x, with_labels(y))
    ours = model.updates(x, y, biases=True)
    for name, change in model.biases.items():
        per_channel = published[name].reshape(len(change), -1)
        published[name] = per_channel.sum(1)
    assert_changes(ours, published)


@every_network
def test_explicit_auxiliary_units_that_span_the_complement_change_nothing(network):
    model = built(network().with_rule("gait_prop", damping=0))
    x, y = shown(model.net)
    graph = as_graph(model)
    rows = auxiliary_rows(graph)
    assert rows
    assert_changes(model.updates(x, y), finite_gait.changes(graph, x, with_labels(y), auxiliary=rows))


@pytest.mark.parametrize("network", [chain, conv, several_inputs, fan_out])
def test_simulated_auxiliary_units_act_as_published(network):
    """Even where their rows are not orthogonal to W's, and the limit is no pseudo-inverse."""
    net = network()
    declared = net.with_rule("gait_prop", damping=0)
    for name, p in declared.projections.items():
        wide = p.is_top_down and _widens(declared, declared.projections[p.reverse_name])
        if p.is_top_down and not wide:
            feedback = cs.Inverse(of=p.reverse_name, damping=0, auxiliary=True)
            declared.projections[name] = replace(p, feedback=feedback)
    model = built(declared)
    x, y = shown(net)
    rng = np.random.default_rng(3)
    rows = {}
    for name, extra in model.feedback.auxiliary.items():
        with_torch = extra.new_tensor(0.2 * rng.normal(size=extra.shape))
        extra.data.add_(with_torch)
        rows[name] = extra.detach().numpy().copy()
    model.renew_feedback()
    assert rows
    graph = as_graph(model)
    plain = finite_gait.changes(graph, x, with_labels(y))
    published = finite_gait.changes(graph, x, with_labels(y), auxiliary=rows)
    ours = model.updates(x, y)
    assert_changes(ours, published)
    assert max(relative_error(plain[n], published[n]) for n in ours) > 0.05


def _widens(net, up):
    shape = net.weight_shape(up)
    return shape[0] > np.prod(shape[1:])


@every_network
@pytest.mark.parametrize("gamma", [None, 1e-3], ids=["normalised", "fixed"])
def test_our_finite_form_is_the_published_one(network, gamma):
    rule = cs.GaitProp(form="finite", normalised=gamma is None)
    model = built(network("leaky_relu").with_rule(rule, damping=0))
    x, y = shown(model.net)
    graph = as_graph(model)
    assert tame(graph, x)
    published = finite_gait.changes(graph, x, with_labels(y), gamma=gamma)
    assert_changes(model.updates(x, y), published)


@every_network
def test_a_large_fixed_step_is_the_published_one_too(network):
    """At γ = 0.3 the forms differ by far more than rounding, so this tells their equations apart.

    It shows π too, the smallest that a population's outputs ask for: credit does not depend on it
    in the limit.
    """
    net = network("softplus", objective="squared_error")
    model = built(net.with_rule(cs.GaitProp(form="finite", gamma=0.3), damping=0))
    x, _ = shown(net)
    graph = as_graph(model)
    top = graph.settle(x)[1]["IT"]
    goal = top + 0.1 * np.random.default_rng(5).normal(size=top.shape)

    def towards(r):
        return goal - r

    finite = finite_gait.changes(graph, x, towards, gamma=0.3)
    limit = chain_credit.changes(graph, x, towards, chain_credit.inverted)
    ours = model.updates(x, goal)
    for name, change in ours.items():
        assert relative_error(change.reshape(finite[name].shape), finite[name]) < 1e-8
    assert max(relative_error(limit[name], finite[name]) for name in ours) > 1e-4


def test_presentations_that_ask_for_nothing_leave_the_others_alone():
    rule = cs.GaitProp(form="finite", normalised=True)
    net = chain("tanh", objective="squared_error").with_rule(rule, damping=0)
    model = built(net)
    x, _ = shown(net, count=2)
    _, rates = as_graph(model).settle(x)
    goal = rates["IT"].copy()
    goal[1] += 0.3
    both, alone = model.updates(x, goal), model.updates(x[1:], goal[1:])
    for name, change in both.items():
        assert relative_error(2 * change, alone[name]) < 1e-6


# Shrinking a failure of a whole network takes minutes and says little more than its seed.
UNSHRUNK = {
    "deadline": None,
    "phases": [Phase.reuse, Phase.generate],
    "suppress_health_check": [HealthCheck.filter_too_much],
}
sizes = st.lists(st.integers(1, 9), min_size=3, max_size=5)


@settings(max_examples=15, **UNSHRUNK)
@given(sizes=sizes, top=st.integers(2, 7), activation=st.sampled_from(["leaky_relu", "tanh"]),
       seed=st.integers(0, 10**6))  # fmt: skip
def test_any_dense_chain(sizes, top, activation, seed):
    net = dense_chain((*sizes, top), activation).with_rule("gait_prop", damping=0)
    model = built(net, seed)
    x, y = shown(net, count=3, seed=seed)
    graph = as_graph(model)
    assume(tame(graph, x))
    published = finite_gait.changes(graph, x, with_labels(y))
    ours = model.updates(x, y)
    for name, change in ours.items():
        if np.linalg.norm(published[name]) > 1e-3:  # a vanished credit has no direction
            assert_direction_and_length(change.numpy(), published[name], name)


@settings(max_examples=10, **UNSHRUNK)
@given(channels=st.tuples(*[st.integers(1, 4)] * 3), side=st.integers(3, 6), kernel=st.integers(1, 3),
       stride=st.integers(1, 2), padding=st.integers(0, 1), seed=st.integers(0, 10**6))  # fmt: skip
def test_any_convolution(channels, side, kernel, stride, padding, seed):
    net = cs.Network("any convolution")
    first = (channels[0], side, side)
    middle = (channels[1], side, side)
    after = (side + 2 * padding - kernel) // stride + 1
    net.population("retina", shape=first)
    net.population("V1", shape=middle, activation="tanh")
    net.population("V2", shape=(channels[2], after, after), activation="tanh")
    net.population("IT", 5)
    net.bottom_up("retina", "V1", cs.Conv2d(1, init=Spread()), plasticity="backprop")
    field = cs.Conv2d(kernel, stride=stride, padding=padding, init=Spread())
    net.bottom_up("V1", "V2", field, plasticity="backprop")
    net.bottom_up("V2", "IT", cs.Dense(init=Spread()), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    model = built(net.with_rule("gait_prop", damping=0), seed)
    x, y = shown(net, count=3, seed=seed)
    graph = as_graph(model)
    assume(tame(graph, x))
    published = finite_gait.changes(graph, x, with_labels(y))
    for name, change in model.updates(x, y).items():
        if np.linalg.norm(published[name]) > 1e-3:
            ours = change.reshape(published[name].shape).numpy()
            assert_direction_and_length(ours, published[name], name)


@every_network
def test_damping_and_rescaling(network):
    for settings_ in ({"damping": 0.3}, {"damping": 0.3, "rescale": True}):
        model = built(network().with_rule("gait_prop", **settings_))
        x, y = shown(model.net)
        down = chain_credit.damped(**settings_)
        theirs = chain_credit.changes(as_graph(model), x, with_labels(y), down)
        for name, change in model.updates(x, y).items():
            assert relative_error(change.reshape(theirs[name].shape), theirs[name]) < 1e-10


def test_the_references_know_every_activation():
    from cortex_sim.registry import find, names

    assert {find("activation", n).__name__ for n in names("activation")} <= set(ACTIVATIONS)


def test_widening_networks_have_more_post_units_than_inputs():
    net = widening()
    assert [_widens(net, p) for p in net.bottom_ups] == [False, True, True, False]
