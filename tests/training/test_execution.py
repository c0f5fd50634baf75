"""Compiled, with channels last, with rates computed again: the same training, resumed bit for bit."""

from functools import partial

import numpy as np
import pytest
import torch
from networks import chain, conv, dense_chain, shown
from torch._inductor import config as inductor_config

import cortex_sim as cs
from cortex_sim.backends.torch import execution
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.errors import BuildError, RunError
from cortex_sim.rules.base import WORDS
from cortex_sim.training.run import train
from cortex_sim.updating import Updating

SGD = {"name": "SGD", "lr": 0.05}
CONVOLVED = sorted(set(WORDS) - {"tdca", "target_prop"})


def trainer(net, settling=None, count=24, precision="64", **updating):
    x, y = shown(net, count=count)
    model = cs.torch.build(net, precision=precision, settling=settling)
    x = torch.as_tensor(x, dtype=model.compute)
    return Trainer(model, x, torch.as_tensor(y), 2, 8, SGD, updating=Updating(**updating))


def assert_same_training(ours, theirs, **tolerance):
    for run in (ours, theirs):
        run.train_epoch()
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-9)
    kept = dict(theirs.model.named_parameters())
    for name, p in ours.model.named_parameters():
        torch.testing.assert_close(p, kept[name], **{"rtol": 1e-9, "atol": 1e-11, **tolerance})


# -- channels last --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", CONVOLVED)
def test_channels_last_is_the_same_training(word):
    net = conv("leaky_relu", init="orthogonal").with_rule(word)
    ours = trainer(net, channels_last=True)
    layouts = []
    first = next(n for n, p in net.populations.items() if len(p.shape) == 3 and n not in net.sources)
    ours.model.get_submodule(f"populations.{first}").register_forward_hook(
        lambda module, given, r: layouts.append(r.is_contiguous(memory_format=torch.channels_last))
    )
    assert_same_training(ours, trainer(net))
    assert layouts and all(layouts)


def test_stimuli_of_any_source_are_laid_out():
    class Elsewhere:
        def __len__(self):
            return 16

        def batch(self, indices, epoch=0):
            return {"retina": np.ones((len(indices), 2, 3, 5), np.float32)}, np.zeros(len(indices), int)

    x, _ = Elsewhere().batch(np.arange(4))
    found = execution.channels_last(x)["retina"]
    assert found.is_contiguous(memory_format=torch.channels_last) and found.shape == (4, 2, 3, 5)


def test_without_pictures_channels_last_is_refused():
    with pytest.raises(RunError, match="setting channels_last: network chain has no source of shape"):
        trainer(chain().with_rule("backprop"), channels_last=True)


# -- rates computed again -------------------------------------------------------------------------


def kept_bytes(run):
    held, kept = [], {}

    def pack(tensor):
        held.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run.model(run.source.x[torch.arange(8)], run.source.y[:8])
    return sum(kept.values())


@pytest.mark.parametrize("word", CONVOLVED)
def test_rates_computed_again_are_the_same_training(word):
    net = conv("leaky_relu", init="orthogonal").with_rule(word)
    assert_same_training(trainer(net, cs.torch.Settling(recompute=True)), trainer(net))


def normalised():
    net = cs.Network("normalised")
    net.population("retina", shape=(2, 5, 7))
    for name, below in (("V1", "retina"), ("V2", "V1")):
        net.population(name, shape=(4, 5, 7), activation="relu", normaliser=cs.BatchNorm())
        net.bottom_up(below, name, cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.population("IT", 3)
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop")


def test_with_normalisers_less_is_kept_and_running_statistics_are_the_same():
    again, plain = trainer(normalised(), cs.torch.Settling(recompute=True)), trainer(normalised())
    assert kept_bytes(again) < 0.6 * kept_bytes(plain)
    assert again.forecast().activations < 0.9 * plain.forecast().activations
    again, plain = trainer(normalised(), cs.torch.Settling(recompute=True)), trainer(normalised())
    assert_same_training(again, plain)
    buffers = dict(plain.model.named_buffers())
    for name, buffer in again.model.named_buffers():
        torch.testing.assert_close(buffer, buffers[name])


def test_what_moves_with_each_batch_cannot_be_computed_again():
    net = cs.Network("drops")
    net.population("retina", 5)
    net.population("V1", 7, activation="relu", dropout=0.5)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule("backprop")
    with pytest.raises(BuildError, match="population V1: would draw new dropout"):
        cs.torch.build(net, settling=cs.torch.Settling(recompute=True))
    reading = chain().with_rule("backprop").with_reads(cs.Decorrelated())
    with pytest.raises(BuildError, match="has synapses whose reading changes with each batch"):
        cs.torch.build(reading, settling=cs.torch.Settling(recompute=True))


# -- compiled -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("word", ["gait_prop", "feedback_alignment"])
@inductor_config.patch(compile_threads=1)  # more would be processes, which leave pipes open
def test_compiled_is_the_same_training(word):
    net = conv("leaky_relu", init="orthogonal").with_rule(word)
    ours = trainer(net, count=20, compile=True, accumulate=2)  # the last batch is smaller
    assert_same_training(ours, trainer(net, count=20, accumulate=2), rtol=1e-6, atol=1e-8)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@inductor_config.patch(compile_threads=1)
def test_a_compiled_run_resumes_bit_for_bit(settings, no_figure, assert_same_end, tmp_path, monkeypatch):
    """Also from within an epoch whose last batch is smaller, which is compiled first then."""
    given = settings(rule="gait_prop", compile=True, batch_size=9, checkpoint_every=4)
    train(given, tmp_path / "whole")
    update = Trainer.update

    class Dies(Exception):
        pass

    def dying(trainer, index):
        update(trainer, index)
        if trainer.step == 5:
            raise Dies

    monkeypatch.setattr(Trainer, "update", dying)
    with pytest.raises(Dies):
        train(given, tmp_path / "part")
    monkeypatch.setattr(Trainer, "update", update)
    train(given, tmp_path / "part", resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "part")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_runs_of_one_process_do_not_share_the_limit_of_compiled_versions(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # traced, not translated
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True, recompile_limit=2):
        for width in range(3, 6):
            trainer(dense_chain((7, width, 3)).with_rule("backprop"), compile=True).train_epoch()


@pytest.mark.filterwarnings("default")
def test_a_compiler_that_fails_is_one_line(monkeypatch):
    def no_compiler(graph, given):
        raise RuntimeError("g++ not found\nlong trace")

    monkeypatch.setattr(execution, "compiled", lambda module: torch.compile(module, backend=no_compiler))
    run = trainer(chain().with_rule("backprop"), compile=True)
    with pytest.raises(RunError) as caught:
        run.train_epoch()
    said = str(caught.value)
    assert said.startswith("setting compile: torch could not compile network chain (") and "\n" not in said
