"""The deep networks: published sizes, plain torch's outputs, and every rule that has a meaning in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import cortex_sim as cs
from cortex_sim.rules.base import WORDS

#: Rules that find targets by inverses of single units, which relu and normalisers have not.
BY_TARGETS = {"target_prop", "difference_target_prop"}
#: Rules that in steps need each unit's rate to follow from its own drive.
NOT_NORMALISED = {"e_prop", "e_prop_diffused", "e_prop_symmetric"}
#: Rules whose credit is that of settled rates, and none through time.
SETTLED = {
    "direct_feedback_alignment",
    "error_diffusion",
    "global_neuromodulator",
    "low_rank_feedback",
    "tdca",
}
#: Rules whose change is 0 at first: they wait for a reward, or for rates to leave their usual level.
WAITING = {"three_factor", "synaptic_scaling"}
SMALL = {
    "vgg_like": {"channels": (4, 6), "side": 8},
    "resnet_like": {"channels": (4, 6), "side": 8},
    "cornet_like": {"channels": (4, 8, 8, 8), "side": 16, "groups": 2},
}


def _built(name: str, rule: str, **settings):
    steps = {"settling": cs.torch.Unrolled(7, dt_ms=10)} if name == "cornet_like" else {}
    return cs.torch.build(
        cs.model(name, **SMALL[name]).with_rule(rule, **settings), seed=0, precision="64", **steps
    )


def _multiplications(net: cs.Network) -> int:
    """Of one presentation, all projections together: weights times the places where they are used."""
    total = 0
    for p in net.projections.values():
        if p.kind != "top_down" and (shape := net.weight_shape(p)):
            places = math.prod(net.populations[p.post].shape[1:]) if len(shape) == 4 else 1
            total += math.prod(shape) * places
    return total


@pytest.mark.parametrize(
    ("name", "millions"), [("vgg_like", 9.9), ("resnet_like", 12.5), ("cornet_like", 2.8)]
)
def test_the_multiplications_on_its_page(name, millions):
    assert f"{millions} million multiplications" in _documented(name)
    np.testing.assert_allclose(_multiplications(cs.model(name)) / 1e6, millions, atol=0.05)


def _documented(name: str) -> str:
    from cortex_sim import library

    return getattr(library.load_module("models", name), name).__doc__


def test_at_full_size_it_is_resnet_18():
    """11 689 512 parameters and 1.81 billion multiplications: those of ResNet-18 for 1000 classes."""
    net = cs.model(
        "resnet_like", channels=(64, 128, 256, 512), blocks=2, classes=1000, side=224, large_stem=True
    )
    weights = sum(math.prod(net.weight_shape(p) or (0,)) for p in net.bottom_ups)
    channels = sum(
        p.shape[0] * (p.bias + (p.normaliser is not None))
        for p in net.populations.values()
        if p.name not in net.sources
    )
    assert weights + channels == 11_689_512
    np.testing.assert_allclose(_multiplications(net) / 1e9, 1.814, atol=1e-3)


def test_vgg_like_is_plain_torch():
    model = _built("vgg_like", "backprop").eval()
    layers: list[nn.Module] = []
    for before, after in ((3, 4), (4, 6)):
        for i, o in ((before, after), (after, after)):
            layers += [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    plain = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10)).double().eval()
    plain.load_state_dict(cs.torch.to_state_dict(model, plain))
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3, 8, 8)))
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(model.predict(x)), plain(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("rule", sorted(WORDS))
def test_every_rule_learns_or_is_refused_by_name(name, rule):
    x = np.random.default_rng(0).normal(size=(6, 3, SMALL[name]["side"], SMALL[name]["side"]))
    y = np.arange(6) % 10
    if rule in BY_TARGETS or (name == "cornet_like" and rule in SETTLED | NOT_NORMALISED):
        with pytest.raises((cs.DeclarationError, cs.BuildError), match=r"TargetProp|credit|EProp.*GroupNorm"):
            _built(name, rule)
        return
    model = _built(name, rule).train()
    model(x, y).backward()
    for projection, weight in model.weights.items():
        if weight.requires_grad and rule not in WAITING and "->" in projection:
            assert weight.grad is not None, projection
            assert torch.isfinite(weight.grad).all(), projection
            assert weight.grad.abs().max() > 0, projection


@pytest.mark.parametrize("name", SMALL)
def test_on_orthogonal_weights_gait_prop_is_backpropagation(name):
    """Every inverse is Wᵀ there, once rescaled: of convolutions, strided skips and recurrent projections."""
    model = _built(name, "gait_prop", rescale=True, damping=0)
    with torch.no_grad():
        for p in model.net.bottom_ups:
            if p.name.endswith("readout"):
                u, _, v = torch.linalg.svd(model.weights[p.name], full_matrices=False)
                model.weights[p.name].copy_(u @ v)
    side = SMALL[name]["side"]
    x, y = np.random.default_rng(1).normal(size=(6, 3, side, side)), np.arange(6) % 10
    changes, reference = model.updates(x, y), model.backprop_updates(x, y)
    for projection, wanted in reference.items():
        torch.testing.assert_close(changes[projection], wanted, rtol=1e-7, atol=1e-9, msg=projection)


def test_one_step_brings_a_signal_over_one_projection():
    """Six steps from the stimulus to the readout of the recurrent network; fewer leave it at its bias."""
    net = cs.model("cornet_like", **SMALL["cornet_like"]).with_rule("backprop")
    model = cs.torch.build(net, seed=0, settling=cs.torch.Unrolled(7, dt_ms=10))
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16))
    course = np.abs(model.predict(x)).max((0, 2))
    assert (course[:5] == 0).all()
    assert (course[5:] > 0).all()
