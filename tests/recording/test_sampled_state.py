"""The state of rules sampled as rates are, by time bin: both engines, torch, disk, resume, and its sizes."""

import numpy as np
import pytest
from stopped_runs import assert_resumed_is_the_same
from traced import Traced

import cortex_sim as cs
from cortex_sim.errors import RunError
from cortex_sim.runs import room

DT, ETA, TAU = 0.5, 0.4, 12.0
STATES = tuple(f"retina->V1:{variable}" for variable in Traced.state)
SHAPES = {"mean": (3,), "seen": (5,), "trace": (3, 5), "modulator": ()}
X = np.random.default_rng(0).normal(size=(4, 5))


def network(rule):
    net = cs.Network("stateful")
    net.population("retina", 5)
    net.population("V1", 3, activation="tanh", tau_ms=TAU, bias=False)
    net.bottom_up("retina", "V1", cs.Dense("xavier"), plasticity=rule)
    return net


def protocol(record, batch=1, modulators=(0.5, 2.0), **settings):
    shown, (first, second) = {"retina": X}, modulators
    return cs.Protocol(
        cs.Phase("show", 8, drive=shown, plasticity=True, modulator=first),
        cs.Phase("keep", 3, drive=shown),
        cs.Phase("reward", 5, drive=shown, plasticity=True, modulator=second),
        trials=4,
        batch=batch,
        eta_per_s=ETA,
        record=record,
        **settings,
    )


def by_hand(w, batch):
    """State after every step of every trial, and weights after all; `batch` presentations share a change."""
    tau_s, seconds = 0.05, DT / 1000
    state = {"mean": np.full(3, 0.1), "seen": np.full(5, 0.2), "trace": np.zeros((3, 5)), "modulator": 1.0}
    seen = []
    for first in range(0, 4, batch):
        x, a = X[first : first + batch], np.zeros((batch, 3))
        for duration, learns, modulator in ((8, True, 0.5), (3, False, 1.0), (5, True, 2.0)):
            state = {**state, "modulator": modulator}
            for _ in range(round(duration / DT)):
                y = np.tanh(a)
                a = a + DT / TAU * (x @ w.T - a)
                if learns:
                    grown, old = modulator * state["trace"], state
                    state = dict(old)
                    state["mean"] = old["mean"] + seconds / tau_s * (y.mean(0) - old["mean"])
                    state["seen"] = old["seen"] + seconds / tau_s * (x.mean(0) - old["seen"])
                    pairs = np.einsum("bi,bj->ij", y, x) / batch
                    state["trace"] = old["trace"] + seconds / tau_s * (pairs - old["trace"])
                    w = w + seconds * ETA * grown
                seen += [state] * batch
    steps = round(16 / DT)
    inner = {
        v: np.array([s[v] for s in seen]).reshape(4 // batch, steps, batch, *SHAPES[v]).swapaxes(1, 2)
        for v in SHAPES
    }
    return {v: np.moveaxis(of.reshape(4, steps, *SHAPES[v]), 1, -1) for v, of in inner.items()}, w


@pytest.mark.parametrize(("engine", "batch"), [("batched", 1), ("batched", 2), ("synapses", 1)])
def test_every_step_is_that_of_an_own_euler_loop(engine, batch):
    sim = cs.brian2.build(network(Traced()), 2, engine=engine, dt_ms=DT)
    w = sim.weights.matrix["retina->V1"].copy()
    made = sim.run(protocol(cs.Record(["rate", *STATES], every_ms=DT), batch), progress=False)
    states, w = by_hand(w, batch)
    np.testing.assert_allclose(sim.weights.matrix["retina->V1"], w, atol=1e-12)
    for variable, expected in states.items():
        found = made[f"retina->V1:{variable}"]
        assert found.dims[0] == "presentation" and found.dims[-1] == "time_bin"
        assert found.shape == (4, *SHAPES[variable], 32)
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=variable)
        np.testing.assert_array_equal(sim.weights.state["retina->V1"][variable], found.values[-1, ..., -1])
    assert made["retina->V1:trace"].dims[1:3] == ("post:retina->V1", "pre:retina->V1")
    assert made["retina->V1:mean"].attrs["long_name"] == "mean of the rule of retina->V1"
    assert made.rate.dims == ("presentation", "neuroid", "time_bin")


def test_theta_slides_within_a_trial_alike_on_both_engines():
    record = cs.Record(["rate", "retina->V1:theta"], every_ms=2)
    made = [
        cs.brian2.build(network(cs.Bcm(tau_ms=30)), engine=engine).run(
            protocol(record, modulators=(1, 1)), progress=False
        )
        for engine in ("batched", "synapses")
    ]
    theta = made[0]["retina->V1:theta"]
    np.testing.assert_allclose(theta, made[1]["retina->V1:theta"], atol=1e-12)
    by_phase = {name: theta.values[0][:, theta.phase == name] for name in ("show", "keep", "reward")}
    assert (np.diff(by_phase["show"]) > 0).all() and not np.diff(by_phase["keep"]).any()
    assert "retina->V1:theta" in str(cs.viz.overview(made[0]))
    part = cs.recording.select(made[0], phase="reward")
    assert part["retina->V1:theta"].sizes["time_bin"] == part.sizes["time_bin"] < 8


