"""Compiled and exported, a model computes what it computes otherwise."""

import operator

import own_parts
import pytest
import torch
from networks import chain, conv, shown
from torch._inductor import config as inductor_config

import cortex_sim as cs
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.rules.base import WORDS


@pytest.mark.parametrize("network", [chain, conv])
def test_the_way_up_is_exported(network):
    model = cs.torch.build(network().with_rule("gait_prop")).eval()
    x = torch.as_tensor(shown(model.net)[0], dtype=torch.float32)
    exported = torch.export.export(model, (x,), strict=False)
    torch.testing.assert_close(exported.module()(x), model(x))


WITHOUT = {"target_prop": "takes dense projections only", "tdca": "a credit network, tested on its own"}
ALWAYS = [("three_factor", "aot_eager")]  # whose change is its state before the step
ALL = [
    pytest.param(word, backend, marks=() if (word, backend) in ALWAYS else pytest.mark.slow)
    for word in sorted(set(WORDS) - set(WITHOUT))
    for backend in ("aot_eager", "inductor")
    if backend == "aot_eager" or word in ("gait_prop", "feedback_alignment", "direct_feedback_alignment")
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("word, backend", ALL)
@inductor_config.patch(compile_threads=1)  # more would be processes, which leave pipes open
def test_compiled_training_is_eager_training(word, backend):
    eager, compiled = (cs.torch.build(conv().with_rule(word), seed=1) for _ in range(2))
    x, y = (torch.as_tensor(values) for values in shown(eager.net))
    for model, step in ((eager, eager), (compiled, torch.compile(compiled, backend=backend))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        model.attach(optimiser)
        for _ in range(4):
            optimiser.zero_grad()
            step(x.float(), y).backward()
            optimiser.step()
    for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_compiled_training_moves_statistics_alike():
    eager, compiled = (own_parts.built("gait_prop") for _ in range(2))
    x, y = (torch.as_tensor(values) for values in own_parts.shown(24))
    for model, step in ((eager, eager), (compiled, torch.compile(compiled, backend="aot_eager"))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        model.attach(optimiser)
        for _ in range(4):
            optimiser.zero_grad()
            step(x, y).backward()
            optimiser.step()
    torch.testing.assert_close(dict(eager.state_dict()), dict(compiled.state_dict()))


def test_words_left_out_are_words():
    assert set(WITHOUT) < set(WORDS)


@uncompiled
def kept(x):
    """Twice ``x``, and whether it was compiled."""
    return 2 * x, torch.compiler.is_compiling()


@pytest.mark.filterwarnings("default")
def test_what_is_left_uncompiled_is_left_out_of_what_is_compiled():
    def doubled(x):
        values, inside = kept(x + 1)
        return values - 1, inside, torch.compiler.is_compiling()

    graphs = []
    step = torch.compile(doubled, backend=lambda graph, _: graphs.append(graph) or graph)
    for _ in range(3):
        values, inside, outside = step(torch.ones(3))
        torch.testing.assert_close(values, torch.full((3,), 3.0))
        assert (inside, outside) == (False, True)
    assert [len(graph.graph.find_nodes(op="call_function", target=operator.mul)) for graph in graphs] == [
        0,
        0,
    ]
    assert kept(torch.ones(1)) == (2, False)
