"""What spiking units refuse: by name, with the way out, before anything runs."""

import signal
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
    "memory": (lambda: declared().with_rule(cs.EProp("unit")), '(memory="leak" or "none")'),
    "two kinds": (lambda: changed("A->y", plasticity=cs.EProp("none")), "have different EProp rules"),
    "normaliser": (lambda: declared(normaliser=cs.LayerNorm()), "population A: LayerNorm acts on drives"),
    "dropout": (lambda: declared(dropout=0.5), "population A: dropout acts in training"),
    "coupling": (lambda: declared(apical_coupling=0.1), "population A: with apical_coupling"),
    "convolution": (convolutional, "projection x->A: a convolution does not give each synapse its own"),
    "lateral": (with_lateral, "projection A->A: lateral projections subtract rates"),
    "gain": (with_gain, "projection B->A gain: projections of gain multiply rates"),
    "from the readout": (from_readout, "projection y->A recurrent: comes from the readout"),
    "top": (nonlinear_top, "population y: the readout is a leaky sum of spikes, to which Tanh"),
    "no objective": (nothing_to_read, 'add net.objective(population, "squared_error")'),
    "regulariser": (
        lambda: changed("x->A", regularisers=(cs.Decay(0.1),)),
        "projection x->A: Decay is not applied",
    ),
    "constraint": (lambda: changed("x->A", constraints=(cs.Bounds(0, 1),)), "projection x->A: Bounds is not"),
    "reads": (
        lambda: changed("x->A", reads=cs.Decorrelated()),
        "projection x->A: Decorrelated transforms rates",
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
        ([[[1] * 4], [[1] * 4] * 2], None, "population x: spikes must be an array of shape"),
        (X, [[[1]], [[1, 2]]], "population y: targets must be an array of shape"),
        (X[0], None, "spikes must have shape (presentation, step, 4)"),
        ({"A": X}, None, "spikes are needed for x"),
        (X, Y[:, :4], "targets must have shape (2, 5, 2)"),
        (X, PARTLY, "finite in every unit, or NaN in every unit"),
        (X, NEVER, "presentation 1 has no target in any step"),
    ],
)
def test_trials(x, y, message):
    with pytest.raises(cs.DataError) as raised:
        cs.brian2.Spiking(declared()).run(x, y)
    assert message in str(raised.value)


def test_steps_that_do_not_fit_in_memory(monkeypatch):
    sim = cs.brian2.Spiking(declared())
    few, many = np.zeros((2, 10, 4)), np.zeros((2, 1000, 4))
    sim.run(few)
    monkeypatch.setattr("cortex_sim.runs.room.available_memory", lambda: 20_000)
    sim.run(few)
    with pytest.raises(cs.RunError, match="a batch of 2 trials of 1,000 steps.*run fewer at a time"):
        sim.run(many)


def test_nothing_to_learn():
    fixed = declared(None)
    fixed.projections = {n: replace(p, plasticity=None) for n, p in fixed.projections.items()}
    with pytest.raises(cs.RunError, match="network spiking: no projection is plastic"):
        cs.brian2.Spiking(fixed).learn(X, Y, eta=0.1)
    with pytest.raises(cs.DataError, match="nothing is learned without targets"):
        cs.brian2.Spiking(declared()).learn(X, None, eta=0.1)


@pytest.mark.parametrize("given", [{"neurons": {"threshold_mV": 10}}, {"firing_rates": 20.0}])
def test_parts_of_another_kind(given):
    with pytest.raises(cs.DeclarationError, match=f"Spiking: {next(iter(given))} must be cs.brian2."):
        cs.brian2.Spiking(declared(), **given)


def sparse():
    net = declared(None)
    net.projections["A->y"] = replace(net.projections["A->y"], connector=cs.Sparse(probability=0.5))
    return net.with_rule("e_prop")


def symmetric():
    return declared("e_prop_symmetric")


@pytest.mark.parametrize(
    ("make", "kind", "name", "values", "message"),
    [
        (declared, "weights", "x->A", np.zeros((3, 4)), "weights of projection x->A: must be a float64"),
        (declared, "weights", "x->A", np.zeros((4, 4), np.float32), "Got float32 (4, 4)"),
        (declared, "weights", "x->A", [[0.0] * 4] * 4, "must be a float64 array of shape (4, 4)"),
        (declared, "weights", "x->A", np.full((4, 4), np.nan), "use a smaller rate"),
        (declared, "weights", "x->B", np.zeros((4, 4)), "no weights of projection 'x->B' can be set"),
        (declared, "biases", "A", np.zeros(3), "bias of population A: must be a float64 array"),
        (declared, "feedback", "y->A", np.zeros((2, 4)), "feedback of projection y->A: must be a float64"),
        (declared, "feedback", "y->A", np.full((4, 2), np.inf), "projection y->A: must be finite"),
        (symmetric, "feedback", "y->A", np.zeros((4, 2)), "no feedback of projection 'y->A' can be set"),
        (sparse, "weights", "A->y", np.ones((2, 4)), "weights are not zero where there is no synapse"),
        (sparse, "feedback", "y->A", np.ones((4, 2)), "weights are not zero where there is no synapse"),
    ],
)  # fmt: skip
def test_arrays_that_were_set(make, kind, name, values, message):
    sim = cs.brian2.Spiking(make())
    getattr(sim, kind)[name] = values
    with pytest.raises(cs.RunError) as raised:
        sim.run(X)
    assert message in str(raised.value)


def test_an_interrupted_batch_is_not_learned_from():
    """brian2 answers Ctrl-C by ending its run early, as if all were well."""
    sim = cs.brian2.Spiking(declared())
    sim.run(X, Y)
    start, step = sim.weights["A->y"].copy(), sim.built._end_step

    def interrupted():
        step()
        if sim.built._step == 3:
            signal.raise_signal(signal.SIGINT)

    sim.built._ends.function = interrupted
    with pytest.raises(KeyboardInterrupt):
        sim.learn(X, Y, eta=0.1)
    np.testing.assert_array_equal(sim.weights["A->y"], start)


def test_cross_entropy_takes_probabilities():
    net = declared(None)
    net.objective_function = cs.CrossEntropy()
    sim = cs.brian2.Spiking(net.with_rule("e_prop"))
    y = np.tile([0.25, 0.75], (2, 5, 1))
    y[0, 1], y[1, 2] = np.nan, (0.5, 0.6)
    with pytest.raises(cs.DataError, match="population y: CrossEntropy takes probabilities.*the sum 1.1 "):
        sim.run(X, y)