@pytest.mark.parametrize("backend", ["brian2", "torch"])
def test_one_sample_a_trial_at_the_end_of_a_phase(backend):
    record = cs.Record(["retina->V1:trace"], phase="show", state=["retina->V1:trace"])
    one = cs.Experiment(network(Traced()), {"one": protocol(record)})
    made = getattr(cs, backend).run(one, progress=False)
    assert list(made.data_vars) == ["retina->V1:trace", "state:retina->V1:trace"]  # and no rates
    assert made["retina->V1:trace"].dims == ("presentation", "post:retina->V1", "pre:retina->V1")
    before, after = (made["state:retina->V1:trace"].values[part] for part in (slice(-1), slice(1, None)))
    found = made["retina->V1:trace"].values
    assert np.abs(found - before).min() > 0 and np.abs(found - after).min() > 0


def test_probes_see_the_state_that_trials_left():
    probe = protocol(cs.Record()).replace(eta_per_s=0.1)
    still = [cs.Phase(p.name, p.duration_ms, drive={"retina": X}) for p in probe.phases]
    record = cs.Record(["rate", "retina->V1:mean"], every_ms=1)
    made = cs.brian2.build(network(Traced())).run(
        protocol(record, probe=cs.Protocol(*still, trials=1), repeat=2), progress=False
    )
    mean, stage = made["retina->V1:mean"].values, made.stage.values
    probes, last = mean[stage == "probe"], mean[stage == "trial"][[3, 7], :, -1:]
    np.testing.assert_array_equal(probes[0], np.full((3, 16), 0.1))
    np.testing.assert_array_equal(probes[1:], np.repeat(last, 16, axis=2))


def test_disk_and_resume_are_byte_for_byte(tmp_path, monkeypatch):
    record = cs.Record(["credit", *STATES], every_ms=4)
    one = cs.Experiment(network(Traced()), {"a": protocol(record), "b": protocol(record)}, noise=0.1)
    in_memory = cs.brian2.run(one, progress=False)
    with cs.brian2.run(one, out=tmp_path / "kept.nc", progress=False) as written:
        for name in in_memory.variables:
            np.testing.assert_array_equal(written[name], in_memory[name])
    assert_resumed_is_the_same(one, (3, 6), tmp_path, monkeypatch)


def test_its_size_is_counted(tmp_path, monkeypatch):
    from cortex_sim.experiments import running
    from cortex_sim.recording import session, sizes

    record = cs.Record(["rate", "retina->V1:trace", "retina->V1:mean"], every_ms=1)
    one = cs.Experiment(network(Traced()), {"a": protocol(record, batch=2)})
    made = cs.brian2.run(one, progress=False)
    layout = session._layout(running._planned(one, None, 0))
    assert sizes.bytes_of(layout) == sum(made[name].nbytes for name in made.data_vars) + 4 * 100
    monkeypatch.setattr(room, "available_memory", lambda: 5_000)
    said = (
        "recording: 4 presentations × 8 neuroids × 16 time bins, with 18 values of rule state in each time "
        "bin, would take"
    )
    with pytest.raises(RunError, match=said):
        cs.brian2.run(one, progress=False)
    with pytest.raises(
        RunError, match="recording: 2 presentations × 8 neuroids .* fewer populations or proj"
    ):
        cs.brian2.run(one, progress=False, out=tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            ["retina->V1:sigma"],
            "'retina->V1:sigma' is not a rule's state variable in stateful; known: retina->V1:mean",
        ),
        (["V1->IT:mean"], "is not a rule's state variable in stateful"),
        (
            ["retina->V1"],
            r"is a projection; name a variable of its rule, .* or give weights=\['retina->V1'\]",
        ),
        (["theta"], "unknown variable of Record 'theta'"),
    ],
)
def test_what_is_no_state_is_refused(variables, said):
    with pytest.raises(cs.DeclarationError, match=said):
        cs.brian2.build(network(Traced())).run(protocol(cs.Record(variables)), progress=False)


def test_a_compiled_program_refuses_it():
    from cortex_sim.backends.brian2.standalone import check_plan
    from cortex_sim.protocol.planning import plan

    made = plan(protocol(cs.Record(STATES[:1])), network(Traced()), 0)
    with pytest.raises(
        RunError, match="retina->V1:mean cannot be read from a running C.. program; leave it out"
    ):
        check_plan(made)


def test_yaml_keeps_it():
    made = protocol(cs.Record(["rate", "retina->V1:theta"], every_ms=2))
    assert cs.Protocol.from_yaml(made.to_yaml()).record == made.record
    assert "rate of all populations; retina-&gt;V1:theta" in made._repr_html_()
