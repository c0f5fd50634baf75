"""What a normaliser computes and refuses, where it shows, and a class of one's own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from normalising import NORMALISERS, network, standardised, stimuli

import cortex_sim as cs
from cortex_sim.normalisers.base import normalised

SHAPES = [(4, 3, 2), (6,)]


@pytest.mark.parametrize("kind", NORMALISERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_moments_are_those_of_the_equations(kind, shape, library):
    a = np.random.default_rng(0).normal(1, 2, size=(5, *shape))
    given = a if library == "numpy" else torch.as_tensor(a)
    one = NORMALISERS[kind]
    found = normalised(one, given, one.moments(given), 1.0)
    np.testing.assert_allclose(found, standardised(kind, a)[0], atol=1e-13)


@dataclass(frozen=True)
class Centred:
    """Subtracts the running mean of each channel, as a class of a user's own."""

    eps: float = 0.0
    gain: float = 2.0
    momentum: float = 0.25
    running: ClassVar[bool] = True

    def check(self, name, shape):
        pass

    def moments(self, a):
        mean = a.mean((0, *range(2, a.ndim)), keepdims=True)
        return mean, mean * 0 + 1


def test_a_class_of_one_s_own_trains_and_runs_in_time():
    net = cs.Network("own")
    net.population("retina", 13)
    net.population("V1", shape=(2, 2, 2), activation="tanh", normaliser=Centred())
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    model = cs.torch.build(net.with_rule("gait_prop"), precision="64")
    x, y = stimuli()
    a = (x @ model.weights["retina->V1"].detach().numpy().T).reshape(-1, 2, 2, 2)
    mean = a.mean((0, 2, 3), keepdims=True)
    rates = model.train().settle(x)[1]["V1"]
    np.testing.assert_allclose(rates.detach(), np.tanh(2 * (a - mean)), atol=1e-14)
    model(x, y).backward()
    kept = model.state().normalisers["V1"]
    np.testing.assert_allclose(kept["mean"], 0.25 * mean.ravel())
    script = cs.Protocol(cs.Phase("show", 300, drive={"retina": x}), batch=5)
    found = cs.brian2.build(model.net, state=model).run(script, progress=False)["rate"]
    np.testing.assert_allclose(found, model.respond(x)["rate"], atol=1e-9)


def test_it_shows_in_print_drawing_yaml_and_list():
    net = network("group", second="layer", dropout=0.25)
    assert "GroupNorm(groups=2), dropout 0.25" in str(net) and "LayerNorm" in str(net)
    assert any("GroupNorm" in text.get_text() for text in net.draw().axes[0].texts)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net and again.populations["V1"].normaliser == cs.GroupNorm(2)
    assert "normaliser" not in cs.model("digits_mlp").to_yaml()  # what has none is written as before
    from cortex_sim.commands.look import KINDS

    assert KINDS["normalisers"]() == ["batch_norm", "group_norm", "layer_norm"]


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"normaliser": "batchnorm"},
            "population V1: unknown normaliser 'batchnorm' .did you mean 'batch_norm'",
        ),
        (
            {"normaliser": cs.GroupNorm(4)},
            "population V1: GroupNorm .* 4 does not divide 6; use one of 1, 2, 3, 6",
        ),
        ({"normaliser": cs.GroupNorm(6)}, "population V1: with GroupNorm.6. every group is one unit"),
        ({"dropout": 1.0}, "population V1: dropout must be below 1"),
        ({"dropout": -0.1}, "population V1: dropout must be 0 or more"),
        (
            {"normaliser": cs.Relu()},
            "population V1: normaliser must be one of batch_norm, group_norm, layer_norm",
        ),
    ],
)
def test_a_population_refuses(settings, message):
    with pytest.raises(cs.DeclarationError, match=message):
        cs.Network("wrong").population("V1", 6, **settings)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.BatchNorm(momentum=0), "BatchNorm: momentum must be a positive number"),
        (lambda: cs.BatchNorm(momentum=1.5), "BatchNorm: momentum must be at most 1"),
        (lambda: cs.BatchNorm(eps=-1e-5), "BatchNorm: eps must be a positive number"),
        (lambda: cs.BatchNorm(reduced=1), "BatchNorm: reduced must be True or False"),
        (lambda: cs.LayerNorm(gain=np.nan), "LayerNorm: gain must be a finite number"),
        (lambda: cs.GroupNorm(2.5), "GroupNorm: groups must be a whole number"),
        (
            lambda: cs.Network("one").population("V1", 1, normaliser="layer_norm"),
            "V1: LayerNorm needs more than one unit",
        ),
    ],
)
def test_a_normaliser_refuses(make, message):
    with pytest.raises(cs.DeclarationError, match=message):
        make()


def _net(retina=None, v1=None, it=None, rule="backprop"):
    net = cs.Network("refused")
    net.population("retina", 5, **(retina or {}))
    net.population("V1", 4, activation="tanh", **(v1 or {}))
    net.population("IT", 3, **(it or {}))
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(rule)


@pytest.mark.parametrize(
    "net, message",
    [
        (lambda: _net({"normaliser": "batch_norm"}), "population retina: BatchNorm acts on the drive"),
        (
            lambda: _net(it={"dropout": 0.5}),
            "population IT: dropout=0.5 would silence units that the objective",
        ),
        (
            lambda: _net(v1={"normaliser": "layer_norm"}, rule="target_prop"),
            "population V1: TargetProp inverts",
        ),
        (
            lambda: _net(v1={"dropout": 0.5}, rule="difference_target_prop"),
            "population V1: Difference.* dropout has no inverse",
        ),
        (
            lambda: _net(v1={"normaliser": "batch_norm"}, rule=cs.GaitProp(form="finite")),
            "V1: GaitProp inverts",
        ),
    ],
)
def test_a_network_refuses(net, message):
    with pytest.raises(cs.DeclarationError, match=message):
        net().check()


def test_inner_runs_refuse_by_name():
    from cortex_sim.tdca.inner.architecture import architecture

    for settings, word in (({"normaliser": "layer_norm"}, "LayerNorm"), ({"dropout": 0.5}, "dropout")):
        with pytest.raises(cs.BuildError, match=f"population V1: {word} is not supported in parallel inner"):
            architecture(_net(v1=settings))


def test_a_credit_network_that_skips_the_gain_is_refused_and_others_teach():
    from cortex_sim.credit import DenseCredit, TrainedCredit

    x, y = np.random.default_rng(0).normal(size=(6, 5)), np.arange(6) % 3
    for gated in (True, False):
        network = DenseCredit(3, 4, 5, gated=gated)
        net = _net(v1={"normaliser": "batch_norm"})
        credit = TrainedCredit(network, network.draw(0), {})
        if not gated:
            with pytest.raises(cs.DeclarationError, match="population V1: its credit network sends"):
                net.with_rule("tdca", credit=credit)
            continue
        model = cs.torch.build(net.with_rule("tdca", credit=credit)).train()
        model(x, y).backward()
        assert model.population("V1").normaliser.gain.grad.abs().max() > 0


def test_the_step_of_inner_runs_does_not_know_gains():
    model = cs.torch.build(_net(v1={"normaliser": "batch_norm"}))
    x, y = np.random.default_rng(0).normal(size=(6, 5)), np.arange(6) % 3
    with pytest.raises(cs.RunError):
        model.fit((x, y), epochs=1, optimiser={"name": "inner_step", "horizon": 1})
