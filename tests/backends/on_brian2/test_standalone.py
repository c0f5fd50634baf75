"""C++ standalone: the same numbers as with numpy, nothing left behind, and what it cannot do is refused."""

import os
import shutil
import tempfile

import brian2
import numpy as np
import pytest
from networks import chain, dense_chain
from timed import NEAR, by_population, protocol, shown

import cortex_sim as cs
from cortex_sim.errors import BuildError, RunError
from cortex_sim.protocol.planning import plan

CPP = {"engine": "synapses", "target": "cpp_standalone"}
needs_compiler = pytest.mark.skipif(
    not (shutil.which(os.environ.get("CXX", "g++")) and shutil.which("make")), reason="needs g++ and make"
)


def both_targets(net, script, **settings):
    """Recording and state after it, with numpy and with C++."""
    found = []
    for target in ("numpy", "cpp_standalone"):
        sim = cs.brian2.build(net, engine="synapses", target=target, **settings)
        found.append((sim.run(script), sim.weights.as_state()))
    return found


def assert_equal(net, script, **settings):
    """Everything recorded and learned is the same; returns the names of what was learned."""
    (expected, learned), (found, ours) = both_targets(net, script, **settings)
    for variable in ("rate", "credit", "drive"):
        for name, values in by_population(net, expected, variable).items():
            np.testing.assert_allclose(
                by_population(net, found, variable)[name], values, atol=1e-12, err_msg=f"{variable} of {name}"
            )
    start = cs.brian2.build(net).weights.as_state()
    assert set(ours) == set(learned)
    for name, values in learned.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-12, err_msg=name)
    return {name for name, values in learned.items() if np.abs(values - start[name]).max() > 1e-6}


@needs_compiler
@pytest.mark.slow
def test_gait_prop_learns_the_same_over_trials_with_a_projection_cut_in_one_phase():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 4)
    drive, nudge = {"retina": x}, {"IT": y}
    script = cs.Protocol(
        cs.Phase("settle", 60, drive=drive, nudge=nudge),
        cs.Phase("cut", 30, drive={**drive, "V1": 0.3}, nudge=nudge, cut=["IT->V2"], silence=["V1/3"]),
        cs.Phase(
            "inject", 18, drive=drive, drive_credit={"V2": 0.4, "V1": x[:, :11]}, silence_credit=["V1/2"]
        ),
        cs.Phase("learn", 48, drive=drive, nudge=nudge, plasticity=True),
        record=cs.Record(("rate", "credit", "drive"), every_ms=6.0),
        batch=1,
        eta_per_s=2.0,
    )
    moved = assert_equal(net, script, dt_ms=2.0)
    assert {"weight:retina->V1", "weight:V2->IT", "bias:V1"} <= moved


@needs_compiler
@pytest.mark.slow
def test_bcm_moves_its_thresholds_the_same_while_a_film_is_shown():
    net = chain(init=NEAR).with_rule("bcm")
    film = np.random.default_rng(0).normal(size=(5, 13))
    script = cs.Protocol(
        cs.Phase("film", 40, drive={"retina": cs.TimeSeries(film, bin_ms=6.0)}, plasticity=True),
        cs.Phase("dark", 20),
        trials=3,
        record=cs.Record(("rate", "credit", "drive"), phase="film"),
        eta_per_s=2.0,
    )
    moved = assert_equal(net, script, dt_ms=2.0)
    assert {"weight:V1->V2", "state:V1->V2:theta"} <= moved


@needs_compiler
@pytest.mark.slow
def test_leaves_brian2_and_the_disk_as_they_were():
    net = dense_chain((5, 3), init=NEAR).with_rule("hebbian")
    x, _ = shown(net, 2)
    script = protocol(net, x, ms=4.0, learn_ms=2.0, batch=1, whole_eta_per_s=1.0)
    folders = set(os.listdir(tempfile.gettempdir()))
    before = brian2.get_device(), brian2.prefs.as_file, os.getcwd()
    beside = cs.brian2.build(net, engine="synapses")
    first = beside.run(script)
    sim = cs.brian2.build(net, **CPP)
    compiled = sim.run(script)
    assert before == (brian2.get_device(), brian2.prefs.as_file, os.getcwd())
    left = set(os.listdir(tempfile.gettempdir())) - folders
    assert not [name for name in left if name.startswith("cortex_sim_")]
    np.testing.assert_allclose(compiled["rate"], first["rate"], atol=1e-12)
    again, on = beside.run(script), sim.run(script)  # both go on from what they learned
    assert np.abs(again["rate"] - first["rate"]).max() > 1e-4
    np.testing.assert_allclose(on["rate"], again["rate"], atol=1e-12)


