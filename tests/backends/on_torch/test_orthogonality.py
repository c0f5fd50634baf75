import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import Spread, built, dense_chain, shown

import cortex_sim as cs
from cortex_sim.backends.torch.orthogonality import deviation, gram, outer, penalty_gradient, pull_back

SHAPES = [pytest.param((3, 7), id="wide"), pytest.param((7, 3), id="tall"), (5, 5)]


def weights(shape, seed=0, scale=1.0):
    drawn = np.random.default_rng(seed).normal(size=shape) * scale
    return torch.tensor(drawn, requires_grad=True)


def smaller_gram(w):
    return w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w


def of(w, rule, seed=0):
    return penalty_gradient(w.detach(), rule, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 1.4])
def test_soft_penalty_is_autograd_of_what_it_says(shape, gain):
    """λ‖G − g²I‖², G = WWᵀ, or WᵀW where post units outnumber inputs (arXiv 2102.11598)."""
    w = weights(shape)
    g = smaller_gram(w)
    (0.3 * (g - gain**2 * torch.eye(len(g), dtype=g.dtype)).square().sum()).backward()
    ours = of(w, cs.Orthogonality(strength=0.3, gain=gain))
    assert relative_error(ours, w.grad) < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_without_the_diagonal(shape):
    """λ Σ_{i≠j} (WᵀW)_ij², as the code of arXiv 2006.06438 has it, whose weights are (input, unit)."""
    w = weights(shape)
    g = w.T @ w
    (0.3 * (g.square().sum() - g.diagonal().square().sum())).backward()
    ours = of(w, cs.Orthogonality(0.3, diagonal=False))
    assert relative_error(ours, w.grad) < 1e-12
    theirs = w.detach().numpy().T  # (input, unit)
    overlap = theirs @ theirs.T
    step = 4 * 0.3 * (overlap - np.diag(np.diag(overlap))) @ theirs
    np.testing.assert_allclose(ours.numpy(), step.T, atol=1e-12)


def test_without_the_diagonal_norms_of_columns_are_free():
    """Orthogonal columns of any norm are at rest; orthogonal rows of unequal norm are not."""
    q = torch.linalg.qr(weights((5, 5)).detach())[0]
    norms = torch.linspace(0.7, 1.3, 5, dtype=q.dtype)
    rule = cs.Orthogonality(0.3, diagonal=False)
    assert of(q * norms, rule).abs().max() < 1e-12
    assert of(norms[:, None] * q, rule).abs().max() > 0.01
    assert of(q * norms, cs.Orthogonality(0.3)).abs().max() > 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_a_free_gain_is_that_of_the_weights(shape):
    """λ‖G − s²I‖², s² = tr G/n, differentiated through s² too."""
    w = weights(shape)
    g = smaller_gram(w)
    (0.3 * (g - g.trace() / len(g) * torch.eye(len(g), dtype=g.dtype)).square().sum()).backward()
    assert relative_error(of(w, cs.Orthogonality(0.3, gain=None)), w.grad) < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_probes_estimate_the_whole_gradient_without_bias(shape):
    w = weights(shape, scale=0.5)
    whole = of(w, cs.Orthogonality(0.3))
    draws = torch.stack([of(w, cs.Orthogonality(0.3, probes=4), seed) for seed in range(3000)])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - whole).abs() < 5 * error).all()
    assert relative_error(draws.mean(0), whole) < 0.1
    assert relative_error(draws[0], whole) > 0.1


def pair(regulariser, post=3, pre=7, **feedback):
    net = dense_chain((11, pre, post), init=Spread(0.7, 1.4), objective="squared_error")
    net = net.with_rule("gait_prop", **feedback)
    up = net.projection("V1->IT")
    net.projections[up.name] = replace(up, regularisers=(regulariser,))
    return net


