"""To and from plain torch: state dicts by layer, features of named populations, ONNX files."""

import re

import numpy as np
import pytest
import torch
from networks import chain, conv, shown
from torch import nn

import cortex_sim as cs
from cortex_sim.backends.torch import onnx_file
from cortex_sim.errors import RunError


def mlp(slope=0.1, bias=True):
    return nn.Sequential(nn.Linear(64, 11, bias=bias), nn.LeakyReLU(slope), nn.Linear(11, 10))


def model(rule="gait_prop", seed=0, **settings):
    return cs.torch.build(cs.model("digits_mlp", hidden=11).with_rule(rule), seed, **settings)


def normalised():
    """Two convolutions, each with batch normalisation, and a dense readout; declared and in plain torch."""
    net = cs.Network("normalised")
    net.population("retina", shape=(2, 5, 7))
    for name, channels, below in (("V1", 3, "retina"), ("V2", 4, "V1")):
        net.population(
            name, shape=(channels, 5, 7), activation="relu", normaliser=cs.BatchNorm(eps=1e-5), dropout=0.1
        )
        net.bottom_up(below, name, cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.population("IT", 3)
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    plain = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 5 * 7, 3),
    )
    return net.with_rule("backprop"), plain


def trained(net):
    """A model whose biases, gains and running statistics are no longer those that it began with."""
    built = cs.torch.build(net)
    x, y = shown(net, count=24)
    built.fit((x.astype(np.float32), y), epochs=2, batch_size=8, optimiser={"name": "SGD", "lr": 0.1})
    return built.eval()


def images(net, count=9, seed=5):
    shape = net.populations[net.sources[0]].shape
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("precision", ["32", "64"])
def test_a_plain_module_with_our_weights_computes_the_same(precision):
    ours, plain = model(precision=precision), mlp()
    ours.fit(cs.data.load("digits").standardised(), epochs=1)
    before = plain.state_dict()["0.weight"].clone()
    plain.load_state_dict(cs.torch.to_state_dict(ours, plain))
    assert not torch.equal(plain.state_dict()["0.weight"], before)
    x = images(ours.net)
    np.testing.assert_allclose(plain(torch.from_numpy(x)).detach(), ours.predict(x), atol=1e-5)


def test_our_model_with_plain_weights_computes_the_same_and_feedback_follows():
    ours, plain = model("gait_prop"), mlp()
    stale = ours.feedback.fixed.get_buffer("IT->V1").clone()
    cs.torch.from_state_dict(ours, plain)
    x = images(ours.net)
    np.testing.assert_allclose(ours.predict(x), plain(torch.from_numpy(x)).detach(), atol=1e-5)
    assert not torch.equal(ours.feedback.fixed.get_buffer("IT->V1"), stale)
    back = mlp()
    back.load_state_dict(cs.torch.to_state_dict(ours, back))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


def test_normalisers_travel_with_gains_offsets_and_statistics():
    net, plain = normalised()
    ours = trained(net)
    assert not np.allclose(ours.state().normalisers["V1"]["mean"], 0, atol=1e-3)
    plain.load_state_dict(cs.torch.to_state_dict(ours, plain))
    x = images(net)
    np.testing.assert_allclose(plain.eval()(torch.from_numpy(x)).detach(), ours.predict(x), atol=1e-5)
    again = cs.torch.build(net, seed=1).eval()
    cs.torch.from_state_dict(again, plain)
    np.testing.assert_allclose(again.predict(x), ours.predict(x), atol=1e-6)


def test_layers_in_another_order_are_named():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.readout = nn.Linear(11, 10)
            self.first = nn.Linear(64, 11)

        def forward(self, x):
            return self.readout(nn.functional.leaky_relu(self.first(x), 0.1))

    ours, plain = model(), Swapped()
    with pytest.raises(RunError, match=re.escape("layer readout: its weight has shape (10, 11), but")):
        cs.torch.to_state_dict(ours, plain)
    names = {"retina->V1": "first", "V1->IT": "readout"}
    plain.load_state_dict(cs.torch.to_state_dict(ours, plain, names=names))
    x = images(ours.net)
    np.testing.assert_allclose(plain(torch.from_numpy(x)).detach(), ours.predict(x), atol=1e-5)
    other = model(seed=1)
    cs.torch.from_state_dict(other, plain.state_dict(), names=names)
    np.testing.assert_allclose(other.predict(x), ours.predict(x), atol=1e-6)
    with pytest.raises(RunError, match=re.escape("unknown names: layer 'V1->IT'")):
        cs.torch.to_state_dict(ours, plain, names={"retina->V1": "first"})
    with pytest.raises(RunError, match="unknown names: layer of the module 'frist'"):
        cs.torch.to_state_dict(ours, plain, names={**names, "retina->V1": "frist"})


