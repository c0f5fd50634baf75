"""Disturbed tasks: stimuli by the formula, wrong labels as often as asked, tests with right ones."""

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks import tasks_from
from cortex_sim.tdca.tasks.disturbed import Disturbed

DIGITS = {"kind": "images", "sources": ["digits"], "side": 8}


@pytest.fixture(scope="module")
def plain():
    return tasks_from(DIGITS)


def shown(tasks, part="train", batch=500):
    generator = torch.Generator().manual_seed(3)
    drawn = tasks.draw(2, generator)
    return [t.numpy() for t in drawn.presentations(batch, part, generator)]


def test_stimuli_by_the_formula(plain):
    x, y = shown(plain)
    disturbed_x, disturbed_y = shown(Disturbed(plain, contrast=0.3, offset=-2.0))
    np.testing.assert_allclose(disturbed_x, 0.3 * x - 2.0, atol=1e-6)
    np.testing.assert_array_equal(disturbed_y, y)
    noisy, _ = shown(Disturbed(plain, noise=0.5))
    assert (noisy - x).std() == pytest.approx(0.5, rel=0.05) and abs((noisy - x).mean()) < 0.02


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_so_many_training_labels_are_wrong_and_no_others(plain, share):
    tasks = Disturbed(plain, wrong_labels=share)
    (_, right), (_, y) = shown(plain), shown(tasks)
    np.testing.assert_array_equal(y.sum(-1), 1)
    wrong = y.argmax(-1) != right.argmax(-1)
    assert wrong.mean() == pytest.approx(share, abs=0.05)
    moved = np.bincount((y.argmax(-1) - right.argmax(-1))[wrong] % 10, minlength=10)
    assert moved[0] == 0 and moved[1:].min() > 0.5 * moved[1:].mean()  # every other unit about as often
    for part in ("validation", "test"):
        np.testing.assert_array_equal(shown(tasks, part)[1], shown(plain, part)[1])


def test_every_test_presentation_once_with_the_same_noise(plain):
    tasks = Disturbed(plain, offset=1.0, noise=1.0, wrong_labels=0.5)
    drawn, of_plain = (d.draw(2, torch.Generator().manual_seed(0)) for d in (tasks, plain))
    first, again = (list(drawn.test_presentations(100)) for _ in range(2))
    for (x, y, _), (other, _, _), (bare, right, _) in zip(
        first, again, of_plain.test_presentations(100), strict=True
    ):
        assert torch.equal(x, other) and torch.equal(y, right)
        assert (x - bare).std() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    "bad, said",
    [
        ({"contrast": -1.0}, "contrast"),
        ({"noise": float("nan")}, "noise"),
        ({"offset": float("inf")}, "offset"),
        ({"wrong_labels": 1.5}, "at most 1, such as 0.2. Got 1.5"),
    ],
)
def test_bad_settings_are_named(plain, bad, said):
    with pytest.raises(DeclarationError, match=said):
        Disturbed(plain, **bad)


def test_wrong_labels_need_labels():
    with pytest.raises(DeclarationError, match="needs two or more classes"):
        Disturbed(tasks_from({"kind": "regression"}), wrong_labels=0.1)