@pytest.mark.parametrize("post, pre", [(3, 7), (7, 3)])
def test_reaches_the_gradient_of_its_projection_only(post, pre):
    rule = cs.Orthogonality(0.3)
    net = pair(rule, post, pre)
    model = built(net)
    x, _ = shown(net)
    goal = np.zeros((len(x), post))
    change = model.updates(x, goal)
    model(x, goal).backward()
    added = {n: w.grad + change[n] for n, w in model.weights.items()}
    assert relative_error(added["V1->IT"], of(model.weights["V1->IT"], rule)) < 1e-9
    assert not added["retina->V1"].abs().max() > 1e-15


def test_beside_a_convolution_it_acts_on_the_kernel_as_a_matrix():
    net = cs.Network("conv")
    net.population("retina", shape=(2, 4, 4))
    net.population("V1", shape=(3, 3, 3))
    rule = cs.Orthogonality(0.3)
    field = cs.Conv2d(2, init=Spread())
    net.bottom_up("retina", "V1", field, plasticity="backprop", regulariser=rule)
    net.objective("V1", "squared_error")
    model = built(net)
    x, _ = shown(net)
    goal = np.zeros((len(x), 27))
    change = model.updates(x, goal)["retina->V1"]
    model(x, goal).backward()
    w = model.weights["retina->V1"]
    assert relative_error((w.grad + change).flatten(1), of(w.flatten(1), rule)) < 1e-9


def test_auxiliary_rows_are_part_of_the_matrix():
    """λ‖W̃W̃ᵀ − I‖², W̃ = [W; A]; both parts move."""
    net = pair(cs.Orthogonality(0.3), damping=0, auxiliary=True)
    model = built(net)
    extra = model.feedback.auxiliary["V1->IT"]
    extra.data += 0.1 * torch.ones_like(extra)
    x, _ = shown(net)
    goal = np.zeros((len(x), 3))
    change = model.updates(x, goal)["V1->IT"]
    model(x, goal).backward()
    w = model.weights["V1->IT"].detach().clone().requires_grad_()
    a = extra.detach().clone().requires_grad_()
    both = torch.cat([w, a])
    (0.3 * (both @ both.T - torch.eye(7, dtype=w.dtype)).square().sum()).backward()
    assert relative_error(model.weights["V1->IT"].grad + change, w.grad) < 1e-9
    assert relative_error(extra.grad, a.grad) < 1e-12


def test_descending_the_penalty_makes_weights_orthogonal():
    w = torch.tensor(Spread().draw(np.random.default_rng(0), 5, 11))
    for _ in range(500):
        w = w - 0.05 * of(w, cs.Orthogonality(1.0))
    np.testing.assert_allclose(w @ w.T, np.eye(5), atol=1e-9)


# -- hard ------------------------------------------------------------------------------------------


