import numpy as np
import pytest
from constrained import kept
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.allowed import allowed_of
from cortex_sim.viz.drawing import _label


def joined(*constraints, connector=None, pre=7, post=5, **settings):
    net = cs.Network("constrained")
    net.population("retina", pre)
    net.population("V1", post)
    net.bottom_up("retina", "V1", connector or cs.Dense("xavier"), constraint=list(constraints), **settings)
    return net, net.projection("retina->V1")


@given(
    seed=st.integers(0, 10_000),
    case=st.sampled_from(
        [
            ("subtractive", "sum", 0.0, 0.5, 1.0),
            ("subtractive", "sum", -0.4, 0.6, 0.3),
            ("subtractive", "sum", -0.2, 0.1, -0.5),
            ("multiplicative", "sum", 0.0, 0.6, 1.0),
            ("multiplicative", "sum", -0.6, 0.0, -1.0),
            ("multiplicative", "length", -0.6, 0.9, 1.0),
        ]
    ),
)
def test_rows_keep_their_total_within_bounds(seed, case):
    method, norm, low, high, total = case
    w = np.random.default_rng(seed).normal(size=(5, 7))
    if norm == "sum" and method == "multiplicative":
        w = np.abs(w) * np.sign(total)
    net, up = joined(cs.Bounds(low, high), cs.RowNorm(total, method, norm))
    found = allowed_of(net, up).enforced(w)
    sums = found.sum(1) if norm == "sum" else np.sqrt((found**2).sum(1))
    np.testing.assert_allclose(sums, total, rtol=1e-13, atol=0)
    assert found.min() >= low and found.max() <= high
    expected = kept(w * np.sign(total), *sorted((low * np.sign(total), high * np.sign(total))), abs(total),
                    method, norm) * np.sign(total)  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_subtractive_and_multiplicative_are_miller_and_mackay():
    w = np.abs(np.random.default_rng(0).normal(size=(5, 7)))
    w /= w.sum(1, keepdims=True)
    step = 1e-3 * np.random.default_rng(1).normal(size=w.shape)
    for method, vector in (("subtractive", np.ones_like(w) / 7), ("multiplicative", w)):
        net, up = joined(cs.Bounds(0), cs.RowNorm(1.0, method))
        moved = allowed_of(net, up).enforced(w + step) - w
        np.testing.assert_allclose(moved, step - step.sum(1, keepdims=True) * vector, atol=3e-5)


def test_a_row_that_cannot_be_scaled_is_an_error():
    net, up = joined(cs.Bounds(0), cs.RowNorm(1.0))
    with pytest.raises(cs.RunError, match="row 2 cannot keep the total of its RowNorm"):
        allowed_of(net, up).enforced(np.where(np.arange(5)[:, None] == 2, -1.0, 1.0) * np.ones((5, 7)))


