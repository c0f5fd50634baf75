"""What a network learned on one backend holds on the other: weights, biases, feedback, rule state."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.state import tensors_of

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(24, 1, 6, 6)).astype(np.float32), np.arange(24) % 3
WORDS = ("gait_prop", "backprop", "feedback_alignment", "kolen_pollack", "oja")


def network(word="gait_prop"):
    net = cs.Network("travels")
    net.population("retina", shape=(1, 6, 6))
    net.population("V1", shape=(2, 6, 6), activation="tanh")
    net.population("V4", 7, activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.bottom_up("V1", "V4", plasticity="backprop")
    net.bottom_up("V4", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


def trained(word):
    model = cs.torch.build(network(word), seed=1)
    rate = 1e-3 if word == "oja" else 0.05
    model.fit((IMAGES, LABELS), 3, batch_size=8, optimiser={"name": "SGD", "lr": rate}, progress=False)
    if word == "oja":  # which teaches no bias
        model.set_biases({"V4": RNG.normal(size=7)})
    assert abs(model.state().biases["V4"]).max() > 1e-3
    return model


def settled(sim, x):
    show = cs.Protocol(cs.Phase("show", 400, drive={"retina": x}), batch=len(x))
    return sim.run(show)


@pytest.mark.parametrize("word", WORDS)
def test_trained_on_torch_settles_alike_in_time_and_comes_back(word):
    model = trained(word)
    sim = cs.brian2.build(network(word), state=model.state())
    in_time, at_rest = settled(sim, IMAGES[:4]), model.respond(IMAGES[:4])
    np.testing.assert_allclose(in_time.rate.values, at_rest.rate.values, atol=1e-5)

    back = cs.torch.build(network(word), state=sim.state())
    ours, theirs = tensors_of(model.state()), tensors_of(back.state())
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)
    np.testing.assert_array_equal(back.respond(IMAGES).rate, model.respond(IMAGES).rate)


def test_updates_are_the_same_after_the_journey():
    model = trained("gait_prop")
    back = cs.torch.build(network(), state=cs.brian2.build(network(), state=model.state()).state())
    ours, theirs = model.updates(IMAGES, LABELS), back.updates(IMAGES, LABELS)
    for name, change in ours.items():
        np.testing.assert_allclose(theirs[name].numpy(), change.numpy(), atol=1e-6, err_msg=name)


def test_a_protocol_starts_from_a_model_a_file_and_a_run_on_both_backends(tmp_path):
    model = trained("backprop")
    cs.save(model, tmp_path / "kept.safetensors")
    show = cs.Protocol(cs.Phase("show", 400, drive={"retina": IMAGES[:2]}), batch=2)
    expected = model.respond(IMAGES[:2]).rate.values
    for start in (model, tmp_path / "kept.safetensors"):
        experiment = cs.Experiment(network("backprop"), {"one": show}, start=start)
        for run in (cs.brian2.run, cs.torch.run):
            found = run(experiment, seed=7, progress=False).rate.values
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_arm_under_another_rule_keeps_weights_and_biases():
    model = trained("backprop")
    show = cs.Protocol(cs.Phase("show", 400, drive={"retina": IMAGES[:2]}), batch=2)
    arms = {"own": show, "other": cs.Arm(show, network("feedback_alignment"))}
    made = cs.torch.run(cs.Experiment(network("backprop"), arms, start=model), progress=False)
    np.testing.assert_array_equal(made.rate.values[:2], made.rate.values[2:])


def test_a_simulation_starts_from_a_run_directory(tmp_path):
    from cortex_sim.cli import main

    run = tmp_path / "run"
    assert main(["train", "digits_mlp", "--rule", "gait_prop", "--epochs", "1", "--out", str(run)]) == 0
    state = cs.load(run)
    images = cs.data.load("digits")
    assert state.preprocessing is not None
    x = state.preprocessing.apply(images.x_test[:3])
    sim = cs.brian2.build(state.network, state=run)
    np.testing.assert_allclose(
        settled(sim, x).rate.values, cs.torch.load(run).respond(x).rate.values, atol=1e-5
    )

    shown = cs.Protocol(cs.Phase("show", 400, drive={"retina": x}), batch=3)
    experiment = cs.Experiment(state.network, {"trained": shown}, start=run)
    made = cs.brian2.run(experiment, seed=5, progress=False)
    np.testing.assert_allclose(made.rate.values, cs.torch.load(run).respond(x).rate.values, atol=1e-5)
