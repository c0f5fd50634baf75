"""Objects of the wrong kind, names of settings, units of time: one sentence each, before anything runs."""

import logging

import brian2
import numpy as np
import pytest
from own_euler import same_network

import cortex_sim as cs

SHOW = cs.Protocol(cs.Phase("p", 10, drive={"retina": 1.0}))


def net():
    return same_network(cs)[0]


def phase(**settings):
    return cs.Phase("p", 10, **settings)


def experiment(*phases, **settings):
    return cs.Experiment(net(), {"a": cs.Protocol(*phases)}, **settings)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.brian2.run(SHOW), "run: takes an Experiment, .*a built network runs a protocol"),
        (lambda: cs.torch.run(net()), "run: takes an Experiment"),
        (lambda: cs.brian2.build(net()).run(experiment(phase())), "an experiment is run by cs.brian2.run"),
        (lambda: cs.brian2.build(net()).run(phase()), r"phases are given as cs.Protocol\(phase, ...\)"),
        (lambda: cs.Experiment(SHOW, {"a": SHOW}), "the first argument must be a Network"),
        (lambda: cs.Experiment(net(), SHOW), "arms must be a mapping of names to protocols"),
        (lambda: cs.Experiment(net(), {"a": phase()}), r"give Protocol\('p' and further phases\)"),
        (lambda: phase(drives={}), r"unknown setting of Phase 'drives' \(did you mean 'drive'\?\)"),
        (lambda: cs.Protocol(phase(), lesions=[]), "did you mean 'lesion'"),
        (lambda: cs.Experiment(net(), {"a": SHOW}, dt_m=1), "did you mean 'dt_ms'"),
        (lambda: phase(Drive={}), r"unknown setting of Phase 'Drive' \(did you mean 'drive'\?\)"),
        (lambda: cs.TimeSeries([1], bin=2), "did you mean 'bin_ms'"),
        (lambda: cs.Noise(std=2), "unknown setting of Noise 'std'"),
        (lambda: experiment(phase(silence=["V1->IT"])), r"disconnect it with cut=\['V1->IT'\]"),
        (lambda: experiment(phase(cut=["V1"])), r"to silence it, give silence=\['V1'\]"),
        (lambda: experiment(phase(cut=["V1/3"])), r"give silence=\['V1/3'\]"),
        (lambda: experiment(phase(drive={"V9": 1})), "unknown population in drive of phase p 'V9'"),
        (lambda: experiment(phase(), noise={"V9": 1}), "unknown name in noise of Experiment 'V9'"),
        (
            lambda: experiment(phase(), apical_tau_ms={"V1": 5}),
            "unknown name in apical_tau_ms of Experiment 'V1'",
        ),
        (
            lambda: experiment(phase(), apical_tau_ms={"IT->V1": 0}),
            "apical_tau_ms of IT->V1 must be a positive",
        ),
        (lambda: cs.brian2.run(experiment(phase()), out="x.csv"), "out x.csv: .* netCDF; give x.nc"),
        (lambda: cs.brian2.run(experiment(cs.Phase("p", 0.2))), "times are in ms, so 0.2 s would be 200"),
        (
            lambda: cs.Phase("p", 3 * brian2.mV),
            "duration_ms must be a time: a number in ms, or a brian2 time",
        ),
        (lambda: phase(modulator=3 * brian2.ms), "modulator has the unit s"),
        (lambda: phase(drive={"V1": np.ones(5) * brian2.mV}), "drive of V1 has the unit"),
    ],
)
def test_refused_with_the_way_out(make, message):
    with pytest.raises((cs.DeclarationError, cs.RunError), match=message):
        make()


def test_times_of_brian2_are_times():
    ms, second = brian2.ms, brian2.second
    given = cs.Phase(
        "p", 0.3 * second, delay_ms={"V1->IT": 0.1 * ms}, drive={"V1": cs.Noise(1, hold_ms=3 * ms)}
    )
    assert given == cs.Phase("p", 300, delay_ms={"V1->IT": 0.1}, drive={"V1": cs.Noise(1, hold_ms=3)})
    assert cs.Phase("p", [10, 20] * ms) == cs.Phase("p", [10, 20])
    assert cs.Protocol(given, interval_ms=0.1 * second).interval_ms == 100.0


def test_times_of_brian2_are_times_wherever_a_name_ends_in_ms():
    ms, second = brian2.ms, brian2.second
    v1 = cs.Network("n").population("V1", 3, tau_ms=0.02 * second)
    assert v1.tau_ms == 20.0 and type(v1.tau_ms) is float
    for rule in (cs.Bcm, cs.Covariance, cs.ThreeFactor):
        assert rule(tau_ms=0.2 * second) == rule(tau_ms=200.0)
    assert cs.SynapticScaling(0.5, tau_ms=0.2 * second) == cs.SynapticScaling(0.5, tau_ms=200.0)
    assert cs.Record(every_ms=5 * ms) == cs.Record(every_ms=5.0)
    sim = cs.brian2.build(net(), dt_ms=0.5 * ms, apical_tau_ms={"IT->V1": 4 * ms})
    assert sim.setup.dt_ms == 0.5 and type(sim.setup.dt_ms) is float


