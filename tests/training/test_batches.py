"""Every presentation is trained on, whatever the batch size and wherever the presentations lie."""

import logging

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import cortex_sim as cs
from cortex_sim.backends.torch import distributed, inputs
from cortex_sim.backends.torch.showing import InMemory, as_source, shown
from cortex_sim.backends.torch.training import Trainer, evaluate
from cortex_sim.rules.base import WORDS
from cortex_sim.training.run import train

X = np.random.default_rng(0).normal(size=(41, 64)).astype(np.float32)
Y = np.arange(41) % 10


def model(rule="backprop", seed=0, **settings):
    return cs.torch.build(cs.model("digits_mlp", hidden=11).with_rule(rule), seed, **settings)


def trainer(size=8, epochs=2, count=41, **settings):
    x, y = torch.as_tensor(X[:count]), torch.as_tensor(Y[:count])
    return Trainer(model(), x, y, epochs, size, {"name": "SGD", "lr": 0.1}, **settings)


def test_the_last_part_batch_is_taken():
    made = trainer()
    assert (made.steps_per_epoch, made.total_steps) == (6, 12)
    made.train_epoch()
    assert (made.step, made.epoch) == (6, 1)


def test_a_batch_size_that_divides_the_data_makes_the_same_updates():
    assert trainer(8, count=40).steps_per_epoch == 5


def test_schedules_cover_the_last_update():
    made = trainer(schedule_setting="OneCycleLR")
    made.train_epoch()
    assert made.rate > 0.01
    made.train_epoch()
    assert made.rate < 1e-5


def test_mean_objective_weighs_presentations():
    made = trainer(size=40)
    found = made.train_epoch()
    assert found == pytest.approx((40 * made.losses[0] + made.losses[1]) / 41)
    assert found != pytest.approx(np.mean(made.losses))


def test_over_ranks_the_rest_is_split_evenly(monkeypatch, caplog):
    monkeypatch.setattr(distributed, "place", lambda: (0, 2))
    monkeypatch.setattr(distributed, "wrap", lambda built: built)
    monkeypatch.setattr(distributed, "means", lambda values: values.tolist())
    made, shares = trainer(), []
    monkeypatch.setattr(made, "update", lambda index: shares.append(len(index)))
    made.train_epoch()
    assert shares == [4] * 5 and made.steps_per_epoch == 5  # the one that remains cannot be split
    assert caplog.text.count("1 of 41 presentations") == 1


def test_a_batch_larger_than_the_data_is_reduced_and_said(caplog):
    curve = model().fit((X, Y), epochs=1)
    assert np.isfinite(curve[0]["train_loss"])
    assert "batch size 64 exceeds the 41 training presentations and is reduced to 41" in caplog.text


def test_a_run_on_fewer_presentations_than_a_batch(settings, tmp_path):
    metrics = train(settings(batch_size=64, epochs=2, schedule=None), tmp_path / "run")
    assert metrics["steps"] == 2
    assert any("reduced to 48" in warning for warning in metrics["warnings"])


@pytest.mark.parametrize("rule", sorted(set(WORDS) - {"tdca"}))
def test_one_presentation_is_a_batch_for_every_rule(rule):
    net = cs.model("digits_mlp", hidden=11).with_rule(rule)
    built = cs.torch.build(net, precision="64")
    made = Trainer(built, torch.as_tensor(X[:9]), torch.as_tensor(Y[:9]), 1, 8, {"name": "SGD", "lr": 1e-4})
    assert np.isfinite(made.train_epoch()) and made.step == 2
    assert all(w.isfinite().all() for w in built.weights.values())


