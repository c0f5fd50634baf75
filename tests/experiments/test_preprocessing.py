"""A trained network under a protocol is shown data sets through the preprocessing of its own training."""

from dataclasses import replace

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DeclarationError
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.protocol.planning import plan

COUNT = 6


@pytest.fixture
def sets(tmp_path):
    """The digits, and the same with half the contrast, as files."""
    digits = cs.data.load("digits")
    named = ("x_train", "y_train", "x_test", "y_test")
    for name, factor in (("whole", 1.0), ("half", 0.5)):
        arrays = {n: getattr(digits, n) for n in named}
        arrays |= {n: factor * arrays[n] for n in named if n.startswith("x")}
        np.savez(tmp_path / f"{name}.npz", **arrays)
    return tmp_path, digits


@pytest.fixture
def state(sets):
    net = cs.Network("small")
    net.population("retina", 64)
    net.population("V1", 12, activation="linear")
    net.bottom_up("retina", "V1", cs.Dense(init="orthogonal"))
    return replace(cs.torch.build(net, seed=1).state(), preprocessing=sets[1].preprocessing())


def shown(path, standardise=False):
    drive = {"retina": cs.Stimuli(str(path), "test", count=COUNT, standardise=standardise)}
    return cs.Protocol(cs.Phase("show", 400, drive=drive))


def rates(recording, population="V1"):
    chosen = recording.rate.isel(neuroid=recording.population.values == population)
    return chosen.transpose("presentation", ..., "neuroid").values.reshape(COUNT, -1)


@pytest.mark.parametrize("backend", ["brian2", "torch"])
@pytest.mark.parametrize("standardise", [False, True])
def test_half_the_contrast_reaches_a_trained_network(sets, state, backend, standardise):
    folder, _ = sets
    arms = {name: shown(folder / f"{name}.npz", standardise) for name in ("whole", "half")}
    experiment = cs.Experiment(state.network, arms, start=state)
    made = getattr(cs, backend).run(experiment, progress=False)
    whole, half = (rates(made.isel(presentation=made.arm.values == name)) for name in arms)
    raw = cs.Stimuli(str(folder / "whole.npz"), "test", count=COUNT).images
    w = state.weights["retina->V1"]
    for found, x in ((whole, raw), (half, 0.5 * raw)):
        expected = state.preprocessing.apply(x.astype(np.float32)) @ w.T
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(whole - half).max() > 0.1


def test_a_simulation_built_from_a_state_does_too(sets, state):
    folder, _ = sets
    sim = cs.brian2.build(state.network, state=state)
    made = sim.run(shown(folder / "half.npz"))
    seen = state.preprocessing.apply(cs.Stimuli(str(folder / "half.npz"), "test", count=COUNT).images)
    np.testing.assert_allclose(rates(made, "retina"), seen, atol=1e-6)


def test_arrays_are_shown_as_they_are(state):
    x = np.random.default_rng(0).normal(size=(COUNT, 64))
    script = cs.Protocol(cs.Phase("show", 10, drive={"retina": x}))
    made = cs.brian2.build(state.network, state=state).run(script)
    np.testing.assert_array_equal(rates(made, "retina"), x)


def test_without_a_preprocessing_a_data_set_is_shown_as_it_is_asked_for(sets, state):
    for standardise in (False, True):
        drive = cs.Stimuli("digits", "test", count=COUNT, standardise=standardise)
        made = plan(cs.Protocol(cs.Phase("show", 10, drive={"retina": drive})), state.network, 0)
        np.testing.assert_array_equal(made.shown[0].phases[0].drive["retina"].values, drive.images)


def test_another_shape_is_refused_by_name(sets, state):
    other = Preprocessing((3, 8, 8), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    with pytest.raises(DeclarationError, match=r"Stimuli digits: .* trained on \(3, 8, 8\)"):
        plan(
            cs.Protocol(cs.Phase("show", 10, drive={"retina": cs.Stimuli("digits")})),
            state.network,
            0,
            other,
        )


def test_flat_presentations_of_one_size_fit_images():
    one_channel = Preprocessing((1, 8, 8), (0.5,), (2.0,))
    flat = cs.Stimuli("digits", count=COUNT)
    expected = (flat.images.reshape(COUNT, 1, 8, 8) - 0.5) / 2
    np.testing.assert_allclose(flat.images_through(one_channel), expected, atol=1e-6)
