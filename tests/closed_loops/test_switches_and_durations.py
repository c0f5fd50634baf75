"""Cuts, silence and lengths of phases that a closed loop sets, against open protocols and an Euler loop."""

import re
from zlib import crc32

import numpy as np
import pytest
from closed_loops import observer
from own_euler import Chain, same_network

import cortex_sim as cs
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.protocol import loop_running
from cortex_sim.protocol.planning import plan
from cortex_sim.recording import recorder

X, GOAL = np.array([0.5, -0.3, 0.8, 0.1, -0.6, 0.4, 0.2]), np.array([0.4, -0.5, 0.3])
ENGINES = ["batched", "synapses"]


def adapt(seen, state, rng):
    """Credit is cut once the goal is near; V1/3 is silent, and the wait longer, after trials far from it."""
    distance = float(np.abs(seen["IT"] - GOAL).max())
    return {
        "near": int(distance < 0.35),
        "far": int(distance > 0.45),
        "wait": float(10 + rng.integers(5) + 10 * (distance > 0.3)),
        "distance": distance,
    }


STATE = {"near": 0, "far": 0, "wait": 12.0, "distance": 1.0}
LOOP = cs.ClosedLoop(adapt, reads=["IT"], phase="settle", state=STATE)


def protocol(near=None, far=None, wait=None, trials=8, **settings):
    """Settle, wait and learn; without arguments, as the loop says."""
    shown = {"retina": X}
    cut = {"IT->V1": LOOP["near"]} if near is None else near
    silent = {"V1/3": LOOP["far"]} if far is None else far
    length = LOOP["wait"].up_to(60) if wait is None else wait
    return cs.Protocol(
        cs.Phase("settle", 60, drive=shown),
        cs.Phase("wait", length, drive=shown, silence=silent),
        cs.Phase("learn", 40, drive=shown, nudge={"IT": GOAL}, cut=cut, silence=silent, plasticity=True),
        trials=trials,
        eta_per_s=8.0,
        record=cs.Record(("rate", "credit"), phase="learn", weights=True),
        **settings,
    )


def run(made, backend=cs.brian2, **settings):
    net, _, _ = same_network(cs)
    return backend.run(cs.Experiment(net, {"one": made}, **settings), 0, progress=False)