@needs_compiler
@pytest.mark.slow
def test_boundaries_hold_after_minutes_of_simulated_time():
    """From 64 s on, 70 times 1 ms and once 70 ms differ by more than brian2 forgives two clocks.

    Every trial must equal the first, to the bit.
    """
    net = dense_chain((5, 3), init=NEAR).with_rule("hebbian")
    x, _ = shown(net, 1)
    script = cs.Protocol(
        cs.Phase("on", 70, drive={"retina": np.repeat(x, 1000, axis=0)}),
        cs.Phase("off", 70),
        batch=1,
        record=cs.Record(("rate", "drive"), every_ms=70.0),
    )
    drive = by_population(net, cs.brian2.build(net, **CPP).run(script), "drive")["IT"]
    assert drive.shape == (1000, 2, 3)
    assert np.abs(drive[0]).max() > 0.1
    assert (drive == drive[0]).all()


# -- refused before anything is compiled ------------------------------------------------------------


def hebbian():
    return chain(init=NEAR).with_rule("hebbian")


def test_the_batched_engine_is_refused():
    with pytest.raises(BuildError, match="network chain: the batched engine computes in Python"):
        cs.brian2.build(hebbian(), engine="batched", target="cpp_standalone")


def test_noise_is_refused():
    with pytest.raises(BuildError, match="network chain: noise is drawn outside brian2"):
        cs.brian2.build(hebbian(), noise=0.1, **CPP)


def test_feedback_that_follows_whole_weights_is_refused():
    with pytest.raises(BuildError, match="projection V2->V1: its strength depends on all weights of V1->V2"):
        cs.brian2.build(chain(init=NEAR).with_rule("sign_symmetric"), **CPP)


def test_hard_orthogonality_is_refused():
    net = cs.Network("small")
    retina, v1 = net.population("retina", 5), net.population("V1", 3)
    net.bottom_up(retina, v1, cs.Dense(), plasticity="hebbian", regulariser=cs.HardOrthogonality())
    with pytest.raises(BuildError, match="projection retina->V1: HardOrthogonality acts between trials"):
        cs.brian2.build(net, **CPP)


@pytest.mark.parametrize("missing", ["g++", "make"])
def test_a_missing_compiler_is_named(missing, monkeypatch):
    found = shutil.which
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == missing else found(tool) or tool)
    with pytest.raises(BuildError, match=rf"network chain: .* and {missing.replace('+', '.')} is not"):
        cs.brian2.build(hebbian(), **CPP)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"noise": {"retina->V1": 0.1}}, "phase settle: retina->V1 changes from step to step"),
        ({"delay_ms": {"V1->V2": 2.0}}, "phase settle: V1->V2 changes from step to step"),
        ({"spontaneous": ["V2"]}, "phase settle: V2 changes from step to step"),
    ],
)
def test_what_changes_from_step_to_step_is_refused(settings, named):
    net = hebbian()
    x, _ = shown(net, 1)
    with pytest.raises(RunError, match=named):
        cs.brian2.build(net, **CPP).run(protocol(net, x, ms=10.0, **settings))


def test_noise_as_a_drive_is_refused():
    net = hebbian()
    phase = cs.Phase("hum", 10, drive={"retina": cs.Noise(0.0, 1.0)})
    with pytest.raises(RunError, match="phase hum: retina changes from step to step"):
        cs.brian2.build(net, **CPP).run(cs.Protocol(phase))


def test_weights_after_every_trial_are_refused():
    net = hebbian()
    x, _ = shown(net, 1)
    phase = cs.Phase("learn", 10, drive={"retina": x}, plasticity=True)
    script = cs.Protocol(phase, record=cs.Record(weights=["V1->V2"]))
    with pytest.raises(RunError, match="record: weights of V1->V2 after every trial cannot be read"):
        cs.brian2.build(net, **CPP).run(script)


def test_going_on_in_the_middle_is_refused():
    net = hebbian()
    x, _ = shown(net, 2)
    made = plan(protocol(net, x, ms=10.0, batch=1), net, 0)
    with pytest.raises(RunError, match="network chain: a C\\+\\+ program runs as a whole"):
        cs.brian2.build(net, **CPP).carry_out(made, 1, lambda sample: None)


def test_objects_that_are_gone_are_not_handed_out():
    with pytest.raises(RunError, match="network chain: a C\\+\\+ program's brian2 objects exist only"):
        _ = cs.brian2.build(hebbian(), **CPP).built
