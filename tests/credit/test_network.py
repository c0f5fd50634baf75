"""Credit networks against their equations, written out in tests/reference/credit_equations.py."""

import credit_equations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.credit import DenseCredit, ErrorContext, RawContext, Ring, SharedCredit, TopSignals, place
from cortex_sim.credit.network import rms, scale
from cortex_sim.errors import DeclarationError

few = settings(max_examples=15, deadline=None)
sizes = st.integers(1, 5)
CONTEXTS = ["error", "raw"]


def trained(network, rng):
    """Parameters that are all of one size: none is too small to show."""
    return {name: rng.normal(size=shape) for name, shape in network.shapes().items()}


def top_signals(rng, outputs, count=3):
    return TopSignals(*(rng.normal(size=(count, outputs)) for _ in range(3)))


@few
@given(
    hidden=st.lists(sizes, min_size=1, max_size=3),
    outputs=sizes,
    k=sizes,
    h=sizes,
    context=st.sampled_from(CONTEXTS),
    pool=st.booleans(),
)
def test_dense_equals_the_equations(hidden, outputs, k, h, context, pool):
    rng = np.random.default_rng([len(hidden), outputs, k, h])
    network = DenseCredit(outputs, k, h, context, levels=len(hidden), pooled=pool)
    p, seen = trained(network, rng), top_signals(rng, outputs)
    placed = place(network, [(n,) for n in hidden], outputs, rng)
    rates = [rng.random(size=(3, n)) for n in hidden]
    top, channels = network.credits(p, seen, placed, rates)
    for b in range(3):
        expected_top, expected = credit_equations.dense(
            p,
            [q.diffusion for q in placed],
            *(part[b] for part in (seen.rates, seen.goal, seen.error)),
            [r[b] for r in rates] if pool else None,
        )
        np.testing.assert_allclose(top[b], expected_top, rtol=1e-10, atol=1e-10)
        for g, q, c in zip(channels, placed, expected, strict=True):
            np.testing.assert_allclose(q.diffusion @ g[b], c, rtol=1e-10, atol=1e-10)


@few
@given(hidden=st.lists(sizes, max_size=3), outputs=sizes, k=sizes, h=sizes, context=st.sampled_from(CONTEXTS))
def test_shared_equals_the_equations(hidden, outputs, k, h, context):
    rng = np.random.default_rng([len(hidden), outputs, k, h])
    network = SharedCredit(k, h, context)
    p, seen = trained(network, rng), top_signals(rng, outputs)
    placed = place(network, [(n,) for n in hidden], outputs, rng)
    top, channels = network.credits(p, seen, placed)
    for b in range(3):
        expected_top, expected = credit_equations.shared(
            p,
            [q.diffusion for q in placed],
            [q.addresses for q in placed],
            *(part[b] for part in (seen.rates, seen.goal, seen.error)),
        )
        np.testing.assert_allclose(top[b], expected_top, rtol=1e-10, atol=1e-10)
        for g, q, c in zip(channels, placed, expected, strict=True):
            np.testing.assert_allclose(q.diffusion @ g[b], c, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("network", [DenseCredit(3, 5), SharedCredit(5)])
def test_no_error_no_credit_exactly(network):
    rng = np.random.default_rng(0)
    silent = TopSignals(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), np.zeros((2, 3)))
    top, (g,) = network.credits(trained(network, rng), silent, place(network, [(7,)], 3, rng))
    assert not top.any() and not g.any()


@pytest.mark.parametrize("network", [DenseCredit(3, 5, context="raw"), SharedCredit(5, context="raw")])
def test_the_raw_context_reads_no_objective(network):
    rng = np.random.default_rng(0)
    seen, p, placed = top_signals(rng, 3), trained(network, rng), place(network, [(7,)], 3, rng)
    blind = TopSignals(seen.rates, seen.goal, np.full((3, 3), np.nan))
    for with_error, without in zip(
        network.credits(p, seen, placed), network.credits(p, blind, placed), strict=True
    ):
        np.testing.assert_array_equal(with_error, without)


def test_credit_below_is_as_large_as_at_the_top():
    rng = np.random.default_rng(0)
    network = DenseCredit(3, 5)
    top, (g,) = network.credits(trained(network, rng), top_signals(rng, 3), place(network, [(7,)], 3, rng))
    np.testing.assert_allclose(rms(g), rms(top), rtol=1e-9)


def test_before_training_little_is_added_to_a_broadcast():
    network = DenseCredit(3, 5)
    rng, p = np.random.default_rng(0), network.draw(0)
    seen = top_signals(rng, 3)
    top, (g,) = network.credits(p, seen, place(network, [(7,)], 3, rng))
    assert 0 < np.linalg.norm(top - seen.error) < 0.3 * np.linalg.norm(seen.error)
    broadcast = seen.error @ p["broadcast_0"].T
    cosine = (g * broadcast).sum(1) / np.linalg.norm(g, axis=1) / np.linalg.norm(broadcast, axis=1)
    assert (cosine > 0.9).all() and (cosine < 1).all()


def test_scale_is_the_root_mean_square_but_zero_at_zero():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(scale(x), [[12.5**0.5], [0.0]])
    assert rms(x)[1, 0] > 0


def test_hidden_populations_share_the_levels_there_are():
    rng = np.random.default_rng(0)
    placed = place(DenseCredit(3, (2, 4), levels=2), [(5,), (6,), (7,)], 3, rng)
    assert [p.level for p in placed] == [0, 0, 1]
    assert [p.diffusion.shape for p in placed] == [(5, 2), (6, 2), (7, 4)]


def test_a_trained_context_starts_where_training_ended():
    assert ErrorContext().trained({}) == ErrorContext()
    found = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1)
    context = RawContext().trained({"contrast": found})
    np.testing.assert_array_equal(context.draw()["contrast"], found)
    with pytest.raises(DeclarationError, match="contrast must be four numbers"):
        RawContext((1.0, 2.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"channels": 0}, "channels must be a whole number"),
        ({"levels": 2, "channels": (3,)}, "channels must have one value per level, 2. Got 1"),
        ({"levels": 2, "kernel": (Ring(),)}, "kernel must have one value per level, 2. Got 1"),
        ({"levels": 2, "channels": (3, 4), "pooled": True}, "equally many channels at all levels"),
        ({"context": "gradient"}, "unknown context 'gradient'"),
        ({"kernel": "star"}, "unknown kernel 'star'"),
        ({"gated": 1}, "gated must be True or False"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(DeclarationError, match=message):
        DenseCredit(**settings)


def test_another_number_of_outputs_is_refused():
    with pytest.raises(DeclarationError, match="trained for 10 output units, but the network has 3"):
        place(DenseCredit(), [(5,)], 3, np.random.default_rng(0))
