"""Backpropagation, and when the other rules are it: against plain torch models and explicit sums."""

import chain_credit
import numpy as np
import pytest
import torch
from agreement import assert_changes, cosine, relative_error
from graphs import as_graph, credit_of_labels
from networks import ALL, Spread, built, chain, conv, fan_out, residual, shown
from torch.nn import functional as F

import cortex_sim as cs

every_network = pytest.mark.parametrize("network", ALL.values(), ids=ALL)
every_activation = pytest.mark.parametrize(
    "activation", ["linear", "leaky_relu", "relu", "tanh", "logistic", "softplus"]
)
PLAIN = {
    "linear": lambda a: a,
    "leaky_relu": lambda a: F.leaky_relu(a, 0.1),
    "relu": F.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "softplus": F.softplus,
}


def with_labels(y):
    return lambda r_top: credit_of_labels(r_top, y)


def as_before(change, like):
    return np.reshape(change.detach().double().numpy(), like.shape)


def plain_chain(x, w, b, f):
    a = x
    for name, below in (("V1", "retina"), ("V2", "V1")):
        a = f(a @ w[f"{below}->{name}"].T + b[name])
    return a @ w["V2->IT"].T + b["IT"]


def plain_widening(x, w, b, f):
    a = x
    for name, below in (("V1", "retina"), ("V2", "V1"), ("V3", "V2")):
        a = f(a @ w[f"{below}->{name}"].T + b[name])
    return a @ w["V3->IT"].T + b["IT"]


def plain_conv(x, w, b, f):
    v1 = f(F.conv2d(x, w["retina->V1"], b["V1"], stride=2, padding=1))
    v2 = f(F.conv2d(v1, w["V1->V2"], b["V2"]))
    v4 = f(F.conv2d(v2, w["V2->V4"], b["V4"]))
    return v4.flatten(1) @ w["V4->IT"].T + b["IT"]


def plain_several_inputs(x, w, b, f):
    dorsal = f(x @ w["retina->dorsal"].T + b["dorsal"])
    ventral = f(x @ w["retina->ventral"].T + dorsal @ w["dorsal->ventral"].T + b["ventral"])
    v4 = f(dorsal @ w["dorsal->V4"].T + ventral @ w["ventral->V4"].T + b["V4"])
    return v4 @ w["V4->IT"].T + b["IT"]


def plain_fan_out(x, w, b, f):
    v1 = f(x @ w["retina->V1"].T + b["V1"])
    dorsal = f(v1 @ w["V1->dorsal"].T + b["dorsal"])
    ventral = f(v1 @ w["V1->ventral"].T + b["ventral"])
    return dorsal @ w["dorsal->IT"].T + ventral @ w["ventral->IT"].T + b["IT"]


def plain_onto_maps(x, w, b, f):
    v1 = f((x @ w["retina->V1"].T).reshape(-1, 3, 4, 2) + b["V1"][:, None, None])
    v4 = f((v1.flatten(1) @ w["V1->V4"].T).reshape(-1, 2, 3, 1) + b["V4"][:, None, None])
    v2 = f(F.conv2d(v1, w["V1->V2"], b["V2"]))
    return v2.flatten(1) @ w["V2->IT"].T + v4.flatten(1) @ w["V4->IT"].T + b["IT"]


def plain_residual(x, w, b, f):
    lgn = f(x @ w["retina->LGN"].T + b["LGN"])
    v1 = f(lgn @ w["LGN->V1"].T + b["V1"])
    v2 = f(v1 @ w["V1->V2"].T + b["V2"])
    v4 = f(v2 @ w["V2->V4"].T + v1 + b["V4"])
    return v4 @ w["V4->IT"].T + b["IT"]


def plain_conv_residual(x, w, b, f):
    v1 = f(F.conv2d(x, w["retina->V1"], b["V1"], padding=1))
    v2 = f(F.conv2d(v1, w["V1->V2"], b["V2"], padding=1))
    v4 = f(F.conv2d(v2, w["V2->V4"], b["V4"], padding=1) + v1)
    return v4.flatten(1) @ w["V4->IT"].T + b["IT"]


def plain_gradients(model, x, loss, activation):
    """Minus autograd's gradient of a model written out by hand, with this model's numbers."""
    w = {n: t.detach().clone().requires_grad_() for n, t in model.weights.items()}
    b = {n: t.detach().clone().requires_grad_() for n, t in model.biases.items()}
    written = globals()["plain_" + model.net.name.replace(" ", "_")]
    loss(written(torch.as_tensor(x), w, b, PLAIN[activation])).backward()
    return {n: -t.grad.numpy() for n, t in (w | b).items()}


