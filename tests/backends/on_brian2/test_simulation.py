"""A simulation keeps to itself (clock, names, random numbers); batches and resuming change nothing."""

from itertools import pairwise

import brian2
import numpy as np
import pytest
from brian2.devices.device import RuntimeDevice
from networks import chain, conv
from timed import NEAR, by_population, protocol, shown

import cortex_sim as cs


def learning(seed=0, engine="batched", **build):
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 3)
    sim = cs.brian2.build(net, seed=seed, engine=engine, dt_ms=2.0, **build)
    return sim, protocol(net, x, y, ms=20.0, learn_ms=20.0, batch=1, whole_eta_per_s=1.0)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_two_simulations_interleaved_do_not_influence_each_other(engine):
    alone = []
    for seed in (0, 1):
        sim, script = learning(seed, engine, noise=0.1)
        alone.append([sim.run(script)["rate"].values for _ in range(2)] + [sim.weights.outward("V1->V2")])
    (first, script), (second, _) = learning(0, engine, noise=0.1), learning(1, engine, noise=0.1)
    rounds = [(first.run(script)["rate"].values, second.run(script)["rate"].values) for _ in range(2)]
    for i, sim in enumerate((first, second)):
        for k in range(2):
            np.testing.assert_array_equal(rounds[k][i], alone[i][k])
        np.testing.assert_array_equal(sim.weights.outward("V1->V2"), alone[i][2])
    assert first.built.clock is not second.built.clock
    assert first.built.network is not second.built.network


def test_brian2_is_left_as_it_was_found():
    brian2.prefs.codegen.target = "cython"
    brian2.seed(3)
    expected = np.random.random()  # noqa: NPY002 - the very generator that brian2 seeds
    brian2.seed(3)
    try:
        sim, script = learning(noise=0.3)
        sim.run(script)
        assert brian2.prefs.codegen.target == "cython"
        assert np.random.random() == expected  # noqa: NPY002
        assert isinstance(brian2.get_device(), RuntimeDevice)
        assert brian2.defaultclock.t == 0 * brian2.ms
    finally:
        brian2.prefs.codegen.target = "numpy"


def test_nothing_is_taken_from_the_calling_frame():
    tau = a = alive = free = 1e9  # noqa: F841 - names that the equations use
    sim, script = learning()
    rates = sim.run(script)["rate"].values
    assert np.isfinite(rates).all() and np.abs(rates).max() < 5


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_any_name_that_a_population_may_have(engine):
    """brian2 reserves e, i, t, xi, pi; recordings show the declared names all the same."""
    names = ["retina", "e", "i", "t", "xi", "V4 left", "V4-left", "a", "ms", "class"]
    net = cs.Network("names")
    for name in names:
        net.population(name, 3)
    for pre, post in pairwise(names):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("class", "squared_error")
    net = net.with_rule("gait_prop")
    x, y = shown(net, 1)
    sim = cs.brian2.build(net, engine=engine)
    seen = sim.run(protocol(net, x, y, ms=5.0))
    assert list(dict.fromkeys(seen["population"].values)) == names
    identifiers = list(sim.circuit.identifier.values())
    assert len(set(identifiers)) == len(identifiers) and all(i.isidentifier() for i in identifiers)


def test_the_equations_can_be_read_and_added_to():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 1)
    sim = cs.brian2.build(
        net,
        equations={"V1": "dtrace/dt = (r - trace) / (20*ms) : 1"},
        extra=lambda groups: [
            brian2.StateMonitor(groups["V1"], ["trace", "u"], record=[0, 3], dt=5 * brian2.ms)
        ],
    )
    assert "error_IT_to_V2 = listening_IT_to_V2 * (u - predicted_IT_to_V2)" in sim.equations
    assert "dtrace/dt" in sim.equations
    seen = sim.run(protocol(net, x, y, ms=600.0))
    (monitor,) = sim.built.own
    rate = by_population(net, seen, "rate")["V1"][0]
    assert monitor.trace.shape == (2, 120)
    np.testing.assert_allclose(monitor.trace[:, -1], rate[[0, 3]], rtol=1e-6)
    assert isinstance(sim.built.groups["V1"], brian2.NeuronGroup)
    synapses = cs.brian2.build(net, engine="synapses").built.engine.synapses
    assert isinstance(synapses["V1->V2"], brian2.Synapses)


def test_own_equations_that_brian2_refuses_are_named():
    net = chain(init=NEAR).with_rule("backprop")
    with pytest.raises(cs.BuildError, match="population V1: its equations are refused by brian2"):
        cs.brian2.build(net, equations={"V1": "dtrace/dt = r : 1 : 1"}).built  # noqa: B018


