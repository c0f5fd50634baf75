"""TDCA on torch: updates against the written-out equations, its limits, and that nothing else enters."""

import math

import credit_equations
import numpy as np
import pytest
import torch
from agreement import relative_error
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import built, chain, conv, dense_chain, shown

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.credit import CoarseMap, DenseCredit, NoDiffusion, SharedCredit, TrainedCredit, untrained

few = settings(max_examples=8, deadline=None)


def trained(network, seed=1):
    """A credit network none of whose parameters is too small to show."""
    rng = np.random.default_rng(seed)
    return TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})


def softmax_credit(top, label):
    odds = [math.exp(v) for v in top]
    return [(j == label) - o / sum(odds) for j, o in enumerate(odds)]


def expected_credits(model, credit, rates, label):
    """Credits of one presentation (top, hidden) from the parameters that were given, not from the model."""
    hidden = model.routes.teacher.hidden
    p = {n: v.tolist() for n, v in credit.parameters.items()}
    d = [model.feedback.fixed.get_buffer(f"TDCA {n}->{n}").tolist() for n in hidden]
    top = rates["IT"]
    seen = top, np.eye(len(top))[label].tolist(), softmax_credit(top, label)
    if isinstance(credit.network, SharedCredit):
        alpha = [model.feedback.fixed.get_buffer(f"TDCA base->TDCA {n}").tolist() for n in hidden]
        return credit_equations.shared(p, d, alpha, *seen)
    if credit.network.levels == 1:
        for i in range(len(hidden)):
            p[f"broadcast_{i}"], p[f"channels_{i}"] = p["broadcast_0"], p["channels_0"]
    return credit_equations.dense(p, d, *seen, [rates[n] for n in hidden] if credit.network.pooled else None)


def expected_changes(model, credit, x, y):
    """ΔW/η and Δb/η of a tanh chain with a linear top, presentation by presentation."""
    ups = model.net.bottom_ups
    w = [model.weights[p.name].detach().numpy() for p in ups]
    bias = [model.biases[p.post].detach().numpy() for p in ups]
    found = {p.name: np.zeros_like(m) for p, m in zip(ups, w, strict=True)}
    found |= {p.post: np.zeros_like(b) for p, b in zip(ups, bias, strict=True)}
    for stimulus, label in zip(x, y, strict=True):
        rates, gains = {"retina": stimulus}, {}
        for p, m, b in zip(ups, w, bias, strict=True):
            a = m @ rates[p.pre] + b
            rates[p.post] = a if p.post == "IT" else np.tanh(a)
            hidden = credit.network.gated and p.post != "IT"
            gains[p.post] = 1 - np.tanh(a) ** 2 if hidden else np.ones_like(a)
        top, below = expected_credits(model, credit, {n: r.tolist() for n, r in rates.items()}, label)
        credits = dict(zip(model.routes.teacher.hidden, below, strict=True)) | {"IT": top}
        for p in ups:
            u = np.array(credits[p.post]) * gains[p.post] / len(x)
            found[p.name] += np.outer(u, rates[p.pre])
            found[p.post] += u
    return found