class Elsewhere:
    """Presentations that are made when they are asked for."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return len(X)

    def batch(self, indices, epoch=0):
        self.asked.append((len(indices), epoch))
        return X[indices], Y[indices]


def test_a_source_is_asked_for_each_batch_and_gives_the_same_bits():
    own, other = Elsewhere(), model("gait_prop")
    found = other.fit(own, epochs=2, batch_size=8)
    same = model("gait_prop")
    assert same.fit((X, Y), epochs=2, batch_size=8) == found
    for name, w in same.weights.items():
        assert torch.equal(w, other.weights[name])
    assert own.asked.count((8, 0)) == own.asked.count((8, 1)) == 5  # whole batches of each epoch


def test_a_part_of_an_image_set_is_a_source():
    data = cs.data.image_set("tiny", X, Y, X[:7], Y[:7])
    curves = [model().fit(given, 1, batch_size=8) for given in (data.part("train"), (X, Y))]
    assert curves[0] == curves[1]


def test_a_source_is_evaluated_like_arrays():
    built = model()
    assert evaluate(built, Elsewhere()) == evaluate(built, torch.as_tensor(X), torch.as_tensor(Y))


@pytest.mark.parametrize(
    "given, said",
    [((X[:3], Y), "41 presentations were requested, but it returned 3"), (X, "must return")],
    ids=["fewer", "no labels"],
)
def test_a_source_that_hands_out_others_is_refused(given, said):
    own = Elsewhere()
    own.batch = lambda indices, epoch=0: given
    with pytest.raises(cs.DataError, match=said):
        shown(own, np.arange(41), 0)


def test_what_is_no_source_is_refused():
    with pytest.raises(cs.DataError, match="batch"):
        as_source(X)
    assert len(as_source(InMemory(X, Y))) == 41


class Transfers(TorchDispatchMode):
    """Counts the numbers that are read from tensors, each of which would halt an accelerator."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("rule", ["backprop", "feedback_alignment", "kolen_pollack"])
def test_a_step_reads_one_number(rule, monkeypatch):
    monkeypatch.setattr(inputs, "looks", lambda tensor, always: always)  # as on an accelerator
    built = model(rule)
    made = Trainer(built, torch.as_tensor(X), torch.as_tensor(Y), 1, 8, {"name": "SGD", "lr": 0.1})
    made.model.train()
    made.update(torch.arange(8))
    with Transfers() as seen:
        made.update(torch.arange(8, 16))
    assert seen.count <= 1


def test_an_optimiser_of_ones_own_is_used():
    built, same = model(), model()
    own = torch.optim.SGD(built.parameters(), lr=0.1, momentum=0.9)
    built.fit((X, Y), 2, batch_size=8, optimiser=own)
    same.fit((X, Y), 2, batch_size=8, optimiser={"name": "SGD", "lr": 0.1, "momentum": 0.9})
    for name, w in built.weights.items():
        assert torch.equal(w, same.weights[name])
    assert own.state


@pytest.mark.parametrize(
    "schedule, said",
    [
        ({"name": "OneCycleLR", "total_steps": 99}, "would end at update 99, but the run ends at 12"),
        ({"name": "CosineAnnealingLR", "T_max": 99}, "would end at update 99, but the run ends at 12"),
        ({"name": "CosineAnnealingLR", "T_max": 3}, "ends at update 3, but the run at 12"),
        ({"name": "PolynomialLR", "total_iters": 3}, "ends at update 3"),
        ({"name": "StepLR", "step_size": 30}, "would change the rate at update 30"),
        ({"name": "MultiStepLR", "milestones": [2, 40]}, "would change the rate at update 40"),
    ],
    ids=str,
)
def test_a_schedule_of_another_length_is_said(schedule, said, caplog):
    with caplog.at_level(logging.WARNING):
        made = trainer(schedule_setting=schedule)
    assert said in caplog.text and any(said in remark for remark in made.remarks)


@pytest.mark.parametrize("name", ["OneCycleLR", "CosineAnnealingLR", "LinearLR", "PolynomialLR"])
def test_a_schedule_that_fits_is_not_mentioned(name):
    assert trainer(schedule_setting=name).remarks == []
