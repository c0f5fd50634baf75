"""Augmented random search: its update against the published sum, and that it balances a pole."""

import pytest
import torch

from cortex_sim.tdca.reinforcement.ars import RandomSearch, searched
from cortex_sim.tdca.reinforcement.cartpole import CartPole


def test_policies_are_those_of_the_equations():
    env, generator = CartPole(), torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 4, generator=generator)
    linear = torch.randn(3, 10, generator=generator)
    found = RandomSearch().rates(env, linear, x)
    for i in range(3):
        w, b = linear[i, :8].reshape(2, 4), linear[i, 8:]
        torch.testing.assert_close(found[i], x[i] @ w.T + b)
    search = RandomSearch(hidden=7)
    theta = search.start(env, 3, generator) + 0.1
    found = search.rates(env, theta, x)
    for i in range(3):
        first, last = theta[i, :28].reshape(7, 4), theta[i, 28:42].reshape(2, 7)
        hidden = torch.tanh(x[i] @ first.T + theta[i, 42:49])
        torch.testing.assert_close(found[i], hidden @ last.T + theta[i, 49:])


@pytest.mark.slow
def test_it_balances_a_pole():
    alpha, nu = torch.full((6,), 0.1), torch.full((6,), 0.1)
    found = searched(RandomSearch(updates=25), CartPole(), "D", 6, alpha, nu, 0, after=4)
    assert found["curve"].shape == (25, 6) and (found["steps"] <= 25 * 8 * 200).all()
    assert float(found["curve"][-5:].mean()) > float(found["curve"][:2].mean()) + 50
    assert float(found["after"].mean()) > 120