@pytest.mark.parametrize(
    ("constraints", "holds"),
    [
        ([cs.Bounds(0, 0.4)], lambda w: (w >= 0).all() and (w <= 0.4).all() and (w > 0).mean() > 0.9),
        ([cs.Bounds(-0.1, 0.2)], lambda w: w.min() == -0.1 and w.max() == 0.2),
        ([cs.Dale()], lambda w: (w > 0).all()),
        ([cs.Dale([1, 3])], lambda w: (np.sign(w) == [1, -1, 1, -1, 1, 1, 1]).all()),
        ([cs.Dale(0.3)], lambda w: (np.sign(w) == [1, 1, 1, 1, 1, -1, -1]).all()),
        ([cs.Bounds(0), cs.RowNorm(2.0)], lambda w: np.allclose(w.sum(1), 2, rtol=1e-13)),
        (
            [cs.Dale([0]), cs.Bounds(-1, 1), cs.RowNorm(0.5, "subtractive")],
            lambda w: np.allclose(w.sum(1), 0.5) and (w[:, 0] <= 0).all() and (w[:, 1:] >= 0).all(),
        ),
    ],
    ids=lambda each: repr(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_initial_weights_satisfy_them(constraints, holds):
    net, up = joined(*constraints)
    assert holds(net.initial_weights(0)[up.name])


def test_given_weights_that_are_allowed_stay_as_they_are():
    w = np.random.default_rng(0).uniform(0, 1, size=(5, 7))
    net, up = joined(cs.Bounds(0, 1), connector=cs.Dense(w))
    np.testing.assert_array_equal(net.initial_weights(3)[up.name], w)


def test_dale_beside_a_convolution_is_by_channel():
    net = cs.Network("conv")
    net.population("retina", shape=(3, 5, 5))
    net.population("V1", shape=(2, 3, 3))
    net.bottom_up("retina", "V1", cs.Conv2d(3), constraint=cs.Dale([1]))
    w = net.initial_weights(0)["retina->V1"]
    assert (w[:, [0, 2]] > 0).all() and (w[:, 1] < 0).all()


MASK = np.random.default_rng(2).random((5, 7)) < 0.6
EVERY = [cs.Bounds(-1, 1), cs.Dale([0]), cs.RowNorm(0.3, "subtractive"), cs.LearningRates(np.ones((5, 7)))]


def test_yaml_table_drawing_and_words_keep_them(tmp_path):
    net, up = joined(*EVERY, connector=cs.Dense("he", mask=MASK), plasticity="oja")
    assert cs.Network.from_yaml(net.to_yaml()) == net
    assert net.with_rule("hebbian").projection(up.name).constraints == up.constraints
    printed = "".join(str(net).split())
    for said in ("constraint", "Bounds(low=-1,high=1)", "Dale(inhibitory=(0,))", "RowNorm(total=0.3,"):
        assert said in printed
    assert _label(up) == "Oja + Dense + Bounds + Dale + RowNorm + LearningRates"
    net.draw(tmp_path / "net.svg")


def test_lateral_and_top_down_projections_carry_them():
    net = cs.Network("all kinds")
    net.population("retina", 7)
    net.population("V1", 5)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="feedback_alignment")
    net.bottom_up("V1", "IT", plasticity="feedback_alignment")
    net.top_down("IT", "V1", feedback=cs.Random(), constraint=cs.Dale([1]))
    net.lateral("V1", plasticity=cs.Decorrelation(), constraint=cs.Bounds(0, 0.5))
    net.objective("IT", "squared_error")
    b = net.initial_weights(0)["IT->V1"]
    assert (np.sign(b) == [1, -1, 1]).all()
    assert cs.Network.from_yaml(net.to_yaml()) == net


def two(first, second):
    net = cs.Network("two")
    for name, size in (("retina", 7), ("V1", 5), ("V2", 3)):
        net.population(name, size)
    net.bottom_up("retina", "V1", constraint=first)
    net.bottom_up("retina", "V2", constraint=second)


def tied():
    net = cs.Network("tied")
    net.population("retina", 7)
    net.population("V1", 5)
    up = net.bottom_up("retina", "V1")
    net.top_down("V1", "retina", feedback=cs.Transpose(of=up), constraint=cs.Dale())


def unweighted():
    net = cs.Network("skip")
    net.population("retina", 7)
    net.population("V1", 7)
    net.bottom_up("retina", "V1", cs.Identity(), constraint=cs.Bounds(0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cs.Bounds(1, 0), "low must be below high"),
        (lambda: cs.Bounds(None, None), "give low, high, or both"),
        (lambda: cs.Bounds("0"), "low must be a number or an array"),
        (lambda: cs.Bounds(float("nan")), "low is NaN"),
        (
            lambda: joined(cs.Bounds(np.zeros((7, 5)))),
            r"Bounds has shape \(7, 5\), but its weights have shape \(5, 7\)",
        ),
        (
            lambda: joined(cs.Bounds(0, 1), connector=cs.Dense(-np.ones((5, 7)))),
            "35 weights are outside their",
        ),
        (lambda: joined(cs.Bounds(0, 1), cs.Bounds(0, 2)), "carries Bounds twice"),
        (
            lambda: joined(cs.Bounds(0, 1), cs.Dale([3])),
            "Bounds and Dale leave synapses from input 3 no weight",
        ),
        (lambda: joined(cs.Bounds(0.1, 1), cs.Dale([3])), "Dale leave no possible weight for input 3"),
        (lambda: cs.Dale([1, 1]), "must list each unit once"),
        (lambda: cs.Dale(1.5), "a share between 0 and 1"),
        (lambda: cs.Dale("all"), "must list each unit once"),
        (lambda: joined(cs.Dale([7])), "Dale names inhibitory unit 7, but retina has 7 units"),
        (lambda: two(cs.Dale([1]), cs.Dale([2])), "so name the same units in both"),
        (lambda: cs.RowNorm(1, "divisive"), "method must be 'multiplicative' or 'subtractive'"),
        (lambda: cs.RowNorm(1, "subtractive", "length"), "a length can only be kept by scaling"),
        (lambda: cs.RowNorm(0), "a total of 0 cannot be kept by scaling"),
        (lambda: cs.RowNorm(-1, norm="length"), "positive if it is a length"),
        (lambda: joined(cs.RowNorm(1)), "needs weights of that sign only, but their signs may change"),
        (lambda: joined(cs.RowNorm(1), cs.Dale([0])), "needs weights of that sign only"),
        (lambda: joined(cs.RowNorm(np.ones(7)), cs.Bounds(0)), "there are 5 rows"),
        (lambda: joined(cs.RowNorm(2), cs.Bounds(0, 0.2)), "gives row 0 the sum 2, which its 7 synapses"),
        (lambda: joined(cs.RowNorm(1, norm="length"), cs.Bounds(0.1, 1)), "Bounds exclude 0"),
        (
            lambda: joined(cs.RowNorm(1), cs.Bounds(0), connector=cs.Dense(np.ones((5, 7)))),
            "the sum of row 0 is 7, but RowNorm keeps it at 1",
        ),
        (lambda: joined(cs.LearningRates(-np.ones((5, 7)))), "values must be 0 or more"),
        (lambda: joined(cs.LearningRates(np.ones(4))), "LearningRates: values has shape"),
        (lambda: joined("dale", regulariser=cs.HardOrthogonality()), "Dale constrains the weights"),
        (lambda: joined(cs.Decay()), "constraint must be one of"),
        (tied, "Transpose weights follow retina->V1, so Dale cannot constrain"),
        (unweighted, "Identity.. has no weights for Bounds to constrain"),
    ],
)
def test_contradictions_are_refused_at_declaration(make, said):
    with pytest.raises(cs.DeclarationError, match=said):
        make()
