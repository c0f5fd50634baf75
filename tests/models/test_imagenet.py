"""gait_imagenet at full size: declared, built, and stepped once at 224 pixels."""

from __future__ import annotations

import numpy as np
import torch

import cortex_sim as cs
from cortex_sim.backends.torch.training import make_optimiser


def test_one_step_at_224_pixels_changes_every_plastic_projection():
    net = cs.model("gait_imagenet")
    model = cs.torch.build(net, seed=0)
    before = {name: w.detach().clone() for name, w in model.weights.items()}
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 224, 224)))
    optimiser = make_optimiser(model, {"name": "SGD", "lr": 1e-3})
    model(x, torch.tensor([3, 998])).backward()
    optimiser.step()
    assert torch.isfinite(model.last_objective)
    assert len(before) == 8  # seven convolutions and the readout
    for name, old in before.items():
        assert torch.isfinite(model.weights[name]).all(), name
        assert not torch.equal(model.weights[name].detach(), old), name