@pytest.mark.parametrize(
    "plain, message",
    [
        (mlp(slope=0.3), "differ from those of network digits_mlp"),
        (mlp(bias=False), "layer 0: has no bias, but retina->V1 has one"),
        (
            nn.Sequential(nn.Linear(64, 10)),
            "number of layers with parameters is 2 in the network (retina->V1, V1->IT), but 1 in",
        ),
        (
            nn.Sequential(nn.Linear(64, 11), nn.LayerNorm(11), nn.Linear(11, 10)),
            "number of layers with parameters is 2 in the network (retina->V1, V1->IT), but 3 in",
        ),
    ],
)
def test_a_module_that_is_another_network_is_refused_and_nothing_changes(plain, message):
    ours = model()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    for call in (cs.torch.to_state_dict, cs.torch.from_state_dict):
        with pytest.raises(RunError, match=re.escape(message)):
            call(ours, plain)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_bias_that_our_population_lacks():
    net = cs.Network("no_bias")
    net.population("retina", 5)
    net.population("IT", 3, bias=False)
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    ours, plain = cs.torch.build(net), nn.Linear(5, 3)
    found = cs.torch.to_state_dict(ours, plain)
    assert not found["bias"].any()
    with pytest.raises(RunError, match="has a bias that is not 0, but retina->IT has none"):
        cs.torch.from_state_dict(ours, plain)


def test_features_are_rates_of_named_populations_in_plain_autograd():
    net = conv("leaky_relu").with_rule("feedback_alignment")
    ours = cs.torch.build(net)
    features = cs.torch.Features(ours, ["V1", "IT"])
    x = torch.from_numpy(images(net)).requires_grad_()
    found = features(x)
    assert list(found) == ["V1", "IT"] and tuple(found["V1"].shape[1:]) == net.populations["V1"].shape
    recorded = ours.respond(x.detach().numpy())
    for name, rates in found.items():
        kept = recorded.rate.values[:, recorded.population.values == name]
        np.testing.assert_allclose(rates.detach().flatten(1), kept, atol=1e-6)
    readout = nn.Linear(found["V1"][0].numel(), 2)
    readout(found["V1"].flatten(1)).sum().backward()
    (lowest,) = [p.name for p in net.bottom_ups if p.post == "V1"]
    assert x.grad.any() and ours.weights[lowest].grad.any()
    features.requires_grad_(False)
    assert not any(p.requires_grad for p in features.parameters())


@pytest.mark.parametrize(
    "given, message",
    [
        (["V9"], "unknown population of chain 'V9'"),
        ("V1", "give a list of populations"),
        ([], "give a list of populations"),
    ],
)
def test_features_that_do_not_exist_are_refused(given, message):
    with pytest.raises(RunError, match=message):
        cs.torch.Features(cs.torch.build(chain().with_rule("backprop")), given)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["chain", "normalised"])
def test_an_onnx_file_computes_the_same_for_any_number_of_presentations(case, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    reference = pytest.importorskip("onnx.reference", reason="needs the extra onnx")
    net = normalised()[0] if case == "normalised" else chain("leaky_relu").with_rule("gait_prop")
    ours = trained(net)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    cs.torch.to_onnx(ours.train(), tmp_path / "net.onnx")
    assert ours.training and all(torch.equal(t, before[n]) for n, t in ours.state_dict().items())
    session = reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    assert (session.input_names, session.output_names) == (["retina"], ["IT"])
    for count in (1, 5):
        x = images(net, count)
        (found,) = session.run(None, {"retina": x})
        np.testing.assert_allclose(found, ours.predict(x), atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_what_an_onnx_file_cannot_hold_is_refused_by_name(tmp_path, monkeypatch):
    net = cs.Network("loop")
    net.population("retina", 5)
    net.population("V1", 3, activation="tanh")
    net.bottom_up("retina", "V1")
    net.recurrent("V1", "V1", cs.Dense(0.1 * np.eye(3)))
    with pytest.raises(RunError, match="network loop: V1 settle in a loop by iteration"):
        cs.torch.to_onnx(cs.torch.build(net), tmp_path / "no.onnx")
    unrolled = cs.torch.build(net, settling=cs.torch.Unrolled(steps=3, dt_ms=1))
    with pytest.raises(RunError, match="network loop"):
        cs.torch.to_onnx(unrolled, tmp_path / "no.onnx")
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=re.escape("needs onnx, onnxscript; pip install 'cortex-sim[onnx]'")):
        cs.torch.to_onnx(model(), tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())
