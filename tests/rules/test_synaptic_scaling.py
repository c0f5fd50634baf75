import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.rules.in_time import InTime


@given(count=st.sampled_from([1, 5]), seed=st.integers(0, 1000), window=st.sampled_from([1.0, 4.0, 100.0]))
def test_equals_the_published_sum_and_slides_its_mean(count, seed, window):
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(count, 2)), rng.normal(size=(count, 3))
    mean = rng.random(size=3)
    expected = np.zeros_like(w)
    for i, j in np.ndindex(w.shape):
        expected[i, j] = w[i, j] * (1.7 - mean[i])
    moved = mean.copy()
    for _ in range(count):
        moved += (y.mean(0) - moved) / window
    rule = cs.SynapticScaling(target=1.7, window=window)
    change, state = rule.change(w, x, y, {"mean_post": mean})
    np.testing.assert_allclose(change, expected, atol=1e-12)
    np.testing.assert_allclose(state["mean_post"], moved, atol=1e-12)


def test_nothing_is_scaled_before_there_was_activity():
    rule = cs.SynapticScaling(target=0.3)
    state = {"mean_post": np.full(2, rule.state["mean_post"].initial)}
    assert not rule.change(np.ones((2, 3)), np.ones((4, 3)), np.ones((4, 2)), state)[0].any()


def test_returns_to_its_target_and_keeps_the_ratios_of_synapses():
    """From far above and far below, in time, η slow against the mean."""
    x = np.array([[0.5, 1.0, 2.0]])
    for start in (0.1, 4.0):
        w = start * np.array([[1.0, 0.5, 0.25]])
        in_time = InTime(cs.SynapticScaling(target=1.2, tau_ms=100.0))
        state = in_time.initial_state((1, 3))
        for _ in range(30_000):  # ms
            change, moved = in_time(w, state, r_pre=x, r_post=x @ w.T)
            w = w + 0.001 * 0.5 * change
            state["mean_post"] = state["mean_post"] + 0.001 * moved["mean_post"]
        assert (x @ w.T)[0, 0] == pytest.approx(1.2, rel=1e-3)
        np.testing.assert_allclose(w / w[0, 0], [[1.0, 0.5, 0.25]], rtol=1e-9)


def test_scales_negative_weights_too():
    """Multiplicative: inhibition onto a unit that is too quiet also grows."""
    change, _ = cs.SynapticScaling().change(
        np.array([[-2.0]]), np.ones((1, 1)), np.ones((1, 1)), {"mean_post": np.array([0.4])}
    )
    assert change[0, 0] == pytest.approx(-1.2)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"target": 0}, "target must be a positive number"),
        ({"tau_ms": -1}, "tau_ms must be a positive number"),
        ({"window": 0.5}, "window must be at least 1 presentation"),
    ],
)
def test_settings_out_of_range(settings, says):
    with pytest.raises(cs.DeclarationError, match=f"SynapticScaling: {says}"):
        cs.SynapticScaling(**settings)
