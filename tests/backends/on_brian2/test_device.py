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


@pytest.fixture
def single_precision():
    before = brian2.prefs["core.default_float_dtype"]
    brian2.prefs["core.default_float_dtype"] = np.float32
    yield
    brian2.prefs["core.default_float_dtype"] = before


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_the_precision_of_the_script_around_is_for_its_own_objects(single_precision, engine):
    net, shown = network(), np.array([0.1, 0.2, 0.3])
    sim = cs.brian2.build(net, engine=engine)
    rate = sim.run(cs.Protocol(cs.Phase("show", 3, drive={"retina": shown})))["rate"]
    brian2.prefs["core.default_float_dtype"] = np.float64
    again = cs.brian2.build(net, engine=engine)
    expected = again.run(cs.Protocol(cs.Phase("show", 3, drive={"retina": shown})))["rate"]
    np.testing.assert_array_equal(rate, expected)


def test_spiking_units_are_float64_and_the_preference_stays(single_precision):
    net = cs.Network("spiking")
    net.population("x", 3)
    net.population("y", 2)
    net.bottom_up("x", "y")
    net.objective("y", "squared_error")
    found = cs.brian2.Spiking(net).run(np.ones((1, 4, 3)))
    w = cs.brian2.Spiking(net).weights["x->y"]
    kappa = np.exp(-1 / net.populations["y"].tau_ms)
    by_hand = w.sum(1) * (1 - kappa ** np.arange(1, 5))[:, None] / (1 - kappa)
    np.testing.assert_allclose(found.output[0], by_hand, rtol=1e-12)
    assert brian2.prefs["core.default_float_dtype"] is np.float32
