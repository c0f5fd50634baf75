"""Every optimiser and schedule that torch has: it works, or says clearly why it cannot."""

import inspect
import re

import numpy as np
import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs
from cortex_sim.backends.torch import optimising
from cortex_sim.backends.torch.training import Trainer, make_optimiser, make_schedule

OPTIMISERS = sorted(optimising._OPTIMISERS)
REFUSES = ("LBFGS", "SparseAdam")  # need a closure, sparse gradients
RATES = {"SGD": 0.1, "ASGD": 0.1, "Adadelta": 1.0, "RAdam": 0.05, "Adafactor": 0.02, "Adagrad": 0.1}


def trainer(optimiser, schedule=None, net=None, epochs=15):
    net = net or chain("leaky_relu", init="orthogonal").with_rule("gait_prop")
    model = cs.torch.build(net)
    x, y = (torch.as_tensor(part) for part in shown(net, count=32))
    return Trainer(model, x.float(), y, epochs, 8, optimiser, schedule)


@pytest.mark.parametrize("name", [n for n in OPTIMISERS if n not in REFUSES])
def test_optimisers_train(name):
    run = trainer({"name": name, "lr": RATES.get(name, 0.01)})
    losses = [run.train_epoch() for _ in range(15)]
    assert losses[-1] < 0.9 * losses[0], losses
    assert run.model.steps_done == run.step == 15 * 4


@pytest.mark.parametrize("name", [n for n in REFUSES if hasattr(torch.optim, n)])
def test_others_say_why_not(name):
    with pytest.raises(cs.RunError, match=f"optimiser '?{name}"):
        trainer({"name": name, "lr": 0.01}).train_epoch()


@pytest.mark.parametrize("word", ["kolen_pollack", "gait_prop_learned", "direct_feedback_alignment"])
def test_an_adaptive_optimiser_serves_every_kind_of_tensor(word):
    run = trainer("Adam", net=conv("leaky_relu", init="orthogonal").with_rule(word))
    before = {n: p.detach().clone() for n, p in run.model.named_parameters() if p.requires_grad}
    run.train_epoch()
    for name, parameter in run.model.named_parameters():
        if parameter.requires_grad:
            assert not torch.equal(parameter, before[name]), name


def test_an_optimiser_of_ones_own_steps_by_minus_its_gradient():
    net = chain().with_rule("gait_prop")
    model = cs.torch.build(net, precision="64")
    optimiser = make_optimiser(model, {"name": "SGD", "lr": 0.1})
    x, y = shown(net)
    change = model.updates(x, y)
    before = {n: w.detach().clone() for n, w in model.weights.items()}
    model(x, y).backward()
    optimiser.step()
    for name, w in model.weights.items():
        torch.testing.assert_close(w.detach(), before[name] + 0.1 * change[name])


@pytest.mark.parametrize(
    "setting, message",
    [
        ("Adem", "unknown optimiser 'Adem' (did you mean 'Adam'?)"),
        ({"lr": 0.1}, 'optimiser needs a name: give "Adam"'),
        ({"name": "SGD", "rate": 0.1}, "optimiser SGD: unknown setting 'rate'; known: dampening"),
        ({"name": "SGD", "lr": -1}, "optimiser SGD: Invalid learning rate"),
        ({"name": "Adam", "betas": 3}, "optimiser Adam"),
    ],
)
def test_wrong_settings_are_named(setting, message):
    with pytest.raises(cs.CortexSimError, match=re.escape(message)):
        trainer(setting)


def test_nothing_to_train():
    net = cs.Network("fixed")
    net.population("retina", 5)
    net.population("V1", 3)
    net.bottom_up("retina", "V1")
    with pytest.raises(cs.RunError, match="nothing to train, no projection has plasticity"):
        make_optimiser(cs.torch.build(net), "SGD")


SCHEDULES = {
    "CosineAnnealingLR": {},
    "OneCycleLR": {"pct_start": 0.2},
    "StepLR": {"step_size": 5},
    "MultiStepLR": {"milestones": [5, 10]},
    "ExponentialLR": {"gamma": 0.9},
    "LinearLR": {"end_factor": 0.1},
    "PolynomialLR": {},
    "ConstantLR": {"total_iters": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 0.01, "cycle_momentum": False},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_run_to_the_end(name):
    run = trainer({"name": "SGD", "lr": 0.1}, {"name": name, **SCHEDULES[name]}, epochs=4)
    rates = []
    for _ in range(4):
        run.train_epoch(lambda: rates.append(run.rate))
    assert len(rates) == 16 and len(set(np.round(rates, 9))) > 1
    assert np.isfinite(rates).all()


def test_one_cycle_has_its_peak_at_the_optimisers_rate():
    run = trainer({"name": "SGD", "lr": 0.1}, {"name": "OneCycleLR", "pct_start": 0.25}, epochs=4)
    rates = [run.rate]
    for _ in range(4):
        run.train_epoch(lambda: rates.append(run.rate))
    assert max(rates) == pytest.approx(0.1) and 2 <= int(np.argmax(rates)) <= 4
    assert rates[0] < 0.01 and rates[-1] < 1e-3


@pytest.mark.parametrize(
    "schedule, message",
    [
        ("Cosine", "unknown schedule 'Cosine'"),
        ({"name": "StepLR", "every": 3}, "schedule StepLR: unknown setting 'every'"),
        ("StepLR", "schedule StepLR"),
        ("ReduceLROnPlateau", "ReduceLROnPlateau"),
        ("LambdaLR", "schedule .?LambdaLR"),
    ],
)
def test_wrong_schedules_are_named(schedule, message):
    with pytest.raises(cs.CortexSimError, match=message):
        trainer("SGD", schedule).train_epoch()


def test_no_schedule_is_none():
    model = cs.torch.build(chain().with_rule("backprop"))
    assert make_schedule(make_optimiser(model, "SGD"), None, 10) is None


def test_all_of_torchs_optimisers_are_known():
    classes = {n: c for n, c in vars(torch.optim).items() if inspect.isclass(c)}
    theirs = {n for n, c in classes.items() if issubclass(c, torch.optim.Optimizer)}
    assert theirs - set(OPTIMISERS) <= {"Optimizer", *REFUSES}
