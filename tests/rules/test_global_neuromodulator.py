import broadcast
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import built, conv, dense_chain, shown

import cortex_sim as cs

SIZES = (11, 7, 5, 3)
few = settings(max_examples=10, deadline=None)


def modulated(sizes=SIZES, seed=0, **feedback):
    """A chain of tanh units under the rule."""
    return built(dense_chain(sizes).with_rule("global_neuromodulator", **feedback), seed)


def b_of(model, name):
    """B of a top-down projection as it is used, (post, pre)."""
    return model.feedback.plastic_or_free(name).numpy()


@few
@given(sizes=st.lists(st.integers(1, 8), min_size=3, max_size=5), scale=st.floats(0.2, 3.0))
def test_equals_the_equation(sizes, scale):
    """Credit is one m a presentation, the same for every unit below the top."""
    model = modulated(sizes, scale=scale, signs=False)
    x, y = shown(model.net)
    w = b_of(model, "IT->V1")[0] / scale
    assert np.linalg.norm(w) == pytest.approx(1)
    expected = broadcast.changes(
        *broadcast.own(model), x, y, lambda level, top: np.full(sizes[level + 1], scale * (w @ top))
    )
    for change, theirs in zip(model.updates(x, y).values(), expected, strict=True):
        np.testing.assert_allclose(change.numpy(), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("signs", [False, True])
def test_every_unit_of_every_population_hears_one_number(signs):
    net = conv(objective="squared_error").with_rule("global_neuromodulator", signs=signs)
    model = built(net)
    x, _ = shown(net)
    credits = model.credits(x, np.random.default_rng(0).normal(size=(5, 11)))
    heard = torch.cat([credits[name].detach().flatten(1) for name in ("V1", "V2", "V4")], 1).numpy()
    size = np.abs(heard[:, :1])
    assert (size > 1e-3).all() and len(np.unique(size)) == 5
    np.testing.assert_allclose(np.abs(heard), np.broadcast_to(size, heard.shape), rtol=1e-12)
    same = heard / heard[:, :1]
    assert set(np.round(same.ravel(), 9)) == ({1.0, -1.0} if signs else {1.0})
    np.testing.assert_allclose(same, np.broadcast_to(same[:1], same.shape))  # a sign is its unit's


@pytest.mark.parametrize("signs", [False, True])
def test_all_b_together_have_rank_one(signs):
    model = modulated(signs=signs)
    stacked = np.concatenate([b_of(model, p.name) for p in model.net.top_downs])
    assert stacked.shape == (12, 3) and np.linalg.matrix_rank(stacked) == 1


def test_what_w_does_not_see_teaches_nothing_below():
    net = dense_chain(SIZES, objective="squared_error")
    model = built(net.with_rule("global_neuromodulator", signs=True))
    x, _ = shown(net)
    w = b_of(model, "IT->V1")[0]
    unseen = np.array([w[1], -w[0], 0.0])
    top = model.settle(model.stimulus_tensor(x))[1]["IT"].detach().numpy()
    changes = model.updates(x, top + unseen)
    assert changes["V2->IT"].abs().max() > 1e-2
    assert max(changes[name].abs().max() for name in ("retina->V1", "V1->V2")) < 1e-12


def test_w_belongs_to_the_seed_and_signs_to_the_unit():
    b = [
        b_of(modulated((3, 64, 64, 5), seed, signs=True), f"IT->{post}")
        for seed, post in [(0, "V1"), (0, "V2"), (1, "V1"), (0, "V1")]
    ]
    w = [np.abs(each[0]) for each in b]
    np.testing.assert_array_equal(b[0], b[3])
    np.testing.assert_allclose(w[0], w[1], rtol=1e-12)
    assert not np.allclose(w[0], w[2])
    signs = [np.sign(each[:, 0]) for each in b]
    assert all(set(s) == {1.0, -1.0} for s in signs)
    assert (signs[0] * signs[0][0] != signs[1] * signs[1][0]).any()


def test_a_population_more_leaves_w_as_it_was():
    """w is of the sender's stream: neither the number nor the size of those that receive it matters."""
    few_hear, many_hear = (modulated(sizes, signs=False) for sizes in ((3, 7, 5), (3, 2, 11, 13, 5)))
    np.testing.assert_allclose(b_of(few_hear, "IT->V1")[0], b_of(many_hear, "IT->V3")[0], rtol=1e-12)


def test_signs_do_not_move_w_nor_what_else_is_drawn():
    plain, signed = (modulated(signs=s).net for s in (False, True))
    ours, theirs = plain.initial_weights(4), signed.initial_weights(4)
    for name, w in ours.items():
        np.testing.assert_array_equal(
            np.abs(w) if "IT->" in name else w, np.abs(theirs[name]) if "IT->" in name else theirs[name]
        )


def test_rows_are_as_long_as_random_ones_on_average():
    feedback = cs.Neuromodulator(scale=1.7, signs=True)
    b = feedback.draw(np.random.default_rng(0), (13, 7), 7, sender=np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), 1.7)


def test_w_has_no_preferred_direction():
    draws = [
        cs.Neuromodulator(signs=False).draw(
            np.random.default_rng(0), (1, 3), 3, sender=np.random.default_rng(i)
        )[0]
        for i in range(4000)
    ]
    np.testing.assert_allclose(np.mean(draws, 0), 0, atol=0.04)
    np.testing.assert_allclose(np.cov(np.transpose(draws)), np.eye(3) / 3, atol=0.03)


def test_what_it_does_not_take():
    with pytest.raises(cs.DeclarationError, match="Neuromodulator: scale must be a positive number"):
        cs.Neuromodulator(scale=0)
    with pytest.raises(cs.DeclarationError, match="Neuromodulator: signs must be"):
        cs.Neuromodulator(signs=1)
    with pytest.raises(cs.DeclarationError, match="setting of Neuromodulator feedback 'rank'"):
        modulated(rank=1)
