"""How batches make an update: accumulation, clipping, averages, decay of weights alone."""

import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import conv, shown
from torch.utils._python_dispatch import TorchDispatchMode

import cortex_sim as cs
from cortex_sim.backends.torch.late_reading import LateReading
from cortex_sim.backends.torch.training import Diverged, Trainer, batches, make_optimiser
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.updating import Updating

SGD = {"name": "SGD", "lr": 0.1}


def trainer(rule="gait_prop", count=41, size=8, optimiser=SGD, **updating):
    net = conv("leaky_relu", init="orthogonal").with_rule(rule)
    x, y = shown(net, count=count)
    model = cs.torch.build(net, precision="64")
    return Trainer(
        model, torch.as_tensor(x), torch.as_tensor(y), 2, size, optimiser, updating=Updating(**updating)
    )


def weights_of(run):
    return {n: p.detach().clone() for n, p in run.model.named_parameters()}


# -- accumulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["gait_prop", "direct_feedback_alignment", "kolen_pollack"])
def test_accumulated_batches_make_the_update_of_one_large_batch(rule):
    """Also in the last update of an epoch, whose batches are fewer and smaller: 41 = 24 + 8 + 8 + 1."""
    few, one = trainer(rule, size=8, accumulate=3), trainer(rule, size=24)
    assert few.steps_per_epoch == one.steps_per_epoch == 2 and few.total_steps == 4
    for _ in range(2):
        assert few.train_epoch() == pytest.approx(one.train_epoch(), abs=1e-12)
    for name, p in weights_of(one).items():
        torch.testing.assert_close(weights_of(few)[name], p, rtol=1e-9, atol=1e-12)


def test_no_more_presentations_are_accumulated_than_there_are(caplog):
    run = trainer(count=20, accumulate=4)
    assert run.steps_per_epoch == 1
    assert "4 batches of 8 exceed the 20 training presentations" in caplog.text
    assert np.isfinite(run.train_epoch()) and run.step == 1


def test_the_order_of_presentations_is_that_without_accumulation():
    small = np.concatenate(list(batches(0, 1, 41, 8)))
    np.testing.assert_array_equal(np.concatenate(list(batches(0, 1, 41, 24))), small)


# -- clipping -------------------------------------------------------------------------------------


def test_a_change_that_is_too_long_is_taken_at_the_given_norm():
    free, clipped, loose = trainer(count=8), trainer(count=8, clip_norm=1e-3), trainer(count=8, clip_norm=1e6)
    before = weights_of(free)
    for run in (free, clipped, loose):
        run.update(torch.arange(8))
    steps = [
        torch.cat([(p - before[n]).flatten() for n, p in weights_of(run).items()])
        for run in (free, clipped, loose)
    ]
    assert steps[0].norm() > 0.1 * 1e-3
    torch.testing.assert_close(steps[1].norm(), torch.tensor(0.1 * 1e-3).double(), rtol=1e-5, atol=0)
    torch.testing.assert_close(steps[1] / steps[1].norm(), steps[0] / steps[0].norm(), atol=1e-9, rtol=0)
    assert torch.equal(steps[2], steps[0])


# -- averages -------------------------------------------------------------------------------------


def test_the_average_is_that_of_the_equation_and_leaves_training_alone():
    run, plain = trainer(ema_decay=0.8), trainer()
    mean = {n: w.detach().clone() for n, w in run.model.weights.items()}
    for t, index in enumerate(batches(0, 0, 41, 8), start=1):
        for each in (run, plain):
            each.model.train()
            each.update(torch.as_tensor(index))
        d = min(0.8, (1 + t) / (10 + t))
        mean = {n: d * mean[n] + (1 - d) * w.detach() for n, w in run.model.weights.items()}
    for name, w in mean.items():
        torch.testing.assert_close(run.average.model.weights[name], w, rtol=1e-12, atol=1e-14)
        assert torch.equal(run.model.weights[name], plain.model.weights[name])
        assert not torch.allclose(run.model.weights[name], w, rtol=1e-4)
    state = run.average.state(run.model)
    np.testing.assert_array_equal(state.weights["V1->V2"], run.average.model.weights["V1->V2"])
    assert state.origin["updates"] == 6 and cs.torch.build(run.model.net, state=state, precision="64")


# -- decay of weights alone -----------------------------------------------------------------------


@pytest.mark.parametrize("decay, moved", [("all", True), ("weights", False)])
def test_biases_decay_only_with_all(decay, moved):
    run = trainer("backprop")
    model = run.model
    with torch.no_grad():
        for b in model.biases.values():
            b.fill_(1.0)
    before = weights_of(run)
    optimiser = make_optimiser(model, {"name": "SGD", "lr": 0.5, "weight_decay": 0.1, "decay": decay})
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.step()
    for name, p in weights_of(run).items():
        shrinks = moved or not name.startswith("biases")
        torch.testing.assert_close(p, before[name] * (0.95 if shrinks else 1.0))


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"name": "SGD", "lr": 0.1, "decay": "weights"}, "SGD: decay=weights, but weight_decay is 0"),
        ({"name": "Rprop", "decay": "weights"}, "Rprop: has no weight_decay, so decay=weights has no effect"),
        ({"name": "SGD", "decay": "biases"}, "unknown optimiser SGD: decay 'biases'"),
    ],
)
def test_a_decay_that_cannot_be_is_named(setting, message):
    with pytest.raises(RunError, match=message):
        make_optimiser(trainer().model, setting)