def test_mappings_of_an_experiment_are_those_of_build():
    settings = {"apical_tau_ms": {"IT->V1": 4.0}, "noise": {"V1": 0.2}}
    record = cs.Record(("rate", "credit"), every_ms=5)
    script = cs.Protocol(phase(drive={"retina": 1.0}, nudge={"IT": np.ones(3)}), record=record)
    one = cs.Experiment(net(), {"a": script}, **settings)
    assert cs.Experiment.from_yaml(one.to_yaml()) == one
    ours = cs.brian2.run(one, progress=False)
    theirs = cs.brian2.build(net(), **settings).run(script)
    for variable in ("rate", "credit"):
        np.testing.assert_array_equal(ours[variable], theirs[variable])
    plain = cs.brian2.build(net()).run(script)
    assert abs(ours["credit"] - plain["credit"]).max() > 0.01


def test_a_run_of_a_built_network_records_the_weights_before_the_first_trial():
    x = np.ones((2, 7))
    script = cs.Protocol(
        phase(drive={"retina": x}, nudge={"IT": np.ones(3)}, plasticity=True), record=cs.Record(weights=True)
    )
    sim = cs.brian2.build(net())
    first, second = sim.run(script), sim.run(script)
    experiment = cs.brian2.run(cs.Experiment(net(), {"a": script}), progress=False)
    name = "weight:V1->IT"
    np.testing.assert_array_equal(first[name], experiment[name])
    np.testing.assert_array_equal(second[name][0], first[name][-1])
    assert first["snapshot_trial"].values.tolist() == [0, 1, 2]
    from cortex_sim.backends.torch.quasi_static import QuasiStatic

    assert QuasiStatic(net(), 0).run(script)["snapshot_trial"].values.tolist() == [0, 1, 2]


def test_a_source_that_no_phase_drives_is_said(caplog):
    """Once for an experiment whose arms all leave it out, and not where one drives, silences or states it."""
    pavlov = cs.Network("pavlov")
    for name, size in (("CS", 3), ("US", 2), ("R", 1)):
        pavlov.population(name, size)
    pavlov.bottom_up("CS", "R")
    pavlov.bottom_up("US", "R")
    tone, shock = {"CS": 0.5}, {"CS": 0.5, "US": 1.0}

    def said(*drives, **settings):
        caplog.clear()
        arms = {
            f"arm {number}": cs.Protocol(cs.Phase("p", 10, drive=drive, **settings))
            for number, drive in enumerate(drives)
        }
        with caplog.at_level(logging.WARNING):
            cs.Experiment(pavlov, arms)
        return caplog.messages

    way = "give drive={'US': ...}, or drive={'US': 0} in a phase if that is intended"
    whole = f"network pavlov: no phase drives source US, so it is at rest throughout; {way}"
    assert said(tone) == said(tone, tone) == [whole]
    assert not said(tone, shock) and not said(shock) and not said(tone | {"US": 0})
    assert not said(tone, silence=["US"]) and not said(tone, spontaneous=["US"])
    late = cs.Sequence(
        cs.Protocol(cs.Phase("p", 10, drive=tone)), cs.Protocol(cs.Phase("p", 10, drive=shock))
    )
    probed = cs.Protocol(cs.Phase("p", 10, drive=tone), probe=late.protocols[1])
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        cs.Experiment(pavlov, {"late": late}), cs.Experiment(pavlov, {"probed": probed})
    assert not caplog.messages
    sim = cs.brian2.build(pavlov)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        sim.run(late.protocols[0])
    assert whole in caplog.messages


def test_a_window_that_no_nudge_serves_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        experiment(phase(plasticity=True))
    assert "the window of retina->V1 opens in phase p, but no phase nudges" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        experiment(phase(drive={"retina": 1}, nudge={"IT": np.ones(3)}), cs.Phase("q", 10, plasticity=True))
    assert not caplog.text


def test_a_trial_that_never_comes_is_said(caplog):
    made = cs.Protocol(phase(), trials=3, lesion=cs.FromTrial(3, ["V1"]))
    for protocol, said in ((made, True), (made.replace(trials=4), False)):
        caplog.clear()
        cs.Experiment(net(), {"a": protocol})
        assert ("lesion changes from trial 3 on, which is never reached" in caplog.text) == said
    probed = made.replace(probe=cs.Protocol(phase()))  # the lesion acts on the probe after trial 2
    caplog.clear()
    cs.Experiment(net(), {"a": probed})
    assert "never comes" not in caplog.text


@pytest.mark.parametrize("dt_ms, said", [(1.0, False), (2.0, False), (2.5, True), (10.0, True)])
def test_a_coarse_step_is_said(caplog, dt_ms, said):
    with caplog.at_level(logging.WARNING):
        cs.brian2.build(net(), dt_ms=dt_ms)
    assert ("too long to follow the time course; use dt_ms of at most 2" in caplog.text) == said