def test_without_plasticity_any_batch_gives_the_same_recording():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 7)
    found = []
    for batch in (1, 3, 7):
        sim = cs.brian2.build(net, dt_ms=2.0, noise=0.2)
        found.append(sim.run(protocol(net, x, y, ms=40.0, batch=batch, noise={"IT->V2": 0.1})))
    for other in found[1:]:
        for variable in ("rate", "credit", "drive"):
            np.testing.assert_allclose(other[variable], found[0][variable], atol=1e-12)


@pytest.mark.parametrize("net", [chain(init=NEAR), conv(init=NEAR)], ids=["dense", "conv"])
def test_a_batch_changes_weights_by_the_mean_of_its_presentations(net):
    """To first order in η: at η·T = 1e-6 the three alone add up to what three side by side do."""
    net = net.with_rule("gait_prop")
    x, y = shown(net, 3)
    start = cs.brian2.build(net).checkpoint()

    def change(chosen, batch):
        sim = cs.brian2.build(net, dt_ms=2.0)
        sim.run(
            protocol(net, x[chosen], y[chosen], ms=60.0, learn_ms=20.0, batch=batch, whole_eta_per_s=5e-5)
        )
        state = sim.checkpoint()
        return {n: state[n] - w for n, w in start.items() if n.startswith(("weight:", "bias:"))}

    alone = [change([i], 1) for i in range(3)]
    for name, together in change([0, 1, 2], 3).items():
        mean = sum(one[name] for one in alone) / 3
        assert np.abs(mean).max() > 0
        np.testing.assert_allclose(together, mean, atol=2e-5 * np.abs(mean).max(), err_msg=name)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_restored_between_trials_it_goes_on_to_the_bit(engine):
    """Weights, rule state, drives, compartments and signals on their way are the whole state."""
    from cortex_sim.protocol.planning import plan

    net = chain(init=NEAR).with_rule("gait_prop")
    net = net.copy()
    x, y = shown(net, 6)
    script = protocol(
        net, x, y, ms=20.0, learn_ms=20.0, batch=1, whole_eta_per_s=1.0, whole_reset=False,
        delay_ms={"IT->V2": 8.0}, noise={"V2->V1": 0.1},
    )  # fmt: skip
    whole_plan = plan(script, net, 0)

    def fresh():
        return cs.brian2.build(net, engine=engine, dt_ms=2.0, noise=0.1)

    whole, samples, states = fresh(), [], []

    def keep(sample):
        samples.append(sample)
        states.append(whole.checkpoint())

    whole.carry_out(whole_plan, 0, keep)
    later, again = fresh(), []
    later.restore(states[2])
    later.carry_out(whole_plan, 3, again.append)
    for first, second in zip(samples[3:], again, strict=True):
        for variable, by_name in first.values.items():
            for name, values in by_name.items():
                np.testing.assert_array_equal(values, second.values[variable][name])
    for name, values in whole.checkpoint().items():
        np.testing.assert_array_equal(values, later.checkpoint()[name], err_msg=name)


def test_hard_orthogonality_acts_between_trials():
    net = chain("linear", init=NEAR)
    for name in [p.name for p in net.bottom_ups]:
        p = net.projections[name]
        net.projections[name] = type(p)(
            p.kind,
            p.pre,
            p.post,
            p.connector,
            plasticity=p.plasticity,
            regularisers=(cs.HardOrthogonality(every=2),),
        )
    net = net.with_rule("gait_prop")
    x, y = shown(net, 4)

    def deviation(count):
        sim = cs.brian2.build(net, dt_ms=2.0)
        sim.run(protocol(net, x[:count], y[:count], ms=20.0, learn_ms=20.0, batch=1, whole_eta_per_s=0.1))
        w = sim.weights.outward("V1->V2")
        gram = w @ w.T / ((w**2).sum() / len(w))
        return np.linalg.norm(gram - np.eye(len(w)))

    assert deviation(4) < 0.2 * deviation(2) < 0.05 * deviation(1)


def test_weights_can_be_given():
    sim, _ = learning()
    mine = np.random.default_rng(0).normal(size=(7, 11)) / 4
    sim.weights.overwrite("V1->V2", mine)
    np.testing.assert_array_equal(sim.weights.outward("V1->V2"), mine)
    with pytest.raises(cs.RunError, match=r"projection V1->V2: weights have shape \(7, 11\). Got \(11, 7\)"):
        sim.weights.overwrite("V1->V2", mine.T)
    with pytest.raises(cs.RunError, match="projection V9->V2: has no weights of its own; known: retina->V1"):
        sim.weights.overwrite("V9->V2", mine)
