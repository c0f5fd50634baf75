"""Convolutions of every form and pooling, against the matrices they mean, written one unit at a time."""

from math import prod

import numpy as np
import pytest
import torch
from sheets import averaging, averaging_all, unrolled, winning

import cortex_sim as cs
from cortex_sim.operators import operator_of
from cortex_sim.registry import to_data

CONVOLUTIONS = [
    (cs.Conv2d((3, 2)), (2, 7, 5), (5, 5, 4)),
    (cs.Conv2d((1, 3), stride=(2, 1), padding=(0, 1)), (2, 7, 5), (3, 4, 5)),
    (cs.Conv2d(3, dilation=2), (2, 7, 5), (3, 3, 1)),
    (cs.Conv2d((2, 3), stride=(3, 2), padding=(2, 3), dilation=(3, 1)), (1, 7, 5), (2, 3, 5)),
    (cs.Conv2d(3, padding=1, groups=2), (4, 5, 3), (6, 5, 3)),
    (cs.Conv2d((2, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=3), (6, 7, 5), (3, 4, 5)),
    (cs.Conv2d(3, stride=2, groups=5), (5, 7, 5), (5, 3, 2)),  # depthwise
    (cs.Conv2d(2, groups=3), (3, 4, 3), (12, 3, 2)),  # depthwise with a multiplier of 4
    (cs.Conv2d(1, groups=2), (2, 3, 2), (10, 3, 2)),  # more channels out than inputs
]
AVERAGES = [
    (cs.AveragePool2d(2), (3, 6, 4), (3, 3, 2)),
    (cs.AveragePool2d(2), (2, 7, 5), (2, 3, 2)),  # with rows and columns left over
    (cs.AveragePool2d((3, 2), stride=(2, 1), padding=(1, 0)), (2, 7, 5), (2, 4, 4)),
    (cs.AveragePool2d(3, stride=2, padding=1), (1, 7, 5), (1, 4, 3)),
    (cs.GlobalAveragePool2d(), (5, 3, 2), (5,)),
    (cs.GlobalAveragePool2d(), (2, 7, 5), (2, 1, 1)),
]
MAXIMA = [
    (cs.MaxPool2d(2), (3, 6, 4), (3, 3, 2)),
    (cs.MaxPool2d(2), (2, 7, 5), (2, 3, 2)),
    (cs.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)), (2, 7, 5), (2, 4, 4)),
    (cs.MaxPool2d(3, stride=2, padding=1), (1, 7, 5), (1, 4, 3)),
]
LEADS = [(), (2,), (2, 3)]
N = 4


def meant(case, w):
    connector, pre, post = case
    if isinstance(connector, cs.Conv2d):
        return unrolled(connector, pre, post, w)
    return averaging_all(pre, post) if isinstance(connector, cs.GlobalAveragePool2d) else averaging(*case)


def given(case, lead=(), dtype=np.float64):
    connector, pre, post = case
    op, rng = operator_of(connector, pre, post), np.random.default_rng(2)
    w = rng.normal(size=connector.weight_shape(pre, post))
    r, u = rng.normal(size=(*lead, N, prod(pre))), rng.normal(size=(*lead, N, prod(post)))
    m = None if isinstance(connector, cs.MaxPool2d) else meant(case, w)
    matrix = op.matrix(w) if op.weighted else w
    return op, matrix.astype(dtype), m, r.astype(dtype), u.astype(dtype)


