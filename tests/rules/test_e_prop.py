"""E-prop's declaration: its words, its feedback, and what it is where a network settles.

Traces in unrolled steps: tests/backends/on_torch/test_eligibility.py.
"""

import numpy as np
import pytest
from agreement import relative_error
from networks import built, chain, shown

import cortex_sim as cs
from cortex_sim.credit import NoDiffusion, diffusion


@pytest.mark.parametrize("memory", ["leak", "unit", "none"])
def test_where_a_network_settles_it_is_direct_feedback_alignment(memory):
    model = built(chain().with_rule("e_prop").with_rule(cs.EProp(memory)))
    other = built(chain().with_rule("direct_feedback_alignment"))
    x, y = shown(model.net)
    expected = other.updates(x, y, biases=True)
    for name, change in model.updates(x, y, biases=True).items():
        assert relative_error(change, expected[name]) < 1e-12, name


def test_words_choose_how_credit_arrives():
    def below(word, **settings):
        return {p.name: p.feedback for p in chain().with_rule(word, **settings).top_downs}

    assert below("e_prop", scale=2.0) == dict.fromkeys(("IT->V1", "IT->V2"), cs.Random(scale=2.0))
    assert below("e_prop_symmetric") == {"IT->V1": cs.Random(), "IT->V2": cs.Transpose("V2->IT")}
    assert below("e_prop_diffused", places=3) == dict.fromkeys(("IT->V1", "IT->V2"), cs.Diffused(places=3))


@pytest.mark.parametrize(
    "feedback", [cs.Modulo(), cs.LowRank(), cs.Neuromodulator(), cs.SignSymmetric("V2->IT")]
)
def test_other_feedback_can_be_declared(feedback):
    net = chain().with_rule("e_prop")
    del net.projections["IT->V2"]
    net.top_down("IT", "V2", feedback=feedback)
    net.check()


def test_diffused_credit_is_that_of_the_places_spread():
    """B = scale·D P/√pre with the same P: what differs between kernels is D alone."""
    near = cs.Diffused(5, cs.credit.Ring(0.7), scale=1.5)
    b = near.draw(np.random.default_rng(3), (23, 7), 7, post=(23,))
    p = np.random.default_rng(3).normal(size=(5, 7))
    d = diffusion(near.kernel, (23,), 5, np.random.default_rng(0))
    np.testing.assert_allclose(b, 1.5 * d @ p / np.sqrt(7), atol=1e-14)
    assert np.linalg.matrix_rank(b) == 5


def test_entries_of_diffused_feedback_have_the_variance_of_random_ones():
    rng = np.random.default_rng(0)
    drawn = [cs.Diffused(4, scale=1.7).draw(rng, (11, 7), 7, post=(11,)) for _ in range(400)]
    assert np.var(drawn) == pytest.approx(1.7**2 / 7, rel=0.1)


def test_neighbours_have_nearly_the_same_diffused_credit():
    b = cs.Diffused(8).draw(np.random.default_rng(1), (64, 5), 5, post=(64,))

    def alike(distance):
        shifted = np.roll(b, distance, axis=0)
        return np.mean(np.sum(b * shifted, 1) / np.linalg.norm(b, axis=1) / np.linalg.norm(shifted, axis=1))

    assert alike(1) > 0.95
    assert abs(alike(32)) < 0.5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cs.EProp("long"), 'EProp: memory must be "leak", "unit" or "none". Got \'long\''),
        (lambda: cs.Diffused(places=0), "Diffused: places"),
        (lambda: cs.Diffused(scale=0), "Diffused: scale"),
        (lambda: cs.Diffused(kernel=cs.credit.Learned(3)), "Diffused: a learned kernel is an array"),
        (
            lambda: chain().with_rule("e_prop_diffused", kernel=NoDiffusion()),
            "projection IT->V1: NoDiffusion: 16 channels for 11 units",
        ),
        (
            lambda: chain().with_rule("e_prop").top_down("IT", "V1", feedback=cs.Inverse(of="V1->V2")),
            "IT->V1",
        ),
    ],
)
def test_refused(make, said):
    with pytest.raises(cs.DeclarationError, match=said):
        make()
