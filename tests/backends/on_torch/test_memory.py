"""Loops with several equilibria: activity goes on from the phase before, on both backends and by hand."""

import logging

import numpy as np
import pytest
from loops import F

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

SIZE = 3
W = np.array([[9.0, -0.6, 0.4], [0.3, 9.5, -0.5], [-0.4, 0.2, 9.2]])  # each unit holds itself up
REST = np.array([-5.2, -5.5, -5.3])  # drive with which a unit stays down, or up


def switches(bias=False):
    """Units that remember a pulse, and a second area that follows them."""
    net = cs.Network("switches")
    net.population("cue", SIZE)
    net.population("A", SIZE, activation="logistic", bias=bias, tau_ms=8.0)
    net.population("B", 2, activation="tanh", bias=False, tau_ms=11.0)
    net.bottom_up("cue", "A", "identity")
    net.bottom_up("A", "B", cs.Dense([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6]]))
    net.recurrent("A", "A", cs.Dense(W))
    net.recurrent("B", "A", cs.Dense(0.1 * np.array([[1.0, -1], [0.5, 0.2], [-0.3, 0.7]])))
    return net


PULSES = np.array([[0, 0, 0], [6.0, 0, 0], [0, 6.0, 5.0], [5.5, 0, 7.0]])


def remembers(pulses=PULSES, record="delay", **settings):
    rest = {"A": REST}
    phases = (
        cs.Phase("before", 300, drive=rest),
        cs.Phase("pulse", 300, drive={"cue": pulses, **rest}),
        cs.Phase("delay", 900, drive=rest),
    )
    return cs.Protocol(*phases, record=cs.Record(("rate", "drive"), phase=record), **settings)


def rates_of(recording, name):
    rows = recording.rate.values[:, recording.population.values == name]
    return rows.reshape(len(rows), -1)


def by_hand(net, phases, dt_ms=0.5):
    """Euler's method for τ da/dt = −a + Σ W r + external, one presentation; rates of A after each phase."""
    names, w = ("A", "B"), {p.name: net.initial_weights(0)[p.name] for p in net.of_rates if p.pre != "cue"}
    a, ends = {n: np.zeros(net.populations[n].size) for n in names}, []
    for cue, rest, ms in phases:
        for _ in range(round(ms / dt_ms)):
            r = {"A": F["logistic"][0](a["A"]), "B": np.tanh(a["B"])}
            into = {
                "A": cue + rest + w["A->A recurrent"] @ r["A"] + w["B->A recurrent"] @ r["B"],
                "B": w["A->B"] @ r["A"],
            }
            a = {n: a[n] + dt_ms / net.populations[n].tau_ms * (into[n] - a[n]) for n in names}
        ends.append(F["logistic"][0](a["A"]))
    return ends


@pytest.mark.parametrize("batch", [1, 4])
def test_a_pulse_is_remembered_in_the_delay(batch):
    net, script = switches(), remembers(batch=batch)
    in_time, settled = cs.brian2.build(net).run(script), QuasiStatic(net, 0).run(script)
    for variable in ("rate", "drive"):
        assert float(abs(in_time[variable] - settled[variable]).max()) < 1e-6, variable
    up = rates_of(settled, "A") > 0.5
    np.testing.assert_array_equal(up, PULSES > 0)  # without the pulse all are down, from rest as well
    for row, pulse in zip(rates_of(settled, "A"), PULSES, strict=True):
        none = np.zeros(SIZE)
        _, _, delay = by_hand(net, [(none, REST, 300), (pulse, REST, 300), (none, REST, 1500)])
        np.testing.assert_allclose(row, delay, atol=1e-6)


def test_without_a_reset_trials_remember_each_other():
    """A delay between pulses keeps what is held up; a pulse that inhibits erases it; a reset too."""
    net = switches()
    pulses = np.array([[9.0, 0, 0], [0, 0, 0], [-9.0, 9.0, 0], [0, 0, 0]])
    script = cs.Protocol(
        cs.Phase("pulse", 400, drive={"cue": pulses, "A": REST}),
        cs.Phase("delay", 700, drive={"A": REST}),
        record=cs.Record(phase="delay"),
    )
    held = {
        False: [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]],
        True: [[1, 0, 0], [0] * 3, [0, 1, 0], [0] * 3],
    }
    for reset, expected in held.items():
        own = script.replace(reset=reset)
        in_time, settled = cs.brian2.build(net).run(own), QuasiStatic(net, 0).run(own)
        assert float(abs(in_time.rate - settled.rate).max()) < 1e-6, reset
        np.testing.assert_array_equal(rates_of(settled, "A") > 0.5, expected)


