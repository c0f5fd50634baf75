import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.connectors import leaves_out


def joined(connector, pre=(1, 7, 5), post=(2, 3, 5), **settings):
    net = cs.Network("wired")
    net.population("retina", shape=pre)
    net.population("V1", shape=post)
    net.bottom_up("retina", "V1", connector, **settings)
    return net, net.projection("retina->V1")


def test_a_mask_leaves_synapses_out_whatever_is_drawn():
    mask = np.random.default_rng(0).random((30, 35)) < 0.3
    for init in ("orthogonal", "he", cs.Uniform(0.5, 1)):
        net, up = joined(cs.Dense(init=init, mask=mask))
        w = net.initial_weights(3)[up.name]
        np.testing.assert_array_equal(w != 0, mask)
        np.testing.assert_array_equal(net.wiring(up), mask)


def test_weights_are_spread_by_the_number_of_synapses():
    net, up = joined(cs.Sparse(in_degree=8), (400,), (300,))
    w = net.initial_weights(0)[up.name]
    np.testing.assert_allclose(w[w != 0].std(), np.sqrt(2 / 8), rtol=0.05)


def test_in_degree_is_exact_and_probability_is_met():
    net, up = joined(cs.Sparse(in_degree=3))
    np.testing.assert_array_equal(net.wiring(up).sum(1), 3)
    net, up = joined(cs.Sparse(probability=0.2), (100,), (90,))
    share = net.wiring(up).mean()
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 9000)


def test_wiring_belongs_to_the_declaration_and_weights_to_the_seed():
    net, up = joined(cs.Sparse(probability=0.4))
    other, again = joined(cs.Sparse(probability=0.4, seed=1))
    one, two = net.initial_weights(0)[up.name], net.initial_weights(1)[up.name]
    np.testing.assert_array_equal(one != 0, two != 0)
    assert (one != two).any()
    assert (net.wiring(up) != other.wiring(again)).any()
    moved = cs.Network("wired")
    moved.population("LGN", shape=(1, 7, 5))
    moved.population("V1", shape=(2, 3, 5))
    moved.bottom_up("LGN", "V1", cs.Sparse(probability=0.4))
    assert (moved.wiring(moved.projection("LGN->V1")) != net.wiring(up)).any()


def reference_distance(pre, post, wrap):
    """Units one by one, from their places in the common area."""
    found = np.zeros((int(np.prod(post)), int(np.prod(pre))))
    for i, (_, row, column) in enumerate(np.ndindex(post)):
        for j, (_, pre_row, pre_column) in enumerate(np.ndindex(pre)):
            away = []
            for here, there, n, m in ((row, pre_row, post[1], pre[1]), (column, pre_column, post[2], pre[2])):
                d = abs((here + 0.5) / n * m - (there + 0.5))
                away.append(min(d, m - d) if wrap else d)
            found[i, j] = np.hypot(*away)
    return found


@pytest.mark.parametrize("wrap", [False, True])
def test_an_arbor_reaches_what_is_near(wrap):
    pre, post = (2, 7, 5), (3, 3, 5)
    distance = reference_distance(pre, post, wrap)
    arbor = cs.Arbor(radius=1.7, wrap=wrap)
    np.testing.assert_allclose(arbor.distances(pre, post), distance, atol=1e-12)
    net, up = joined(arbor, pre, post)
    np.testing.assert_array_equal(net.wiring(up), distance <= 1.7)


def test_a_gaussian_arbor_is_met_by_distance():
    net, up = joined(cs.Arbor(width=2.0), (4, 9, 9), (4, 9, 9))
    exists, distance = net.wiring(up), cs.Arbor(width=2.0).distances((4, 9, 9), (4, 9, 9))
    for d in (0.0, 1.0, 2.0, 3.0):
        at = np.isclose(distance, d)
        expected = np.exp(-d * d / 8)
        assert abs(exists[at].mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / at.sum()) + 1e-12


@pytest.mark.parametrize(
    "connector",
    [
        cs.Sparse(probability=0.3, init="xavier", seed=2),
        cs.Sparse(in_degree=4),
        cs.Arbor(radius=2, width=1.5, wrap=True),
        cs.Dense(mask=np.tri(30, 35)),
    ],
)
def test_yaml_table_and_drawing_keep_it(connector, tmp_path):
    net, up = joined(connector, plasticity="oja")
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net and hash(connector) == hash(again.projection(up.name).connector)
    np.testing.assert_array_equal(again.initial_weights(0)[up.name], net.initial_weights(0)[up.name])
    word = type(connector).__name__
    assert word in str(net) and leaves_out(connector)
    net.draw(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").stat().st_size > 1000


def test_feedback_beside_it_has_the_same_synapses():
    net = cs.Network("fed back")
    net.population("retina", 7)
    net.population("V1", 5)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Sparse(in_degree=2), plasticity="backprop")
    net.bottom_up("V1", "IT", cs.Sparse(in_degree=2), plasticity="backprop")
    net.objective("IT", "squared_error")
    fed = net.with_rule("feedback_alignment")
    down, up = fed.projection("IT->V1"), fed.projection("V1->IT")
    np.testing.assert_array_equal(fed.wiring(down), fed.wiring(up).T)
    np.testing.assert_array_equal(fed.initial_weights(0)["IT->V1"] != 0, fed.wiring(up).T)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cs.Sparse(), "give either probability, such as 0.1, or in_degree, such as 20"),
        (lambda: cs.Sparse(probability=0.1, in_degree=3), "give either probability"),
        (lambda: cs.Sparse(probability=1.5), "probability must be at most 1. Got 1.5"),
        (lambda: cs.Sparse(probability=0), "probability must be a positive number"),
        (lambda: cs.Sparse(in_degree=0), "in_degree must be a whole number of at least 1"),
        (lambda: joined(cs.Sparse(in_degree=36)), "Sparse has in_degree=36, but retina has 35 units"),
        (lambda: cs.Arbor(), r"give radius=3, width=2 \(Gaussian\), or both"),
        (lambda: cs.Arbor(radius=-1), "radius must be a positive number"),
        (lambda: cs.Arbor(radius=1, wrap=1), "wrap must be True or False"),
        (lambda: joined(cs.Arbor(radius=2), post=(30,)), "needs populations of shape .channel"),
        (lambda: joined(cs.Arbor(radius=0.1), post=(2, 2, 5)), "Arbor leaves no synapse between"),
        (lambda: joined(cs.Dense(mask=np.ones((3, 4)))), r"its mask has shape \(3, 4\), but retina has 35"),
        (lambda: cs.Dense(mask=np.full((2, 2), 0.5)), "mask must be a matrix"),
        (lambda: cs.Dense(mask="some"), "mask must be a matrix"),
        (
            lambda: joined(cs.Dense(init=np.ones((30, 35)), mask=np.tri(30, 35))),
            "585 weights are not zero where there is no synapse",
        ),
        (
            lambda: joined(
                cs.Sparse(in_degree=3), plasticity="oja", regulariser=cs.Orthogonality()
            ),
            "Orthogonality makes all weights orthogonal, and Sparse leaves synapses out",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_wired_is_refused(make, said):
    with pytest.raises(cs.DeclarationError, match=said):
        make()
