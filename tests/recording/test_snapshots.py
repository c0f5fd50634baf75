"""Weights of one projection as arrays, arm by arm."""

import numpy as np
import pytest

import cortex_sim as cs


@pytest.fixture(scope="module")
def recording():
    net = cs.Network("two")
    up = net.bottom_up(net.population("retina", 3), net.population("V1", 2), plasticity="hebbian")
    show = cs.Phase("show", 20, drive={"retina": 1.0}, plasticity=True)
    three = cs.Protocol(show, trials=3, record=cs.Record(weights=[up.name]), eta_per_s=1.0)
    return cs.brian2.run(cs.Experiment(net, {"three": three, "two": three.replace(trials=2)}))


def test_each_arm_has_its_own(recording):
    trials, weights = cs.recording.weights_of(recording, "retina->V1", "two")
    longer = cs.recording.weights_of(recording, "retina->V1", "three")[1]
    assert trials.tolist() == [0, 1, 2] and weights.shape == (3, 2, 3)
    np.testing.assert_array_equal(weights, longer[:3])  # the same start, the same images
    assert abs(np.diff(longer, axis=0)).max(axis=(1, 2)).min() > 0


def test_without_an_arm_all_of_them(recording):
    trials, weights = cs.recording.weights_of(recording, "retina->V1")
    assert trials.tolist() == [0, 1, 2, 3, 0, 1, 2] and len(weights) == 7


def test_what_is_not_there_is_named(recording):
    with pytest.raises(cs.DataError, match="retina->V1"):
        cs.recording.weights_of(recording, "retina->V2")
    with pytest.raises(cs.DataError, match="no arm 'tow'.*two"):
        cs.recording.weights_of(recording, "retina->V1", "tow")
    with pytest.raises(cs.DataError, match="Record.weights"):
        cs.recording.weights_of(recording.drop_vars("weight:retina->V1"), "retina->V1")
