"""Steps and their schedule against the equations in numpy, and Adam's against torch.optim."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.tdca.inner.step import Adam, Local, Mixed, Plain, rates

STEPS = {"mixed": Mixed(0.02, 0.05), "adam": Adam(0.05), "plain": Plain(0.1)}
RUNS, PLACES, POST, PRE = 2, 6, 3, 5


def eta_by_hand(parameters, done, horizon):
    """exp(rate + slope log(T/100)) ((1 + cos πt/T)/2)^softplus(fall + log(e − 1)), role by part."""
    found = np.zeros(parameters["step_fall"].shape)
    for role, part in np.ndindex(found.shape):
        rate, slope = parameters["step_rate"][role, part]
        power = np.log1p(np.exp(parameters["step_fall"][role, part] + np.log(np.e - 1)))
        left = (1 + np.cos(np.pi * done / horizon)) / 2
        found[role, part] = np.exp(rate + slope * np.log(horizon / 100)) * left**power
    return found


class ByHand:
    """One inner run's layer, step after step, from the equations on top of the module."""

    def __init__(self, w, b):
        self.w, self.b, self.t = w.copy(), b.copy(), 0
        self.energy, self.moments = (
            0.0,
            [np.zeros_like(w), np.zeros_like(w), np.zeros_like(b), np.zeros_like(b)],
        )

    def take(self, name, eta, u, seen, presentations):
        self.t += 1
        dw, db = u.T @ seen / presentations, u.sum(0) / presentations
        self.energy = 0.9 * self.energy + 0.1 * ((seen**2).sum(1).mean() + 1)
        kept = []
        for i, g in ((0, dw), (2, db)):
            self.moments[i] = 0.9 * self.moments[i] + 0.1 * g
            self.moments[i + 1] = 0.99 * self.moments[i + 1] + 0.01 * g**2
            m, v = self.moments[i] / (1 - 0.9**self.t), self.moments[i + 1] / (1 - 0.99**self.t)
            kept.append(m / np.sqrt(v + 1e-12))
        fan_in = np.sqrt(196 / seen.shape[1])
        if name == "plain":
            self.w, self.b = self.w + eta[0] * dw, self.b + eta[0] * db
        elif name == "adam":
            self.w, self.b = self.w + eta[0] * fan_in * kept[0], self.b + eta[0] * fan_in * kept[1]
        else:
            one = eta[0] * 30 * (1 - 0.9**self.t) / self.energy
            self.w = self.w + one * dw + eta[1] * fan_in * kept[0]
            self.b = self.b + one * db + eta[1] * fan_in * kept[1]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", STEPS)
def test_several_steps_equal_the_equations(name, grad):
    step, rng = STEPS[name], np.random.default_rng(0)
    parameters = {k: p + 0.2 * rng.normal(size=p.shape) for k, p in step.draw().items()}
    tensors = {k: torch.as_tensor(p) for k, p in parameters.items()}
    w, b = rng.normal(size=(RUNS, POST, PRE)), rng.normal(size=(RUNS, 1, POST))
    by_hand = [ByHand(w[i], b[i, 0]) for i in range(RUNS)]
    weight, bias = torch.as_tensor(w.copy()), torch.as_tensor(b.copy())
    means = {k: v[0] for k, v in step.state([weight], [bias]).items()}
    assert set(means) == set(step.names)
    lengths = torch.tensor([20.0, 300.0], dtype=torch.float64)
    with torch.set_grad_enabled(grad):
        for t in range(6):
            u, seen = rng.normal(size=(RUNS, PLACES, POST)), rng.normal(size=(RUNS, PLACES, PRE))
            done = torch.full((RUNS,), float(t), dtype=torch.float64)
            eta = rates(tensors, done, lengths)
            local = Local(weight, bias, torch.as_tensor(u), torch.as_tensor(seen), 4)
            weight, bias, means = step.take(eta[:, 1], done, local, means)
            for i, one in enumerate(by_hand):
                wanted = eta_by_hand(parameters, t, float(lengths[i]))
                np.testing.assert_allclose(eta[i], wanted, rtol=1e-12)
                one.take(name, wanted[1], u[i], seen[i], 4)
                np.testing.assert_allclose(weight[i], one.w, rtol=1e-10)
                np.testing.assert_allclose(bias[i, 0], one.b, rtol=1e-10)


@given(st.integers(0, 999), st.integers(1, 1000))
@settings(max_examples=30, deadline=None)
def test_each_life_has_its_own_schedule(done, horizon):
    done %= horizon
    parameters = Mixed().draw()
    own = {k: torch.as_tensor(np.stack([p, p + 0.5])) for k, p in parameters.items()}
    eta = rates(
        own, torch.full((2,), done, dtype=torch.float64), torch.full((2,), horizon, dtype=torch.float64)
    )
    for i, shift in enumerate((0.0, 0.5)):
        wanted = eta_by_hand({k: p + shift for k, p in parameters.items()}, done, horizon)
        np.testing.assert_allclose(eta[i], wanted, rtol=1e-9)


def test_the_rate_falls_to_nothing_at_the_end_of_a_life():
    parameters = {k: torch.as_tensor(p) for k, p in Adam(0.01).draw().items()}
    done = torch.arange(100, dtype=torch.float64)
    eta = rates(parameters, done, torch.full((100,), 100.0, dtype=torch.float64))[:, 0, 0]
    assert (eta.diff() < 0).all()
    np.testing.assert_allclose(eta[0], 0.01, rtol=1e-12)
    assert eta[-1] < 1e-5


def test_adam_is_torchs():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(1, POST, 196, generator=generator, dtype=torch.float64)
    theirs = w[0].clone().requires_grad_(True)
    optimiser = torch.optim.Adam([theirs], lr=0.03, betas=(0.9, 0.99), eps=0.0)
    step, bias = Adam(), torch.zeros(1, 1, POST, dtype=torch.float64)
    means = {k: v[0] for k, v in step.state([w], [bias]).items()}
    for t in range(7):
        u = torch.randn(1, PLACES, POST, generator=generator, dtype=torch.float64)
        seen = torch.randn(1, PLACES, 196, generator=generator, dtype=torch.float64)
        eta, done = torch.full((1, 1), 0.03, dtype=torch.float64), torch.tensor([float(t)]).double()
        w, bias, means = step.take(eta, done, Local(w, bias, u, seen, PLACES), means)
        theirs.grad = -u[0].T @ seen[0] / PLACES
        optimiser.step()
        torch.testing.assert_close(w[0], theirs.detach(), rtol=0, atol=1e-6)  # the floor under our root


@pytest.mark.parametrize("name", ["mixed", "adam"])
def test_no_change_is_a_finite_slope(name):
    """Adam's root at zero: the meta-gradient must not meet 0 · ∞."""
    step = STEPS[name]
    w, b = torch.zeros(1, POST, PRE), torch.zeros(1, 1, POST)
    u = torch.zeros(1, PLACES, POST, requires_grad=True)
    means = {k: v[0] for k, v in step.state([w], [b]).items()}
    parameters = {k: torch.as_tensor(p).float() for k, p in step.draw().items()}
    eta = rates(parameters, torch.zeros(1), torch.ones(1) * 20)[:, 0]
    weight, _, _ = step.take(eta, torch.zeros(1), Local(w, b, u, torch.ones(1, PLACES, PRE), PLACES), means)
    assert not weight.any()
    (slope,) = torch.autograd.grad(weight.sum(), u)
    assert torch.isfinite(slope).all()