def as_torch(x):
    return torch.as_tensor(x.copy())


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("case", [*CONVOLUTIONS, *AVERAGES], ids=str)
def test_up_and_down_are_the_matrix_and_its_transpose(case, lead):
    op, w, m, r, u = given(case, lead)
    case[0].check("A->B", *case[1:])
    assert op.at(r) is op
    for kind in (np.asarray, as_torch):
        np.testing.assert_allclose(op.up(kind(r), kind(w)), r @ m.T, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(op.down(kind(u), kind(w)), u @ m, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_weights_of_their_own_for_each_network_side_by_side(case):
    connector, pre, post = case
    op, rng = operator_of(connector, pre, post), np.random.default_rng(3)
    several = rng.normal(size=(3, *connector.weight_shape(pre, post)))
    w = np.stack([op.matrix(one) for one in several])
    r, u = rng.normal(size=(3, N, prod(pre))), rng.normal(size=(3, N, prod(post)))
    for kind in (np.asarray, as_torch):
        up, down = op.up(kind(r), kind(w)), op.down(kind(u), kind(w))
        for one, kernel in enumerate(several):
            m = meant(case, kernel)
            np.testing.assert_allclose(up[one], r[one] @ m.T, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(down[one], u[one] @ m, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_places_and_groups_go_there_and_back(case, lead):
    op, w, _, r, u = given(case, lead)
    apart = (op.groups,) if op.groups > 1 else ()
    for kind in (np.asarray, as_torch):
        by_place, patches = op.by_place(kind(u)), op.patches(kind(r))
        assert by_place.shape == (*lead, *apart, N * op.places, len(w) // op.groups)
        assert patches.shape == (*lead, *apart, N * op.places, w.shape[1])
        np.testing.assert_array_equal(op.placed(by_place), u)
        x = np.random.default_rng(4).normal(size=patches.shape)
        gathered = np.asarray(op.gathered(kind(x)))
        np.testing.assert_allclose((np.asarray(patches) * x).sum(), (r * gathered).sum(), rtol=1e-10)
        states = op.by_presentation(kind(x))
        assert states.shape[:-1] == (*lead, N)
        np.testing.assert_array_equal(op.of_presentations(states, x.shape[-1]), x)
    for n in range(N):  # what a presentation holds does not depend on the others
        alone = op.by_presentation(op.patches(r[..., n : n + 1, :]))
        np.testing.assert_array_equal(op.by_presentation(op.patches(r))[..., n : n + 1, :], alone)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_the_training_pass_carries_credit_by_b_of_the_same_shape(case):
    connector, pre, post = case
    op, rng = operator_of(connector, pre, post), np.random.default_rng(5)
    kernel, b = (rng.normal(size=connector.weight_shape(pre, post)) for _ in range(2))
    r, u = rng.normal(size=(N, *pre)), rng.normal(size=(N, *post))
    maps, w = (torch.tensor(x, requires_grad=True) for x in (r, kernel))
    drive = op.drive_with_feedback(maps, w, None, torch.tensor(b), None)
    drive.backward(torch.tensor(u))
    np.testing.assert_allclose(
        drive.detach().flatten(1), r.reshape(N, -1) @ meant(case, kernel).T, atol=1e-12
    )
    np.testing.assert_allclose(maps.grad.flatten(1), u.reshape(N, -1) @ meant(case, b), atol=1e-12)
    grad = (op.by_place(u.reshape(N, -1)).swapaxes(-1, -2) @ op.patches(r.reshape(N, -1))).reshape(
        kernel.shape
    )
    np.testing.assert_allclose(w.grad, grad, atol=1e-11)


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("case", MAXIMA, ids=str)
def test_max_pooling_is_the_map_of_the_winners(case, lead):
    op, _, _, r, u = given(case, lead)
    r[..., 0, :] = np.round(r[..., 0, :])  # several units alike: the first wins
    flat, credit = r.reshape(-1, r.shape[-1]), u.reshape(-1, u.shape[-1])
    m = winning(*case, flat)
    up = np.einsum("nij,nj->ni", m, flat).reshape(u.shape)
    down = np.einsum("nij,ni->nj", m, credit).reshape(r.shape)
    assert not op.linear
    for kind in (np.asarray, as_torch):
        np.testing.assert_array_equal(op.up(kind(r), None), up)
        linear = op.at(kind(r))
        np.testing.assert_array_equal(linear.up(kind(r), None), up)
        np.testing.assert_allclose(linear.down(kind(u), None), down, rtol=1e-12, atol=1e-12)
    with pytest.raises(TypeError, match="not linear"):
        op.down(u, None)


@pytest.mark.parametrize("case", [*AVERAGES, *MAXIMA], ids=str)
def test_the_pass_of_training_is_theirs_in_autograd(case):
    op, _, _, r, u = given(case)
    maps = as_torch(r).reshape(N, *case[1]).requires_grad_()
    drive = op.drive(maps, None, None)
    drive.reshape(N, -1).backward(as_torch(u))
    np.testing.assert_allclose(drive.detach().reshape(N, -1), op.up(r, None), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(maps.grad.flatten(1), op.at(r).down(u, None), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [*CONVOLUTIONS, *AVERAGES, *MAXIMA], ids=str)
def test_single_precision_stays_single(case):
    op, w, _, r, u = given(case, dtype=np.float32)
    wide = [x.astype(np.float64) for x in (r, u, w)]
    for kind in (np.asarray, as_torch):
        up, down = op.up(kind(r), kind(w)), op.at(kind(r)).down(kind(u), kind(w))
        assert str(up.dtype).endswith("float32") and str(down.dtype).endswith("float32")
        np.testing.assert_allclose(up, op.up(wide[0], wide[2]), rtol=0, atol=1e-5)
        np.testing.assert_allclose(down, op.at(wide[0]).down(wide[1], wide[2]), rtol=0, atol=1e-5)


# -- declaration -----------------------------------------------------------------------------------


def test_groups_are_drawn_one_by_one_and_a_single_one_as_ever():
    pre, post = (6, 5, 5), (8, 3, 3)
    for groups, init in ((2, cs.Orthogonal(1.5)), (1, cs.Orthogonal())):
        drawn = cs.Conv2d(3, init=init, groups=groups).draw(np.random.default_rng(7), pre, post)
        rng, inputs = np.random.default_rng(7), 9 * 6 // groups
        each = [init.draw(rng, 8 // groups, inputs) for _ in range(groups)]
        np.testing.assert_array_equal(drawn.reshape(8, inputs), np.concatenate(each))
        for one in np.split(drawn.reshape(8, inputs), groups):
            np.testing.assert_allclose(one @ one.T, init.gain**2 * np.eye(8 // groups), atol=1e-12)
    kernel = np.random.default_rng(0).normal(size=(8, 3, 3, 3))
    given = cs.Conv2d(3, init=kernel, groups=2)
    np.testing.assert_array_equal(given.draw(np.random.default_rng(0), pre, post), kernel)


def test_equal_pairs_are_one_number_and_yaml_keeps_pairs():
    assert cs.Conv2d((3, 3), stride=[2, 2], dilation=(1, 1)) == cs.Conv2d(3, stride=2)
    assert cs.AveragePool2d(2) == cs.AveragePool2d((2, 2), stride=2)
    assert cs.Conv2d((3, 5)).post_sides(7, 9) == (5, 5)
    net = cs.Network("sheets")
    net.population("retina", shape=(2, 9, 8))
    net.population("V1", shape=(4, 9, 6))
    net.population("V2", shape=(4, 4, 3))
    net.population("V4", shape=(4, 2, 2))
    net.population("IT", 4)
    net.bottom_up("retina", "V1", cs.Conv2d((3, 5), padding=(1, 1), groups=2), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.MaxPool2d(2))
    net.bottom_up("V2", "V4", cs.AveragePool2d((3, 2), stride=(1, 1)))
    net.bottom_up("V4", "IT", "global_average_pool2d")
    net.objective("IT", "cross_entropy")
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net
    assert again.projections["retina->V1"].connector.kernel == (3, 5)
    assert "Conv2d" in str(net) and "MaxPool2d" in str(net)


OLD = """
network: old
populations:
  retina: {shape: [1, 4, 4]}
  V1: {shape: [2, 2, 2]}
projections:
- {kind: bottom_up, pre: retina, post: V1, connector: {name: conv2d, kernel: 3, stride: 1, padding: 0}}
"""


def test_a_declaration_without_the_new_settings_reads_as_before():
    assert cs.Network.from_yaml(OLD).projections["retina->V1"].connector == cs.Conv2d(3)
    assert cs.Conv2d(3, 2, 1, "he") == cs.Conv2d(3, stride=2, padding=1, init="he")
    plain, grouped = (to_data("connector", cs.Conv2d(3, groups=n)) for n in (1, 2))
    assert set(plain) == {"name", "kernel", "stride", "padding", "init"}  # as before: so are its fingerprints
    assert grouped == plain | {"groups": 2}


WRONG = [
    (lambda: cs.Conv2d((3, 3, 3)), "Conv2d: kernel must be one number, or two for rows and columns"),
    (lambda: cs.Conv2d(3, stride=(1, 0)), "Conv2d: stride must be a whole number of at least 1. Got 0"),
    (lambda: cs.Conv2d(3, groups=0), "Conv2d: groups must be a whole number of at least 1"),
    (lambda: cs.Conv2d(3, dilation=1.5), "Conv2d: dilation must be a whole number"),
    (lambda: cs.AveragePool2d(2, padding=2), "AveragePool2d: padding must be at most half the kernel"),
    (lambda: cs.MaxPool2d(0), "MaxPool2d: kernel must be a whole number of at least 1"),
]


@pytest.mark.parametrize("make, said", WRONG, ids=[said for _, said in WRONG])
def test_settings_that_mean_nothing_are_refused(make, said):
    with pytest.raises(cs.DeclarationError, match=said):
        make()


UNFIT = [
    (cs.Conv2d(3, groups=2), (3, 5, 5), (4, 3, 3), "groups=2 must divide .* but retina has 3"),
    (cs.Conv2d(3, groups=2), (4, 5, 5), (3, 3, 3), "groups=2 must divide .* but V1 has 3"),
    (cs.Conv2d((1, 3)), (1, 5, 5), (2, 3, 3), r"kernel 1x3, .* to 5x3, .*give V1 shape \(2, 5, 3\)"),
    (cs.Conv2d(3, dilation=3), (1, 5, 5), (2, 3, 3), "kernel 3 with dilation 3 is larger than retina"),
    (cs.AveragePool2d(2), (2, 4, 4), (3, 2, 2), r"but V1 has shape \(3, 2, 2\); give V1 shape \(2, 2, 2\)"),
    (cs.MaxPool2d(5), (2, 4, 4), (2, 1, 1), "a window of 5 is larger than retina"),
    (cs.AveragePool2d(2), (16,), (4,), r"AveragePool2d needs populations of shape \(channel, row, column\)"),
    (cs.GlobalAveragePool2d(), (2, 4, 4), (3,), r"give V1 shape \(2,\) or \(2, 1, 1\)"),
    (cs.GlobalAveragePool2d(), (4,), (4,), "needs a pre population of shape"),
]


@pytest.mark.parametrize("connector, pre, post, said", UNFIT, ids=str)
def test_populations_that_do_not_fit_are_refused_with_the_shape_that_does(connector, pre, post, said):
    net = cs.Network("unfit")
    net.population("retina", shape=pre)
    net.population("V1", shape=post)
    with pytest.raises(cs.DeclarationError, match=f"projection retina->V1: .*{said}"):
        net.bottom_up("retina", "V1", connector)
