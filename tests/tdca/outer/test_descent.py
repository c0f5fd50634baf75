import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.outer.descent import Descent


def descent(rate=0.1, iterations=10, clip=0.0, final=0.2):
    return Descent(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64), rate, iterations, clip, final)


def published(gradients, rates):
    """Algorithm 1 of Kingma and Ba, one number at a time."""
    phi, m, v = np.array([1.0, -2.0, 3.0]), np.zeros(3), np.zeros(3)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        for i in range(3):
            m[i] = 0.9 * m[i] + 0.1 * g[i]
            v[i] = 0.999 * v[i] + 0.001 * g[i] ** 2
            phi[i] -= rate * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    return phi


def test_follows_adam_as_published_under_a_cosine():
    gradients = np.random.default_rng(0).normal(size=(10, 3))
    rates = [0.1 * (0.2 + 0.8 * (1 + math.cos(math.pi * t / 10)) / 2) for t in range(10)]
    ours = descent()
    measured = [ours.step(torch.tensor(g)) for g in gradients]
    np.testing.assert_allclose(ours.centre, published(gradients, rates), rtol=1e-12)
    np.testing.assert_allclose([m["rate"] for m in measured], rates)
    np.testing.assert_allclose([m["gradient_norm"] for m in measured], np.linalg.norm(gradients, axis=1))


def test_rate_ends_at_its_fraction_and_stays_there():
    ours = descent(iterations=3)
    assert ours.rate() == pytest.approx(0.1)
    for _ in range(5):
        ours.step(torch.ones(3))
    assert ours.rate() == pytest.approx(0.02)


def test_long_gradients_are_shortened_and_short_ones_are_not():
    clipped, shortened, never = descent(clip=1.0), descent(clip=1.0), descent()
    for long in ((30.0, 0.0, 40.0), (0.0, 0.1, 0.0)):
        clipped.step(torch.tensor(long))
    for short in ((0.6, 0.0, 0.8), (0.0, 0.1, 0.0)):  # the first lies along (30, 0, 40), at length 1
        shortened.step(torch.tensor(short))
        never.step(torch.tensor(short))
    torch.testing.assert_close(clipped.centre, never.centre, rtol=0, atol=1e-7)
    torch.testing.assert_close(shortened.centre, never.centre, rtol=0, atol=1e-7)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_gradient_that_is_not_finite_is_left_out_and_counted(wrong):
    ours, other = descent(), descent()
    ours.step(torch.ones(3))
    other.step(torch.ones(3))
    measured = ours.step(torch.tensor([0.0, wrong, 0.0]))
    assert measured["skipped"] == 1 and torch.equal(ours.centre, other.centre)
    assert ours.rate() < other.rate(), "time goes on"
    assert ours.step(torch.ones(3))["skipped"] == 1 and torch.isfinite(ours.centre).all()


def test_wrong_settings_are_refused():
    for setting in ({"rate": 0.0}, {"iterations": 0}, {"clip": -1.0}, {"final": 1.5}):
        with pytest.raises(DeclarationError, match=next(iter(setting))):
            descent(**setting)


def test_foreign_state_is_refused():
    state = descent().state()
    with pytest.raises(RunError, match="lacks 'mean'"):
        descent().restore({name: t for name, t in state.items() if name != "mean"})
    with pytest.raises(RunError, match="saved 'centre' is .* of shape \\(2,\\)"):
        descent().restore(state | {"centre": torch.zeros(2, dtype=torch.float64)})
