"""Top-down weights learned from spontaneous activity come to deliver the inverse's credit."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs
from cortex_sim.experiments.finding import experiment

NAME = "learned_inverse"


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=3)
    cosine, length = module(NAME).delivered(recording, "exact")
    np.testing.assert_allclose(cosine, 1, atol=1e-3)  # the compartment is e⁻⁴ short of its end
    np.testing.assert_allclose(length, 1, atol=0.03)


def test_random_weights_are_the_same_in_both_arms_and_no_copies():
    arms = experiment(NAME, seed=2).arms
    drawn = {name: arms[name].network.initial_weights(2) for name in ("learned", "not learned")}
    b, w = drawn["learned"]["IT->V1"], drawn["learned"]["V1->IT"]
    np.testing.assert_array_equal(drawn["not learned"]["IT->V1"], b)
    assert abs(np.vdot(b, np.linalg.pinv(w))) < 0.15 * np.linalg.norm(b) * np.linalg.norm(np.linalg.pinv(w))


def test_only_the_learned_arm_moves_its_inverse():
    short = shortened(
        NAME, only=["learned", "not learned"], trials=2, record=cs.Record(phase="compare", weights=["IT->V1"])
    )
    for arm, moves in (("learned", True), ("not learned", False)):
        recording = cs.brian2.run(short, arms=[arm], progress=False)
        _, b = cs.recording.weights_of(recording, "IT->V1", arm)
        assert bool((b[-1] != b[0]).any()) is moves


def test_dreams_do_to_weights_that_stand_still_what_is_predicted():
    """The whole matrix, without credit: each trial is one dream, and bottom-up weights rest."""
    protocol, made = module(NAME), experiment(NAME)
    net, dream = made.arms["learned"].network, made.arms["learned"].protocol.phases[-1]
    only = cs.Protocol(
        dream, trials=60, record=cs.Record(weights=["IT->V1"]), eta_per_s={"IT->V1": protocol.INVERSE_ETA}
    )
    recording = cs.brian2.run(cs.Experiment(net, {"dreams": only}), progress=False)
    dreams, b = cs.recording.weights_of(recording, "IT->V1")
    inverse = np.linalg.pinv(net.initial_weights(0)["V1->IT"])
    cosine = np.einsum("tij,ij->t", b, inverse) / (np.linalg.norm(b, axis=(1, 2)) * np.linalg.norm(inverse))
    np.testing.assert_allclose(cosine[1:], protocol.predicted(dreams[1:]), atol=0.08)
    np.testing.assert_allclose(cosine[40:], protocol.predicted(dreams[40:]), atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    exact, learned, random = (found[arm] for arm in ("exact", "learned", "not learned"))
    assert exact["cosine, last 100"] > 0.999
    assert abs(learned["cosine at first"]) < 0.3 and learned["cosine, last 100"] > 0.94
    assert abs(learned["length, last 100"] - 1) < 0.1
    assert random["cosine, last 100"] < 0.5 and random["length, last 100"] > 2
    assert learned["accuracy, last 100"] > exact["accuracy, last 100"] - 0.05
