"""Normalisers in time: they settle to torch's rates and credits, and learn torch's update."""

from dataclasses import replace

import numpy as np
import pytest

import cortex_sim as cs

RULES = ("backprop", "gait_prop", "direct_feedback_alignment")


BATCH = cs.BatchNorm(), cs.BatchNorm(eps=0.01)
NOW = cs.GroupNorm(3), cs.LayerNorm(eps=0.01)
WAYS = {"batched": (BATCH, "batched"), "at this moment": (NOW, "batched"), "synapses": (BATCH, "synapses")}
every_way = pytest.mark.parametrize("normalisers, engine", WAYS.values(), ids=WAYS)


def network(rule, maps=True, normalisers=BATCH):
    """Normalised maps (or units), then normalised units without offset."""
    net = cs.Network("in time")
    net.population("retina", shape=(2, 4, 3) if maps else None, size=None if maps else 24)
    net.population(
        "V1", **({"shape": (3, 4, 3)} if maps else {"size": 11}), activation="tanh", normaliser=normalisers[0]
    )
    net.population("V4", 7, activation="softplus", normaliser=normalisers[1], bias=False)
    net.population("IT", 3)
    start = cs.Orthogonal()
    first = cs.Conv2d(3, padding=1, init=start) if maps else cs.Dense(init=start)
    net.bottom_up("retina", "V1", first, plasticity="backprop")
    net.bottom_up("V1", "V4", cs.Dense(init=start), plasticity="backprop")
    net.bottom_up("V4", "IT", cs.Dense(init=start), plasticity="backprop")
    net.objective("IT", "squared_error")
    return net.with_rule(rule)


def learned(net):
    """A state whose normalisers and biases are far from their start."""
    rng = np.random.default_rng(1)
    state = cs.torch.build(net, precision="64").state()
    ranges = {"gain": (0.5, 1.5), "mean": (-0.5, 0.5), "variance": (0.5, 2)}
    kept = {
        name: {v: rng.uniform(*ranges[v], size=x.shape) for v, x in values.items()}
        for name, values in state.normalisers.items()
    }
    biases = {name: 0.2 * rng.normal(size=b.shape) for name, b in state.biases.items()}
    return replace(state, normalisers=kept, biases=biases)


def shown(net, count):
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, *net.populations["retina"].shape)), rng.normal(size=(count, 3))


@pytest.mark.parametrize("rule", RULES)
@every_way
def test_settles_to_torch_s_rates_and_credits(rule, normalisers, engine):
    batched = engine == "batched"
    net = network(rule, batched, normalisers)
    state, (x, goal) = learned(net), shown(net, 3 if batched else 1)
    script = cs.Protocol(
        cs.Phase("settle", 300, drive={"retina": x}, nudge={"IT": goal}),
        batch=len(x),
        record=cs.Record(["rate", "drive", "credit"]),
    )
    found = cs.brian2.build(net, state=state, engine=engine).run(script, progress=False)
    theirs = cs.torch.build(net, precision="64", state=state).respond(x, goal)
    for variable in ("rate", "drive", "credit"):
        np.testing.assert_allclose(found[variable], theirs[variable], atol=1e-6, err_msg=variable)
    assert np.abs(theirs["credit"].sel(neuroid=theirs["population"] == "V1")).max() > 0.01


@every_way
def test_a_plateau_is_torch_s_update_and_leaves_gain_and_statistics(normalisers, engine):
    batched = engine == "batched"
    net = network("gait_prop", batched, normalisers)
    state, (x, goal) = learned(net), shown(net, 2 if batched else 1)
    given = {"drive": {"retina": x}, "nudge": {"IT": goal}}
    phases = cs.Phase("settle", 400, **given), cs.Phase("learn", 100, plasticity=True, **given)
    sim = cs.brian2.build(net, state=state, engine=engine)
    sim.run(cs.Protocol(*phases, batch=len(x), eta_per_s=1e-3), progress=False)
    after = sim.state()
    change = cs.torch.build(net, precision="64", state=state).updates(x, goal, biases=True)
    for name, w in {**after.weights, **after.biases}.items():
        before = state.weights.get(name, state.biases.get(name))
        expected = 1e-4 * change[name].numpy()
        assert np.abs(w - before - expected).max() < 5e-3 * np.abs(expected).max(), name
    for name, kept in state.normalisers.items():
        for variable, values in kept.items():
            np.testing.assert_array_equal(after.normalisers[name][variable], values)


def test_both_engines_record_the_rates_of_the_present_bias():
    net = network("gait_prop", maps=False)
    x, goal = shown(net, 1)
    given = {"drive": {"retina": x}, "nudge": {"IT": goal}}
    phases = cs.Phase("settle", 100, **given), cs.Phase("learn", 20, plasticity=True, **given)
    script = cs.Protocol(*phases, eta_per_s=0.5, record=cs.Record(["rate", "credit"], every_ms=1))
    sims = [cs.brian2.build(net, state=learned(net), engine=engine) for engine in ("batched", "synapses")]
    ours, theirs = (sim.run(script, progress=False) for sim in sims)
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(ours[variable], theirs[variable], atol=1e-12)
    first, last = (sim.state().biases["V1"] for sim in (cs.brian2.build(net, state=learned(net)), sims[0]))
    assert np.abs(first - last).max() > 1e-3


