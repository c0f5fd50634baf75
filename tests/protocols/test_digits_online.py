"""Digits learned one by one in time, as well as at equilibrium."""

import numpy as np
import pytest
from short_runs import both_engines, module, shortened

import cortex_sim as cs
from cortex_sim.experiments.finding import experiment

NAME = "digits_online"
PROJECTIONS = ("retina->V1", "V1->IT")
FEW = {"trials": 3, "probe": None, "record": cs.Record(weights=PROJECTIONS)}


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, **FEW)
    assert set(recording.arm.values.tolist()) == set(module(NAME).ARMS)


@pytest.mark.parametrize("arm", ["exact inverse", "transpose", "random feedback"])
def test_a_digit_teaches_what_one_update_of_the_equilibrium_does(arm):
    """At a small η; at the protocol's own, weights and credit move together within a digit."""
    time, equilibrium = (
        backend.run(shortened(NAME, **FEW, eta_per_s=1e-3), arms=[arm], progress=False)
        for backend in (cs.brian2, cs.torch)
    )
    for projection in PROJECTIONS:
        _, moved = cs.recording.weights_of(time, projection, arm)
        _, expected = cs.recording.weights_of(equilibrium, projection, arm)
        change, wanted = moved[1] - moved[0], expected[1] - expected[0]
        assert np.linalg.norm(wanted) > 0
        assert np.linalg.norm(change - wanted) < 0.05 * np.linalg.norm(wanted)


def test_arms_see_the_same_digits_from_the_same_weights():
    arms = experiment(NAME, seed=3).arms
    first, *others = [given.network.initial_weights(3) for given in arms.values()]
    for weights in others:
        for projection in PROJECTIONS:
            np.testing.assert_array_equal(weights[projection], first[projection])
    assert len({given.protocol.phases[0].drive["retina"] for given in arms.values()}) == 1
    assert {len(given.protocol.phases) for given in arms.values()} == {3, 4}  # only one arm dreams


def test_digits_left_out_are_neither_learned_nor_tested():
    protocol = module(NAME)
    learned, everything = protocol.training(5).images, protocol.training(5, 1500).images
    np.testing.assert_array_equal(everything[: len(learned)], learned)
    assert protocol.test_digits().split == "test"


def test_answers_are_scored_against_their_own_labels(monkeypatch):
    protocol = module(NAME)
    probe = cs.Protocol(cs.Phase("settle", 20, drive={"retina": protocol.test_digits()}))
    short = shortened(NAME, trials=4, probe=probe)
    recording = cs.brian2.run(short, seed=0, arms=["transpose"], progress=False)
    chosen = cs.recording.select(recording, population="IT", stage="probe", block=1)
    expected = chosen["rate"].values.argmax(1) == cs.data.load("digits").y_test
    np.testing.assert_array_equal(protocol.correct(recording, "transpose", "probe"), expected)


@pytest.mark.slow
def test_known_result():
    protocol = module(NAME)
    after = {"brian2": [], "torch": []}
    for seed in range(3):
        for name, backend in (("brian2", cs.brian2), ("torch", cs.torch)):
            recording = backend.run(experiment(NAME, seed), seed, arms=["exact inverse"], progress=False)
            after[name].append(protocol.correct(recording, "exact inverse", "probe").mean())
            assert protocol.correct(recording, "exact inverse", "probe", 0).mean() < 0.3
    time, equilibrium = np.array(after["brian2"]), np.array(after["torch"])
    assert time.mean() > 0.85
    assert time.mean() >= equilibrium.mean() - 0.02


@pytest.mark.slow
def test_no_weight_needs_to_be_copied():
    recording = cs.brian2.run(experiment(NAME), arms=["exact inverse", "learned inverse"], progress=False)
    found = {
        arm: module(NAME).correct(recording, arm, "probe").mean()
        for arm in ("exact inverse", "learned inverse")
    }
    assert found["learned inverse"] > found["exact inverse"] - 0.05