@few
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    k=st.integers(1, 5),
    context=st.sampled_from(["error", "raw"]),
    form=st.sampled_from(["dense", "shared"]),
    pooled=st.booleans(),
    gated=st.booleans(),
    by_level=st.booleans(),
)
@example([3, 4, 5, 2], 3, "error", "dense", False, True, True)
def test_equals_the_equations(sizes, k, context, form, pooled, gated, by_level):
    if form == "shared":
        network = SharedCredit(k, 3, context, gated=gated)
    else:
        levels = max(1, len(sizes) - 2) if by_level else 1
        pooled = pooled and len(sizes) > 2
        network = DenseCredit(sizes[-1], k, 3, context, levels=levels, pooled=pooled, gated=gated)
    credit = trained(network)
    model = built(dense_chain(sizes).with_rule("tdca", credit=credit))
    x, y = shown(model.net)
    ours, theirs = model.updates(x, y, biases=True), expected_changes(model, credit, x, y)
    assert set(ours) == set(theirs)
    for name, change in ours.items():
        np.testing.assert_allclose(change.numpy(), theirs[name], rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("kernel", ["ring", CoarseMap(2)])
def test_maps_get_the_credit_of_their_units(kernel, gated):
    credit = trained(SharedCredit(4, 3, kernel=kernel, gated=gated))
    model = built(conv().with_rule("tdca", credit=credit))
    x, y = shown(model.net)
    drives, rates = model.settle(model.stimulus_tensor(x))
    found = model.credits(x, y)
    for b in range(len(x)):
        flat = {n: r[b].flatten().tolist() for n, r in rates.items()}
        top, below = expected_credits(model, credit, flat, y[b])
        for name, c in zip(("V1", "V2", "V4", "IT"), (*below, top), strict=True):
            np.testing.assert_allclose(found[name][b].flatten().numpy(), c, rtol=1e-9, atol=1e-10)
    ours = model.updates(x, y)
    for name, below in (("V1", "retina"), ("V2", "V1"), ("V4", "V2")):
        u = found[name] * (1 - drives[name].tanh() ** 2 if gated else 1)
        p = model.net.projection(f"{below}->{name}")
        change = torch.nn.grad.conv2d_weight(
            rates[below], model.weights[p.name].shape, u, p.connector.stride, p.connector.padding
        )
        assert relative_error(ours[p.name], change.detach() / len(x)) < 1e-12


def broadcast_alone(net, width):
    """A credit network that adds nothing to its broadcast, one channel per unit."""
    network = DenseCredit(3, width, 5, kernel=NoDiffusion())
    p = network.draw(0)
    return TrainedCredit(network, p | {n: 0 * p[n] for n in ("top", "channels_0")}, {})


def test_without_residual_or_diffusion_it_is_direct_feedback_alignment():
    net = dense_chain((7, 11, 3))
    credit = broadcast_alone(net, 11)
    ours = built(net.with_rule("tdca", credit=credit))
    theirs = net.with_rule("direct_feedback_alignment")
    theirs.projections.pop("IT->V1")
    theirs.top_down("IT", "V1", feedback=cs.Given(credit.parameters["broadcast_0"]))
    theirs = built(theirs)
    x, y = shown(net)
    mine, direct = ours.credits(x, y), theirs.credits(x, y)
    assert relative_error(mine["IT"], direct["IT"]) < 1e-12
    factor = mine["V1"] / direct["V1"]
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    size = [c.square().mean(1).sqrt() for c in (mine["V1"], mine["IT"])]
    torch.testing.assert_close(*size)
    one = ours.updates(x[:1], y[:1]), theirs.updates(x[:1], y[:1])
    torch.testing.assert_close(one[0]["retina->V1"], factor[0, 0] * one[1]["retina->V1"])
    torch.testing.assert_close(one[0]["V1->IT"], one[1]["V1->IT"])


@pytest.mark.parametrize("network", [DenseCredit(3, 4, 5, "raw"), SharedCredit(4, 5, "raw")])
def test_the_raw_context_reads_no_objective(network):
    """The objective is reported, its gradient is not in the update."""
    found = []
    for objective in (cs.CrossEntropy(), cs.SquaredError()):
        model = built(chain(objective=objective).with_rule("tdca", credit=trained(network)))
        x, y = shown(model.net)
        goal = np.eye(3)[y]
        found.append((model.updates(x, goal, biases=True), float(model.loss(x, goal))))
    for name, change in found[0][0].items():
        assert torch.equal(change, found[1][0][name])
        assert change.abs().max() > 1e-3
    assert found[0][1] != found[1][1] > 0


def test_the_top_hears_the_credit_network_and_not_the_objective_beside_it():
    credit = trained(DenseCredit(3, 4, 5))
    model = built(chain().with_rule("tdca", credit=credit))
    x, y = shown(model.net)
    top = model.credits(x, y)["IT"]
    _, rates = model.settle(model.stimulus_tensor(x))
    for b in range(len(x)):
        flat = {n: r[b].tolist() for n, r in rates.items()}
        np.testing.assert_allclose(top[b].numpy(), expected_credits(model, credit, flat, y[b])[0], atol=1e-10)


@pytest.mark.parametrize("network", [DenseCredit(3, 4, 5, pooled=True), SharedCredit(4, 5)])
def test_no_error_no_change_at_all(network):
    net = chain(objective="squared_error").with_rule("tdca", credit=trained(network))
    model = built(net)
    x, _ = shown(net)
    goal = model.settle(model.stimulus_tensor(x))[1]["IT"].detach()
    assert not any(change.any() for change in model.updates(x, goal, biases=True).values())


def test_an_optimiser_step_is_the_update_and_the_credit_network_stays():
    net = chain().with_rule("tdca", credit=trained(DenseCredit(3, 4, 5)))
    model = built(net)
    x, y = shown(net)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    ours = model.updates(x, y)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    model.train()(x, y).backward()
    optimiser.step()
    for name, tensor in model.state_dict().items():
        change = ours.get(name.removeprefix("weights."))
        if change is not None:
            torch.testing.assert_close(tensor, before[name] + 0.1 * change)
        elif not name.startswith(("biases.", "clock.")):
            assert torch.equal(tensor, before[name]), name
    assert not any("TDCA" in n for n, p in model.named_parameters() if p.requires_grad)


def test_it_learns_digits_from_a_broadcast_alone():
    images = cs.data.load("digits").standardised()
    net = cs.model("digits_mlp").with_rule("tdca", credit=untrained(DenseCredit()))
    model = cs.torch.build(net, seed=0)
    history = model.fit(images, epochs=4, optimiser={"name": "Adam", "lr": 1e-2}, progress=False)
    assert history[-1]["test_accuracy"] > 0.85


@pytest.mark.parametrize("network", [DenseCredit(3, 4, 5, "raw", pooled=True), SharedCredit(4, 5)])
def test_a_checkpoint_holds_all_of_it(tmp_path, network):
    net = chain("tanh", "he").with_rule("tdca", credit=trained(network))
    model = cs.torch.build(net, seed=3)
    x, y = shown(net, 8)
    trainer = Trainer(model, model.stimulus_tensor(x), model.target_tensor(y), 1, 4)
    with torch.no_grad():
        model.feedback.fixed.get_buffer("TDCA V1->V1").mul_(1.5)
    checkpoint.save(tmp_path / "c.safetensors", trainer, {})
    again = cs.torch.load(tmp_path / "c.safetensors")
    assert again.net == net
    for name, c in model.credits(x, y).items():
        assert torch.equal(again.credits(x, y)[name], c)


def test_readings_are_finite():
    from cortex_sim.backends.torch.diagnostics import diagnose

    model = built(chain().with_rule("tdca", credit=trained(DenseCredit(3, 4, 5))))
    readings = diagnose(model, *shown(model.net))
    assert all(0 < angle < 180 for angle in readings["angle_to_bp_deg"].values())
    assert all(norm > 0 for norm in readings["credit_norm"].values())
