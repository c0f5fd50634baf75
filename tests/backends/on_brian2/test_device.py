"""A device of brian2 that the script around has set is named, with the way out."""

import brian2
import numpy as np
import pytest
from brian2.devices.device import reset_device

import cortex_sim as cs


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

    yield begin
    if brian2.get_device() is not brian2.devices.device.runtime_device:
        brian2.get_device().reinit()
        reset_device()


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
