"""Synapses that read decorrelated rates under protocols: in time, at equilibrium, and both alike."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
from agreement import relative_error
from decorrelating import Chain, Reference
from networks import Spread, chain, conv
from own_euler import same_network

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.errors import BuildError

ETA_PER_S, RNG = 30.0, np.random.default_rng(0)
X, GOAL = RNG.normal(size=(2, 7)) + 0.5, RNG.normal(size=(2, 3))
SESSIONS = {"batched": cs.brian2.build, "torch": QuasiStatic}
sessions = pytest.mark.parametrize("build", SESSIONS.values(), ids=SESSIONS)


def small(reads, rule="backprop"):
    return same_network(cs)[0].with_rule(rule).with_reads(reads)


def script(net, x, goal, batch=1, settle_ms=20.0, learn_ms=30.0, trials=None, eta=ETA_PER_S):
    shown = {net.stimulated[0]: x}
    return cs.Protocol(
        cs.Phase("settle", settle_ms, drive=shown),
        cs.Phase("learn", learn_ms, drive=shown, nudge={"IT": goal}, plasticity=True),
        trials=trials or len(x),
        batch=batch,
        eta_per_s=eta,
        record=cs.Record(("rate",), weights=True),
    )


@pytest.mark.parametrize("how", [cs.Decorrelated(update_ms=5), cs.Decorrelated(local=True, centring=0.5)])
def test_in_time_is_the_reference_loop(how):
    net = small(how)
    sim = cs.brian2.build(net)
    start, names = net.initial_weights(0), ("retina->V1", "V1->IT")
    readings = [Reference(n, s=how.mixing, c=how.centring, local=how.local) for n in (7, 5)]
    ours = Chain(*(start[n] for n in names), readings, names, update_ms=how.update_ms)
    sim.run(script(net, X, GOAL))
    for x, goal in zip(X, GOAL, strict=True):
        ours.a, ours.b, ours.c = np.zeros(5), np.zeros(3), np.zeros(5)
        for step in range(50):
            ours.step(x, goal, ETA_PER_S if step >= 20 else 0.0)
    for name, w in zip(names, (ours.w, ours.v), strict=True):
        assert np.abs(w - start[name]).max() > 1e-3
        np.testing.assert_allclose(sim.weights.kept(name), w, atol=1e-12)
    for reading, name in zip(readings, names, strict=True):
        reading.assert_state(sim.state().readings[name])
        assert sim.state().readings[name]["count"] == 60


@pytest.mark.parametrize(
    "word", ["backprop", "kolen_pollack", "gait_prop", "oja", "direct_feedback_alignment"]
)
@pytest.mark.parametrize("network", [chain, conv])
def test_in_time_and_at_equilibrium_agree(network, word):
    """Long settled, weights almost still: the same changes, and the same state of what is read."""
    reads = cs.Decorrelated(update_ms=4, centring=0.9)
    net = network(init=Spread(0.8, 1.2)).with_rule(word).with_reads(reads)
    start = net.initial_weights(0)
    size = net.populations["IT"].size
    x = 0.5 * np.random.default_rng(1).normal(size=(3, *net.populations["retina"].shape))
    goal = np.arange(3) % size if net.objective_at else None
    shown = {"drive": {"retina": x}, **({} if goal is None else {"nudge": {"IT": goal}})}
    protocol = cs.Protocol(
        cs.Phase("settle", 500.0, **shown),
        cs.Phase("learn", 20.0, plasticity=True, **shown),
        batch=3,
        eta_per_s=5e-6,
        record=cs.Record(("rate",), weights=True),
    )
    found = []
    for build in SESSIONS.values():
        session = build(net)
        session.run(protocol)
        plastic = [p.name for p in net.projections.values() if p.plasticity is not None]
        changes = {n: session.weights_of(n) - start[n] for n in plastic}
        readings = {n: x for n, x in session.checkpoint().items() if n.startswith("reading")}
        found.append(changes | readings)
    assert found[0].keys() == found[1].keys()
    for name, theirs in found[1].items():
        assert np.abs(theirs).max() > 0, name
        assert relative_error(found[0][name], theirs) < 1e-6, name


@sessions
def test_nothing_mixed_and_nothing_taken_off_is_the_plain_rule_exactly(build):
    after = []
    for reads in (None, cs.Decorrelated(mixing=0, centring=0)):
        net = small(reads, "kolen_pollack")
        session = build(net)
        session.run(script(net, X, GOAL))
        after.append({n: w for n, w in session.checkpoint().items() if n.startswith("weight")})
    for name, w in after[0].items():
        np.testing.assert_array_equal(after[1][name], w, err_msg=name)


@sessions
def test_kolen_pollack_weights_change_alike(build):
    net = small(cs.Decorrelated(update_ms=5), "kolen_pollack")
    session, start = build(net), net.initial_weights(0)
    session.run(script(net, X, GOAL, learn_ms=5.0))
    up, down = (session.weights_of(n) - start[n] for n in ("V1->IT", "IT->V1"))
    decayed = 1e-4 * ETA_PER_S * 2 * 5e-3
    assert np.abs(up).max() > 1e-4
    np.testing.assert_allclose(down, up.T, atol=2 * decayed)  # the weights that decay differ


@sessions
def test_state_moves_with_an_open_window_only(build):
    net = small(cs.Decorrelated())
    session = build(net)
    closed = cs.Protocol(cs.Phase("show", 20, drive={"retina": X}), trials=2)
    before = session.checkpoint()
    session.run(closed)
    for name, values in session.checkpoint().items():
        if name.startswith("reading"):
            np.testing.assert_array_equal(values, before[name])
    session.run(script(net, X, GOAL))
    assert session.checkpoint()["reading:V1->IT:count"] == 60


@sessions
def test_a_restored_session_goes_the_same_way(build):
    net = small(cs.Decorrelated(update_ms=5), "kolen_pollack")
    whole, parted = build(net), build(net)
    whole.run(script(net, X, GOAL))
    whole.run(script(net, X, GOAL))
    parted.run(script(net, X, GOAL))
    kept = parted.checkpoint()
    assert "reading:retina->V1:matrix" in kept
    other = build(net)
    other.restore(kept)
    for one in (other, copy.deepcopy(parted)):
        one.run(script(net, X, GOAL))
        for name, values in whole.checkpoint().items():
            if name.startswith(("weight", "reading", "bias")):
                np.testing.assert_array_equal(one.checkpoint()[name], values, err_msg=name)


@sessions
def test_a_session_begins_with_a_models_reading(build):
    net = small(cs.Decorrelated())
    model = cs.torch.build(net, precision="64")
    model.fit((X, GOAL), 3, batch_size=1, progress=False)
    session = build(net, state=model.state())
    for name, reading in model.state().readings.items():
        for variable, values in reading.items():
            np.testing.assert_array_equal(session.checkpoint()[f"reading:{name}:{variable}"], values)


@dataclass(frozen=True)
class ByPhase:
    """A rule that says nothing of time."""

    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre)


def test_a_rule_without_time_reads_what_stood_at_the_beginning_of_the_phase():
    how = cs.Decorrelated(rate=1.0)
    net = cs.Network("pair")
    net.population("retina", 7)
    net.population("V1", 5, bias=False)
    net.bottom_up("retina", "V1", plasticity=ByPhase(), reads=how)
    session, ours, w = QuasiStatic(net), Reference(7, rate=1.0), net.initial_weights(0)["retina->V1"]
    phase = cs.Phase("learn", 350.0, drive={"retina": X}, plasticity=True)
    session.run(cs.Protocol(phase, trials=4, eta_per_s=0.01))
    for trial in range(4):
        x = X[trial % 2][None]
        w = w + 0.01 * 0.35 * (x @ w.T).T @ ours.read(x)
        for _ in range(4):
            ours.renew_as("retina->V1", x, 3.5 / 4)
    np.testing.assert_allclose(session.weights_of("retina->V1"), w, atol=1e-12)
    ours.assert_state(session.windows.readings.of["retina->V1"].state)


def test_the_synapses_engine_is_refused_by_name():
    with pytest.raises(BuildError, match='retina->V1: Decorrelated mixes .*engine="batched"'):
        cs.brian2.build(small(cs.Decorrelated()), engine="synapses")
