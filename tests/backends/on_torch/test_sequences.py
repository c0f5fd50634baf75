"""Sequences are learned by unrolled networks, kept, resumed, and refused where they do not fit."""

from itertools import product

import numpy as np
import pytest
import torch
from networks import chain
from unrolled import three_areas

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer

STEPS = cs.torch.Unrolled(4, dt_ms=10)


def memory(units=24, word="backprop", activation="tanh", **feedback):
    net = cs.Network("memory")
    net.population("bits", 1)
    net.population("PFC", units, activation=activation)
    net.population("choice", 2)
    net.bottom_up("bits", "PFC", plasticity="backprop")
    net.bottom_up("PFC", "choice", plasticity="backprop")
    net.recurrent("PFC", "PFC", plasticity="backprop")
    net.objective("choice", "cross_entropy")
    return net.with_rule(word, **feedback)


def parity(bits=3):
    """Each sequence of bits, −1 or 1, one a time bin, then a bin of silence in which the choice is made."""
    shown = np.array(list(product([-1.0, 1.0], repeat=bits)))
    return np.pad(shown, ((0, 0), (0, 1)))[:, :, None], (shown > 0).sum(1) % 2


def trained(net, x, y, epochs=120, settling=STEPS, rate=0.02):
    model = cs.torch.build(net, settling=settling)
    return model, model.fit((x, y), epochs, batch_size=len(x), optimiser={"name": "Adam", "lr": rate})


def test_learns_the_parity_of_bits_in_turn():
    x, y = parity()
    model, curve = trained(memory(), x, y)
    assert curve[-1]["train_accuracy"] == 1.0
    assert (model.predict(x)[:, -1].argmax(1) == y).all()
    assert curve[-1]["train_loss"] < 0.1 < curve[0]["train_loss"]


def test_recalls_a_cue_after_a_delay_by_random_feedback():
    """The cue lasts one bin of eight; its unit must be told from the others at the end, by either rule."""
    x = np.zeros((2, 8, 1))
    x[:, 0, 0] = [-1, 1]
    for word in ("backprop", "feedback_alignment"):
        _, curve = trained(memory(word=word), x, [0, 1], 40, cs.torch.Unrolled(8, dt_ms=10), 0.02)
        assert curve[-1]["train_accuracy"] == 1.0 and curve[-1]["train_loss"] < 0.05, word


def test_a_target_at_every_bin_is_followed():
    """Whether the bit before was 1, labels (presentation, time_bin); at first nothing was shown."""
    x, _ = parity()
    y = np.pad((x[:, :3, 0] > 0).astype(int), ((0, 0), (1, 0)))
    model, curve = trained(memory(), x, y, 60, rate=0.05)
    assert curve[-1]["train_accuracy"] == 1.0 and curve[-1]["train_loss"] < 0.1
    assert float(model.loss(x, y)) == pytest.approx(float(model.loss(x, np.eye(2)[y])), rel=1e-6)


def steps_of(model, path=None, epochs=4, until=None, bins=slice(None)):
    x, y = parity()
    x = x[:, bins]
    model.train()
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    trainer = Trainer(model, x, y, epochs, 3, {"name": "Adam", "lr": 0.01})
    if path is not None:
        checkpoint.restore(trainer, path)
    while trainer.epoch < (until or epochs):
        trainer.train_epoch()
    return trainer


def test_resume_gives_the_same_bits(tmp_path):
    net = memory(word="feedback_alignment")
    whole = steps_of(cs.torch.build(net, settling=STEPS))
    half = steps_of(cs.torch.build(net, settling=STEPS), until=2)
    checkpoint.save(tmp_path / "half", half, {})
    resumed = steps_of(cs.torch.build(net, settling=STEPS), tmp_path / "half")
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    other = cs.torch.Unrolled(4, dt_ms=10, truncate=2)
    with pytest.raises(
        cs.RunError, match=r"settling=cs.torch.Unrolled\(steps=4, dt_ms=10.0, truncate=None\)"
    ):
        steps_of(cs.torch.build(net, settling=other), tmp_path / "half")
    with pytest.raises(cs.RunError, match=r"unrolled in training, but this model is settled; build it with"):
        steps_of(cs.torch.build(net), tmp_path / "half", bins=0)


