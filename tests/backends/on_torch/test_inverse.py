import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Spread, built, chain, dense_chain, shown

import cortex_sim as cs
from cortex_sim.backends.torch.inverse import (
    auxiliary_inverse,
    complement,
    difference_to_transpose,
    gram_inverse,
    inverse_from_gram,
)


def our_b(w, **settings_):
    w = torch.as_tensor(w)
    return inverse_from_gram(w, gram_inverse(w, cs.Inverse(of="A->B", **settings_), "A->B").kept).numpy()


def by_svd(w, damping):
    u, s, v = np.linalg.svd(w, full_matrices=False)
    return (v.T * (s / (s**2 + damping))) @ u.T


@settings(max_examples=40, deadline=None)
@given(post=st.integers(1, 12), pre=st.integers(1, 12), damping=st.sampled_from([0, 1e-3, 1.0]),
       seed=st.integers(0, 10**6))  # fmt: skip
def test_direct_is_the_damped_pseudo_inverse(post, pre, damping, seed):
    w = Spread(0.3, 3).draw(np.random.default_rng(seed), post, pre)
    assert relative_error(our_b(w, damping=damping), by_svd(w, damping)) < 1e-10
    if damping == 0:
        assert relative_error(our_b(w, damping=0), np.linalg.pinv(w)) < 1e-10


@pytest.mark.parametrize("post, pre", [(5, 11), (11, 5)])
def test_rescaling_is_by_the_mean_squared_singular_value(post, pre):
    w = Spread().draw(np.random.default_rng(0), post, pre)
    s2 = (np.linalg.svd(w, compute_uv=False) ** 2).mean()
    rescaled = our_b(w, damping=0.1, rescale=True)
    assert relative_error(rescaled, (s2 + 0.1) * by_svd(w, 0.1)) < 1e-12


@pytest.mark.parametrize("post, pre", [(5, 11), (11, 5)])
@pytest.mark.parametrize("rescale", [False, True])
def test_iterations_err_as_the_power_of_the_deviation(post, pre, rescale):
    """c₀ = Wᵀu/β, c ← c + (Wᵀ(u − Wc) − αc)/β, β = s² + α (DESIGN 3.1); the error is ρᵏ⁺¹."""
    w, alpha = 1.5 * Spread(0.97, 1.03).draw(np.random.default_rng(0), post, pre), 0.05
    beta = (w**2).sum() / min(w.shape) + alpha
    exact = by_svd(w, alpha) * (beta if rescale else 1)
    for k in (1, 2, 4):
        c = w.T / beta
        for _ in range(k):
            c = c + (w.T @ (np.eye(post) - w @ c) - alpha * c) / beta
        given_settings = {"solver": "iterative", "iterations": k, "damping": alpha}
        ours = our_b(w, rescale=rescale, **given_settings)
        assert relative_error(ours, c * (beta if rescale else 1)) < 1e-12
        assert relative_error(ours, exact) < 0.07 ** (k + 1)


@pytest.mark.parametrize("post, pre", [(5, 11), (11, 5)])
def test_far_from_orthogonal_the_direct_solver_takes_over(post, pre, caplog):
    w = Spread().draw(np.random.default_rng(0), post, pre)
    with caplog.at_level(logging.WARNING):
        ours = our_b(w, solver="iterative", damping=1e-3)
    assert relative_error(ours, by_svd(w, 1e-3)) < 1e-10
    assert "A->B" in caplog.text and "solved directly" in caplog.text


