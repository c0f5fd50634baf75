from itertools import pairwise

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.chains import VARIANCE_KEPT, areas

WIDE = (1024,)
SHAPES = {
    "digits_mlp": [(64,), (64,), (10,)],
    "gait_square": [(1, 28, 28), *[(784,)] * 4, (10,)],
    "gait_tower": [(1, 28, 28), (784,), (500,), (200,), (10,)],
    "gait_cifar_shallow": [(3, 32, 32), *[WIDE] * 3, (10,)],
    "gait_cifar_deep": [(3, 32, 32), *[WIDE] * 6, (10,)],
    "conv4": [(3, 32, 32), (32, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (10,)],
    "gait_imagenet": [
        (3, 224, 224), (24, 56, 56), (24, 28, 28), (48, 14, 14), (48, 7, 7), (96, 7, 7),
        (96, 4, 4), (192, 4, 4), (1000,),
    ],
}  # fmt: skip
KERNELS = {
    "conv4": [(32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3), (10, 4096)],
    "gait_imagenet": [
        (24, 3, 9, 9), (24, 24, 3, 3), (48, 24, 5, 5), (48, 48, 3, 3), (96, 48, 3, 3),
        (96, 96, 3, 3), (192, 96, 3, 3), (1000, 3072),
    ],
}  # fmt: skip
GAIN_ONE = {"digits_mlp", "gait_square", "gait_tower"}
every_model = pytest.mark.parametrize("name", SHAPES)


def test_every_shipped_model_of_this_kind_is_described_here():
    assert set(SHAPES) <= set(library.names("models"))


@every_model
def test_it_has_the_published_shapes(name):
    net = cs.model(name)
    net.check()
    assert net.name == name
    assert [p.shape for p in net.populations.values()] == SHAPES[name]


@every_model
def test_it_is_a_chain_that_learns_by_gait_prop(name):
    net = cs.model(name)
    order = list(net.populations)
    assert [p.name for p in net.bottom_ups] == [f"{pre}->{post}" for pre, post in pairwise(order)]
    assert {p.plasticity for p in net.bottom_ups} == {cs.GaitProp()}
    assert net.stimulated == ["retina"]
    assert (net.objective_at, net.objective_function) == (order[-1], cs.CrossEntropy())


@every_model
def test_inverses_come_down_as_far_as_v1(name):
    """As declared, and as the word would have it: nothing below V1 needs credit."""
    net = cs.model(name)
    ups = net.bottom_ups[1:]
    assert [(p.reverse_name, p.feedback) for p in net.top_downs] == [(p.name, cs.Inverse(of=p)) for p in ups]
    assert net.with_rule("gait_prop") == net


@every_model
def test_hidden_areas_are_leaky_and_the_top_is_linear(name):
    _, *hidden, top = cs.model(name).populations.values()
    assert {p.activation for p in hidden} == {cs.LeakyRelu(slope=0.1)}
    assert top.activation == cs.Linear()


@every_model
def test_it_starts_orthogonal_with_its_gain(name):
    gain = 1.0 if name in GAIN_ONE else np.sqrt(2 / 1.01)
    for p in cs.model(name).bottom_ups:
        assert isinstance(p.connector.init, cs.Orthogonal)
        np.testing.assert_allclose(p.connector.init.gain, gain, rtol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_its_kernels(name):
    net = cs.model(name)
    assert [net.weight_shape(p) for p in net.bottom_ups] == KERNELS[name]


def test_strides_and_padding_of_the_imagenet_network():
    convolutions = [p.connector for p in cs.model("gait_imagenet").bottom_ups[:-1]]
    assert [c.stride for c in convolutions] == [4, 2, 2, 2, 1, 2, 1]
    assert [c.padding for c in convolutions] == [4, 1, 2, 1, 1, 1, 1]


def test_the_gain_keeps_the_variance_of_leaky_rates():
    rng = np.random.default_rng(0)
    f, rates = cs.LeakyRelu(), rng.normal(size=(64, 400))
    variance = (rates**2).mean()
    for _ in range(10):
        rates = f.rate(rates @ VARIANCE_KEPT.draw(rng, 400, 400).T)
    np.testing.assert_allclose((rates**2).mean(), variance, rtol=0.2)  # gain 1 leaves a thousandth


@pytest.mark.parametrize("hidden", [1, 3, 4, 9])
def test_a_square_network_of_any_depth(hidden):
    net = cs.model("gait_square", hidden=hidden)
    net.check()
    assert [p.size for p in net.populations.values()] == [784] * (hidden + 1) + [10]


def test_areas_are_named_along_the_ventral_stream():
    assert areas(3) == ("V1", "V2", "V4")
    assert areas(6) == ("V1", "V2", "V3", "V4", "PIT", "CIT")
    assert areas(9) == ("V1", "V2", "V3", "V4", "PIT", "CIT", "AIT", "AIT2", "AIT3")


@every_model
def test_it_prints_and_draws(name, tmp_path):
    net = cs.model(name, classes=17)
    table = str(net)
    for thing in (*net.populations, *net.projections, "CrossEntropy", "17"):
        assert thing in table
    net.draw(tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
