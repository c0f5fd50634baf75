from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import built, chain, shown

import cortex_sim as cs


@given(seed=st.integers(0, 1000))
def test_is_the_transpose_of_the_bottom_up_change(seed):
    """Akrout et al. 2019, eq. 16: both synapses see the same two quantities."""
    rng = np.random.default_rng(seed)
    u, r = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    up = np.zeros((3, 2))
    for b in range(5):
        for i in range(3):
            for j in range(2):
                up[i, j] += u[b, i] * r[b, j] / 5
    ours = cs.KolenPollack(of="A->B").change(rng.normal(size=(2, 3)), u, r)
    np.testing.assert_allclose(ours, up.T, atol=1e-12)


@pytest.mark.parametrize("down", [(), cs.Decay(2e-4)], ids=["none", "another"])
def test_needs_one_decay_on_both(down):
    net = cs.Network("unequal decay")
    net.population("retina", 5)
    net.population("V1", 3)
    net.population("IT", 2)
    net.bottom_up("retina", "V1", plasticity="feedback_alignment")
    up = net.bottom_up("V1", "IT", plasticity="feedback_alignment", regulariser=cs.Decay(1e-4))
    net.top_down("IT", "V1", feedback="random", plasticity=cs.KolenPollack(of=up), regulariser=down)
    net.objective("IT", "cross_entropy")
    with pytest.raises(cs.DeclarationError, match="KolenPollack needs the same decay, above 0, on both"):
        net.check()


def test_the_word_gives_both_the_same():
    net = chain().with_rule("kolen_pollack")
    for p in net.top_downs:
        assert p.regularisers == net.projection(p.reverse_name).regularisers == (cs.Decay(),)


def test_gain_multiplies_its_step_alone():
    rng = np.random.default_rng(0)
    w, u, r = rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    plain, larger = (cs.KolenPollack("A->B", gain=gain).change(w, u, r) for gain in (1.0, 1.7))
    np.testing.assert_allclose(larger, 1.7 * plain, rtol=1e-14)
    cs.check_rule(cs.KolenPollack("A->B", gain=1.7, forgetting="own"))


def test_with_a_gain_the_weights_approach_its_multiple_of_the_transpose():
    """By an equal decay κW − Bᵀ shrinks by the same factor at every step, whatever is learned."""
    net = chain().with_rule("kolen_pollack")
    for p in net.top_downs:
        up = net.projections[p.reverse_name]
        net.projections[up.name] = replace(up, regularisers=(cs.Decay(0.5),))
        rule = replace(p.plasticity, gain=1.7)
        net.projections[p.name] = replace(p, plasticity=rule, regularisers=(cs.Decay(0.5),))
    model = built(net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    x, y = shown(net)

    def gaps():
        pairs = [(p.name, p.reverse_name) for p in net.top_downs]
        b = model.feedback.learned
        apart = [(1.7 * model.weights[up] - b[down].T).detach() for down, up in pairs]
        return np.array([gap.norm() for gap in apart])

    start = gaps()
    for _ in range(20):
        optimiser.zero_grad()
        model(x, y).backward()
        optimiser.step()
    np.testing.assert_allclose(gaps() / start, 0.95**20, rtol=1e-9)


@pytest.mark.parametrize("wrong", [{"gain": 0.0}, {"gain": "1"}, {"forgetting": "none"}])
def test_refused_settings(wrong):
    with pytest.raises(cs.DeclarationError, match="KolenPollack"):
        cs.KolenPollack(of="A->B", **wrong)