@every_network
@every_activation
def test_backprop_is_autograd_on_a_plain_model(network, activation):
    model = built(network(activation).with_rule("backprop"))
    x, y = shown(model.net)
    plain = plain_gradients(model, x, lambda r: F.cross_entropy(r, torch.as_tensor(y)), activation)
    ours = model.updates(x, y, biases=True)
    assert set(ours) == set(plain)
    for name, change in ours.items():
        assert relative_error(change, plain[name]) < 1e-12, name
    theirs = model.backprop_updates(x, y, biases=True)
    for name, change in theirs.items():
        assert relative_error(change, plain[name]) < 1e-12, name


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_squared_error_and_its_weight(weight):
    net = chain(objective=cs.SquaredError(weight=weight)).with_rule("backprop")
    model = built(net)
    x, _ = shown(net)
    goal = np.random.default_rng(1).normal(size=(len(x), 3))

    def loss(r):
        return weight * 0.5 * (r - torch.as_tensor(goal)).square().sum(1).mean()

    plain = plain_gradients(model, x, loss, "tanh")
    for name, change in model.updates(x, goal, biases=True).items():
        assert relative_error(change, plain[name]) < 1e-12


def test_rates_that_sum_to_one_are_labels_too():
    net = chain().with_rule("backprop")
    model = built(net)
    x, y = shown(net)
    by_label, by_rate = model.updates(x, y), model.updates(x, np.eye(3)[y])
    for name, change in by_label.items():
        assert relative_error(by_rate[name], change) < 1e-12


def test_a_top_with_a_saturating_activation():
    net = chain(top="tanh").with_rule("gait_prop", damping=0.1)
    model = built(net)
    x, y = shown(net)
    theirs = chain_credit.changes(as_graph(model), x, with_labels(y), chain_credit.damped(0.1))
    for name, change in model.updates(x, y).items():
        assert relative_error(change, theirs[name]) < 1e-10


# -- GAIT-prop on orthogonal weights ---------------------------------------------------------------


@every_network
@every_activation
def test_gait_prop_is_backprop_on_orthogonal_weights(network, activation):
    """Length included, for every activation and graph (arXiv 2006.06438, section 2.3)."""
    net = network(activation, init="orthogonal")
    model = built(net.with_rule("gait_prop", damping=0))
    x, y = shown(net)
    theirs = model.backprop_updates(x, y, biases=True)
    for name, change in model.updates(x, y, biases=True).items():
        assert relative_error(change, theirs[name]) < 1e-11, name
        assert theirs[name].norm() > 1e-6, name


@pytest.mark.parametrize("network", [chain, conv])
@pytest.mark.parametrize("gain", [0.5, 1.4])
def test_gain_shortens_the_credit_by_its_square_per_projection(network, gain):
    net = network("tanh", init=cs.Orthogonal(gain=gain))
    passed = {p.name: len(net.bottom_ups) - 1 - i for i, p in enumerate(net.bottom_ups)}
    model = built(net.with_rule("gait_prop", damping=0))
    restored = built(net.with_rule("gait_prop", damping=0, rescale=True))
    damped = built(net.with_rule("gait_prop", damping=0.2, rescale=True))
    x, y = shown(net)
    theirs = model.backprop_updates(x, y)
    exact, long = restored.updates(x, y), damped.updates(x, y)
    for name, change in model.updates(x, y).items():
        assert relative_error(change * gain ** (2 * passed[name]), theirs[name]) < 1e-11
        assert relative_error(exact[name], theirs[name]) < 1e-11
        assert relative_error(long[name], theirs[name]) < 1e-11


def test_a_residual_block_off_orthogonal_is_not_backprop():
    """Else the tests above would show nothing."""
    net = residual()
    model = built(net.with_rule("gait_prop", damping=0))
    x, y = shown(net)
    ours, theirs = model.updates(x, y), model.backprop_updates(x, y)
    assert cosine(ours["retina->LGN"].numpy(), theirs["retina->LGN"].numpy()) < 0.99


# -- the rest of the family ------------------------------------------------------------------------


def signs(link):
    w = link.matrix
    if not link.plastic:
        return w.T
    return np.sign(w).T * np.linalg.norm(w) / np.sqrt(w.size)


def own(model):
    """B of each link from the top-down tensors of the model, read as declared."""

    def down(link):
        if not link.plastic:
            return link.matrix.T
        b = model.feedback.plastic_or_free(f"{link.post}->{link.pre}").detach().numpy()
        return b.reshape(len(b), -1).T if b.ndim == 4 else b

    return down


