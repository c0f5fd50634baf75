import numpy as np
import pytest
import torch
from networks import built, chain

import cortex_sim as cs


@pytest.fixture(scope="module")
def model():
    return built(chain().with_rule("backprop"))


def presentations(model, count):
    return np.zeros((count, model.net.populations[model.sources[0]].size))


@pytest.mark.parametrize(
    "given", [object(), "images", [["a"]], cs.data.digits()], ids=lambda g: type(g).__name__
)
def test_what_is_no_array_is_refused_with_the_way_out(model, given):
    with pytest.raises(cs.DataError, match="stimuli must be an array of numbers, such as images.x_test"):
        model.respond(given)


def test_stimuli_of_another_size_name_the_population(model):
    with pytest.raises(cs.DataError, match=f"population {model.sources[0]} expects"):
        model.respond(np.zeros((3, 999)))


def test_no_presentation_is_refused(model):
    with pytest.raises(cs.DataError, match="at least one presentation"):
        model.respond(presentations(model, 0))


def test_labels_beyond_the_top_population_are_refused(model):
    top = model.net.populations[model.top].size
    with pytest.raises(cs.DataError, match=f"give labels from 0 to {top - 1}"):
        model.updates(presentations(model, 2), np.array([0, top]))


def test_arrays_lists_and_tensors_mean_the_same(model):
    x = np.random.default_rng(0).normal(size=presentations(model, 4).shape)
    y = [0, 1, 1, 0]
    ours = [
        model.updates(form(x), label) for form, label in ((np.asarray, y), (torch.tensor, torch.tensor(y)))
    ]
    for name, change in ours[0].items():
        torch.testing.assert_close(change, ours[1][name])
