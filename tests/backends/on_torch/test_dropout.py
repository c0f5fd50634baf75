"""Dropout as declared noise: its share, its mask on the way back, and where there is none."""

import numpy as np
import torch
from normalising import built, changed, network, stimuli
from torch import nn

import cortex_sim as cs

F = nn.functional


def test_dropout_silences_its_share_and_keeps_the_mean():
    net = cs.Network("wide")
    net.population("retina", 4000, dropout=0.25)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    model = cs.torch.build(net, precision="64").train()
    (shown,) = model.shown(np.ones((2, 4000))).values()
    assert set(shown.unique().tolist()) == {0.0, 1 / 0.75}
    assert abs(float((shown == 0).double().mean()) - 0.25) < 0.02
    assert not torch.equal(shown[0], shown[1])
    (whole,) = model.eval().shown(np.ones((2, 4000))).values()
    assert (whole == 1).all()


def test_credit_passes_through_the_mask_that_rates_met():
    net = network("layer", second="layer", dropout=0.5)
    model = built(net)
    x, y = stimuli()
    seen = []
    hook = model.get_submodule("populations.V1").register_forward_hook(lambda *args: seen.append(args[2]))
    change = changed(model, x, y)
    hook.remove()
    assert len(seen) == 1
    silent = (seen[0] == 0).flatten(1)
    assert 0.3 < float(silent.double().mean()) < 0.7
    # Without the mask's factor on the way back the change would be that of the rates' alone.
    mask = torch.where(silent, 0.0, 2.0)
    w, b = model.weights, model.biases
    a1 = (torch.as_tensor(x) @ w["retina->V1"].T).reshape(-1, 4, 3, 2).detach().requires_grad_()
    one, two = (model.population(n).normaliser for n in ("V1", "V2"))
    r1 = torch.tanh(F.group_norm(a1, 1, one.gain, b["V1"])).flatten(1) * mask
    r2 = F.softplus(F.group_norm(r1 @ w["V1->V2"].T, 1, two.gain, b["V2"]))
    F.cross_entropy(r2 @ w["V2->IT"].T + b["IT"], torch.as_tensor(y)).backward()
    np.testing.assert_allclose(
        change["retina->V1"], -(a1.grad.flatten(1).T @ torch.as_tensor(x)).numpy(), atol=1e-13
    )


def test_every_batch_has_a_mask_of_its_own_and_looking_takes_none():
    model = built(network("layer", dropout=0.5))
    x, y = stimuli()
    assert np.array_equal(model.predict(x), model.predict(x))
    losses = [model.train()(x, y).item() for _ in range(3)] + [model(x).sum().item() for _ in range(2)]
    assert len(set(losses)) == 5
    again = built(network("layer", dropout=0.5)).train()
    assert again(x, y).item() == losses[0]
