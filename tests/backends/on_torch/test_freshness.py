"""Feedback belongs to the present weights, however they changed; attaching ends with its optimiser."""

import copy
import pickle

import numpy as np
import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs
from cortex_sim.regularisers import HardOrthogonality


def new_model(network=chain, **settings):
    return cs.torch.build(network().with_rule("gait_prop", **settings), seed=1)


def other_weights(w):
    rng = np.random.default_rng(5)
    return torch.as_tensor(rng.normal(size=tuple(w.shape)), dtype=w.dtype)


def assert_fresh(model):
    x, y = shown(model.net)
    used = model.updates(x, y)
    model.renew_feedback()
    for name, change in model.updates(x, y).items():
        assert torch.equal(change, used[name]), name


def in_place(model):
    with torch.no_grad():
        for w in model.weights.values():
            w.copy_(other_weights(w))


def through_data(model):
    for w in model.weights.values():
        w.data.copy_(other_weights(w))


def other_data(model):
    for w in model.weights.values():
        w.data = other_weights(w)


def one_by_data(model):
    next(iter(list(model.weights.values())[1:])).data[1, 2] += 0.5


def by_init(model):
    for w in model.weights.values():
        torch.nn.init.normal_(w, generator=torch.Generator().manual_seed(0))


def as_vector(model):
    vector = torch.nn.utils.parameters_to_vector(model.parameters())
    torch.nn.utils.vector_to_parameters(
        vector + 0.1 * torch.cos(torch.arange(len(vector))), model.parameters()
    )


def loaded(model):
    state = {n: other_weights(w) for n, w in model.state_dict().items() if n.startswith("weights.")}
    model.load_state_dict(state, strict=False)


EDITS = [in_place, through_data, other_data, one_by_data, by_init, as_vector, loaded]


@pytest.mark.parametrize("network", [chain, conv])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_after_training_is_noticed(network, edit):
    model = new_model(network, refresh=3)
    x, y = shown(model.net)
    model.fit((x, y), 1, batch_size=len(x), progress=False)
    assert_fresh(model)
    edit(model)
    assert_fresh(model)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_between_two_steps_of_an_attached_optimiser_is_noticed(edit):
    model = new_model(refresh=100)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    model.attach(optimiser)
    x, y = shown(model.net)
    for _ in range(2):
        model(x, y).backward()
        optimiser.step()
    edit(model)
    assert_fresh(model)


def test_within_a_loop_an_inverse_may_be_older_than_its_weights():
    model = new_model(refresh=100)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    kept = {n: b.clone() for n, b in model.feedback.fixed.named_buffers()}
    x, y = shown(model.net)
    for _ in range(3):
        model(x, y).backward()
        optimiser.step()
        model.updates(x, y)
    assert all(torch.equal(b, kept[n]) for n, b in model.feedback.fixed.named_buffers())
    model.detach()
    assert_fresh(model)
    assert not all(torch.equal(b, kept[n]) for n, b in model.feedback.fixed.named_buffers())


def test_copies_of_an_attached_model_have_feedback_of_their_own():
    model = new_model(refresh=100)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    x, y = shown(model.net)
    for _ in range(3):
        model(x, y).backward()
        optimiser.step()
        averaged.update_parameters(model)
    assert_fresh(averaged.module)
    assert_fresh(copy.deepcopy(model))
    assert_fresh(pickle.loads(pickle.dumps(model)))


def test_attaching_ends_with_the_optimiser():
    model = new_model(refresh=100)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    x, y = shown(model.net)
    model(x, y).backward()
    optimiser.step()
    del optimiser
    assert_fresh(model)


def test_one_optimiser_at_a_time():
    model = new_model()
    first, second = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    model.attach(first)
    model.attach(second)
    x, y = shown(model.net)
    model(x, y).backward()
    first.step()
    assert model.steps_done == 0
    second.step()
    assert model.steps_done == 1


def test_the_optimiser_of_another_model_is_refused():
    model, other = new_model(), new_model()
    with pytest.raises(cs.RunError, match="none of this model's parameters"):
        model.attach(torch.optim.SGD(other.parameters(), lr=0.1))
    with pytest.raises(cs.RunError, match="give an optimiser of torch.optim"):
        model.attach("SGD")


@pytest.mark.parametrize("before", ["fit", "attached", "nothing"])
def test_an_optimiser_that_is_not_attached_is_refused_where_something_acts_after_its_step(before):
    net = cs.Network("hard")
    net.population("retina", 6)
    net.population("V1", 5, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop", regulariser=HardOrthogonality())
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    model = cs.torch.build(net.with_rule("gait_prop"))
    x, y = shown(model.net)
    first = torch.optim.SGD(model.parameters(), lr=0.1)
    if before == "fit":
        model.fit((x, y), 1, batch_size=len(x), progress=False)
    elif before == "attached":
        model.attach(first)
    second = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x, y).backward()
    second.step()
    with pytest.raises(cs.RunError, match="attach"):
        model(x, y)
