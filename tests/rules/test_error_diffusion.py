import broadcast
import numpy as np
import pytest
import torch
from agreement import cosine, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import built, conv, dense_chain, shown

import cortex_sim as cs

SIZES = st.lists(st.integers(2, 13), min_size=3, max_size=5)


@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, signs=st.booleans(), scale=st.sampled_from([1.0, 0.3]), seed=st.integers(0, 9))
def test_equals_the_equation(sizes, signs, scale, seed):
    """c_i = s_i c_L,k with k = i mod C, one unit at a time; signs read off the drawn B."""
    net = dense_chain(sizes, init="xavier").with_rule("error_diffusion", signs=signs, scale=scale)
    model = built(net, seed)
    x, y = shown(net, 4, seed)
    drawn = net.initial_weights(seed)
    classes = sizes[-1]

    def send(level, top):
        b = drawn[f"IT->V{level + 1}"]
        return np.array([np.sign(row[i % classes]) * scale * top[i % classes] for i, row in enumerate(b)])

    expected = broadcast.changes(*broadcast.own(model), x, y, send)
    for change, theirs in zip(model.updates(x, y).values(), expected, strict=True):
        assert relative_error(change, theirs) < 1e-12


@pytest.mark.parametrize("network", [dense_chain, conv])
def test_is_direct_feedback_alignment_with_a_one_hot_b(network):
    """Onto maps too: units are counted as they are flattened."""
    net = network((13, 11, 7, 3)) if network is dense_chain else network()
    ours = net.with_rule("error_diffusion")
    theirs = net.with_rule("direct_feedback_alignment")
    plain = net.copy()
    plain.projections = {p.name: p for p in theirs.bottom_ups}
    for p in theirs.top_downs:
        units, classes = theirs.populations[p.post].size, theirs.populations["IT"].size
        one_hot = np.array([[float(i % classes == j) for j in range(classes)] for i in range(units)])
        plain.top_down("IT", p.post, feedback=cs.Given(one_hot))
    x, y = shown(net)
    expected = built(plain).updates(x, y, biases=True)
    found = built(ours).updates(x, y, biases=True)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], change) for name, change in expected.items())


@given(units=st.integers(1, 40), classes=st.integers(1, 12), seed=st.integers(0, 9))
def test_every_unit_hears_one_error_and_signs_are_all_that_is_drawn(units, classes, seed):
    plain = cs.Modulo().draw(np.random.default_rng(seed), (units, classes), classes)
    signed = cs.Modulo(signs=True).draw(np.random.default_rng(seed), (units, classes), classes)
    assert ((plain != 0).sum(1) == 1).all() and set(np.unique(plain)) <= {0.0, 1.0}
    np.testing.assert_array_equal(abs(signed), plain)
    heard = plain.sum(0)
    assert heard.max() - heard.min() <= 1  # errors are dealt out evenly
    assert (np.diff(heard) <= 0).all()  # the first ones first


def test_receptors_of_both_signs_occur_and_differ_between_populations():
    net = dense_chain((5, 60, 60, 3)).with_rule("error_diffusion", signs=True)
    first, second = (net.initial_weights(0)[f"IT->V{level}"].sum(1) for level in (1, 2))
    assert abs(first.sum()) < 40 and abs(second.sum()) < 40
    assert 10 < (first != second).sum() < 50


def test_weights_onto_the_top_come_to_read_each_group_for_its_own_error():
    """Feedback alignment's mechanism, with a B that is no more than a numbering."""
    net = dense_chain((11, 9, 3), "linear", cs.Orthogonal(gain=0.1), objective="squared_error")
    model = built(net.with_rule("error_diffusion"))
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 11))
    goal = x @ rng.normal(size=(11, 3)) / 3
    b = model.feedback.plastic_or_free("IT->V1").numpy()
    before = cosine(model.weights["V1->IT"].detach().numpy(), b.T)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    errors = []
    for _ in range(400):
        optimiser.zero_grad()
        model(x, goal).backward()
        optimiser.step()
        errors.append(float(model.last_objective))
    after = cosine(model.weights["V1->IT"].detach().numpy(), b.T)
    assert after > 0.5 and after > before + 0.2
    assert errors[-1] < 0.01 * errors[0]


@pytest.mark.parametrize("settings", [{}, {"signs": True, "scale": 0.5}])
def test_survives_yaml(settings):
    net = dense_chain((5, 3, 2), init="he").with_rule("error_diffusion", **settings)
    assert cs.Network.from_yaml(net.to_yaml()) == net


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scale": 0.0}, "Modulo: scale must be"),
        ({"signs": 1}, "Modulo: signs must be"),
        ({"rank": 2}, "setting of Modulo feedback 'rank'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(cs.DeclarationError, match=message):
        dense_chain((5, 3, 2)).with_rule("error_diffusion", **settings)


@pytest.mark.parametrize("word", ["error_diffusion", "low_rank_feedback", "global_neuromodulator"])
def test_a_convolution_onto_the_top_is_refused(word):
    """Its top-down weights would be a kernel, which has no single units to send to."""
    net = cs.Network("maps to the top")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", shape=(3, 5, 5), activation="tanh")
    net.population("IT", shape=(2, 5, 5))
    for pre, post in (("retina", "V1"), ("V1", "IT")):
        net.bottom_up(pre, post, cs.Conv2d(3, padding=1), plasticity="backprop")
    net.objective("IT", "squared_error")
    assert net.with_rule("direct_feedback_alignment").top_downs
    with pytest.raises(cs.DeclarationError, match="IT->V1: .* addresses single units, but its weights"):
        net.with_rule(word)


@pytest.mark.parametrize("word", ["error_diffusion", "low_rank_feedback", "global_neuromodulator"])
def test_takes_no_other_feedback(word):
    net = dense_chain((5, 3, 2)).with_rule(word)
    rule = net.bottom_ups[0].plasticity
    other = dense_chain((5, 3, 2))
    other.projections = {p.name: p for p in net.bottom_ups}
    other.top_down("IT", "V1", feedback="random")
    with pytest.raises(cs.DeclarationError, match=f"learns by {type(rule).__name__}, which takes its credit"):
        other.check()