@every_network
@pytest.mark.parametrize("word", ["feedback_alignment", "sign_symmetric", "kolen_pollack", "weight_mirror"])
def test_chain_rules_carry_credit_by_their_own_b(network, word):
    model = built(network().with_rule(word))
    x, y = shown(model.net)
    down = signs if word == "sign_symmetric" else own(model)
    theirs = chain_credit.changes(as_graph(model), x, with_labels(y), down)
    for name, change in model.updates(x, y, biases=True).items():
        if name in model.biases:
            summed = theirs[name].reshape(len(change), -1).sum(1)
            assert relative_error(change, summed) < 1e-12
        elif name in model.weights:
            assert relative_error(as_before(change, theirs[name]), theirs[name]) < 1e-12


@pytest.mark.parametrize("network", [chain, conv, fan_out])
def test_learned_inverses_carry_credit_like_any_b(network):
    model = built(network().with_rule("gait_prop_learned"))
    x, y = shown(model.net)
    theirs = chain_credit.changes(as_graph(model), x, with_labels(y), own(model))
    for name, change in model.updates(x, y).items():
        if name in model.weights:
            assert relative_error(as_before(change, theirs[name]), theirs[name]) < 1e-12


@every_network
def test_direct_feedback_alignment_broadcasts_the_tops_credit(network):
    """c_l = B_l c_L (Nøkland 2016, eq. 6), whatever lies between."""
    model = built(network().with_rule("direct_feedback_alignment"))
    x, y = shown(model.net)
    graph = as_graph(model)
    drives, rates = graph.settle(x)
    c_top = credit_of_labels(rates["IT"], y)
    credits = {"IT": c_top}
    for p in model.net.top_downs:
        credits[p.post] = c_top @ model.feedback.plastic_or_free(p.name).numpy().T
    theirs = graph.changes(credits, drives, rates)
    ours = model.updates(x, y)
    assert set(credits) == {p.post for p in model.net.bottom_ups if p.plasticity is not None}
    for name, change in ours.items():
        assert relative_error(as_before(change, theirs[name]), theirs[name]) < 1e-12


def test_a_chain_path_with_no_bottom_up_partner():
    """Feedback from IT straight to V1, beside the way through V2: one compartment each, summed."""
    net = chain()
    net = net.with_rule("feedback_alignment")
    net.top_down("IT", "V1", feedback="random")
    model = built(net)
    x, y = shown(net)
    graph = as_graph(model)
    drives, rates = graph.settle(x)
    credits = chain_credit.credits(graph, drives, with_labels(y)(rates["IT"]), own(model))
    credits["V1"] = credits["V1"] + credits["IT"] @ model.feedback.plastic_or_free("IT->V1").numpy().T
    theirs = graph.changes(credits, drives, rates)
    for name, change in model.updates(x, y).items():
        assert relative_error(change, theirs[name]) < 1e-12


def test_damping_turns_gait_prop_towards_backprop():
    """α → ∞: B → Wᵀ/α, backpropagation's direction."""
    net = chain(init=Spread())
    angles = []
    for damping in (0.0, 1.0, 1e4):
        model = built(net.with_rule("gait_prop", damping=damping))
        x, y = shown(net)
        theirs = model.backprop_updates(x, y)["retina->V1"].numpy()
        angles.append(cosine(model.updates(x, y)["retina->V1"].numpy(), theirs))
    assert angles[0] < angles[1] < angles[2]
    assert angles[2] > 1 - 1e-6


def test_the_reference_transpose_is_backprop_too():
    net = fan_out().with_rule("backprop")
    model = built(net)
    x, y = shown(net)
    theirs = chain_credit.changes(as_graph(model), x, with_labels(y), chain_credit.transposed)
    assert_changes(model.updates(x, y), theirs)


@pytest.mark.parametrize("word", ["backprop", "direct_feedback_alignment", "difference_target_prop"])
@pytest.mark.parametrize("goals", [np.zeros((1, 3)), np.zeros((4, 3)), np.zeros(1, int)])
def test_every_presentation_needs_a_goal_of_its_own(word, goals):
    """One goal would be broadcast over the batch in silence."""
    model = built(chain(objective="squared_error").with_rule(word))
    x, _ = shown(model.net)
    for ask in (model, model.updates, model.backprop_updates, model.credits):
        with pytest.raises(cs.DataError, match=f"{len(goals)} labels for 5 presentations"):
            ask(x, goals)
