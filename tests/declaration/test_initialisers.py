import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.initialisers import GivenWeights, Zeros, stream
from cortex_sim.registry import make, names

sides = st.integers(1, 12)


@given(sides, sides, st.floats(0.1, 3))
def test_orthogonal_weights_have_one_singular_value(post, fan_in, gain):
    w = cs.Orthogonal(gain=gain).draw(np.random.default_rng(0), post, fan_in)
    assert w.shape == (post, fan_in)
    gram = w @ w.T if post <= fan_in else w.T @ w
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(post, fan_in)), atol=1e-12)


def test_orthogonal_weights_prefer_no_direction():
    """Haar: every entry has mean 0 and variance 1/n. Bare QR gives a diagonal of one sign."""
    rng = np.random.default_rng(1)
    drawn = np.stack([cs.Orthogonal().draw(rng, 4, 4) for _ in range(4000)])
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.04)  # five standard errors
    np.testing.assert_allclose(drawn.var(0), 0.25, atol=0.03)


@pytest.mark.parametrize(
    "init, variance",
    [(cs.Xavier(), 2 / 500), (cs.He(), 2 / 300), (cs.He(gain=2.0), 8 / 300)],
    ids=repr,
)
def test_normal_weights_have_the_published_variance(init, variance):
    w = init.draw(np.random.default_rng(0), 200, 300)
    assert w.shape == (200, 300)
    np.testing.assert_allclose(w.var(), variance, rtol=0.03)
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)


@pytest.mark.parametrize("init", [make("initialiser", n) for n in names("initialiser") if n != "array"])
def test_a_draw_is_float64_and_repeats_with_its_generator(init):
    first, again, other = (init.draw(np.random.default_rng(s), 5, 7) for s in (3, 3, 4))
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (init == Zeros())


def test_each_projection_has_a_stream_of_its_own():
    first, again, other, later = (
        stream(seed, name).normal()
        for seed, name in ((0, "V1->V2"), (0, "V1->V2"), (0, "V2->V1"), (1, "V1->V2"))
    )
    assert first == again and len({first, other, later}) == 3


def test_weights_do_not_depend_on_what_else_the_network_holds(chain, fan_out):
    shared = "retina->V1"  # 13 to 11 units in both, but He in one and orthogonal in the other
    chain.projections.pop("V2->IT")
    before = chain.initial_weights(5)
    chain.population("V4", 5)
    chain.bottom_up("V2", "V4")
    after = chain.initial_weights(5)
    for name, w in before.items():
        np.testing.assert_array_equal(after[name], w)
    assert not np.array_equal(fan_out.initial_weights(5)[shared], before[shared])


@given(st.integers(0, 2**32 - 1))
def test_given_weights_stay_what_they_were(seed):
    mine = np.random.default_rng(seed).normal(size=(3, 2))
    kept = GivenWeights(mine)
    original = mine.copy()
    mine[:] = 7.0  # the user goes on using the array
    np.testing.assert_array_equal(kept.draw(np.random.default_rng(0), 3, 2), original)
    with pytest.raises(ValueError, match="read-only"):
        kept.weights[0, 0] = 1.0


def test_given_weights_compare_by_value():
    assert GivenWeights([[1.0, 2.0]]) == GivenWeights(np.array([[1.0, 2.0]]))
    assert GivenWeights([[1.0, 2.0]]) != GivenWeights([[1.0], [2.0]])
    assert hash(GivenWeights([[1.0]])) == hash(GivenWeights([[1.0]]))


@pytest.mark.parametrize("kind", [cs.Orthogonal, cs.Xavier, cs.He])
@pytest.mark.parametrize("gain", [0, -1.0, float("nan"), "1"])
def test_a_gain_must_be_positive(kind, gain):
    with pytest.raises(cs.DeclarationError, match=f"{kind.__name__}: gain must be a positive number"):
        kind(gain=gain)