@pytest.mark.parametrize("shape", [(5, 11), (11, 5), (3, 5, 11)])
@pytest.mark.parametrize("rescale", [False, True])
def test_within_the_tolerance_the_series_is_left_out(shape, rescale):
    """It errs by the norm of E = I − (G + αI)/β: where the tolerance is above that, M is I/β."""
    rng, alpha = np.random.default_rng(0), 0.05
    w = np.stack([Spread(0.97, 1.03).draw(rng, *shape[-2:]) for _ in range(int(np.prod(shape[:-2])))])
    s2 = (w**2).sum((-2, -1)) / min(shape[-2:])
    values = np.linalg.svd(w, compute_uv=False) ** 2
    errs = float(np.abs(1 - (values + alpha) / (s2 + alpha)[:, None]).max())
    given_settings = {"solver": "iterative", "damping": alpha, "rescale": rescale}
    for tolerance, left_out in ((1.05 * errs, True), (0.5 * errs, False)):
        inverse = cs.Inverse(of="A->B", tolerance=tolerance, **given_settings)
        kept = gram_inverse(torch.as_tensor(w.reshape(shape)), inverse, "A->B").kept
        one = torch.eye(min(shape[-2:]), dtype=kept.dtype)
        beta = 1.0 if rescale else torch.as_tensor((s2 + alpha).reshape(*shape[:-2], 1, 1))
        assert torch.allclose(kept, (one / beta).expand_as(kept), rtol=1e-12, atol=0) == left_out


def test_the_iterative_solver_in_a_network(caplog):
    net = chain(init=Spread(0.99, 1.01))
    x, y = shown(net)
    direct = built(net.with_rule("gait_prop")).updates(x, y)
    series = built(net.with_rule("gait_prop", solver="iterative", iterations=3)).updates(x, y)
    for name, change in series.items():
        assert relative_error(change, direct[name]) < 1e-5
    assert not caplog.records


@pytest.mark.parametrize("sizes", [(13, 7, 5, 3), (13, 3, 5, 7)])
@pytest.mark.parametrize("rescale", [False, True])
def test_where_weights_are_orthogonal_the_series_is_a_number(sizes, rescale):
    """Its product is left out, the credit is the direct solver's; off orthogonal, it is made again."""
    net = dense_chain(sizes, init=cs.Orthogonal(gain=1.4))
    x, y = shown(net)
    given_settings = {"damping": 0.1, "rescale": rescale}
    model = built(
        net.with_rule("gait_prop", solver="iterative", iterations=6, tolerance=1e-3, **given_settings)
    )
    direct = built(net.with_rule("gait_prop", **given_settings))
    number = model.feedback.kept_gram("V2->V1")
    assert number == pytest.approx(1 if rescale else 1 / (1.4**2 + 0.1))
    for name, change in direct.updates(x, y).items():
        assert relative_error(model.updates(x, y)[name], change) < 1e-12
    off = {n: w + 0.01 * w.roll(1, 0) for n, w in direct.weights.items()}
    for one in (model, direct):
        one.set_weights({n: w.detach() for n, w in off.items()})
    assert isinstance(model.feedback.kept_gram("V2->V1"), torch.Tensor)
    for name, change in direct.updates(x, y).items():
        assert relative_error(model.updates(x, y)[name], change) < 1e-9


@settings(max_examples=30, deadline=None)
@given(post=st.integers(1, 12), pre=st.integers(1, 12), groups=st.integers(1, 3),
       damping=st.sampled_from([1e-3, 0.3]), solver=st.sampled_from(["direct", "iterative"]),
       seed=st.integers(0, 10**6))  # fmt: skip
def test_the_difference_kept_is_that_of_the_rescaled_inverse_to_the_transpose(
    post, pre, groups, damping, solver, seed
):
    rng = np.random.default_rng(seed)
    w = np.stack([Spread(0.3, 3).draw(rng, post, pre) for _ in range(groups)])
    s2 = (np.linalg.svd(w, compute_uv=False) ** 2).mean(-1)
    inverse = cs.Inverse(
        of="A->B", damping=damping, rescale=True, solver=solver, iterations=40, keeps="difference"
    )
    kept = difference_to_transpose(torch.as_tensor(w), inverse, "A->B").kept.numpy()
    for each, block, scale in zip(kept, w, s2, strict=True):
        b = (scale + damping) * by_svd(block, damping)
        assert np.abs(each.T - (b - block.T)).max() < 1e-9 * max(1, np.abs(b).max())


