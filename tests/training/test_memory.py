"""A forecast of memory before training, and one line that says what takes less where it runs out."""

import logging

import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs
from cortex_sim.backends.torch import memory
from cortex_sim.backends.torch.memory import OutOfMemory, evaluated_at_once, optimiser_bytes
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.runs.log import RunLog
from cortex_sim.training.run import train


def trainer(net, size=8, optimiser="Adam", **settings):
    x, y = shown(net, count=33)
    model = cs.torch.build(net, **settings)
    return Trainer(model, torch.as_tensor(x).float(), torch.as_tensor(y), 1, size, optimiser)


def kept_in_training(run):
    """Bytes of all storages that the backward pass of one batch keeps, by torch's own hooks."""
    own = {t.untyped_storage().data_ptr() for t in (*run.model.parameters(), *run.model.buffers())}
    kept = {}
    held = []

    def pack(tensor):
        held.append(tensor)
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    run.model.eval()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run.model(run.source.x[torch.arange(run.batch_size)], run.source.y[: run.batch_size])
    return sum(kept.values())


@pytest.mark.parametrize("rule", ["backprop", "gait_prop", "direct_feedback_alignment"])
@pytest.mark.parametrize("network", [chain, conv])
def test_what_a_batch_keeps_is_forecast_from_two_presentations(network, rule):
    run = trainer(network("leaky_relu", init="orthogonal").with_rule(rule), size=32)
    before = {n: t.clone() for n, t in run.model.state_dict().items()}
    planned = run.forecast()
    sizes = sorted(p.size for p in run.model.net.populations.values())[-2:]
    found = kept_in_training(run) + 32 * 4 * sum(sizes)
    assert found == pytest.approx(planned.activations, rel=0.02)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    "optimiser, copies",
    [
        ({"name": "SGD", "lr": 0.1}, 0),
        ({"name": "SGD", "lr": 0.1, "momentum": 0.9}, 1),
        ("Adam", 2),
        ({"name": "AdamW", "amsgrad": True}, 3),
        ({"name": "Muon", "others": {"name": "SGD", "momentum": 0.9}}, 1),
    ],
)
def test_what_an_optimiser_keeps_is_what_it_has_after_a_step(optimiser, copies):
    run = trainer(conv().with_rule("feedback_alignment"), optimiser=optimiser)
    planned = run.forecast()
    learn = sum(4 * p.numel() for p in run.model.parameters() if p.requires_grad)
    run.train_epoch()
    state = run.optimiser.state_dict()["state"].values()
    kept = sum(4 * x.numel() for one in state for x in one.values() if torch.is_tensor(x) and x.numel() > 1)
    assert planned.gradients == learn and planned.optimiser == pytest.approx(copies * learn)
    assert kept == pytest.approx(planned.optimiser, abs=4 * 8)  # biases of one unit count as numbers


def test_an_optimiser_of_another_making_counts_as_adam():
    class Own(torch.optim.SGD):
        def step(self, closure=None):
            raise NotImplementedError

    w = torch.nn.Parameter(torch.zeros(5, 7))
    assert optimiser_bytes(Own([w], lr=0.1)) == 2 * 4 * 35


def test_a_run_that_does_not_fit_is_refused_before_it_starts(settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    with pytest.raises(OutOfMemory, match="100 bytes are available; batch_size=4 with accumulate=2"):
        train(settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    monkeypatch.setattr("cortex_sim.viz.curves.learning_curves", lambda lines, path, rule: None)
    caplog.set_level(logging.INFO, "cortex_sim.training")
    train(settings(epochs=1), tmp_path / "run")
    assert "training takes about" in caplog.text and "a batch of 8 presentations" in caplog.text


@pytest.mark.parametrize("lack", [lambda: torch.empty(2**60), lambda: (_ for _ in ()).throw(MemoryError())])
def test_a_lack_of_memory_is_one_line_that_says_what_takes_less(lack, monkeypatch):
    run = trainer(chain().with_rule("backprop"))
    monkeypatch.setattr(run.optimiser, "step", lambda: lack())
    with pytest.raises(OutOfMemory) as caught:
        run.train_epoch()
    said = str(caught.value)
    assert said.startswith("training of chain: memory ran out at update 1, with batches of 8 presentations; ")
    assert "batch_size=4 with accumulate=2" in said and "\n" not in said


def test_other_errors_stay_what_they_are(monkeypatch):
    run = trainer(chain().with_rule("backprop"))

    def wrong():
        raise RuntimeError("shapes")

    monkeypatch.setattr(run.optimiser, "step", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        run.train_epoch()


def test_large_networks_are_evaluated_in_smaller_batches(monkeypatch):
    run = trainer(conv().with_rule("backprop"))
    whole = cs.torch.build(run.model.net)
    assert evaluated_at_once(whole, 1000) == 1000
    units = sum(p.size for p in whole.net.populations.values())
    monkeypatch.setattr(memory, "_AT_ONCE", 2 * 4 * units * 7)
    assert evaluated_at_once(whole, 1000) == 7


def test_time_left_of_a_resumed_run_is_that_of_its_own_steps(tmp_path, monkeypatch):
    """Steps made before say nothing about the speed of this process."""
    log = RunLog(tmp_path)
    log.progress(901, 1000, 0.5)
    assert (log._bar._before, log._bar.done) == (900, 901)
