import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs


def reference(w, x, y, theta):
    """y (y - theta) x, one synapse and one presentation at a time (Intrator & Cooper 1992)."""
    dw = np.zeros_like(w)
    for i, j in np.ndindex(w.shape):
        for x_b, y_b in zip(x, y, strict=True):
            dw[i, j] += y_b[i] * (y_b[i] - theta[i]) * x_b[j] / len(x)
    return dw


def slid(theta, y, window):
    """The threshold after the presentations of a batch, their mean square counted once for each."""
    moved = theta.copy()
    for i in range(len(theta)):
        square = sum(y_b[i] ** 2 for y_b in y) / len(y)
        for _ in y:
            moved[i] += (square - moved[i]) / window
    return moved


@given(count=st.sampled_from([1, 5]), seed=st.integers(0, 1000), window=st.sampled_from([1.0, 3.0, 100.0]))
def test_equals_the_published_sum(count, seed, window):
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(count, 2)), rng.normal(size=(count, 3))
    theta = rng.random(size=3)
    change, state = cs.Bcm(window=window).change(w, x, y, {"theta": theta})
    np.testing.assert_allclose(change, reference(w, x, y, theta), atol=1e-12)
    np.testing.assert_allclose(state["theta"], slid(theta, y, window), atol=1e-12)


def test_the_sign_turns_at_the_threshold():
    rates = np.array([[0.5], [2.0]])
    x, state = np.ones((1, 1)), {"theta": np.ones(1)}
    weaker, stronger = (cs.Bcm().change(np.ones((1, 1)), x, y[None], state)[0] for y in rates)
    assert weaker < 0 < stronger


def test_silent_post_does_not_learn():
    change, _ = cs.Bcm().change(np.ones((3, 2)), np.ones((5, 2)), np.zeros((5, 3)), {"theta": np.ones(3)})
    assert not change.any()


def test_becomes_selective_for_one_of_two_stimuli():
    """Two orthogonal stimuli in turn: one fixed point has y = 2 for one, 0 for the other."""
    x = np.eye(2)
    w, state = np.array([[0.6, 0.4]]), {"theta": np.zeros(1)}
    for step in range(6000):
        shown = x[[step % 2]]
        change, state = cs.Bcm(window=20).change(w, shown, shown @ w.T, state)
        w = w + 0.01 * change
    preferred, other = sorted((x @ w.T).ravel(), reverse=True)
    assert preferred == pytest.approx(2, rel=0.1) and other == pytest.approx(0, abs=0.1)


def test_a_window_shorter_than_a_presentation_is_refused():
    with pytest.raises(cs.DeclarationError, match="window must be at least 1 presentation"):
        cs.Bcm(window=0.5)
