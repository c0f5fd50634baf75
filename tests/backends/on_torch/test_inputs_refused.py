"""One meaning for every form of stimuli and labels, or a sentence with the way out."""

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch.training import evaluate


@pytest.fixture(scope="module")
def net():
    net = cs.Network("images")
    net.population("retina", shape=(3, 6, 6))
    net.population("V1", 7, activation="tanh")
    net.population("IT", 4)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(5, 3, 6, 6)).astype(np.float32)


Y = np.array([0, 1, 2, 3, 0])
WAYS = {
    "respond": lambda m, x, y: m.respond(x, y),
    "fit": lambda m, x, y: m.fit((x, y), 1, batch_size=5, progress=False),
    "updates": lambda m, x, y: m.updates(x, y),
    "per presentation": lambda m, x, y: m.updates(x, y, per_presentation=True),
    "backprop_updates": lambda m, x, y: m.backprop_updates(x, y),
    "credits": lambda m, x, y: m.credits(x, y),
    "call": lambda m, x, y: m(x, y),
    "call without labels": lambda m, x, y: m(x),
    "predict": lambda m, x, y: m.predict(x),
    "loss": lambda m, x, y: m.loss(x, y),
    "evaluate": lambda m, x, y: evaluate(m, x, y),
}


@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("way", WAYS)
def test_channels_last_are_refused_by_every_way(net, x, way, form):
    with pytest.raises(cs.DataError, match="would scramble every image"):
        WAYS[way](cs.torch.build(net), form(np.moveaxis(x, 1, -1).copy()), Y)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("way", WAYS)
def test_stimuli_that_are_not_finite_are_refused_by_every_way(net, x, way, value):
    wrong = x.astype(np.float64)
    wrong[3, 1, 2, 0] = value
    with pytest.raises(cs.DataError, match="first in presentation 3"):
        WAYS[way](cs.torch.build(net), wrong, Y)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"call without labels", "predict"}))
def test_targets_that_are_not_finite_are_refused(net, x, way):
    goal = np.eye(4)[Y]
    goal[2, 1] = np.nan
    with pytest.raises(cs.DataError, match="targets hold NaN .* first in presentation 2"):
        WAYS[way](cs.torch.build(net), x, goal)


@pytest.mark.parametrize("precision", ["32", "64"])
@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_grey_levels_of_8_bits_run_from_0_to_1(net, form, precision):
    levels = np.random.default_rng(1).integers(0, 256, size=(5, 3, 6, 6)).astype(np.uint8)
    ours, theirs = (cs.torch.build(net, precision=precision) for _ in range(2))
    for model, given in ((ours, form(levels)), (theirs, levels / 255)):
        model.fit((given, Y), 2, batch_size=5, progress=False)
    for name, w in ours.weights.items():
        assert torch.equal(w, theirs.weights[name])
    np.testing.assert_array_equal(ours.predict(form(levels)), theirs.predict(levels / 255))


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.reshape(5, -1),
        lambda x: x[:, :, ::-1][:, :, ::-1],
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.longdouble),
        lambda x: x.tolist(),
        lambda x: torch.as_tensor(x)[:, None],
    ],
    ids=["flat", "reversed", "big-endian", "long double", "lists", "axis of one"],
)
def test_forms_that_mean_the_same(net, x, form):
    model = cs.torch.build(net)
    np.testing.assert_array_equal(model.predict(form(x)), model.predict(x))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "uint64", ">i8", "bool"])
def test_labels_of_every_whole_kind(net, x, kind):
    model = cs.torch.build(net)
    y = Y % 2 if kind == "bool" else Y
    for name, change in model.updates(x, y.astype(kind)[::-1]).items():
        assert torch.equal(change, model.updates(x, y[::-1].copy())[name])


@pytest.mark.parametrize(
    "given, message",
    [
        (lambda x: x[0], r"x\[None\]"),
        (lambda x: x[0].ravel(), r"x\[None\]"),
        (lambda x: x + 1j, "is complex; give real numbers"),
        (lambda x: torch.as_tensor(x) + 1j, "is complex; give real numbers"),
        (lambda x: x.astype(object), "holds objects"),
        (lambda x: [[1.0], [1.0, 2.0]], "unequal length"),
        (lambda x: x.transpose(0, 2, 3, 1).reshape(5, 4, 27), "expects"),
    ],
)
def test_other_stimuli_are_refused_with_the_way_out(net, x, given, message):
    with pytest.raises(cs.DataError, match=message):
        cs.torch.build(net).predict(given(x))


@pytest.mark.parametrize(
    "y, message",
    [
        ([1, 2, 3, 4, 1], "labels run from 1 to 4.*counted from 0; subtract 1"),
        (list("abcda"), "np.unique"),
        ([0.0, 1.0, 2.0, 3.0, 0.0], r"y.astype\(int\)"),
        ([0, 1], "2 labels for 5 presentations"),
        ([-1, 0, 1, 2, 3], "labels run from -1 to 3"),
    ],
)
def test_other_labels_are_refused_with_the_way_out(net, x, y, message):
    with pytest.raises(cs.DataError, match=message):
        cs.torch.build(net).updates(x, y)


@pytest.mark.parametrize(
    "form, said",
    [
        (lambda x: np.ma.masked_array(x, mask=x > 1), "masked"),
        (lambda x: torch.tensor(x).to_sparse(), "to_dense"),
        (iter, "array of numbers"),
    ],
)
def test_values_that_are_hidden_are_not_shown(net, x, form, said):
    model = cs.torch.build(net)
    for show in (
        lambda given: model.respond(given),
        lambda given: model.updates(given, Y),
        lambda given: model.predict(given),
        lambda given: model.fit((given, Y), 1, batch_size=2, progress=False),
    ):
        with pytest.raises(cs.DataError, match=said):
            show(form(x))


def test_masked_labels_and_grey_levels_as_rates_are_refused(net, x):
    model = cs.torch.build(net)
    with pytest.raises(cs.DataError, match="masked"):
        model.updates(x, np.ma.masked_array(Y, mask=[1, 0, 0, 0, 0]))
    with pytest.raises(cs.DataError, match="grey levels"):
        model.updates(x, np.full((5, 4), 200, np.uint8))


def test_one_hot_targets_may_be_of_any_kind(net, x):
    one_hot = np.eye(4)[Y]
    right = cs.torch.build(net).fit((x, one_hot), 1, batch_size=2, progress=False)
    for kind in (bool, np.uint8, np.float16):
        assert cs.torch.build(net).fit((x, one_hot.astype(kind)), 1, batch_size=2, progress=False) == right


def test_one_label_for_all_is_refused_by_fit(net, x):
    with pytest.raises(cs.DataError, match="targets have shape"):
        cs.torch.build(net).fit((x, 2), 1, progress=False)