@pytest.mark.slow
def test_one_program_in_c_records_the_same():
    net = network("gait_prop", maps=False)
    x, goal = shown(net, 1)
    given = {"drive": {"retina": x}, "nudge": {"IT": goal}}
    phases = cs.Phase("settle", 50, **given), cs.Phase("learn", 20, plasticity=True, **given)
    script = cs.Protocol(*phases, eta_per_s=0.1)
    sims = [
        cs.brian2.build(net, state=learned(net), engine="synapses", target=target)
        for target in ("numpy", "cpp_standalone")
    ]
    ours, theirs = (sim.run(script, progress=False)["rate"].values for sim in sims)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_what_is_set_in_brian2_s_objects_acts_and_is_kept():
    net = network("backprop", maps=False)
    sim = cs.brian2.build(net, state=learned(net))
    x, _ = shown(net, 1)
    script = cs.Protocol(cs.Phase("show", 200, drive={"retina": x}))
    first = sim.run(script, progress=False)["rate"].values
    sim.built.groups["V1"].normaliser_gain = 0.25
    second = sim.run(script, progress=False)["rate"].values
    assert not np.allclose(first, second)
    assert (sim.state().normalisers["V1"]["gain"] == 0.25).all()
    kept = sim.checkpoint()
    again = cs.brian2.build(net, state=learned(net))
    again.restore(kept)
    np.testing.assert_array_equal(again.run(script, progress=False)["rate"].values, second)


def test_brian2_s_own_rates_and_u_are_the_engine_s():
    net = network("backprop", normalisers=NOW)
    sim, (x, goal) = cs.brian2.build(net, state=learned(net)), shown(net, 2)
    script = cs.Protocol(cs.Phase("settle", 300, drive={"retina": x}, nudge={"IT": goal}), batch=2)
    rates = sim.run(script, progress=False)["rate"]
    for name in ("V1", "V4"):
        expected = rates.values[:, (rates["population"] == name).values]
        group, unit = sim.built.groups[name], sim.built.units[name]
        np.testing.assert_allclose(group.r[:].reshape(2, -1), expected, atol=1e-9)
        u = unit.to_learn(unit.credit(unit.rates()))
        np.testing.assert_allclose(group.u[:].reshape(2, -1), u, atol=1e-9)
        assert np.abs(u).max() > 1e-3


def test_silenced_units_and_injected_credit_mean_the_same_on_both_backends():
    net = network("backprop", normalisers=NOW)
    state, (x, goal) = learned(net), shown(net, 1)
    phase = cs.Phase(
        "settle",
        300,
        drive={"retina": x},
        nudge={"IT": goal},
        silence=["V1/0", "V1/1"],
        silence_credit=["V4/2"],
        drive_credit={"V4": np.linspace(-1, 1, 7)},
    )
    script = cs.Protocol(phase, record=cs.Record(["rate", "credit"]))
    found = cs.brian2.build(net, state=state).run(script, progress=False)
    theirs = cs.torch.run(cs.Experiment(net, {"silenced": script}, start=state))
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(found[variable], theirs[variable], atol=1e-6)


def test_what_has_no_dynamics_here_is_refused_by_name():
    net = cs.Network("groups")
    net.population("retina", 5)
    net.population("V1", 4, normaliser=cs.GroupNorm(2))
    net.bottom_up("retina", "V1")
    with pytest.raises(cs.BuildError, match="population V1: GroupNorm needs the drives of all units"):
        cs.brian2.build(net, engine="synapses")
    net = cs.Network("loop")
    net.population("retina", 5)
    net.population("V1", 4, activation="tanh", normaliser=cs.BatchNorm())
    net.bottom_up("retina", "V1")
    net.recurrent("V1", "V1")
    with pytest.raises(cs.BuildError, match="population V1: BatchNorm acts in the loop of V1"):
        cs.brian2.build(net)


def test_protocols_say_that_they_run_without_dropout(caplog):
    net = cs.Network("noise")
    net.population("retina", 5)
    net.population("V1", 4, dropout=0.5)
    net.bottom_up("retina", "V1")
    sim = cs.brian2.build(net)
    assert "population V1: dropout acts only in training batches on torch" in caplog.text
    script = cs.Protocol(cs.Phase("show", 300, drive={"retina": np.ones(5)}))
    theirs = cs.torch.build(net, precision="64").respond(np.ones((1, 5)))["rate"].values
    np.testing.assert_allclose(sim.run(script, progress=False)["rate"], theirs, atol=1e-9)
