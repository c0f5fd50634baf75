"""A trial starts from rest, and a run that was interrupted goes on: whatever a group is given takes part."""

import itertools

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.brian2.carryover import Carryover
from cortex_sim.errors import RunError

ENGINES = ("batched", "synapses")
RULES = ("gait_prop_learned", "weight_mirror", "feedback_alignment")
GATES = {
    "none": {},
    "delay": {"delay_ms": {"V1->IT": 3.0, "IT->V1": 2.0}},
    "noise": {"noise": {"V1->IT": 0.1, "IT->V1": 0.05}},
}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 5)), np.arange(6) % 3


def network(rule="gait_prop_learned"):
    net = cs.Network("small")
    net.population("retina", 5)
    net.population("V1", 4, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(rule)


def trials(rule, gate, *, reset, batch=1, count=6):
    learns = rule in ("gait_prop_learned", "weight_mirror")
    phases = (
        [cs.Phase("spontaneous", 6, spontaneous=["V1"], plasticity=True, **GATES[gate])] if learns else []
    )
    shown = {"drive": {"retina": X}, "nudge": {"IT": Y}}
    return cs.Protocol(
        *phases,
        cs.Phase("settle", 5, **shown),
        cs.Phase("learn", 8, plasticity=True, **shown, **GATES[gate]),
        trials=count,
        eta_per_s=2.0,
        reset=reset,
        batch=batch,
        record=cs.Record(["rate", "credit"], every_ms=1.0, weights=True),
    )


@pytest.mark.parametrize("engine, gate", list(itertools.product(ENGINES, GATES)))
def test_nothing_of_the_trial_before_is_left_at_rest(engine, gate):
    """Whatever stands in any variable before a trial that starts from rest changes nothing."""
    script = trials("gait_prop_learned", gate, reset=True, count=1)
    alone = cs.brian2.build(network(), engine=engine)
    alone.run(script)
    spoiled = cs.brian2.build(network(), engine=engine)
    spoiled.run(cs.Protocol(cs.Phase("show", 3, drive={"retina": X[:1]}, **GATES[gate])))
    for values in spoiled.built.passing().values():
        values[...] = 7.0
    spoiled.run(script)
    for name, w in alone.weights.as_state().items():
        np.testing.assert_array_equal(spoiled.weights.as_state()[name], w, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_variable_of_every_group_passes_or_lasts(engine):
    """A variable that is added to a group tomorrow is found here without anybody's doing."""
    built = cs.brian2.build(network("weight_mirror"), engine=engine).built
    passing = {name.partition(":")[2] for name in built.passing()}
    assert {"a", "external", "spontaneous", "alive"} <= passing
    assert any(name.startswith("drive_") for name in passing)
    assert "bias" not in passing and "bias" in built.lasting()


def whole_and_resumed(build, plan, first):
    """Checkpoints at the end of a plan: uninterrupted, and restored in a new simulation after ``first``."""
    whole, kept, samples = build(), [], []

    def keep(sample):
        samples.append(sample)
        if len(samples) == first:
            kept.append({name: np.array(a) for name, a in whole.checkpoint().items()})

    whole.carry_out(plan, 0, keep)
    resumed, later = build(), []
    resumed.restore(kept[0])
    resumed.carry_out(plan, first, later.append)
    return whole.checkpoint(), resumed.checkpoint(), samples[first:], later


@pytest.mark.parametrize("seed", range(12))
def test_a_resumed_simulation_ends_as_an_uninterrupted_one(seed):
    from cortex_sim.protocol.planning import plan

    rng = np.random.default_rng(seed)
    rule, gate = rng.choice(RULES), list(GATES)[seed % 3]
    engine, reset = ENGINES[seed % 2], bool(rng.integers(2))
    batch = int(rng.choice([1, 4])) if engine == "batched" and reset else 1
    net = network(rule)
    made = plan(trials(rule, gate, reset=reset, batch=batch), net, seed)
    first = int(rng.integers(1, len(made.shown)))

    def build():
        return cs.brian2.build(net, seed=seed, engine=engine, noise=0.1 if seed % 4 == 0 else 0.0)

    ended, again, samples, later = whole_and_resumed(build, made, first)
    assert ended.keys() == again.keys()
    for name, values in ended.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)
    assert len(samples) == len(later)
    for one, other in zip(samples, later, strict=True):
        for variable, by_population in one.values.items():
            for name, values in by_population.items():
                np.testing.assert_array_equal(other.values[variable][name], values)


def test_signals_on_their_way_meet_only_as_many_presentations():
    sim = cs.brian2.build(network())
    sim.run(trials("gait_prop_learned", "delay", reset=True, batch=4, count=4))
    kept = Carryover.after(sim.built)
    assert {a.shape[1] for a in kept.delayed.values()} == {4}
    other = cs.brian2.build(network())
    kept.go_on(other.built)  # one presentation
    assert other.built.delayed == {}
    assert not any(values.any() for name, values in other.built.passing().items() if name.endswith(":a"))


# -- edits of brian2's own objects ------------------------------------------------------------------


SHOW = cs.Protocol(cs.Phase("show", 60, drive={"retina": X[:1]}))


def rates(recording, population):
    return recording.rate.values[0][recording.population.values == population]


def test_a_synapse_that_is_set_acts_in_the_next_run():
    sim = cs.brian2.build(network("backprop"), engine="synapses")
    assert abs(rates(sim.run(SHOW), "IT")).max() > 0.01
    sim.built.engine.synapses["V1->IT"].w = 0
    assert not rates(sim.run(SHOW), "IT").any()
    assert not sim.weights.matrix["V1->IT"].any()


def test_it_also_acts_where_the_next_run_needs_other_groups():
    sim = cs.brian2.build(network("backprop"), engine="synapses")
    sim.built.engine.synapses["V1->IT"].w = 0
    late = cs.Protocol(cs.Phase("show", 60, drive={"retina": X[:1]}, delay_ms={"retina->V1": 2.0}))
    assert not rates(sim.run(late), "IT").any()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bias_that_is_set_in_a_group_acts(engine):
    sim = cs.brian2.build(network("backprop"), engine=engine)
    sim.run(SHOW)
    sim.built.groups["IT"].bias = 0.5
    without = cs.brian2.build(network("backprop"), engine=engine)
    difference = rates(sim.run(SHOW), "IT") - rates(without.run(SHOW), "IT")
    np.testing.assert_allclose(difference, 0.5 * (1 - 0.9**60), atol=1e-12)
    assert (sim.weights.bias["IT"] == 0.5).all() and (sim.state().biases["IT"] == 0.5).all()


def test_the_state_of_a_rule_that_is_set_acts():
    sim = cs.brian2.build(network("bcm"), engine="synapses")
    group, name = sim.built.groups["IT"], sim.circuit.var("theta", "V1->IT")
    setattr(group, name, 0.25)
    sim.run(SHOW)
    assert (sim.weights.state["V1->IT"]["theta"] == 0.25).all()


def test_weights_set_in_two_places_are_refused():
    sim = cs.brian2.build(network("backprop"), engine="synapses")
    sim.run(SHOW)
    sim.built.engine.synapses["V1->IT"].w = 0
    sim.weights.matrix["V1->IT"][...] = 1.0
    with pytest.raises(RunError, match="weights of projection V1->IT: was set both in brian2's objects"):
        sim.run(SHOW)


def test_weights_set_between_two_runs_act_on_both_engines():
    for engine in ENGINES:
        sim = cs.brian2.build(network("backprop"), engine=engine)
        sim.run(SHOW)
        sim.weights.overwrite("V1->IT", np.zeros((3, 4)))
        assert not rates(sim.run(SHOW), "IT").any()


# -- states ------------------------------------------------------------------------------------------


def test_a_simulation_starts_from_a_state_and_gives_it_back():
    first = cs.brian2.build(network("bcm"), seed=1)
    first.run(trials("bcm", "none", reset=True))
    first.weights.bias["V1"][...] = [0.1, -0.2, 0.3, 0.4]
    again = cs.brian2.build(network("bcm"), seed=9, state=first.state())
    kept = {name: values for name, values in first.weights.as_state().items() if name != "pulls"}
    for name, values in kept.items():
        np.testing.assert_array_equal(again.weights.as_state()[name], values, err_msg=name)
    np.testing.assert_array_equal(again.run(SHOW).rate, first.run(SHOW).rate)


def test_a_network_that_is_declared_further_is_another():
    net = network("backprop")
    sim = cs.brian2.build(net)
    net.population("V4", 3)
    net.bottom_up("V1", "V4")
    assert "V4" not in sim.net.populations
    assert "V4" not in set(sim.run(SHOW).population.values)


def test_an_experiment_starts_from_a_state(tmp_path):
    first = cs.brian2.build(network("backprop"), seed=1)
    first.weights.bias["V1"][...] = [0.1, -0.2, 0.3, 0.4]
    cs.save(first, tmp_path / "kept.safetensors")
    record = cs.Record(["rate"], weights=["V1->IT"])
    experiment = cs.Experiment(
        network("backprop"), {"one": SHOW.replace(record=record)}, start=tmp_path / "kept.safetensors"
    )
    made = cs.brian2.run(experiment, seed=5, progress=False)
    np.testing.assert_array_equal(made["weight:V1->IT"].values[0], first.weights.outward("V1->IT"))
    np.testing.assert_array_equal(made.rate.values, first.run(SHOW).rate.values)