def by_euler(trials=8):
    """Rates at the end of each trial, weights after it, its state, and the time."""
    _, w, v = same_network(cs)
    chain, state, time, found = Chain(w, v), dict(STATE), 0.0, []
    for trial in range(trials):
        chain.rest()
        for _ in range(60):
            chain.step(X)
        rng = np.random.default_rng(np.random.SeedSequence([0, crc32(b"adapt"), trial + 1]))
        state = adapt({"IT": chain.rates()[1]}, state, rng)
        alive = np.where((np.arange(5) == 3) & (state["far"] == 1), 0.0, 1.0)
        for _ in range(int(state["wait"])):
            chain.step(X, alive=alive)
        for _ in range(40):
            if state["near"]:
                chain.c[:] = 0
            chain.step(X, goal=GOAL, strength=1.0, eta=8.0, credit=1.0 - state["near"], alive=alive)
        time += 100 + state["wait"]
        rate = np.concatenate([alive * chain.rates()[0], chain.rates()[1]])
        found.append((rate, chain.w.copy(), chain.v.copy(), [state[n] for n in STATE], time))
    return [np.array(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_trial_is_that_of_the_equations(engine):
    made = run(protocol(), engine=engine)
    rates, w, v, states, times = by_euler()
    np.testing.assert_allclose(made.rate.values[:, 7:], rates, atol=1e-12)
    np.testing.assert_allclose(made["weight:retina->V1"].values[1:], w, atol=1e-12)
    np.testing.assert_allclose(made["weight:V1->IT"].values[1:], v, atol=1e-12)
    for name, values in zip(STATE, states.T, strict=True):
        np.testing.assert_allclose(made[f"adapt:{name}"], values, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(made["snapshot_ms"].values, [0.0, *times])
    near, far, wait, _ = states.T
    assert 0 < near.mean() < 1 and 0 < far.mean() < 1 and len(set(wait)) > 2  # each of them differs


@pytest.mark.parametrize("backend", [cs.brian2, cs.torch])
def test_they_are_those_of_an_open_protocol(backend):
    learn = cs.Phase("learn", 40, drive={"retina": np.stack([X, -X, 2 * X])})
    probed = {"probe": cs.Protocol(learn), "probe_every": 3}  # side by side, between trials of other lengths
    closed = run(protocol(**probed), backend)
    state = {name: closed[f"adapt:{name}"].values[closed.stage.values == "trial"] for name in STATE}
    near, far = state["near"], state["far"]
    cut = cs.PerTrial([["IT->V1"] if one else [] for one in near])
    silent = cs.PerTrial([["V1/3"] if one else [] for one in far])
    open_ = run(protocol(cut, silent, state["wait"].tolist(), **probed), backend)
    for name in ("rate", "credit", "weight:retina->V1", "weight:V1->IT", "snapshot_ms"):
        np.testing.assert_array_equal(closed[name], open_[name], err_msg=name)


def test_a_lesion_holds_whatever_the_loop_says():
    made = run(protocol(trials=3, lesion=["IT->V1", "V1/3"]), cs.torch)
    credit = made.credit.values[:, made.population.values == "V1"]
    rates = made.rate.values[:, made.population.values == "V1"]
    assert not credit.any() and not rates[:, 3].any() and rates[:, :3].all()


@pytest.mark.parametrize("backend, engine", [("brian2", "batched"), ("torch", "batched")])
def test_resumed_it_ends_as_the_same_bytes(backend, engine, monkeypatch, tmp_path):
    class Ended(Exception):
        pass

    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    net, _, _ = same_network(cs)
    made = cs.Experiment(net, {"one": protocol(trials=4, reset=False)}, engine=engine)
    go = getattr(cs, backend).run
    go(made, 3, out=tmp_path / "whole.nc", progress=False).close()
    call = loop_running.Loops.call

    def ending(self, phase, rates, means):
        if self.called(phase) and self._shown.trials[0] == 2:
            raise Ended
        call(self, phase, rates, means)

    with monkeypatch.context() as patch:
        patch.setattr(loop_running.Loops, "call", ending)
        with pytest.raises(Ended):
            go(made, 3, out=tmp_path / "a.nc", progress=False)
    go(made, 3, out=tmp_path / "a.nc", resume=True, progress=False).close()
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_a_second_run_of_a_simulation_continues_where_the_first_stopped():
    net, _, _ = same_network(cs)
    sim, whole = cs.brian2.build(net), run(protocol(trials=4))
    first, second = (sim.run(protocol(trials=n), progress=False) for n in (2, 2))
    np.testing.assert_array_equal(first["weight:V1->IT"].values, whole["weight:V1->IT"].values[:3])
    assert second["snapshot_ms"].values[0] == 0.0 and np.isfinite(second["rate"]).all()


def test_the_time_line_shows_them(tmp_path):
    from cortex_sim.viz.timeline_rows import rows_of

    made = protocol()
    assert made.duration_ms == 160
    said = {row.label: list(row.said.values()) for row in rows_of(made)}
    assert said["cut IT->V1"] == ["closed loop, near of adapt"]
    assert said["silence V1/3"] == ["closed loop, far of adapt"] * 2
    made.draw(tmp_path / "line.svg")
    assert (tmp_path / "line.svg").stat().st_size


def follow(seen, state, rng):
    return {"off": state["off"]}


def loop(function=follow, name="", **state):
    return cs.ClosedLoop(function, reads=["V1"], phase="look", state={"off": 0} | state, name=name)


def look(**settings):
    return cs.Phase("look", **({"duration_ms": 20} | settings))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: look(duration_ms=loop()["off"]),
            "needs its longest value in ms, with which trials are planned; give loop['off'].up_to(1000)",
        ),
        (lambda: loop()["off"].up_to(0), "follow:off: its longest duration must be a positive number"),
        (
            lambda: look(cut={"IT->V1": 1}),
            "cut must be a list of names, or a mapping of names to variables of a closed loop",
        ),
        (
            lambda: look(delay_ms={"retina->V1": loop()["off"]}),
            "delay_ms cannot follow a closed loop, such as "
            "follow:off; let it set the length of a phase before it",
        ),
        (
            lambda: look(noise={"retina->V1": loop()["off"]}),
            "let it set a drive that its function draws with",
        ),
        (lambda: look(plasticity={"retina->V1": loop()["off"]}), "let it set modulator, the third factor"),
        (lambda: look(spontaneous={"V1": loop()["off"]}), "spontaneous cannot follow a closed loop"),
        (lambda: look(silence_error=[loop()["off"]]), "silence_error cannot follow a closed loop"),
        (
            lambda: cs.Protocol(look(), interval_ms=loop()["off"]),
            "Protocol: interval_ms cannot follow a closed "
            "loop, such as follow:off; let it set the length of a last phase without drive",
        ),
        (
            lambda: cs.Protocol(look(), lesion=[loop()["off"]]),
            "lesion cannot follow a closed loop, such as follow:off; let it set cut or silence of each phase",
        ),
        (lambda: cs.Protocol(look(), eta_per_s=loop()["off"]), "eta_per_s cannot follow a closed loop"),
        (
            lambda: planned(look(cut={"V1->IT": loop()["off"]})),
            "unknown projection in cut of phase look 'V1->IT'",
        ),
        (lambda: planned(look(silence={"V1/9": loop()["off"]})), "no unit V1/9; V1 has units V1/0 to V1/1"),
        (
            lambda: planned(look(cut={"retina->V1": loop(off=0.5)["off"]})),
            "closed loop follow: off cuts "
            "retina->V1, but before the first trial it is 0.5; it must be 0 or 1",
        ),
        (
            lambda: planned(look(silence={"V1": loop(off=[0.0])["off"]})),
            "off has shape (1,), but acts as silence of V1 in phase look; give one number",
        ),
        (
            lambda: planned(look(duration_ms=loop(off=30.0)["off"].up_to(20))),
            "off is the length of phase look, "
            "but before the first trial it is 30 ms; it must be above 0 and, as up_to says, at most 20",
        ),
        (lambda: planned(look(drive={"V1": loop(off=30.0)["off"].up_to(20)})), "up_to limits durations"),
        (
            lambda: planned(look(duration_ms=loop(off=9.0)["off"].up_to(20)), every_ms=1.0),
            "record: every_ms=1 "
            "needs the same time bins in every trial, and a closed loop sets the length of phase look; leave",
        ),
    ],
)
def test_refused_at_declaration_or_planning(make, said):
    with pytest.raises(DeclarationError, match=re.escape(said)):
        make()