def test_resumed_in_the_delay_byte_for_byte(tmp_path):
    """A trial that is only a delay, after the one with the pulse, in another process's session."""
    net = switches()
    cue = np.array([[6.0, 0, 5.0], [0, 0, 0], [0, 0, 0]])
    script = cs.Protocol(
        cs.Phase("shown", 200, drive={"cue": cue, "A": REST}), reset=False, record=cs.Record(["rate"])
    )
    plan = cs.protocol.planning.plan(script, net, 0)
    whole, first, second = QuasiStatic(net, 0), QuasiStatic(net, 0), QuasiStatic(net, 0)
    samples = []
    whole.carry_out(plan, 0, samples.append)
    states = []
    first.carry_out(plan, 0, lambda _: states.append(first.checkpoint()))
    second.restore(states[0])
    resumed = []
    second.carry_out(plan, 1, resumed.append)
    for one, other in zip(samples[1:], resumed, strict=True):
        np.testing.assert_array_equal(one.values["rate"]["A"], other.values["rate"]["A"])
    assert (samples[-1].values["rate"]["A"] > 0.5).ravel().tolist() == [True, False, True]
    for name, values in whole.checkpoint().items():
        np.testing.assert_array_equal(values, second.checkpoint()[name], err_msg=name)
    assert states[0]["activity:a:A"].shape == (1, SIZE)


@pytest.mark.parametrize("backend", ["torch", "brian2"])
def test_a_killed_recording_goes_on_byte_for_byte_from_the_delay(backend, tmp_path, monkeypatch):
    """Killed after each of its trials in turn; the third holds what the first was shown."""
    monkeypatch.setattr("cortex_sim.recording.recorder.CHUNK_SECONDS", -1.0)
    cue = np.array([[9.0, 0, 5.0], [0, 0, 0], [0, 0, 0], [-9.0, 0, 0]])
    script = cs.Protocol(cs.Phase("shown", 200, drive={"cue": cue, "A": REST}), reset=False)
    experiment = cs.Experiment(switches(), {"a": script})
    carried_out = {"torch": cs.torch.run, "brian2": cs.brian2.run}[backend]
    whole = carried_out(experiment, out=tmp_path / "whole.nc", progress=False)
    assert (rates_of(whole, "A")[2] > 0.5).tolist() == [True, False, True]
    whole.close()
    for kills in (1, 2, 3) if backend == "torch" else (2,):
        out = tmp_path / f"{kills}.nc"
        with monkeypatch.context() as patched:
            patched.setattr("cortex_sim.recording.recorder.Recorder.keep", ends_after(kills))
            with pytest.raises(InterruptedError):
                carried_out(experiment, out=out, progress=False)
        carried_out(experiment, out=out, resume=True, progress=False).close()
        assert out.read_bytes() == (tmp_path / "whole.nc").read_bytes()


def ends_after(trials):
    from cortex_sim.recording.recorder import Recorder

    keep, kept = Recorder.keep, []

    def until(self, sample):
        if len(kept) == trials:
            raise InterruptedError
        kept.append(sample)
        keep(self, sample)

    return until


def test_what_is_recorded_changes_nothing_while_weights_learn():
    net = switches()
    learning = cs.Network("learning")
    for population in net.populations.values():
        learning.population(
            population.name, population.size, activation=population.activation, bias=population.bias
        )
    learning.bottom_up("cue", "A", "identity")
    learning.recurrent("A", "A", cs.Dense(W), plasticity="hebbian")
    learning.bottom_up("A", "B", cs.Dense(np.ones((2, SIZE))))
    phases = (
        cs.Phase("learn", 200, drive={"cue": PULSES, "A": REST}, plasticity=True),
        cs.Phase("delay", 400, drive={"A": REST}),
    )
    found = []
    for record in ("learn", "delay"):
        session = QuasiStatic(learning, 0)
        session.run(cs.Protocol(*phases, record=cs.Record(phase=record), eta_per_s=2.0))
        found.append(session.checkpoint())
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


def test_gain_in_a_loop_is_remembered_too():
    """A multiplies its own rate through B: up or down for the same drive, as in time."""
    net = cs.Network("gain")
    net.population("x", 2)
    net.population("A", 2, activation="logistic", bias=False)
    net.population("B", 2, activation="logistic", bias=False, tau_ms=6.0)
    net.bottom_up("x", "A", "identity")
    net.bottom_up("A", "B", cs.Dense(9 * np.eye(2)))
    net.top_down("B", "A", effect="gain", connector=cs.Dense(6 * np.eye(2)))
    rest = {"A": [-1.6, -1.6], "B": [-5.0, -5.0]}
    script = cs.Protocol(
        cs.Phase("down", 200, drive={"x": [-6.0, -6.0], **rest}),
        cs.Phase("pulse", 200, drive={"x": np.array([[4.0, 0], [0, 4.0], [0, 0]]), **rest}),
        cs.Phase("delay", 1500, drive=rest),
        batch=3,
    )
    in_time, settled = cs.brian2.build(net).run(script), QuasiStatic(net, 0)
    recording = settled.run(script)
    assert float(abs(in_time.rate - recording.rate).max()) < 1e-6
    held = rates_of(recording, "A")
    assert held[0, 0] > 3 * held[0, 1] and held[1, 1] > 3 * held[1, 0] and np.ptp(held[2]) < 1e-9
    assert "activity:g:A" in settled.checkpoint()


