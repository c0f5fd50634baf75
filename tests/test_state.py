"""What a network has learned, as one object: written, read, and fitted to another rule."""

import copy
from dataclasses import replace

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import BuildError, RunError
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.state import as_state, initial, tensors_of


def network(rule="feedback_alignment", hidden=5):
    net = cs.Network("small")
    net.population("retina", shape=(1, 4, 4))
    net.population("V1", shape=(2, 4, 4), activation="tanh")
    net.population("V2", hidden, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.bottom_up("V1", "V2", plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(rule)


def learned(net, seed=1):
    """A state whose every number differs from what a new network begins with."""
    rng = np.random.default_rng(seed)
    new = initial(net, seed)

    def moved(arrays):
        return {name: rng.normal(size=np.shape(a)) for name, a in arrays.items()}

    return replace(
        new,
        weights=moved(new.weights),
        biases=moved(new.biases),
        feedback=moved(new.feedback),
        rule_state={name: moved(variables) for name, variables in new.rule_state.items()},
        preprocessing=Preprocessing((1, 4, 4), (0.25,), (2.0,)),
        origin={"backend": "none", "updates": 7},
    )


def test_a_network_begins_with_drawn_weights_and_no_bias():
    net = network()
    new = initial(net, seed=3)
    drawn = net.initial_weights(3)
    assert set(new.all_weights()) == set(drawn)
    for name, w in new.all_weights().items():
        np.testing.assert_array_equal(w, drawn[name])
    assert {name: b.shape for name, b in new.biases.items()} == {"V1": (2,), "V2": (5,), "IT": (3,)}
    assert set(new.feedback) == {"V2->V1", "IT->V2"}
    assert initial(network("bcm")).rule_state["V2->IT"].keys() == {"theta"}


@pytest.mark.parametrize("rule", ["feedback_alignment", "bcm", "backprop"])
def test_written_and_read(tmp_path, rule):
    state = learned(network(rule))
    cs.save(state, tmp_path / "kept.safetensors")
    back = cs.load(tmp_path / "kept.safetensors")
    assert back.network == state.network
    assert back.preprocessing == state.preprocessing and back.origin == state.origin
    ours, theirs = tensors_of(state), tensors_of(back)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array)
        assert theirs[name].shape == array.shape


def test_fitted_to_another_rule_weights_and_biases_stay():
    state = learned(network("feedback_alignment"))
    fitted = state.fitted_to(network("backprop"), seed=0)
    assert fitted.weights is state.weights and fitted.biases is state.biases
    assert fitted.feedback == {} and fitted.preprocessing == state.preprocessing


def test_fitted_to_the_same_rule_feedback_stays():
    state = learned(network("feedback_alignment"))
    same = state.fitted_to(network("feedback_alignment"), seed=9)
    np.testing.assert_array_equal(same.feedback["IT->V2"], state.feedback["IT->V2"])
    other = state.fitted_to(network("kolen_pollack"), seed=9)
    drawn = network("kolen_pollack").initial_weights(9)
    np.testing.assert_array_equal(other.all_weights()["IT->V2"], drawn["IT->V2"])


def test_rule_state_stays_only_with_its_rule():
    state = learned(network("bcm"))
    kept = state.fitted_to(network("bcm")).rule_state["V2->IT"]["theta"]
    np.testing.assert_array_equal(kept, state.rule_state["V2->IT"]["theta"])
    assert state.fitted_to(network("hebbian")).rule_state == {}


def without_bias(net):
    net.populations["V2"] = replace(net.populations["V2"], bias=False)
    return net


def extended(net):
    net.population("V3", 4)
    net.bottom_up("V1", "V3")
    return net


@pytest.mark.parametrize(
    "net, message",
    [
        (lambda: network(hidden=6), r"population V2: has shape \(6,\)"),
        (lambda: without_bias(network()), "population V2: the state has biases, but network small does not"),
        (
            lambda: extended(network()),
            "population V3: is only in network small; give the state of the same network",
        ),
    ],
)
def test_another_network_is_refused(net, message):
    with pytest.raises(BuildError, match=message):
        learned(network()).fitted_to(net())


def pooled(pool=None, dilation=1, skip=False, init="orthogonal"):
    net = cs.Network("pooled")
    net.population("retina", shape=(1, 6, 6))
    net.population("V1", shape=(1, 6, 6), activation="tanh")
    net.population("V2", shape=(1, 3, 3), bias=False)
    kernel = {"kernel": 3, "padding": dilation, "dilation": dilation}
    net.bottom_up("retina", "V1", cs.Conv2d(init=init, **kernel), plasticity="hebbian")
    net.bottom_up("V1", "V2", pool or cs.MaxPool2d(2))
    if skip:
        net.bottom_up("retina", "V2", cs.AveragePool2d(2))
    return net


@pytest.mark.parametrize(
    "other, message",
    [
        (pooled(cs.AveragePool2d(2)), "V1->V2: is AveragePool2d"),
        (pooled(dilation=2), "retina->V1: is Conv2d"),
        (pooled(skip=True), "retina->V2: is only in network pooled"),
    ],
    ids=["pool", "dilation", "skip"],
)
def test_what_connects_without_weights_must_be_the_same(other, message):
    state = initial(pooled())
    with pytest.raises(BuildError, match=message):
        state.fitted_to(other)
    assert state.fitted_to(pooled(init="he")).weights == state.weights  # how weights were drawn is past


def test_what_has_no_state_is_refused(tmp_path):
    with pytest.raises(RunError, match="give a model, a simulation, a state"):
        as_state(3)
    with pytest.raises(RunError, match="is no run directory"):
        cs.load(tmp_path)
    with pytest.raises(RunError, match="no such file"):
        cs.load(tmp_path / "none.safetensors")


def test_an_experiment_starts_from_a_state(tmp_path):
    net = network("backprop")
    state = learned(net)
    cs.save(state, tmp_path / "kept.safetensors")
    show = cs.Protocol(
        cs.Phase("show", 20, drive={"retina": np.ones((1, 1, 4, 4))}), record=cs.Record(weights=["V1->V2"])
    )
    for start in (state, tmp_path / "kept.safetensors", str(tmp_path / "kept.safetensors")):
        experiment = cs.Experiment(net, {"one": show}, start=start)
        np.testing.assert_array_equal(experiment.state_for(net, 0).weights["V1->V2"], state.weights["V1->V2"])
    text = experiment.to_yaml()
    assert cs.Experiment.from_yaml(text) == experiment
    with pytest.raises(cs.DeclarationError, match="cs.save"):
        cs.Experiment(net, {"one": show}, start=state).to_yaml()
    with pytest.raises(BuildError, match="population V2"):
        cs.Experiment(network("backprop", hidden=6), {"one": show}, start=state)


@pytest.mark.parametrize("given", [None, 3, "", "n" * 300, "a\0b", b"bytes"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(RunError, match=r"give a path|no file can have this name"):
        cs.load(given)
    with pytest.raises(RunError, match=r"give a path|no file can have this name"):
        cs.save(initial(network()), given)


def test_counts_of_order_and_noise_pass_through_a_simulation():
    """Else a model that goes on from it would replay the order and noise of its first epochs."""
    origin = {"backend": "torch", "seed": 1, "updates": 8, "draws": 9, "epochs": 2, "precision": "64"}
    state = replace(initial(pooled()), origin=origin)
    simulation = copy.deepcopy(cs.brian2.build(pooled(), seed=3, state=state))
    found = simulation.state().origin
    assert {name: found[name] for name in origin} == origin | {"backend": "brian2", "seed": 3}
    model = cs.torch.build(pooled(), state=simulation.state())
    assert (model.epochs_done, model.steps_done, model.clock.draws) == (2, 8, 9)


def test_a_loaded_model_goes_on_with_other_noise_and_another_order(tmp_path):
    model = cs.torch.build(network("weight_mirror"))
    x, y = np.random.default_rng(0).normal(size=(12, 1, 4, 4)), np.arange(12) % 3
    model.fit((x, y), 2, batch_size=4, progress=False)
    cs.save(model, tmp_path / "kept")
    back = cs.torch.load(tmp_path / "kept")
    assert (back.steps_done, back.epochs_done, back.clock.draws) == (6, 2, model.clock.draws)
    for name, change in model.updates(x, y).items():
        np.testing.assert_array_equal(back.updates(x, y)[name], change)
