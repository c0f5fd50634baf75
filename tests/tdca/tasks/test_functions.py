"""Smooth functions and teachers: their equations in loops, and what they are known for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks import FunctionTasks, SmoothFunctions, Teachers


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_smooth_functions_are_the_sum_they_say():
    function = SmoothFunctions(inputs=3, outputs=2, features=5, length=0.7)
    batch = FunctionTasks(function).draw(4, seeded())
    x, y = batch.presentations(11, "train", seeded(1))
    task = {name: tensor.double().numpy() for name, tensor in batch.task.items()}
    for run, b, o in np.ndindex(4, 11, 2):
        total = 0.0
        for f in range(5):
            drive = sum(task["frequency"][run, f, i] * float(x[run, b, i]) for i in range(3))
            total += task["amplitude"][run, o, f] * math.cos(drive + task["phase"][run, 0, f])
        assert float(y[run, b, o]) == pytest.approx(total, abs=1e-5)


def test_smooth_functions_have_the_covariance_of_their_length():
    """exp(−d²/(2 length²)) over many functions, at stimuli d apart."""
    length = 0.5
    task = SmoothFunctions(length=length).tasks(20_000, seeded())
    x = torch.tensor([0.3, 0.3 + length, 0.3 + 2 * length]).view(1, 3, 1).expand(20_000, -1, -1)
    y = SmoothFunctions(length=length).targets(task, x)[:, :, 0]
    covariance = (y.T @ y / 20_000)[0]
    expected = torch.exp(-0.5 * torch.tensor([0.0, 1.0, 2.0]) ** 2)
    torch.testing.assert_close(covariance, expected, atol=0.03, rtol=0)
    assert y.mean(0).abs().max() < 0.03


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("targets_are", ["outputs", "labels"])
def test_teachers_are_the_network_they_say(activation, targets_are):
    teachers = Teachers((5, 7, 3, 2), activation, targets_are=targets_are)
    batch = FunctionTasks(teachers).draw(4, seeded())
    x, y = batch.presentations(11, "train", seeded(1))
    f = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}[activation]
    task = {name: tensor.double().numpy() for name, tensor in batch.task.items()}
    for run, b in np.ndindex(4, 11):
        r = x[run, b].double().numpy()
        for layer in (1, 2):
            r = f(task[f"weights_{layer}"][run] @ r)
        out = (task["weights_3"][run] @ r - task["mean"][run, 0]) / task["sd"][run, 0]
        expected = out if targets_are == "outputs" else np.eye(2)[out.argmax()]
        np.testing.assert_allclose(y[run, b].numpy(), expected, atol=1e-4)


def test_teachers_differ_only_in_targets_between_outputs_and_labels():
    outputs, labels = (
        FunctionTasks(Teachers((5, 7, 3), targets_are=word)).draw(6, seeded())
        for word in ("outputs", "labels")
    )
    assert (outputs.objective, labels.objective) == ("squared_error", "cross_entropy")
    y, one_hot = (b.presentations(50, "test", seeded(1))[1] for b in (outputs, labels))
    assert torch.equal(y.argmax(2), one_hot.argmax(2)) and torch.equal(one_hot.sum(2), torch.ones(6, 50))


def test_outputs_of_teachers_have_one_scale():
    batch = FunctionTasks(Teachers((5, 50, 3), "relu", targets_are="outputs")).draw(20, seeded())
    _, y = batch.presentations(5000, "train", seeded(1))
    assert y.mean(1).abs().max() < 0.2  # a mean of 1000 probes has sd 1/√1000 = .03
    assert (y.std(1) - 1).abs().max() < 0.2


def test_weights_of_teachers_have_their_variance():
    task = Teachers((40, 30, 20), gain=3.0).tasks(20, seeded())
    assert float(task["weights_1"].var() * 40) == pytest.approx(9, rel=0.05)
    assert float(task["weights_2"].var() * 30) == pytest.approx(9, rel=0.05)


def test_a_silent_teacher_is_no_division_by_zero():
    """One relu after another: every second teacher's second weight is negative, its output always 0."""
    batch = FunctionTasks(Teachers((2, 1, 1, 1), "relu", targets_are="outputs")).draw(40, seeded())
    _, y = batch.presentations(11, "train", seeded(1))
    silent = batch.task["weights_2"].flatten() < 0
    assert silent.any() and not silent.all()
    assert not y[silent].any() and y[~silent].any((1, 2)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmoothFunctions(inputs=0), "SmoothFunctions: inputs must be a whole number"),
        (lambda: SmoothFunctions(length=0), "SmoothFunctions: length must be a positive number"),
        (lambda: Teachers((5,)), "widths must list the units"),
        (lambda: Teachers("54"), "widths must list the units"),
        (lambda: Teachers((5, 0)), "widths must be a whole number of at least 1"),
        (lambda: Teachers((5, 2), "tahn"), r"unknown activation 'tahn' \(did you mean 'tanh'"),
        (lambda: Teachers((5, 2), targets_are="both"), "unknown targets_are of Teachers 'both'"),
        (lambda: Teachers((5, 2), gain=-1), "gain must be a positive number"),
        (lambda: FunctionTasks(SmoothFunctions(), tested=0), "tested must be a whole number"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(DeclarationError, match=message):
        make()


def test_unknown_part():
    batch = FunctionTasks(SmoothFunctions()).draw(2, seeded())
    with pytest.raises(DeclarationError, match="unknown part 'tset'"):
        batch.presentations(3, "tset", seeded())