def test_a_ring_holds_where_the_cue_was():
    """The bump stays at the cue's angle without it, in each of several presentations in parallel."""
    ring = cs.Network("ring")
    ring.population("cue", 24)
    ring.population("E", 24, activation="logistic", bias=False)
    ring.bottom_up("cue", "E", "identity")
    angles = 2 * np.pi * np.arange(24) / 24
    ring.recurrent("E", "E", cs.Dense((-5 + 30 * np.cos(angles[:, None] - angles)) / 24))
    cues = 4 * np.exp(3 * (np.cos(angles - angles[[7, 20, 2], None]) - 1))
    rest = {"E": np.full(24, -2.0)}
    script = cs.Protocol(
        cs.Phase("cue", 200, drive={"cue": cues, **rest}), cs.Phase("delay", 1000, drive=rest), batch=3
    )
    settled, in_time = QuasiStatic(ring, 0).run(script), cs.brian2.build(ring).run(script)
    assert float(abs(in_time.rate - settled.rate).max()) < 1e-6
    assert rates_of(settled, "E").argmax(1).tolist() == [7, 20, 2]


def test_networks_without_loops_carry_nothing():
    session = QuasiStatic(cs.model("digits_mlp"), 0)
    session.run(cs.Protocol(cs.Phase("show", 100, drive={"retina": np.ones((2, 64))})))
    assert not [name for name in session.checkpoint() if name.startswith("activity")]


def test_a_checkpoint_of_another_loop_is_refused():
    session = QuasiStatic(switches(), 0)
    session.run(remembers(PULSES[:1]))
    good = session.checkpoint()
    for name, values in (("activity:a:A", np.zeros((1, 5))), ("activity:a:V9", np.zeros((1, SIZE)))):
        with pytest.raises(cs.RunError, match=f"network switches: the checkpoint holds '{name}' of shape"):
            QuasiStatic(switches(), 0).restore(good | {name: values})


def wins():
    net = cs.Network("winner")
    net.population("x", 4)
    net.population("E", 4, activation="logistic", bias=False)
    net.bottom_up("x", "E", "identity")
    net.recurrent("E", "E", cs.Dense(12.0 * np.eye(4) - 7.0))
    return net


def test_a_state_that_activity_would_leave_is_said(caplog):
    """Four rivals driven exactly alike: the state in which all are equal has a growing mode."""
    alike = cs.Protocol(cs.Phase("show", 2500, drive={"x": np.full((1, 4), 0.5)}))
    with caplog.at_level(logging.WARNING):
        settled = QuasiStatic(wins(), 0).run(alike)
    (said,) = caplog.messages
    assert said.startswith("phase show: population E settles at a state from which any difference")
    r = settled.rate.values.ravel()[4:]
    sim = cs.brian2.build(wins())
    sim.run(alike)
    np.testing.assert_allclose(r, sim.built.groups["E"].r[:], atol=1e-9)  # nothing breaks the symmetry there
    jacobian = ((12.0 * np.eye(4) - 7.0) * (r * (1 - r)) - np.eye(4)) / 10e-3
    assert f"(eigenvalue {np.linalg.eigvals(jacobian).real.max():.3g}/s" in said


def test_activity_that_passes_a_state_is_followed(caplog):
    """Rivals whose drives differ by 1e-9: the residual is tiny near the symmetric state, and one wins."""
    x = np.full((1, 4), 0.5)
    x[0, 2] += 1e-9
    shown = cs.Protocol(cs.Phase("show", 2500, drive={"x": x}))
    with caplog.at_level(logging.WARNING):
        settled = QuasiStatic(wins(), 0).run(shown)
    assert not caplog.messages and rates_of(settled, "E")[0].argmax() == 2
    in_time = cs.brian2.build(wins()).run(shown)
    np.testing.assert_allclose(settled.rate.values, in_time.rate.values, atol=1e-6)


def test_quick_test_of_stability_agrees_with_eigenvalues():
    import torch

    from cortex_sim.backends.torch.staying import _suspects

    rng = np.random.default_rng(0)
    for trial in range(60):
        m, slopes = rng.normal(size=(5, 5)) * rng.uniform(0.1, 0.9), rng.uniform(0, 1, size=(7, 5))
        m = m + m.T if trial % 2 else m
        leading = np.array([np.linalg.eigvals(m * s - np.eye(5)).real.max() for s in slopes])
        tau = rng.uniform(3, 30, size=(5, 1))
        in_time = np.array([np.linalg.eigvals((m * s - np.eye(5)) / tau).real.max() for s in slopes])
        suspects = set(_suspects(torch.tensor(m), torch.tensor(slopes)))
        growing = set(np.flatnonzero(in_time > 0))
        assert growing <= suspects
        if trial % 2:  # symmetric: exactly those, whatever the time constants
            assert suspects == growing == set(np.flatnonzero(leading > 0))
