"""Rules through grouped convolutions and pooling, against a chain of explicit float64 matrices."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import Spread
from sheet_networks import chain_of, inverses, sheets, shown
from sheets import synapses

import cortex_sim as cs
from cortex_sim.backends.torch.diagnostics import orthogonality_deviations
from cortex_sim.backends.torch.orthogonality import penalty_gradient, pull_back
from cortex_sim.rules.base import WORDS

REFUSED = {"target_prop": "chains of Dense", "covariance": "keeps mean_pre for each input"}
WORDS_THERE = sorted(set(WORDS) - set(REFUSED))


def built(word, pool="average", precision="64", seed=3, **settings):
    model = cs.torch.build(sheets(pool, **settings).with_rule(word), seed=seed, precision=precision)
    rng = np.random.default_rng(5)
    for bias in model.biases.values():
        bias.data.copy_(torch.as_tensor(rng.normal(scale=0.1, size=bias.shape)))
    return model


def assert_changes(model, wanted, x, y, tolerance=1e-11):
    found = model.updates(x, y, biases=True)
    for name, change in wanted.items():
        assert abs(change).max() > 1e-4
        assert relative_error(found[name].detach().numpy(), change) < tolerance, name


@pytest.mark.parametrize("pool", ["average", "max"])
@pytest.mark.parametrize("word", ["backprop", "gait_prop", "sign_symmetric", "feedback_alignment"])
def test_supervised_rules_are_the_chain_of_matrices(word, pool):
    model, (x, y) = built(word, pool), shown()
    chain, net = chain_of(model), model.net
    down = {
        "backprop": {},
        "gait_prop": inverses(net, chain.weights, damping=1e-3),
        "sign_symmetric": {n: np.sign(w) * np.sqrt(np.mean(w**2)) for n, w in chain.weights.items()},
    }.get(word)
    if down is None:
        fixed = {
            p.reverse_name: model.feedback.free[p.name]
            for p in net.top_downs
            if p.name in model.feedback.free
        }
        down = {n: b.numpy() if b.ndim == 4 else b.numpy().T for n, b in fixed.items()}
    _, drives = chain.settle(x)
    np.testing.assert_allclose(model.predict(x), drives["IT"], rtol=1e-11)
    assert_changes(model, chain.changes(x, y, down), x, y)
    assert_changes_of_backprop(model, chain, x, y)


def assert_changes_of_backprop(model, chain, x, y):
    found = model.backprop_updates(x, y)
    for name, change in chain.changes(x, y).items():
        if name in found:
            assert relative_error(found[name].detach().numpy(), change) < 1e-11, name


@pytest.mark.parametrize("settings", [{"damping": 0.0}, {"damping": 0.1, "rescale": True}], ids=str)
@pytest.mark.parametrize("solver", ["direct", "iterative"])
def test_each_group_is_inverted_by_itself(settings, solver):
    def model_of(low, high):
        net = sheets(init=Spread(low, high)).with_rule("gait_prop", **settings, solver=solver, iterations=40)
        return cs.torch.build(net, seed=3, precision="64")

    x, y = shown()
    model = model_of(0.95, 1.05) if solver == "iterative" else model_of(0.5, 2.0)
    chain = chain_of(model)
    assert_changes(model, chain.changes(x, y, inverses(model.net, chain.weights, **settings)), x, y, 1e-10)


def groups_with_gains(model, gains):
    """Let every group of V2->V4 be orthogonal with a gain of its own."""
    w = model.weights["V2->V4"].data
    for one, gain in zip(w.chunk(len(gains)), gains, strict=True):
        u, _, v = torch.linalg.svd(one.flatten(1), full_matrices=False)
        one.copy_((gain * u @ v).reshape(one.shape))
    model.renew_feedback()


@pytest.mark.parametrize("pool", ["average", "max"])
def test_on_orthogonal_groups_gait_prop_is_backprop(pool):
    model, (x, y) = built("gait_prop", pool, init="orthogonal"), shown()
    net = model.net
    exact = cs.torch.build(
        sheets(pool, init="orthogonal").with_rule("gait_prop", damping=0.0), seed=3, precision="64"
    )
    for name, change in exact.updates(x, y).items():
        assert relative_error(change, exact.backprop_updates(x, y)[name]) < 1e-12, name
    rescaled = cs.torch.build(net.with_rule("gait_prop", rescale=True), seed=3, precision="64")
    groups_with_gains(rescaled, (0.5, 3.0))
    for name, change in rescaled.updates(x, y).items():
        assert relative_error(change, rescaled.backprop_updates(x, y)[name]) < 1e-12, name
    assert max(orthogonality_deviations(rescaled).values()) < 1e-12


@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("pool", ["average", "max"])
def test_the_finite_form_is_the_limit_form(pool, auxiliary):
    limit, finite = (
        cs.torch.build(
            sheets(pool, init=Spread(0.7, 1.4), activation="tanh").with_rule(
                cs.GaitProp(form=form, normalised=form == "finite"), damping=0.0, auxiliary=auxiliary
            ),
            seed=3,
            precision="64",
        )
        for form in ("limit", "finite")
    )
    x, y = shown()
    ours, theirs = finite.updates(x, y), limit.updates(x, y)
    for name, change in theirs.items():
        assert relative_error(ours[name], change) < 1e-4, name


# -- local rules and learned feedback, group by group ---------------------------------------------


def parts(model, x, name):
    """For each group weights, what its places read and their post units, one at a time."""
    chain = chain_of(model)
    rates, _ = chain.settle(x)
    p = model.net.projections[name]
    pre, post = model.net.ends(p)
    c = p.connector
    w, below, above = chain.weights[name], rates[p.pre].reshape(-1, *pre), rates[p.post].reshape(-1, *post)
    ins, outs, (k1, k2) = pre[0] // c.groups, post[0] // c.groups, w.shape[2:]
    s, edge = c.stride, c.padding if isinstance(c.padding, tuple) else (c.padding,) * 2
    padded = np.pad(below, [(0, 0), (0, 0), (edge[0],) * 2, (edge[1],) * 2])
    for g in range(c.groups):
        read = [
            padded[n, g * ins : (g + 1) * ins, i * s : i * s + k1, j * s : j * s + k2].ravel()
            for n in range(len(x))
            for i, j in np.ndindex(*post[1:])
        ]
        mine = slice(g * outs, (g + 1) * outs)
        yield w[mine].reshape(outs, -1), np.stack(read), np.moveaxis(above[:, mine], 1, 3).reshape(-1, outs)


@pytest.mark.parametrize("name", ["retina->V1", "V2->V4"])
@pytest.mark.parametrize("rule", [cs.Hebbian(), cs.Oja(), cs.Sanger()], ids=lambda r: type(r).__name__)
def test_a_local_rule_sees_each_group_as_a_projection_of_its_own(rule, name):
    model, (x, y) = built(rule), shown()
    places = np.prod(model.net.populations[model.net.projections[name].post].shape[1:])
    wanted = [places * rule.change(*group) for group in parts(model, x, name)]
    found = model.updates(x, y)[name].detach().numpy()
    assert relative_error(found.reshape(len(found), -1), np.concatenate(wanted)) < 1e-11


def test_state_of_a_rule_is_that_of_each_group():
    model, (x, y) = built("bcm"), shown()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    model.attach(optimiser)
    rule = model.net.projections["V2->V4"].plasticity
    groups = list(parts(model, x, "V2->V4"))
    before = model.local.of("V2->V4")["theta"].numpy().copy()
    wanted = []
    for g, (w, pre, post) in enumerate(groups):
        mine = before[g * 3 : (g + 1) * 3]
        wanted.append(rule.change(w, pre, post, {"theta": mine})[1]["theta"])
    model.train()
    model(torch.as_tensor(x), torch.as_tensor(y)).backward()
    np.testing.assert_allclose(model.local.of("V2->V4")["theta"], np.concatenate(wanted), rtol=1e-11)
    assert not np.allclose(before, np.concatenate(wanted))


def test_feedback_that_learns_does_so_group_by_group():
    x, y = shown()
    model = built("kolen_pollack")
    changes = model.updates(x, y)
    torch.testing.assert_close(changes["V4->V2"], changes["V2->V4"], rtol=1e-11, atol=1e-13)
    for word in ("weight_mirror", "gait_prop_learned"):
        several = [built(word).updates(*shown(4000))["V4->V2"]]
        w = built(word).weights["V2->V4"].detach()
        b = built(word).feedback.learned["V4->V2"].detach()
        mirrored = w if word == "weight_mirror" else None
        if mirrored is None:  # ⟨(ξ − By) yᵀ⟩ = Wᵀ − B W Wᵀ, of each group
            each = [
                (o.flatten(1) - (o.flatten(1) @ o.flatten(1).T) @ d.flatten(1)).reshape(o.shape)
                for o, d in zip(w.chunk(2), b.chunk(2), strict=True)
            ]
            mirrored = torch.cat(each)
        cosine = torch.nn.functional.cosine_similarity(several[0].flatten(), mirrored.flatten(), 0)
        assert cosine > 0.99, word


def test_mirrored_feedback_estimates_each_groups_transpose():
    net = sheets()
    net.top_down("IT", "PIT", feedback=cs.Transpose(of="PIT->IT"))
    net.top_down("PIT", "V4", feedback=cs.Transpose(of="V4->PIT"))
    net.top_down("V4", "V2", feedback=cs.Mirrored(of="V2->V4", presentations=4000))
    drawn = net.initial_weights(0)
    w, b = drawn["V2->V4"], drawn["V4->V2"].ravel()
    inside = np.zeros(w.shape)  # places at which an entry of the kernel lies on no padding
    for weight, _, _ in synapses(net.projections["V2->V4"].connector, *net.ends(net.projections["V2->V4"])):
        inside[weight] += 1
    wanted = (w * inside).ravel()
    assert wanted @ b / np.linalg.norm(wanted) / np.linalg.norm(b) > 0.98


# -- orthogonality ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [None, 1.3])
def test_the_soft_penalty_is_that_of_each_group(gain):
    rule = cs.Orthogonality(strength=0.3, gain=gain)
    model, plain, (x, y) = built("backprop", regularisers=rule), built("backprop"), shown()
    grads = []
    for one in (model, plain):
        one.train()(torch.as_tensor(x), torch.as_tensor(y)).backward()
        grads.append(one.weights["V2->V4"].grad)
    w = model.weights["V2->V4"].detach().clone().requires_grad_()
    total = 0
    for one in w.chunk(2):
        flat = one.flatten(1)  # 3 post units, 8 inputs
        goal = (flat.square().sum() / 3).detach() if gain is None else gain**2
        total = total + (flat @ flat.T - goal * torch.eye(3, dtype=w.dtype)).square().sum()
    (0.3 * total).backward()
    torch.testing.assert_close(grads[0] - grads[1], w.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 8, 3), (3, 5, 5), (2, 3, 8)])
def test_the_penalty_without_the_diagonal_is_that_of_each_group(shape):
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    gram = w.mT @ w
    (0.3 * (gram - torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))).square().sum()).backward()
    ours = penalty_gradient(w.detach(), cs.Orthogonality(strength=0.3, diagonal=False), generator)
    torch.testing.assert_close(ours, w.grad, rtol=1e-10, atol=1e-12)


def test_probes_estimate_the_penalty_of_each_group():
    w = torch.randn(2, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    whole = penalty_gradient(w, cs.Orthogonality(strength=0.3), generator)
    probed = cs.Orthogonality(strength=0.3, probes=20_000)
    assert relative_error(penalty_gradient(w, probed, generator), whole) < 0.05


@pytest.mark.parametrize("word", ["backprop", "gait_prop"])
def test_hard_orthogonality_pulls_each_group_back(word):
    x, y = shown(12)
    model = built(word, init="orthogonal", regularisers=cs.HardOrthogonality(every=1))
    model.fit((x, y), 8, batch_size=4, optimiser={"name": "SGD", "lr": 0.1}, progress=False)
    assert orthogonality_deviations(model)["V2->V4"] < 1e-3
    free = built(word, init="orthogonal")
    free.fit((x, y), 8, batch_size=4, optimiser={"name": "SGD", "lr": 0.1}, progress=False)
    assert orthogonality_deviations(free)["V2->V4"] > 1e-2


def test_one_pull_is_newton_schulzs_step_or_the_polar_factor_of_each_group():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3, 8))
    near = (
        np.stack([np.linalg.svd(one, full_matrices=False)[2] for one in w])
        * np.array([1, 2, 3, 4.0])[:, None, None]
    )
    near = near + 0.02 * rng.normal(size=near.shape)
    for given in (near, near.swapaxes(-1, -2), w * np.array([1, 1, 1, 9.0])[:, None, None]):
        pulled = pull_back(torch.as_tensor(given.copy()), cs.HardOrthogonality(), "")
        alone = [pull_back(torch.as_tensor(one.copy()), cs.HardOrthogonality(), "") for one in given]
        np.testing.assert_allclose(pulled, torch.stack(alone), rtol=1e-10, atol=1e-12)


def test_auxiliary_units_fill_up_each_group():
    net = sheets().with_rule("gait_prop", damping=0.0, auxiliary=True)
    model, plain = (
        cs.torch.build(n, seed=3, precision="64") for n in (net, sheets().with_rule("gait_prop", damping=0.0))
    )
    assert model.feedback.auxiliary["V2->V4"].shape == (2, 5, 8)
    x, y = shown()
    for name, change in model.updates(x, y).items():
        torch.testing.assert_close(change, plain.updates(x, y)[name], rtol=1e-9, atol=1e-11)


# -- everything else that a projection has ----------------------------------------------------------


@pytest.mark.parametrize("pool", ["average", "max"])
@pytest.mark.parametrize("word", WORDS_THERE)
def test_every_rule_trains_them(word, pool):
    model = built(word, pool)
    x, y = shown()
    changes = model.updates(x, y)
    assert {"retina->V1", "V2->V4", "PIT->IT"} <= set(changes)
    assert all(torch.isfinite(change).all() for change in changes.values())


@pytest.mark.parametrize("word", REFUSED)
def test_what_has_no_meaning_there_is_refused_by_name(word):
    with pytest.raises(cs.DeclarationError, match=REFUSED[word]):
        sheets().with_rule(word)


@pytest.mark.parametrize(
    "feedback", [cs.Inverse(of="V1->V2"), cs.Random(), cs.SignSymmetric(of="V1->V2")], ids=str
)
def test_feedback_beside_pooling_is_its_transpose_or_refused(feedback):
    net = sheets()
    with pytest.raises(
        cs.DeclarationError, match="V2->V1: AveragePool2d of V1->V2 has no weights .*Transpose"
    ):
        net.top_down("V2", "V1", feedback=feedback)


def test_rank_deficient_groups_are_named():
    net = sheets()
    kernel = net.initial_weights(0)["V2->V4"]
    kernel[1] = kernel[0]
    link = cs.Conv2d(2, stride=2, padding=1, groups=2, init=kernel)
    net.projections["V2->V4"] = replace(net.projections["V2->V4"], connector=link)
    with pytest.raises(cs.BuildError, match="V2->V4: weights have rank 2 of 3 in one of its groups"):
        cs.torch.build(net.with_rule("gait_prop", damping=0.0))


def test_dale_gives_every_channel_one_sign_within_its_group():
    net = sheets()
    net.projections.clear()
    net.bottom_up(
        "retina",
        "V1",
        cs.Conv2d((3, 5), padding=1, groups=2),
        plasticity="backprop",
        constraint=cs.Dale(inhibitory=(1,)),
    )
    w = net.initial_weights(0)["retina->V1"]
    assert (w[:2] >= 0).all() and (w[2:] <= 0).all() and w[:2].any() and w[2:].any()


def test_training_is_resumed_bit_for_bit(tmp_path):
    x, y = shown(12)
    settings = {"batch_size": 4, "optimiser": {"name": "SGD", "lr": 0.1}, "progress": False}
    net = sheets(regularisers=cs.HardOrthogonality(every=2)).with_rule("gait_prop", refresh=2)
    whole = cs.torch.build(net, seed=3)
    whole.fit((x, y), 2, **settings)
    again = cs.torch.build(net, seed=8, state=whole.state())
    np.testing.assert_array_equal(again.predict(x), whole.predict(x))
    cs.save(whole, tmp_path / "sheets.safetensors")
    loaded = cs.torch.build(net, state=tmp_path / "sheets.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), whole.predict(x))
