import broadcast
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import built, conv, dense_chain, shown

import cortex_sim as cs

few = settings(max_examples=10, deadline=None)


def b_of(model, name):
    """B of a top-down projection as it is used, (post, pre)."""
    return model.feedback.plastic_or_free(name).numpy()


@few
@given(sizes=st.lists(st.integers(1, 8), min_size=3, max_size=5), rank=st.integers(1, 9))
def test_equals_the_equation(sizes, rank):
    """With the B that was drawn; what B may be, the tests below say."""
    model = built(dense_chain(sizes).with_rule("low_rank_feedback", rank=rank))
    x, y = shown(model.net)
    expected = broadcast.changes(
        *broadcast.own(model), x, y, lambda level, top: b_of(model, f"IT->V{level + 1}") @ top
    )
    for change, theirs in zip(model.updates(x, y).values(), expected, strict=True):
        np.testing.assert_allclose(change.numpy(), theirs, rtol=1e-10, atol=1e-12)


@few
@given(post=st.integers(1, 12), pre=st.integers(1, 12), rank=st.integers(1, 12))
def test_rank_is_as_asked_where_the_sizes_allow_it(post, pre, rank):
    b = cs.LowRank(rank).draw(np.random.default_rng([post, pre, rank]), (post, pre), pre)
    assert b.shape == (post, pre)
    assert np.linalg.matrix_rank(b, tol=1e-9) == min(rank, post, pre)


def test_credits_below_span_no_more_than_the_rank():
    net = conv(objective="squared_error").with_rule("low_rank_feedback", rank=3)
    model = cs.torch.build(net, seed=0, precision="64")
    x, _ = shown(net, 40)
    goal = np.random.default_rng(0).normal(size=(40, 11))
    for name in ("V1", "V2", "V4"):  # B of single units, whatever projection drives them
        assert b_of(model, f"IT->{name}").shape == (net.populations[name].size, 11)
        assert np.linalg.matrix_rank(model.credits(x, goal)[name].detach().flatten(1).numpy(), tol=1e-9) == 3


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_entries_have_the_variance_of_random_ones(rank):
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for _ in range(400):
        ours.append(cs.LowRank(rank, scale=1.7).draw(rng, (11, 7), 7))
        theirs.append(cs.Random(scale=1.7).draw(rng, (11, 7), 7))
    assert np.var(theirs) == pytest.approx(1.7**2 / 7, rel=0.05)
    assert np.var(ours) == pytest.approx(1.7**2 / 7, rel=0.1)


def test_many_ranks_approach_a_full_random_b():
    """Kurtosis of an entry is 3 + 6/rank: the product of two normals at rank 1, normal in the limit."""
    rng = np.random.default_rng(0)
    for rank in (1, 100):
        drawn = np.array([cs.LowRank(rank).draw(rng, (1, 1), 1)[0] for _ in range(20_000)])
        fourth = (drawn**4).mean() / (drawn**2).mean() ** 2
        assert fourth == pytest.approx(3 + 6 / rank, rel=0.1)


def test_populations_and_seeds_have_their_own_weights():
    one, two = (built(dense_chain((3, 7, 7, 2)).with_rule("low_rank_feedback"), seed) for seed in (0, 1))
    b = b_of(one, "IT->V1")
    assert not np.allclose(b, b_of(one, "IT->V2")) and not np.allclose(b, b_of(two, "IT->V1"))
    again = built(dense_chain((3, 7, 7, 2)).with_rule("low_rank_feedback"), 0)
    np.testing.assert_array_equal(b, b_of(again, "IT->V1"))


def test_it_is_fixed():
    model = built(dense_chain((11, 7, 5, 3)).with_rule("low_rank_feedback"))
    assert not model.feedback.plastic and "IT->V1" not in model.updates(*shown(model.net))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"rank": 0}, "LowRank: rank must be"),
        ({"rank": 1.5}, "LowRank: rank must be"),
        ({"rank": True}, "LowRank: rank must be"),
        ({"scale": -1}, "LowRank: scale must be a positive number"),
        ({"ranks": 2}, "setting of LowRank feedback 'ranks'.*did you mean 'rank'"),
    ],
)
def test_what_it_does_not_take(wrong, message):
    with pytest.raises(cs.DeclarationError, match=message):
        dense_chain((3, 2, 2)).with_rule("low_rank_feedback", **wrong)