# -- settings and objectives ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, message",
    [
        ({"accumulate": 0}, "accumulate"),
        ({"clip_norm": 0}, "clip_norm must be a number above 0"),
        ({"clip_norm": float("nan")}, "clip_norm must be a number above 0"),
        ({"ema_decay": 1.0}, "ema_decay must be between 0 and 1"),
        ({"ema_decay": True}, "ema_decay must be between 0 and 1"),
    ],
)
def test_wrong_settings_of_an_update_are_named(given, message):
    with pytest.raises(cs.CortexSimError, match=message):
        Updating(**given)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_label_smoothing_is_torchs_for_labels_and_for_rates(share):
    objective = cs.CrossEntropy(label_smoothing=share, weight=0.5)
    rng = np.random.default_rng(0)
    r, y = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    goal = np.eye(5)[y]
    wanted = 0.5 * torch.nn.functional.cross_entropy(
        torch.as_tensor(r), torch.as_tensor(y), label_smoothing=share, reduction="none"
    )
    np.testing.assert_allclose(objective.value(r, goal), wanted, rtol=1e-12)
    leaf = torch.tensor(r, requires_grad=True)
    objective.value(leaf, torch.as_tensor(goal)).sum().backward()
    np.testing.assert_allclose(objective.credit(r, goal), -leaf.grad, atol=1e-12)
    net = conv().with_rule("direct_feedback_alignment")
    at, net.objective_at = net.objective_at, None
    net.objective(at, objective)
    model = cs.torch.build(net, precision="64")
    x, y = shown(net)
    rates = np.eye(model.net.populations[at].size)[np.asarray(y)]
    assert float(model.loss(x, y)) == pytest.approx(float(model.loss(x, rates)), rel=1e-12)
    for name, change in model.updates(x, y).items():
        torch.testing.assert_close(change, model.updates(x, rates)[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [-0.1, 1.0, True, "0.1"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(DeclarationError, match="label_smoothing must be at least 0 and below 1"):
        cs.CrossEntropy(label_smoothing=share)


def test_an_objective_without_smoothing_is_written_as_before():
    net = conv()
    assert "label_smoothing" not in net.to_yaml()
    at, net.objective_at = net.objective_at, None
    net.objective(at, cs.CrossEntropy(label_smoothing=0.2))
    assert cs.Network.from_yaml(net.to_yaml()).objective_function == cs.CrossEntropy(label_smoothing=0.2)


# -- reading late ---------------------------------------------------------------------------------


class Reads(TorchDispatchMode):
    """Notes which files read a number from the device."""

    def __init__(self):
        super().__init__()
        self.places = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in ("_local_scalar_dense", "equal", "is_nonzero", "nonzero"):
            named = [
                f.filename
                for f in traceback.extract_stack()
                if {"cortex_sim", "optim"} & set(Path(f.filename).parts)
            ]
            self.places.add(Path(named[-1]).name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimiser", ["Adam", {"name": "Muon", "lr": 0.01}, {**SGD, "fused": True}])
@pytest.mark.parametrize("rule", ["backprop", "gait_prop", "kolen_pollack", "direct_feedback_alignment"])
def test_an_update_waits_for_no_number_of_its_own(rule, optimiser, monkeypatch):
    """As on an accelerator, numbers are read one update late, together; nothing else is read."""
    run = trainer(rule, optimiser=optimiser, clip_norm=1.0, ema_decay=0.9)
    run.readings = LateReading(torch.device("cpu"), late=True)
    run.model.train()
    run.update(torch.arange(8))
    assert run.losses == []
    lists, read = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda t: lists.append(t.numel()) or read(t))
    with Reads() as reads:
        run.update(torch.arange(8, 16))
    monkeypatch.undo()
    assert len(run.losses) == 1 and len(lists) == 1  # the objective of the update before
    # torch's optimisers count steps on the CPU, and edits by hand are looked for on the CPU alone
    assert reads.places <= {"optimizer.py", "freshness.py"}


def test_read_late_a_run_ends_alike_and_divergence_is_found():
    late, plain = trainer(), trainer()
    late.readings = LateReading(torch.device("cpu"), late=True)
    assert [late.train_epoch() for _ in range(2)] == [plain.train_epoch() for _ in range(2)]
    assert late.losses == plain.losses
    diverging = trainer(optimiser={"name": "SGD", "lr": 1e200}, rule="backprop")
    diverging.readings = LateReading(torch.device("cpu"), late=True)
    with pytest.raises(Diverged, match="training diverged at step [12]"):
        diverging.train_epoch()
