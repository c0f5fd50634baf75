"""What spiking units refuse: by name, with the way out, before anything runs."""

from dataclasses import replace

import numpy as np
import pytest

import cortex_sim as cs


def declared(word="e_prop", **population):
    net = cs.Network("spiking")
    net.population("x", 4)
    net.population("A", 4, **population)
    net.population("y", 2)
    net.bottom_up("x", "A", plasticity="backprop")
    net.recurrent("A", "A", plasticity="backprop")
    net.bottom_up("A", "y", plasticity="backprop")
    net.objective("y", "squared_error")
    return net if word is None else net.with_rule(word)


def changed(name, **parts):
    net = declared()
    net.projections[name] = replace(net.projections[name], **parts)
    return net


def convolutional():
    net = cs.Network("spiking")
    net.population("x", shape=(1, 4, 4))
    net.population("A", shape=(2, 4, 4))
    net.population("y", 2)
    net.bottom_up("x", "A", cs.Conv2d(3, padding=1), plasticity="backprop")
    net.bottom_up("A", "y", plasticity="backprop")
    net.objective("y", "squared_error")
    return net.with_rule("e_prop")


def with_lateral():
    net = declared()
    net.lateral("A")
    return net


def with_gain():
    net = declared()
    net.population("B", 3)
    net.bottom_up("x", "B")
    net.top_down("B", "A", effect="gain")
    return net


def from_readout():
    net = declared()
    net.recurrent("y", "A")
    return net


def nonlinear_top():
    net = declared()
    net.populations["y"] = replace(net.populations["y"], activation=cs.Tanh())
    return net


def nothing_to_read():
    net = cs.Network("spiking")
    net.population("x", 4)
    net.population("A", 4)
    net.bottom_up("x", "A")
    return net


REFUSED = {
    "backprop": (lambda: declared("backprop"), "projection x->A: Backprop has no spiking counterpart"),
    "gait_prop": (lambda: declared("gait_prop"), "projection x->A: GaitProp has no spiking counterpart"),
    "hebbian": (
        lambda: changed("x->A", plasticity=cs.Oja()),
        "projection x->A: Oja has no spiking counterpart",
    ),
    "memory": (lambda: declared().with_rule(cs.EProp("unit")), 'known: memory="leak" or "none"'),
    "two kinds": (lambda: changed("A->y", plasticity=cs.EProp("none")), "have different EProp rules"),
    "normaliser": (lambda: declared(normaliser=cs.LayerNorm()), "population A: LayerNorm acts on drives"),
    "dropout": (lambda: declared(dropout=0.5), "population A: dropout is noise of training"),
    "coupling": (lambda: declared(apical_coupling=0.1), "population A: with apical_coupling"),
    "convolution": (convolutional, "projection x->A: a convolution has no weight of each synapse's own"),
    "lateral": (with_lateral, "projection A->A: is lateral"),
    "gain": (with_gain, "projection B->A gain: is one of gain"),
    "from the readout": (from_readout, "projection y->A recurrent: comes from the readout"),
    "top": (nonlinear_top, "population y: the readout is a leaky sum of spikes, and Tanh"),
    "no objective": (nothing_to_read, 'add net.objective(population, "squared_error")'),
    "regulariser": (
        lambda: changed("x->A", regularisers=(cs.Decay(0.1),)),
        "projection x->A: Decay is not applied",
    ),
    "constraint": (lambda: changed("x->A", constraints=(cs.Bounds(0, 1),)), "projection x->A: Bounds is not"),
    "reads": (
        lambda: changed("x->A", reads=cs.Decorrelated()),
        "projection x->A: Decorrelated is read of rates",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_networks_without_a_spiking_counterpart(case):
    make, message = REFUSED[case]
    with pytest.raises((cs.BuildError, cs.DeclarationError)) as raised:
        cs.brian2.Spiking(make())
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold_mV": 0}, "threshold_mV must be a positive number"),
        ({"dampening": -1}, "dampening must be a positive number"),
        ({"refractory_ms": -1}, "refractory_ms must be 0 or more"),
        ({"refractory_ms": 1.5}, "refractory_ms must be a multiple of dt_ms=1"),
        ({"treshold_mV": 1}, "did you mean 'threshold_mV'"),
    ],
)
def test_units(settings, message):
    with pytest.raises(cs.DeclarationError) as raised:
        cs.brian2.Spiking(declared(), neurons=cs.brian2.LeakyIntegrateAndFire(**settings))
    assert message in str(raised.value)


def test_firing_rates():
    with pytest.raises(cs.DeclarationError, match="FiringRates: target_hz must be a positive number"):
        cs.brian2.FiringRates(target_hz=0)


X, Y = np.zeros((2, 5, 4)), np.zeros((2, 5, 2))
PARTLY, NEVER = Y.copy(), Y.copy()
PARTLY[0, 0, 0] = NEVER[1] = np.nan


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X + 0.5, None, "spikes must be 0 or 1 in every step; draw them from rates by"),
        (X[0], None, "spikes must have shape (presentation, step, 4)"),
        ({"A": X}, None, "spikes are needed of x"),
        (X, Y[:, :4], "targets must have shape (2, 5, 2)"),
        (X, PARTLY, "finite in every unit, or NaN in every unit"),
        (X, NEVER, "presentation 1 has no target in any step"),
    ],
)
def test_trials(x, y, message):
    with pytest.raises(cs.DataError) as raised:
        cs.brian2.Spiking(declared()).run(x, y)
    assert message in str(raised.value)


def test_weights():
    sim = cs.brian2.Spiking(declared())
    sim.weights["x->A"] = np.zeros((3, 4))
    with pytest.raises(cs.RunError, match="projection x->A: must be finite numbers of shape"):
        sim.run(X)
    sim.weights["x->A"] = np.full((4, 4), np.nan)
    with pytest.raises(cs.RunError, match="use a smaller rate"):
        sim.run(X)
