"""The rule itself; how its forms relate is in tests/backends/on_torch/test_limit_equals_finite.py."""

import numpy as np
import pytest
from agreement import relative_error

import cortex_sim as cs
from cortex_sim.rules.base import Arrival, Level


def above(activation, count=5, unit=3, seed=0, step=1.0):
    rng = np.random.default_rng(seed)
    a, c = rng.normal(size=(count, unit)), rng.normal(size=(count, unit))
    pi = np.full((count, 1), step)
    return Level(activation, a, activation.rate(a), np.zeros((1, unit)), c, pi)


@pytest.mark.parametrize("activation", [cs.LeakyRelu(), cs.Tanh(), cs.Linear()])
def test_a_small_step_delivers_the_limit(activation):
    """(f⁻¹((1 − γf′²)r + γf′²t) − a)/γ → f′ c, so that c_pre → B u."""
    level, b = above(activation), np.random.default_rng(1).normal(size=(2, 3))
    rule = cs.GaitProp(form="finite", gamma=1e-7)
    credit, step = rule.delivered(lambda u: u @ b.T, level, np.zeros((5, 2)))
    assert relative_error(credit, (level.c * activation.gain(level.a)) @ b.T) < 1e-5
    np.testing.assert_allclose(step, 1e-7)


def test_normalised_steps_have_one_length():
    """γ_l = κ√N_l / ‖t_l − r_l‖ (2102.11598): each presentation's target moves by κ√N."""
    level = above(cs.Linear(), step=0.01)
    rule = cs.GaitProp(form="finite", normalised=True, kappa=1e-5)
    _, step = rule.delivered(lambda u: u, level, level.r)
    moved = np.linalg.norm(step * level.c, axis=1)
    np.testing.assert_allclose(moved, 1e-5 * np.sqrt(3), rtol=1e-12)


def test_nothing_asked_nothing_delivered():
    level = above(cs.Tanh())
    level.c[2] = 0
    rule = cs.GaitProp(form="finite", normalised=True)
    credit, step = rule.delivered(lambda u: u, level, level.r)
    assert not credit[2].any() and credit[[0, 1, 3, 4]].all()
    assert np.isfinite(step).all() and (step > 0).all()


def test_only_the_finite_form_needs_targets_and_float64():
    limit, finite = cs.GaitProp(), cs.GaitProp(form="finite")
    assert (limit.arrival, limit.needs_float64) == (Arrival.CHAIN, False)
    assert (finite.arrival, finite.needs_float64) == (Arrival.TARGETS, True)
    with pytest.raises(cs.DeclarationError, match='form must be "limit" or "finite"'):
        cs.GaitProp(form="infinite")
