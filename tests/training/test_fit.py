"""`Model.fit`: training from Python, without a run directory."""

import math

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch.training import Diverged, Trainer, batches, evaluate
from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.training.run import train
from cortex_sim.training.settings import resolve

X = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
Y = np.arange(40) % 10
X += 3 * np.eye(10, 64)[Y].astype(np.float32)


def model(rule="gait_prop", seed=0, **settings):
    return cs.torch.build(cs.model("digits_mlp", hidden=11).with_rule(rule), seed, **settings)


def weights(built):
    return {name: w.detach().clone() for name, w in built.weights.items()}


def test_learns_and_says_how():
    curve = model().fit((X, Y), epochs=30, batch_size=8, optimiser={"name": "Adam", "lr": 1e-2})
    assert [line["epoch"] for line in curve] == list(range(1, 31))
    assert set(curve[0]) == {"epoch", "train_loss", "train_accuracy"}
    assert curve[-1]["train_loss"] < 0.3 < curve[0]["train_loss"]
    assert curve[-1]["train_accuracy"] > 0.9


def test_image_set_is_tested_too():
    data = cs.data.image_set("tiny", X, Y, X[:7], Y[:7])
    (line,) = model().fit(data, epochs=1, batch_size=8)
    assert {"test_accuracy", "test_loss"} <= set(line)


def test_same_seed_same_weights():
    runs = [model(seed=seed) for seed in (3, 3, 4)]
    for built in runs:
        built.fit((X, Y), epochs=2, batch_size=8)
    first, same, other = (weights(built)["V1->IT"] for built in runs)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("more", [{}, {"accumulate": 3, "clip_norm": 0.05}], ids=["plain", "accumulated"])
def test_equals_the_command_line(more, tmp_path):
    """One way of training: a run directory's final weights are those of fit."""
    np.savez(tmp_path / "tiny.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    words = ["data=" + str(tmp_path / "tiny.npz"), "model_settings.hidden=11", "schedule=null"]
    words += ["standardise=false", "epochs=2", "batch_size=8", "rule=backprop", "feedback={}"]
    words += ["optimiser.name=SGD", "optimiser.lr=0.1", "regulariser=null"]
    words += [f"{name}={value}" for name, value in more.items()]
    metrics = train(resolve("digits_mlp", assignments=words), tmp_path / "run")
    built = model("backprop")
    built.fit((X, Y), epochs=2, batch_size=8, optimiser={"name": "SGD", "lr": 0.1}, **more)
    assert evaluate(built, torch.as_tensor(X), torch.as_tensor(Y))[1] == metrics["test_loss"]


def test_target_rates_in_place_of_labels():
    net = cs.model("digits_mlp", hidden=11).with_rule("backprop")
    net.objective_at, net.objective_function = None, None
    net.objective("IT", cs.SquaredError())
    goals = np.eye(10)[Y]
    curve = cs.torch.build(net).fit((X, goals), epochs=5, batch_size=8)
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]


@pytest.mark.parametrize("name", ["Adam", "SGD", "AdamW", "RMSprop", "NAdam", "Adagrad", "Rprop"])
def test_any_optimiser_of_torch(name):
    (line,) = model().fit((X, Y), epochs=1, batch_size=8, optimiser={"name": name, "lr": 1e-3})
    assert math.isfinite(line["train_loss"])


@pytest.mark.parametrize(
    "schedule",
    [
        "OneCycleLR",
        "CosineAnnealingLR",
        {"name": "StepLR", "step_size": 3},
        {"name": "LinearLR", "start_factor": 0.1},
        {"name": "OneCycleLR", "epochs": 2, "steps_per_epoch": 5},
    ],
    ids=str,
)
def test_any_schedule_of_torch(schedule):
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    trainer = Trainer(model(), x, y, 2, 8, {"name": "SGD", "lr": 0.1}, schedule)
    rates = []
    for _ in range(2):
        trainer.train_epoch(lambda: rates.append(trainer.rate))
    assert len(rates) == 10 and len(set(rates)) > 1


def test_schedule_ends_with_the_run():
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    trainer = Trainer(model(), x, y, 2, 8, {"name": "SGD", "lr": 0.1}, "OneCycleLR")
    trainer.train_epoch()
    assert trainer.rate > 0.01
    trainer.train_epoch()
    assert trainer.rate < 1e-5


def test_batches_cover_an_epoch_once_and_depend_on_seed_and_epoch():
    def order(seed, epoch):
        return np.concatenate(list(batches(seed, epoch, 23, 5)))

    assert sorted(order(0, 0)) == list(range(23))
    assert [len(part) for part in batches(0, 0, 23, 5)] == [5, 5, 5, 5, 3]
    assert order(0, 0).tolist() == order(0, 0).tolist()
    assert order(0, 0).tolist() != order(0, 1).tolist()
    assert order(0, 1).tolist() != order(1, 0).tolist()