def test_a_saved_network_is_loaded_unrolled(tmp_path):
    x, _ = parity()
    model = cs.torch.build(memory(), settling=STEPS)
    cs.save(model, tmp_path / "memory.safetensors")
    loaded = cs.torch.load(tmp_path / "memory.safetensors")
    assert loaded.unrolled == STEPS
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    settled = cs.torch.load(tmp_path / "memory.safetensors", settling=cs.torch.Settling())
    assert settled.unrolled is None


def test_a_recording_is_written_batch_by_batch(tmp_path):
    x, y = parity()
    model = cs.torch.build(memory(), settling=STEPS)
    whole = model.respond(x, y)
    written = model.respond(x, y, batch=3, out=tmp_path / "file.nc").load()
    for name in ("rate", "drive", "credit"):
        assert written[name].dims == ("presentation", "neuroid", "time_bin")
        np.testing.assert_allclose(written[name], whole[name], rtol=1e-6, atol=1e-7)
    assert "unrolled for 4 steps of 10 ms" in model._repr_html_()


STIMULI = [
    (
        np.zeros((2, 3, 1)),
        "stimuli have 3 time bins, into which the 4 steps cannot be divided; give 1, 2, 4 bins, or",
    ),
    (
        np.zeros((2, 4, 2)),
        r"stimuli have shape \(2, 4, 2\), but population bits, unrolled for 4 steps of 10 ms",
    ),
    (np.zeros((0, 4, 1)), "with at least one presentation"),
    (np.full((2, 4, 1), np.nan), "NaN or infinite values at precision 32, first in presentation 0"),
    ({"bits": [["a"]]}, "which holds text"),
]


@pytest.mark.parametrize(("x", "says"), STIMULI)
def test_stimuli_that_do_not_fit_are_refused(x, says):
    with pytest.raises(cs.DataError, match=says):
        cs.torch.build(memory(), settling=STEPS).predict(x)


TARGETS = [
    (np.zeros((2, 2), int), "could be rates of 2 units of choice, or labels in 2 time bins; give y.astype"),
    (np.zeros((2, 3), int), "targets have 3 time bins, into which the 4 steps cannot be divided"),
    (
        np.zeros((2, 4)),
        r"targets have shape \(2, 4\), but population choice, unrolled for 4 steps of 10 ms, needs",
    ),
    (np.zeros((2, 4, 3)), r"or rates \(presentation, 2\) or \(presentation, time_bin, 2\)"),
    (np.full((2, 4), 2), "labels run from 2 to 2, but population choice has 2 units"),
    (np.zeros((3, 4), int), "3 labels for 2 presentations of population bits"),
]


@pytest.mark.parametrize(("y", "says"), TARGETS)
def test_targets_that_do_not_fit_are_refused(y, says):
    with pytest.raises(cs.DataError, match=says):
        cs.torch.build(memory(), settling=STEPS).loss(np.zeros((2, 4, 1)), y)


NETWORKS = [
    (
        lambda: memory(word="direct_feedback_alignment"),
        "defines credit for settled rates, but not through time",
    ),
    (lambda: chain(activation="tanh").with_rule("target_prop"), "but not through time; use net.with_rule"),
]


@pytest.mark.parametrize(("make", "says"), NETWORKS)
def test_networks_that_cannot_be_unrolled_are_refused(make, says):
    with pytest.raises(cs.BuildError, match=says):
        cs.torch.build(make(), settling=STEPS)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(
        cs.BuildError, match="population IT: its drive is unstable at dt_ms=10; use dt_ms below 10"
    ):
        cs.torch.build(three_areas(), settling=cs.torch.Unrolled(3, 10))
    with pytest.raises(cs.DeclarationError, match="unrolled: steps must be a whole number of at least 1"):
        cs.torch.Unrolled(0)
    with pytest.raises(cs.DeclarationError, match="unrolled: dt_ms must be a positive number"):
        cs.torch.Unrolled(3, -1)
    with pytest.raises(cs.DeclarationError, match="unrolled: truncate must be a whole number of at least 1"):
        cs.torch.Unrolled(3, truncate=0)
    with pytest.raises(cs.BuildError, match=r"settling must be cs.torch.Settling\(\) or cs.torch.Unrolled"):
        cs.torch.build(memory(), settling=20)
