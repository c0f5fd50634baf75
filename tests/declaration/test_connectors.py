from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs

rng = np.random.default_rng


def test_dense_weights_are_post_by_pre():
    assert cs.Dense().weight_shape((2, 3, 5), (7,)) == (7, 30)
    assert cs.Dense().draw(rng(0), (2, 3, 5), (7,)).shape == (7, 30)


def test_convolution_weights_are_a_kernel_per_post_channel():
    field = cs.Conv2d(kernel=3)
    assert field.weight_shape((2, 7, 7), (5, 5, 5)) == (5, 2, 3, 3)
    assert field.draw(rng(0), (2, 7, 7), (5, 5, 5)).shape == (5, 2, 3, 3)


def test_convolution_is_orthogonal_over_its_patches():
    w = cs.Conv2d(kernel=3, init=cs.Orthogonal(gain=1.5)).draw(rng(0), (2, 7, 7), (5, 5, 5))
    rows = w.reshape(5, 18)  # a row: what one post channel receives of one patch
    np.testing.assert_allclose(rows @ rows.T, 2.25 * np.eye(5), atol=1e-12)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_post_side_is_what_torch_makes_of_it(side, kernel, stride, padding):
    field = cs.Conv2d(kernel, stride, padding)
    if side + 2 * padding < kernel:
        assert field.post_side(side) < 1
        return
    image, weights = torch.zeros(1, 1, side, side), torch.zeros(1, 1, kernel, kernel)
    made = torch.nn.functional.conv2d(image, weights, stride=stride, padding=padding)
    assert field.post_side(side) == made.shape[-1]


def test_identity_has_no_weights():
    assert cs.Identity().weight_shape((3,), (3,)) == ()
    assert not cs.Identity.plastic and cs.Dense.plastic and cs.Conv2d.plastic


@pytest.mark.parametrize("as_given", [np.array, list, tuple, torch.tensor], ids=lambda f: f.__name__)
def test_weights_may_be_given_in_any_form_of_array(as_given):
    w = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    net = cs.Network("given")
    up = net.bottom_up(net.population("retina", 2), net.population("IT", 3), cs.Dense(as_given(w)))
    np.testing.assert_array_equal(net.initial_weights(0)[up.name], w)


def test_a_kernel_may_be_given():
    kernel = rng(0).normal(size=(5, 2, 3, 3))
    net = cs.Network("given")
    net.population("retina", shape=(2, 7, 7))
    net.population("V1", shape=(5, 5, 5))
    net.bottom_up("retina", "V1", cs.Conv2d(3, init=kernel))
    np.testing.assert_array_equal(net.initial_weights(0)["retina->V1"], kernel)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kernel": 0}, "Conv2d: kernel must be a whole number of at least 1. Got 0"),
        ({"kernel": 2.0}, "kernel must be a whole number"),
        ({"kernel": 3, "stride": 0}, "stride must be a whole number of at least 1"),
        ({"kernel": 3, "padding": -1}, "padding must be a whole number of at least 0"),
        ({"kernel": True}, "kernel must be a whole number"),
    ],
)
def test_a_convolution_that_cannot_be_is_refused(settings, message):
    with pytest.raises(cs.DeclarationError, match=message):
        cs.Conv2d(**settings)


@pytest.mark.parametrize(
    "init, message",
    [
        ("orthogonl", "unknown initialiser 'orthogonl' (did you mean 'orthogonal'?)"),
        (3, "initialiser must be one of array, he, orthogonal, uniform, xavier"),
        (object(), "or an object with draw"),
        (cs.Random(), "Got Random(scale=1.0), which is a feedback"),
        (cs.He, "give He(), an object, not the class itself"),
        ([[1.0, float("nan")]], "weights contain NaN or infinity"),
        ([[1.0], [2.0, 3.0]], "weights must be an array of numbers"),
        ([["a"]], "weights must be an array of numbers"),
        (np.array([[1j]]), "weights must be an array of numbers (these are complex128)"),
    ],
    ids=lambda given: "object" if type(given) is object else str(given),  # no address
)
def test_initial_weights_that_are_none_are_refused(init, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Dense(init=init)
    assert message in str(refusal.value)


@dataclass(frozen=True)
class Fixed(cs.Dense):
    """A user-defined connector: weights that never change."""

    plastic: ClassVar[bool] = False


@dataclass(frozen=True)
class Nothing:
    """A user-defined connector that claims to have no weights."""

    plastic: ClassVar[bool] = False

    def weight_shape(self, pre, post):
        return ()

    def check(self, name, pre, post):
        pass

    def draw(self, rng, pre, post):
        return np.empty(0)


def with_a_fixed_step(connector):
    net = cs.Network("n")
    for name, size in (("retina", 5), ("V1", 3), ("IT", 2)):
        net.population(name, size)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", connector)
    net.objective("IT", "squared_error")
    return net


def test_a_connector_that_does_not_learn_is_no_identity(own_names):
    net = with_a_fixed_step(Fixed())
    assert net.initial_weights(0)["V1->IT"].shape == (2, 3)
    assert cs.Network.from_yaml(net.to_yaml()) == net
    down = net.with_rule("gait_prop").projection("IT->V1")
    assert isinstance(down.feedback, cs.Inverse)  # not the transpose of an identity
    with pytest.raises(cs.DeclarationError, match="never changes its weights .plastic = False."):
        net.bottom_up("retina", "IT", Fixed(), plasticity="backprop")


def test_only_identity_has_no_weights(own_names):
    with pytest.raises(cs.DeclarationError, match=r"Nothing has weights of shape \(\), .*use Identity\(\)"):
        with_a_fixed_step(Nothing())
