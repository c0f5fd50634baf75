"""A device of brian2 that the script around has set is named, with the way out."""

import sys

import brian2
import numpy as np
import pytest

import cortex_sim as cs

device = sys.modules["brian2.devices.device"]  # brian2.devices.device itself is a stand-in for the device


def network():
    net = cs.Network("two areas")
    net.population("retina", 3)
    net.population("V1", 2)
    net.bottom_up("retina", "V1")
    return net


def protocol():
    return cs.Protocol(cs.Phase("show", 3, drive={"retina": np.ones(3)}))


@pytest.fixture
def standalone():
    def begin():
        brian2.set_device("cpp_standalone", build_on_run=False)

    before = len(device.previous_devices)
    yield begin
    while len(device.previous_devices) > before:  # each set_device has left one more
        device.reset_device()
    device.all_devices["cpp_standalone"].reinit()


def test_a_simulation_is_refused_on_a_device_set_outside(standalone):
    made = cs.brian2.build(network())
    standalone()
    for start in (lambda: cs.brian2.build(network()), lambda: made.run(protocol())):
        with pytest.raises(cs.BuildError, match=r'set_device\("runtime"\)'):
            start()


def test_an_experiment_is_refused_on_a_device_set_outside(standalone):
    standalone()
    experiment = cs.Experiment(network(), {"one": protocol()})
    with pytest.raises(cs.BuildError, match=r'set_device\("runtime"\)'):
        cs.brian2.run(experiment, progress=False)


def test_the_way_out_that_is_named_works(standalone):
    standalone()
    brian2.set_device("runtime")
    assert np.isfinite(cs.brian2.build(network()).run(protocol())["rate"]).all()
