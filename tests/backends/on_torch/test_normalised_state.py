"""Gains and running statistics as slow state: saved, loaded, resumed, averaged, copied."""

import copy
import pickle

import numpy as np
import pytest
import torch
from normalising import NORMALISERS, built, network, stimuli

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.parameter_groups import parameters_of
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.updating import Updating

every_normaliser = pytest.mark.parametrize("kind", NORMALISERS)


def test_saved_loaded_and_under_another_rule(tmp_path):
    model = built(network("batch", "gait_prop"))
    cs.save(model, tmp_path / "state.safetensors")
    again = cs.torch.load(tmp_path / "state.safetensors")
    x, _ = stimuli()
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    other = cs.torch.build(network("batch", "feedback_alignment"), precision="64", state=model)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    kept = cs.load(tmp_path / "state.safetensors").normalisers
    assert set(kept["V1"]) == {"gain", "mean", "variance"} and kept["V1"]["gain"].shape == (4,)


@pytest.mark.parametrize("second", ["layer", "group"])
def test_a_state_of_another_normaliser_is_refused(second):
    state = built(network("batch")).state()
    with pytest.raises(cs.BuildError, match="population V2: has normaliser"):
        cs.torch.build(network("batch", second=second), state=state)


@every_normaliser
def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_does(kind, tmp_path):
    net = network(kind, "gait_prop", dropout=0.4)
    x, y = (torch.as_tensor(v) for v in stimuli(22))

    def trainer():
        return Trainer(cs.torch.build(net, precision="64"), x, y, 3, 5, {"name": "SGD", "lr": 0.1})

    whole = trainer()
    for _ in range(3):
        whole.train_epoch()
    first, states = trainer(), []

    def save():
        if first.step == 7:  # in mid-epoch
            checkpoint.save(tmp_path / "checkpoint.safetensors", first, {})
            states.append(first.model.state())

    first.train_epoch(save), first.train_epoch(save)
    second = trainer()
    checkpoint.restore(second, tmp_path / "checkpoint.safetensors")
    second.train_epoch(), second.train_epoch()
    theirs = second.model.state_dict()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    kept = cs.load(tmp_path / "checkpoint.safetensors").normalisers
    for variable, values in states[0].normalisers["V1"].items():
        np.testing.assert_array_equal(kept["V1"][variable], values)


def test_averages_hold_gains_and_statistics_and_decay_leaves_gains_alone():
    x, y = (torch.as_tensor(v) for v in stimuli(20))
    model, updating = cs.torch.build(network("batch"), precision="64"), Updating(ema_decay=0.8)
    trainer = Trainer(model, x, y, 2, 5, {"name": "SGD", "lr": 0.1}, updating=updating)
    kept, mean = model.population("V1").normaliser.kept(), {}
    for t in range(1, 5):
        mean = mean or {n: v.detach().clone() for n, v in kept.items()}
        model.train()
        trainer.update(torch.arange(5 * t - 5, 5 * t))
        d = min(0.8, (1 + t) / (10 + t))
        mean = {n: d * mean[n] + (1 - d) * v.detach() for n, v in kept.items()}
    state = trainer.average.state(model).normalisers["V1"]
    for name, values in mean.items():
        np.testing.assert_allclose(state[name], values, atol=1e-14)
    exempt = {id(p) for p in parameters_of(model).rest}
    gains = [model.population(n).normaliser.gain for n in ("V1", "V2")]
    assert exempt == {id(p) for p in (*model.biases.values(), *gains)}


def test_a_copy_and_one_sent_to_another_process_respond_alike():
    model = built(network("batch", second="group"))
    x, _ = stimuli()
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
        again.train()(x)
    untouched = built(network("batch", second="group")).state().normalisers["V1"]["mean"]
    np.testing.assert_array_equal(model.state().normalisers["V1"]["mean"], untouched)