def spread(shape, low, high, seed=0):
    return torch.tensor(Spread(low, high).draw(np.random.default_rng(seed), *shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_newton_schulz_squares_the_deviation_and_keeps_the_gain(shape, gain):
    w = gain * spread(shape, 0.95, 1.05)
    s2 = w.square().sum() / min(shape)
    pulled = pull_back(w, cs.HardOrthogonality(), "")
    assert deviation(pulled) < 2 * deviation(w) ** 2
    assert pulled.square().sum() / min(shape) == pytest.approx(float(s2), rel=5e-3)
    for _ in range(5):
        pulled = pull_back(pulled, cs.HardOrthogonality(), "")
    assert deviation(pulled) < 1e-12


def test_one_step_is_the_equation():
    """X + ½ρ(X − XXᵀX) on X = W/s."""
    w = spread((3, 7), 0.8, 1.2)
    s = float((w.square().sum() / 3).sqrt())
    x = w / s
    for strength in (1.0, 0.4):
        expected = s * (x + 0.5 * strength * (x - x @ x.T @ x))
        assert relative_error(pull_back(w, cs.HardOrthogonality(strength=strength), ""), expected) < 1e-12
    x = x + 0.5 * (x - x @ x.T @ x)
    twice = s * (x + 0.5 * (x - x @ x.T @ x))
    assert relative_error(pull_back(w, cs.HardOrthogonality(steps=2), ""), twice) < 1e-12


@pytest.mark.parametrize("shape", [(5, 11), (11, 5)])
def test_above_root_three_the_polar_factor_takes_over(shape, caplog):
    """One singular value at 2 of the mean: Newton–Schulz would turn it around."""
    drawn = spread(shape, 1, 1)
    u, _, v = np.linalg.svd(drawn.numpy(), full_matrices=False)
    values = np.array([9.0, 1, 1, 1, 1])
    w = torch.tensor(u * values @ v)
    s = np.sqrt((values**2).mean())
    with caplog.at_level(logging.WARNING):
        pulled = pull_back(w, cs.HardOrthogonality(), "projection V1->V2")
    assert relative_error(pulled, s * u @ v) < 1e-12
    assert "projection V1->V2" in caplog.text and "made exactly orthogonal" in caplog.text


@pytest.mark.parametrize("largest", [1.2, 1.5, 1.58, 1.65, 1.8])
def test_from_any_spread_it_converges(largest):
    rest = np.sqrt((5 - largest**2) / 4)
    u, _, v = np.linalg.svd(spread((5, 11), 1, 1).numpy(), full_matrices=False)
    w = torch.tensor(u * np.array([largest, rest, rest, rest, rest]) @ v)
    for _ in range(12):
        w = pull_back(w, cs.HardOrthogonality(), "")
        assert torch.isfinite(w).all()
    assert deviation(w) < 1e-9


@pytest.mark.parametrize("every", [1, 3])
def test_acts_after_every_nth_step_on_dense_conv_and_widening(every):
    net = cs.Network("mixed")
    net.population("retina", shape=(2, 4, 4))
    net.population("V1", shape=(3, 3, 3))
    net.population("IT", 29)
    hard = cs.HardOrthogonality(every=every)
    start = Spread(0.9, 1.1)
    net.bottom_up("retina", "V1", cs.Conv2d(2, init=start), plasticity="backprop", regulariser=hard)
    net.bottom_up("V1", "IT", cs.Dense(init=start), plasticity="backprop", regulariser=hard)
    net.objective("IT", "squared_error")
    model = built(net.with_rule("backprop"))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    model.attach(optimiser)
    x, _ = shown(net)
    before = {n: deviation(w.flatten(1)) for n, w in model.weights.items()}
    for step in range(1, 4):
        optimiser.zero_grad()
        model(x, np.zeros((len(x), 29))).backward()
        optimiser.step()
        for name, w in model.weights.items():
            now = deviation(w.flatten(1))
            assert (now < 0.2 * before[name]) == (step >= every), (name, step)


def test_without_an_optimiser_it_refuses_to_be_forgotten():
    net = pair(cs.HardOrthogonality())
    model = built(net)
    x, _ = shown(net)
    goal = np.zeros((len(x), 3))
    model(x, goal).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(cs.RunError, match="call model.attach"):
        model(x, goal)


def test_deviation():
    assert deviation(3.0 * torch.linalg.qr(torch.randn(7, 7, dtype=torch.float64))[0][:3]) < 1e-12
    w = torch.diag(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert deviation(w) == pytest.approx(np.linalg.norm([1 / 2.5 - 1, 4 / 2.5 - 1]) / np.sqrt(2))


@pytest.mark.parametrize("shape", [(1100, 3), (1024, 1030), (7, 11)])
def test_a_large_gram_matrix_is_computed_by_halves(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.einsum("ik,jk->ij", x.numpy(), x.numpy(), optimize=True)
    assert relative_error(outer(x).numpy(), expected) < 1e-13


def test_the_smaller_gram_matrix_is_that_of_columns_too():
    w = torch.randn(1040, 1030, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert relative_error(gram(w).numpy(), w.numpy().T @ w.numpy()) < 1e-13
