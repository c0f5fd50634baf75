import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.rules.in_time import InTime


@given(count=st.sampled_from([1, 5]), seed=st.integers(0, 1000), window=st.sampled_from([1.0, 4.0, 100.0]))
def test_equals_the_equation_and_slides_its_trace(count, seed, window):
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(count, 2)), rng.normal(size=(count, 3))
    e, modulator = rng.normal(size=(3, 2)), np.array(-0.7)
    trace = e.copy()
    for _ in range(count):
        for i, j in np.ndindex(3, 2):
            trace[i, j] += (sum(y[b, i] * x[b, j] for b in range(count)) / count - trace[i, j]) / window
    change, state = cs.ThreeFactor(window=window).change(w, x, y, {"e": e, "modulator": modulator})
    np.testing.assert_allclose(change, -0.7 * e, atol=1e-12)
    np.testing.assert_allclose(state["e"], trace, atol=1e-12)
    assert state["modulator"] == modulator


def test_without_the_third_factor_nothing_changes_but_the_trace():
    state = {"e": np.ones((2, 3)), "modulator": np.zeros(())}
    change, after = cs.ThreeFactor().change(np.ones((2, 3)), np.ones((4, 3)), 2 * np.ones((4, 2)), state)
    assert not change.any()
    assert (after["e"] > 1).all()


def test_reward_that_comes_later_credits_the_synapse_that_was_active():
    """One of two inputs is active for 100 ms; reward 300 ms later changes it alone, the less the later."""
    in_time = InTime(cs.ThreeFactor(tau_ms=200.0))
    changes = []
    for delay in (300, 600):
        w, state = np.zeros((1, 2)), in_time.initial_state((1, 2))
        for ms in range(100 + delay + 50):
            active = np.array([[1.0, 0.0]]) if ms < 100 else np.zeros((1, 2))
            state["modulator"] = np.array(float(ms >= 100 + delay))
            change, moved = in_time(w, state, r_pre=active, r_post=active[:, :1])
            w = w + 0.001 * change
            state["e"] = state["e"] + 0.001 * moved["e"]
        assert w[0, 0] > 0 and w[0, 1] == 0
        changes.append(w[0, 0])
    assert changes[1] / changes[0] == pytest.approx(np.exp(-300 / 200), rel=0.01)


def test_punishment_weakens():
    state = {"e": np.ones((1, 1)), "modulator": np.array(-1.0)}
    assert cs.ThreeFactor().change(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), state)[0] < 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tau_ms": 0}, "tau_ms must be a positive number"),
        ({"window": 0.5}, "window must be at least 1 presentation"),
    ],
)
def test_settings_out_of_range(settings, says):
    with pytest.raises(cs.DeclarationError, match=f"ThreeFactor: {says}"):
        cs.ThreeFactor(**settings)