def planned(phase, every_ms=None):
    return plan(cs.Protocol(phase, record=cs.Record(every_ms=every_ms)), observer(), 0)


def test_refused_in_the_trial_that_returns_it():
    def wrong(value):
        def wrong(seen, state, rng):
            return {"off": value} if seen.trial == 1 else {}

        return wrong

    for backend in (cs.brian2, cs.torch):
        cases = (
            (
                0,
                2,
                lambda v: look(cut={"retina->V1": v}),
                "off cuts retina->V1, but it is 2; it must be 0 or 1",
            ),
            (0, -1, lambda v: look(silence={"V1": v}), "off silences V1, but it is -1; it must be 0 or"),
            (
                9.0,
                90.0,
                lambda v: look(duration_ms=v.up_to(20)),
                "off is the length of phase look, but it is 90",
            ),
        )
        for first, value, phase, said in cases:
            closed = loop(wrong(value), name="f", off=first)
            made = cs.Experiment(observer(), {"one": cs.Protocol(phase(closed["off"]), trials=3)})
            with pytest.raises(RunError, match=re.escape(f"closed loop f, trial 1: {said}")):
                backend.run(made, progress=False)
    off_step = loop(wrong(9.5), name="f", off=9.0)
    with pytest.raises(RunError, match="phase look: duration_ms must be a multiple of dt_ms=1. Got 9.5"):
        late = cs.Protocol(look(duration_ms=off_step["off"].up_to(20)), trials=3)
        cs.brian2.run(cs.Experiment(observer(), {"one": late}), progress=False)


# -- as YAML -------------------------------------------------------------------------------------------


def test_a_function_at_the_top_of_a_module_is_named_in_yaml(tmp_path):
    made = protocol()
    text = made.to_yaml(tmp_path / "one.yaml")
    assert f"closed_loop: {__name__}:adapt" in text
    again = cs.Protocol.from_yaml(tmp_path / "one.yaml")
    assert again == made and again.phases[2].cut == {"IT->V1": LOOP["near"]}
    whole = cs.Experiment(same_network(cs)[0], {"one": made})
    assert cs.Experiment.from_yaml(whole.to_yaml()) == whole
    named = cs.Protocol(look(drive={"V1": loop(name="own", off=np.array([0.5, 1.0]))["off"]}))
    assert cs.Protocol.from_yaml(named.to_yaml()) == named


@pytest.mark.parametrize("place", ["elsewhere:adapt", "own.py:adapt", "os:system", "builtins:exec"])
def test_reading_runs_no_code_and_finds_only_what_was_declared(place):
    text = protocol().to_yaml().replace(f"{__name__}:adapt", place)
    said = (
        f"closed loop {place} is Python code, which reading YAML does not run; import its module and declare"
    )
    with pytest.raises(DeclarationError, match=re.escape(said)):
        cs.Protocol.from_yaml(text)
