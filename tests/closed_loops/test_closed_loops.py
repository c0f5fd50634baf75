"""Closed loops in time and at equilibrium, against the equations, and between backends and engines."""

import numpy as np
import pytest
from closed_loops import (
    TRIALS,
    chooser,
    observer,
    reward_protocol,
    rewarded_by_euler,
    staircase_by_euler,
    staircase_protocol,
)

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic


def run(net, protocol, backend=cs.brian2, seed=3, **settings):
    return backend.run(cs.Experiment(net, {"one": protocol}, **settings), seed, progress=False)


@pytest.mark.parametrize("average", [False, True])
def test_a_staircase_of_60_trials_is_that_of_the_equations(average):
    made = run(observer(), staircase_protocol(average))
    expected = staircase_by_euler(3, average)
    found = np.stack([made[f"staircase:{name}"].values for name in ("level", "yes")], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert len(set(expected[:, 0].round(6))) > 5 and 0.3 < expected[:, 1].mean() < 0.95  # it moves


@pytest.mark.slow
def test_the_staircase_converges_where_three_of_three_answers_are_as_likely_as_not():
    """Levitt (1971): 3-down-1-up settles where p³ = ½, p = 0.794."""
    made = run(observer(), staircase_protocol(trials=1000), cs.torch)
    assert made["staircase:yes"].values[60:].mean() == pytest.approx(0.794, abs=0.02)


def test_at_equilibrium_it_is_that_of_settled_rates():
    made = run(observer(), staircase_protocol(), cs.torch)
    found = np.stack([made[f"staircase:{name}"].values for name in ("level", "yes")], axis=1)
    np.testing.assert_allclose(found, staircase_by_euler(3, settled=True), atol=1e-12)


def test_both_engines_take_the_same_steps():
    for net, protocol in (
        (observer(), staircase_protocol(True, trials=6)),
        (chooser(), reward_protocol(4)),
    ):
        batched, synapses = (run(net, protocol, engine=engine) for engine in ("batched", "synapses"))
        for name in [*batched.data_vars, *(n for n in batched.coords if ":" in n)]:
            np.testing.assert_allclose(batched[name], synapses[name], atol=1e-12, err_msg=name)


def test_reward_for_the_chosen_action_is_that_of_the_equations():
    made = run(chooser(), reward_protocol())
    rows, weights = rewarded_by_euler(made.stimulus_id.values.astype(int), 3)
    np.testing.assert_allclose(made["reward:surprise"], rows[:, 0], atol=1e-10)
    np.testing.assert_array_equal(made["reward:action"], rows[:, 1])
    np.testing.assert_allclose(made["weight:cue->action"].values[1:], weights, atol=1e-10)
    np.testing.assert_array_equal(made["reward:taken"], np.eye(2)[rows[:, 1].astype(int)])


def test_backends_agree_where_phases_settle():
    """Slow enough for settled rates; a window is one update on torch, so weights are held."""
    protocol = reward_protocol(8)
    phases = [
        cs.Phase(p.name, 250, drive=p.drive, modulator=p.modulator, plasticity={"cue->action": 1e-12})
        for p in protocol.phases
    ]
    made = [run(chooser(), protocol.replace(phases=phases), backend) for backend in (cs.brian2, cs.torch)]
    np.testing.assert_allclose(made[0].rate, made[1].rate, atol=1e-6)
    for name in ("surprise", "action", "mean"):
        np.testing.assert_allclose(made[0][f"reward:{name}"], made[1][f"reward:{name}"], atol=1e-6)


def test_what_it_does_is_a_function_of_seed_and_trial():
    first, again, other = (
        run(observer(), staircase_protocol(trials=TRIALS), cs.torch, seed=s) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first["staircase:level"], again["staircase:level"])
    assert (first["staircase:level"] != other["staircase:level"]).any()
    sim = QuasiStatic(observer(), seed=3)
    for _ in range(2):  # each run begins anew
        made = sim.run(staircase_protocol(trials=8), progress=False)
        np.testing.assert_array_equal(made["staircase:level"], first["staircase:level"][:8])


class Recorded:
    """Every value that a nudge, its strength and a projection's scale took."""

    def __call__(self, seen, state, rng):
        goal = rng.uniform(size=4)
        return {"goal": goal, "label": rng.integers(4), "beta": rng.uniform(), "scale": rng.uniform()}


STATE = {"goal": np.full(4, 0.25), "label": 1, "beta": 0.5, "scale": 1.0}


@pytest.mark.parametrize("variable", ["goal", "label"])
def test_nudges_strengths_and_scales_are_those_of_an_open_protocol(variable):
    net = cs.Network("taught")
    retina, v1 = net.population("retina", 3), net.population("V1", 5)
    it = net.population("IT", 4, activation="linear")
    up = net.bottom_up(retina, v1)
    net.top_down(it, v1, feedback=cs.Transpose(of=net.bottom_up(v1, it, plasticity="backprop")))
    net.objective(it, cs.SquaredError())
    loop = cs.ClosedLoop(Recorded(), reads=["IT"], phase="b", state=STATE, name="teacher")
    drive = {"retina": [0.3, -0.2, 0.5]}

    def protocol(goal, beta, scale, **settings):
        first = cs.Phase("a", 30, drive=drive, nudge={"IT": cs.Nudge(goal, beta)}, scale={up: scale})
        second = cs.Phase("b", 30, drive=drive, nudge={"IT": goal}, strength=beta, plasticity=True)
        record = cs.Record(("rate", "credit"), weights=True)
        return cs.Protocol(first, second, trials=6, record=record, **settings)

    for backend in (cs.brian2, cs.torch):
        closed = run(net, protocol(loop[variable], loop["beta"], loop["scale"]), backend)
        goals = closed[f"teacher:{variable}"].values
        goals = goals if variable == "goal" else goals.astype(int)
        beta, scale = closed["teacher:beta"].values.tolist(), closed["teacher:scale"].values.tolist()
        open_ = run(net, protocol(goals, beta, scale), backend)
        for name in ("rate", "credit", "weight:V1->IT"):
            np.testing.assert_array_equal(closed[name], open_[name])
        assert len(set(beta)) == 6


def test_another_trial_may_be_open():
    """`PerTrial` and `FromTrial` hold values of loops, and probes see none."""
    loop = cs.ClosedLoop(
        lambda seen, state, rng: {"level": state["level"] + 1},
        reads=["V1"],
        phase="look",
        state={"level": 10.0},
        name="count",
    )
    drives = cs.PerTrial([0.5, loop["level"], loop["level"], 0.25])
    protocol = cs.Protocol(
        cs.Phase("look", 30, drive={"retina": drives}),
        probe=cs.Protocol(cs.Phase("look", 30)),
    )
    for backend in (cs.brian2, cs.torch):
        made = run(observer(), protocol, backend)
        retina = made.rate.values[:, 0].tolist()
        assert retina == [0.0, 0.5, 11.0, 12.0, 0.25, 0.0]
        assert np.isnan(made["count:level"].values[[0, -1]]).all()
        # where it does not act, it is as it is after the trial
        assert made["count:level"].values[1:-1].tolist() == [11.0, 11.0, 12.0, 14.0]


def test_delays_and_no_reset_beside_a_loop():
    protocol = staircase_protocol(trials=10)
    delayed = [
        cs.Phase(p.name, p.duration_ms, drive=p.drive, delay_ms={"retina->V1": 15}) for p in protocol.phases
    ]
    closed = run(observer(), protocol.replace(phases=delayed, reset=False, interval_ms=10))
    levels = closed["staircase:level"].values.tolist()
    look = {"retina": cs.Sum(cs.PerTrial(levels), [0.0, 0.1, 0.2])}
    phases = [delayed[0], cs.Phase("look", 60, drive=look, delay_ms={"retina->V1": 15})]
    open_ = run(observer(), protocol.replace(phases=phases, reset=False, interval_ms=10))
    np.testing.assert_array_equal(closed.rate, open_.rate)
