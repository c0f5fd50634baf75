import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import chain

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
    with pytest.raises(cs.DeclarationError, match="KolenPollack needs one decay, above 0, on both"):
        net.check()


def test_the_word_gives_both_the_same():
    net = chain().with_rule("kolen_pollack")
    for p in net.top_downs:
        assert p.regularisers == net.projection(p.reverse_name).regularisers == (cs.Decay(),)