@pytest.mark.parametrize(
    "given, said",
    [
        ({"train": X}, r"give an ImageSet, or \(x, y\)"),
        ({"train": (X, Y[1:])}, "as many labels as presentations"),
        ({"train": (X[:, 1:], Y)}, "population retina expects"),
        ({"train": (X, Y + 1)}, "labels from 0 to 9"),
        ({"train": (X, Y - 1)}, "labels from 0 to 9"),
        ({"train": (X, np.eye(3)[Y % 3])}, "population IT needs"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"optimiser": "Adm"}, "did you mean 'Adam'"),
        ({"optimiser": {"lr": 0.1}}, 'optimiser needs a name: give "Adam"'),
        ({"optimiser": {"lr": "abc"}}, "optimiser needs a name"),
        ({"optimiser": {"name": "Adam", "lr": "abc"}}, "lr must be a number.* Got 'abc'"),
        ({"optimiser": torch.optim.SGD}, 'optimiser must be "Adam"'),
        ({"optimiser": torch.optim.SGD([torch.zeros(3, requires_grad=True)], 0.1)}, "not this model's"),
        ({"schedule": 3}, 'schedule must be "OneCycleLR"'),
        ({"lr": 0.1}, 'fit: unknown setting .lr.; give optimiser={"name": "Adam"'),
        ({"optimizer": "Adam"}, "unknown setting 'optimizer'; give optimiser="),
        ({"epoch": 3}, "did you mean 'epochs'?"),
        ({"nope": 3}, "known: train, epochs"),
        ({"optimiser": {"name": "SGD", "rate": 0.1}}, "unknown setting 'rate'; known: .*lr"),
        ({"schedule": "Nope"}, "unknown schedule 'Nope'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused(given, said):
    with pytest.raises(CortexSimError, match=said):
        model().fit(**({"train": (X, Y), "batch_size": 8} | given))


def test_nothing_plastic_is_an_error():
    net = cs.Network("fixed")
    net.population("retina", 64)
    net.population("IT", 10)
    net.bottom_up("retina", "IT")
    net.objective("IT", "cross_entropy")
    with pytest.raises(CortexSimError, match="nothing to train|no projection has plasticity"):
        cs.torch.build(net).fit((X, Y), batch_size=8)


def test_divergence_is_said():
    with pytest.raises(Diverged, match=r"diverged at step \d+, with learning rate 1e\+06"):
        model("backprop").fit((X, Y), 9, batch_size=8, optimiser={"name": "SGD", "lr": 1e6})


def test_nan_among_stimuli_is_said():
    spoilt = X.copy()
    spoilt[3, 5] = np.nan
    with pytest.raises((CortexSimError, Diverged)):
        model("backprop").fit((spoilt, Y), batch_size=40, epochs=1)


def test_optimiser_that_needs_a_closure_is_not_offered():
    with pytest.raises(RunError, match="unknown optimiser 'LBFGS'"):
        model().fit((X, Y), batch_size=8, optimiser="LBFGS")


def test_fit_called_again_goes_on_with_another_order(monkeypatch):
    from cortex_sim.backends.torch import training

    seen, original = [], training.batches

    def spy(*arguments):
        for index in original(*arguments):
            seen.append(index.copy())
            yield index

    monkeypatch.setattr(training, "batches", spy)
    digits = cs.data.load("digits")
    apart, whole = (cs.torch.build(cs.model("digits_mlp")) for _ in range(2))
    for _ in range(3):
        apart.fit(digits, 1, batch_size=500, progress=False)
    orders, seen[:] = [np.concatenate(seen[k : k + 3]) for k in range(0, 9, 3)], []
    assert not any(np.array_equal(orders[a], orders[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    whole.fit(digits, 3, batch_size=500, progress=False)
    np.testing.assert_array_equal(np.concatenate(seen[:9]), np.concatenate(orders))
    again = cs.torch.build(apart.net, state=apart.state())
    seen[:] = []
    again.fit(digits, 1, batch_size=500, progress=False)
    assert not any(np.array_equal(np.concatenate(seen[:3]), order) for order in orders)


def orders(built, calls, epochs, monkeypatch):
    """Order of presentations in each epoch of several calls of fit."""
    seen = []

    def spy(seed, epoch, count, size):
        parts = list(batches(seed, epoch, count, size))
        seen.append(np.concatenate(parts).tolist())
        return iter(parts)

    monkeypatch.setattr("cortex_sim.backends.torch.training.batches", spy)
    for _ in range(calls):
        built.fit((X, Y), epochs=epochs, batch_size=8)
    return seen


def test_a_further_fit_goes_on_with_the_next_order(monkeypatch):
    built = model()
    apart = orders(built, 3, 1, monkeypatch)
    assert built.epochs_done == 3
    assert apart == orders(model(), 1, 3, monkeypatch)
    assert apart[0] != apart[1] != apart[2]


def test_target_rates_without_classes_have_no_accuracy():
    rates = torch.rand(40, 10, generator=torch.Generator().manual_seed(0))
    built = model()
    share, loss = evaluate(built, torch.as_tensor(X), rates)
    assert share is None and math.isfinite(loss)
    one_hot = torch.eye(10)[torch.as_tensor(Y)]
    assert evaluate(built, torch.as_tensor(X), one_hot)[0] is not None


def test_diverged_is_of_the_kind_that_is_caught():
    assert issubclass(Diverged, CortexSimError)


def test_an_optimiser_that_was_given_keeps_its_rate_for_the_next_call():
    """A schedule ends near 0; the next would take that for its peak, and nothing more would be learned."""
    built = model("backprop")
    own = torch.optim.SGD(built.parameters(), lr=0.1, momentum=0.8)
    losses = []
    for _ in range(2):
        curve = built.fit((X, Y), 2, batch_size=8, optimiser=own, schedule="OneCycleLR", progress=False)
        losses.append(curve[-1]["train_loss"])
        assert own.param_groups[0]["lr"] == 0.1 and own.param_groups[0]["momentum"] == 0.8
    assert losses[1] < 0.9 * losses[0]
