"""Tasks from plain settings: every kind, and answers that help where a word is wrong."""

from __future__ import annotations

import pytest
import torch

from cortex_sim.errors import DataError, DeclarationError
from cortex_sim.tdca.tasks import Fixed, FunctionTasks, ImageTasks, SmoothFunctions, Teachers, tasks_from

DIGITS = {"kind": "images", "sources": ["digits"], "side": 8}


def test_images():
    tasks = tasks_from({**DIGITS, "classes": 4, "permute_labels": False, "validation": 100, "limit": 400})
    assert isinstance(tasks, ImageTasks) and not tasks.permute_labels
    assert (tasks.inputs, tasks.outputs, tasks.objective) == (64, 4, "cross_entropy")
    assert torch.bincount(tasks.sources[0].part).tolist() == [300, 100, 297]


def test_limit_for_one_source():
    settings = {**DIGITS, "sources": ["digits", "digits"], "limit": {"digits": 300}}
    assert [torch.bincount(s.part).tolist() for s in tasks_from(settings).sources] == [[250, 50, 297]] * 2
    with pytest.raises(DeclarationError, match="unknown source in limit 'mnist'; known: digits"):
        tasks_from({**DIGITS, "limit": {"mnist": 300}})


def test_functions():
    smooth = tasks_from({"kind": "regression", "inputs": 2, "length": 0.5, "tested": 30})
    assert isinstance(smooth, FunctionTasks) and smooth.function == SmoothFunctions(2, length=0.5)
    assert smooth.tested == 30 and smooth.objective == "squared_error"
    teacher = tasks_from({"kind": "teacher", "widths": [6, 5, 4], "targets_are": "labels"})
    assert isinstance(teacher.function, Teachers) and (teacher.inputs, teacher.outputs) == (6, 4)
    assert teacher.draw(3, torch.Generator()).presentations(2, "train", torch.Generator())[0].shape == (
        3,
        2,
        6,
    )


def test_a_number_of_tasks():
    settings = {"kind": "regression", "number": 8}
    one, other = tasks_from({**settings, "seed": 1}), tasks_from({**settings, "seed": 2})
    assert isinstance(one, Fixed) and one.number == 8
    assert not torch.equal(one.pool["phase"], other.pool["phase"])


def test_settings_are_left_as_they_were():
    settings = {**DIGITS, "number": 2}
    before = dict(settings)
    tasks_from(settings)
    assert settings == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("digits", "tasks must be settings such as kind: images. Got 'digits'"),
        ({}, "tasks have no kind; give one of images, regression, teacher"),
        ({"kind": "image"}, r"unknown kind of tasks 'image' \(did you mean 'images'\?\)"),
        ({"kind": "images"}, "tasks of kind images need the setting sources"),
        ({"kind": "teacher"}, "tasks of kind teacher need the setting widths"),
        ({**DIGITS, "clases": 3}, r"unknown setting of images tasks 'clases' \(did you mean 'classes'\?\)"),
        ({"kind": "regression", "side": 3}, "unknown setting of regression tasks 'side'"),
        ({**DIGITS, "sources": "digits"}, "sources must be a list of names or paths. Got 'digits'"),
        ({**DIGITS, "sources": [3]}, "sources must be a list"),
        ({**DIGITS, "sources": []}, "sources is empty"),
        ({**DIGITS, "number": 0}, "number must be a whole number of at least 1"),
        ({**DIGITS, "seed": 3}, "seed=3 chooses a fixed number of tasks, but number is not given"),
        ({**DIGITS, "side": "8"}, "side must be a whole number"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(DeclarationError, match=message):
        tasks_from(settings)


def test_a_missing_set_is_named(tmp_path):
    with pytest.raises(DataError, match="data mnist: no mnist.npz"):
        tasks_from({"kind": "images", "sources": ["mnist"]}, tmp_path)
    with pytest.raises(DataError, match="unknown data 'mnits'"):
        tasks_from({"kind": "images", "sources": ["mnits"]})