@pytest.mark.parametrize("sizes", [(13, 7, 5, 3), (13, 3, 5, 7)])
def test_between_renewals_feedback_is_the_present_transpose_and_the_difference_kept(sizes):
    """B = W(t)ᵀ + B(0) − W(0)ᵀ until the next renewal; credit by products written out."""
    net = dense_chain(sizes, init=Spread(0.7, 1.3))
    x, y = shown(net)
    net = net.with_rule("gait_prop", damping=0.1, rescale=True, refresh=3, keeps="difference")
    model = built(net)
    first = {n: w.detach().numpy().copy() for n, w in model.weights.items()}
    inverted = {}
    for name, w in first.items():
        s2 = (w**2).sum() / min(w.shape)
        inverted[name] = (s2 + 0.1) * by_svd(w, 0.1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    model.train()
    for done in range(4):
        for name in model.feedback.inverses:
            up = model.net.projections[name].reverse_name
            w = model.weights[up].detach()
            if done == 3:  # renewed
                s2 = float((w**2).sum()) / min(w.shape)
                expected = (s2 + 0.1) * by_svd(w.numpy(), 0.1)
            else:
                expected = w.numpy().T + inverted[up] - first[up].T
            assert relative_error(model.feedback.matrix(name, w).numpy(), expected) < 1e-12
            moved = np.abs(w.numpy() - first[up]).max()
            assert (moved > 1e-4) == (done > 0)
        step(model, optimiser, x, y)


def test_credit_with_the_difference_kept_is_credit_with_gram_where_just_renewed():
    net = dense_chain((13, 7, 9, 3), init=Spread(0.7, 1.3))
    x, y = shown(net)
    by = {how: built(net.with_rule("gait_prop", damping=0.1, rescale=True, keeps=how)).updates(x, y)
          for how in ("gram", "difference")}  # fmt: skip
    for name, change in by["gram"].items():
        assert relative_error(by["difference"][name], change) < 1e-12


def test_no_difference_is_left_where_the_series_is_left_out():
    net = dense_chain((13, 7, 5, 3), init=cs.Orthogonal(gain=1.4))
    how = {"solver": "iterative", "tolerance": 1e-3, "damping": 0.1, "rescale": True, "keeps": "difference"}
    model = built(net.with_rule("gait_prop", **how))
    assert model.feedback.kept_gram("V2->V1") == 1.0
    w = model.weights["V1->V2"].detach()
    assert torch.equal(model.feedback.matrix("V2->V1", w), w.T)
    model.set_weights({n: v.detach() + 0.05 * v.detach().roll(1, 0) for n, v in model.weights.items()})
    assert model.feedback.kept_gram("V2->V1") is None
    w = model.weights["V1->V2"].detach()
    assert not torch.equal(model.feedback.matrix("V2->V1", w), w.T)


def test_auxiliary_units_give_the_columns_of_the_square_inverse():
    rng = np.random.default_rng(0)
    w, a = rng.normal(size=(3, 7)), rng.normal(size=(4, 7))
    ours = auxiliary_inverse(torch.as_tensor(w), torch.as_tensor(a), False).kept
    assert relative_error(ours, np.linalg.inv(np.concatenate([w, a]))[:, :3]) < 1e-10


def test_the_complement_starts_orthogonal_and_of_equal_gain():
    w = torch.as_tensor(1.7 * Spread(1, 1).draw(np.random.default_rng(0), 3, 7))
    both = torch.cat([w, complement(w)])
    np.testing.assert_allclose(both @ both.T, 1.7**2 * np.eye(7), atol=1e-12)


def step(model, optimiser, x, y):
    optimiser.zero_grad()
    model(x, y).backward()
    optimiser.step()


@pytest.mark.parametrize("network_sizes", [(13, 7, 5, 3), (13, 3, 5, 7)])
@pytest.mark.parametrize("refresh", [1, 3])
def test_refresh_keeps_the_gram_and_follows_the_weights(network_sizes, refresh):
    """Between renewals B = WᵀM (or MWᵀ) with the present W and the M of the last renewal."""
    net = dense_chain(network_sizes).with_rule("gait_prop", refresh=refresh)
    model = built(net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3)
    model.attach(optimiser)
    x, y = shown(net)
    old = model.weights["V1->V2"].detach().numpy().copy()
    for done in range(1, 7):
        step(model, optimiser, x, y)
        w = model.weights["V1->V2"].detach().numpy()
        if done % refresh == 0:
            old = w.copy()
        wide = old.shape[0] <= old.shape[1]
        g = old @ old.T if wide else old.T @ old
        m = np.linalg.inv(g + 1e-3 * np.eye(len(g)))
        expected = w.T @ m if wide else m @ w.T
        assert relative_error(model.feedback.stored("V2->V1", model.weights["V1->V2"]), expected) < 1e-9


def test_without_an_optimiser_feedback_follows_at_once():
    net = chain().with_rule("gait_prop", damping=0, refresh=100)
    model = built(net)
    x, y = shown(net)
    before = model.updates(x, y)["retina->V1"]
    with torch.no_grad():
        model.weights["V2->IT"].mul_(2)
    fresh = built(net)
    fresh.set_weights({n: w.detach() for n, w in model.weights.items()})
    after = model.updates(x, y)["retina->V1"]
    assert relative_error(after, fresh.updates(x, y)["retina->V1"]) < 1e-12
    assert relative_error(after, before) > 0.1


def poor(sizes=(5, 7)):
    w = np.random.default_rng(0).normal(size=sizes)
    w[-1] = w[0]
    return w


def with_poor_weights(connector, **feedback):
    net = cs.Network("rank")
    conv = isinstance(connector, cs.Conv2d)
    net.population("retina", shape=(2, 2, 2) if conv else (8,))
    net.population("V1", shape=(7, 2, 2) if conv else (7,))
    net.population("IT", shape=(5, 2, 2) if conv else (5,))
    net.bottom_up("retina", "V1", cs.Conv2d(1) if conv else cs.Dense(), plasticity="backprop")
    net.bottom_up("V1", "IT", connector, plasticity="backprop")
    net.objective("IT", "squared_error")
    return net.with_rule("gait_prop", **feedback)


@pytest.mark.parametrize("connector", [cs.Dense(init=poor()), cs.Conv2d(1, init=poor().reshape(5, 7, 1, 1))])
@pytest.mark.parametrize("precision", ["32", "64"])
def test_weights_without_an_inverse_are_refused_by_name(connector, precision):
    net = with_poor_weights(connector, damping=0)
    with pytest.raises(cs.BuildError, match="projection V1->IT: weights have rank 4 of 5"):
        cs.torch.build(net, precision=precision)
    assert cs.torch.build(with_poor_weights(connector, damping=1e-3), precision=precision)


def test_weights_that_lose_their_rank_later_are_named():
    net = chain().with_rule("gait_prop", damping=0)
    model = built(net)
    with pytest.raises(cs.RunError, match="projection V2->IT: its weights have lost full rank"):
        model.set_weights({"V2->IT": np.zeros((3, 7))})


def test_singular_auxiliary_units_are_named():
    net = chain().with_rule("gait_prop", damping=0, auxiliary=True)
    model = built(net)
    model.feedback.auxiliary["V2->IT"].data.zero_()
    with pytest.raises(cs.RunError, match="projection V2->IT: weights and auxiliary units together form"):
        model.renew_feedback()


def test_auxiliary_units_beside_a_widening_projection_are_refused():
    net = dense_chain((13, 3, 5, 2))
    with pytest.raises(cs.DeclarationError, match="auxiliary units can only add to a smaller post"):
        net.with_rule("gait_prop", damping=0, auxiliary=True)


def test_beside_a_convolution_the_inverse_is_the_patches():
    net = with_poor_weights(cs.Conv2d(1, init=Spread()), damping=0.1)
    model = built(net)
    kernel = model.feedback.stored("IT->V1", model.weights["V1->IT"])
    w = model.weights["V1->IT"].detach().numpy().reshape(5, 7)
    assert kernel.shape == (5, 7, 1, 1)
    assert relative_error(kernel.reshape(5, 7).T, by_svd(w, 0.1)) < 1e-12


def test_settings_are_fixed_at_declaration():
    with pytest.raises(cs.DeclarationError, match='solver must be "direct" or "iterative"'):
        cs.Inverse(of="A->B", solver="exact")
    with pytest.raises(cs.DeclarationError, match="give damping=0 with auxiliary=True"):
        cs.Inverse(of="A->B", auxiliary=True)
    assert replace(cs.Inverse(of="A->B"), damping=0).damping == 0
