"""Compiled and exported, a model computes what it computes otherwise."""

import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs


@pytest.mark.parametrize("network", [chain, conv])
def test_the_way_up_is_exported(network):
    model = cs.torch.build(network().with_rule("gait_prop")).eval()
    x = torch.as_tensor(shown(model.net)[0], dtype=torch.float32)
    exported = torch.export.export(model, (x,), strict=False)
    torch.testing.assert_close(exported.module()(x), model(x))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "word",
    [
        "gait_prop",
        *(
            pytest.param(word, marks=pytest.mark.slow)
            for word in ["backprop", "feedback_alignment", "weight_mirror", "kolen_pollack", "sign_symmetric"]
        ),
    ],
)
def test_compiled_training_is_eager_training(word):
    eager, compiled = (cs.torch.build(conv().with_rule(word), seed=1) for _ in range(2))
    x, y = (torch.as_tensor(values) for values in shown(eager.net))
    for model, step in ((eager, eager), (compiled, torch.compile(compiled, backend="aot_eager"))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        model.attach(optimiser)
        for _ in range(4):
            optimiser.zero_grad()
            step(x.float(), y).backward()
            optimiser.step()
    for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
