import numpy as np
import pytest
import torch
from agreement import cosine
from networks import built, chain, conv, shown

import cortex_sim as cs
from cortex_sim.rules.base import WORDS


@pytest.mark.parametrize("network", [chain, conv])
@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_rule_learns_in_bf16(word, network):
    if word == "target_prop" and network is conv:
        return
    net = network("leaky_relu", init="orthogonal").with_rule(word)
    model, exact = built(net, precision="bf16"), built(net)
    x, y = shown(net)
    loss, _ = model(x, y), exact(x, y)  # moves the state of rules that have some
    assert all(w.dtype == torch.float32 for w in model.weights.values())
    assert model.settle(model.stimulus_tensor(x))[1]["V1"].dtype == torch.bfloat16
    if loss.requires_grad:
        loss.backward()
    theirs = exact.updates(x, y)
    for name, change in model.updates(x, y).items():
        assert torch.isfinite(change).all()
        if name == "retina->V1" and "target" not in word:
            assert cosine(change.double().numpy(), theirs[name].numpy()) > 0.97, name


def test_bf16_trains():
    net = chain("leaky_relu").with_rule("gait_prop")
    model = cs.torch.build(net, precision="bf16")
    x, y = shown(net, count=64)
    curve = model.fit((x, y), epochs=30, batch_size=16, optimiser={"name": "Adam", "lr": 0.01})
    assert curve[-1]["train_loss"] < 0.7 * curve[0]["train_loss"]
    assert np.isfinite(model.respond(x[:5], y[:5])["rate"]).all()


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("normalised", [True, False])
def test_the_finite_form_is_refused_below_float64(precision, normalised):
    net = chain().with_rule(cs.GaitProp(form="finite", normalised=normalised))
    with pytest.raises(cs.BuildError, match="loses its small step"):
        cs.torch.build(net, precision=precision)
    assert cs.torch.build(net, precision="64")


def test_a_precision_that_does_not_exist():
    with pytest.raises(cs.BuildError, match="unknown precision '16'"):
        cs.torch.build(chain().with_rule("backprop"), precision=16)
    assert cs.torch.build(chain().with_rule("backprop"), precision=64).precision == "64"


@pytest.mark.parametrize("device", ["cuda:99", "tpu9", "meta0", ""])
def test_a_device_that_cannot_be_used(device):
    with pytest.raises(cs.BuildError, match="cannot be used here"):
        cs.torch.build(chain().with_rule("backprop"), device=device)


def test_precisions_start_from_the_same_weights():
    net = chain().with_rule("gait_prop")
    fine, coarse = (cs.torch.build(net, seed=3, precision=p) for p in ("64", "32"))
    for name, w in fine.weights.items():
        assert torch.equal(w.float(), coarse.weights[name])
