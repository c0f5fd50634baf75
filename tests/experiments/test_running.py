"""An experiment becomes one recording: in memory, on disk, interrupted and resumed."""

import json
import re
import sys

import numpy as np
import pytest
import xarray as xr
from known_runs import run
from known_session import network, protocol

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.backends import registry
from cortex_sim.errors import RunError
from cortex_sim.experiments import running
from cortex_sim.recording import session as session_module
from cortex_sim.runs import progress


def test_every_presentation_stands_at_its_place(experiment, session):
    made = run(experiment)
    # Probe before the first block and after each of two: 3 images; two blocks of 7, then of 4, trials.
    stages = ["probe"] * 3 + (["trial"] * 7 + ["probe"] * 3) * 2
    stages += ["probe"] * 3 + (["trial"] * 4 + ["probe"] * 3) * 2
    assert made.stage.values.tolist() == stages
    assert made.arm.values.tolist() == ["one"] * 23 + ["two"] * 17
    trials = made.trial.values[made.stage.values == "trial"]
    assert trials.tolist() == [*range(14), *range(8)]
    assert made.block.values[:23].tolist() == [0] * 3 + [1] * 10 + [2] * 10
    assert made.stimulus_id.values[3:10].tolist() == list("0120120")
    assert made.repetition.values[3:10].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert made.neuroid_id.values.tolist() == [
        *(f"retina/{i}" for i in range(6)),
        *(f"V1/{i}" for i in range(4)),
    ]
    unit = np.r_[0:6, 0:4] / 100
    expected = made.trial.values + 0.5 * (made.stage.values == "probe")
    np.testing.assert_array_equal(made.rate, expected[:, None] + unit)


def test_repetitions_count_within_arm_and_stage(experiment, session):
    made = run(experiment)
    named = (made[name].values for name in ("arm", "stage", "stimulus_id", "repetition"))
    keys = list(zip(*named, strict=True))
    assert len(set(keys)) == len(keys)
    assert made.repetition.values[made.stage.values == "probe"].max() == 2


def test_snapshots_start_from_the_initial_weights(experiment, session):
    made = run(experiment)
    assert made.snapshot_trial.values.tolist() == [0, 3, 6, 9, 12, 0, 3, 6]
    assert made.snapshot_arm.values.tolist() == ["one"] * 5 + ["two"] * 3
    # By hand: probes of 3 presentations side by side, then trials one by one, of 50 ms each.
    assert made.snapshot_ms.values.tolist() == [0.0, 200, 350, 550, 700, 0.0, 200, 400]
    initial = experiment.network.initial_weights(3)["retina->V1"]
    weights = made["weight:retina->V1"]
    assert weights.dims == ("snapshot", "post:retina->V1", "pre:retina->V1")
    expected = initial + made.snapshot_trial.values[:, None, None]
    np.testing.assert_allclose(weights, expected, atol=1e-14)


def test_kernels_are_flattened_and_keep_their_shape(session, monkeypatch):
    net = network()
    net.population("V2", shape=(2, 2, 3))
    net.bottom_up("retina", "V2", cs.Conv2d(kernel=3, padding=1))
    kernel = np.arange(18.0).reshape(2, 1, 3, 3)

    def carry_out(self, plan, first, keep):
        for shown in plan.shown[first:]:
            values = {"rate": {n: np.zeros((1, 1, p.size)) for n, p in net.populations.items()}}
            keep(recorder_sample(shown, values, {"retina->V2": kernel}))

    monkeypatch.setattr(session, "carry_out", carry_out)
    shown = protocol(trials=1, probe=False, repeat=1, record=cs.Record(weights=["retina->V2"]))
    made = run(cs.Experiment(net, {"one": shown}))["weight:retina->V2"]
    assert made.attrs["shape"] == [2, 1, 3, 3]
    np.testing.assert_array_equal(made.values[1], kernel.reshape(2, 9))


def recorder_sample(shown, values, weights):
    from cortex_sim.protocol.plan import Sample

    return Sample(shown, values, weights, 0.0)


def test_time_bins(session):
    record = cs.Record(variables=["rate", "credit"], every_ms=10)
    made = run(cs.Experiment(network(), {"one": protocol(record=record)}))
    assert made.rate.dims == ("presentation", "neuroid", "time_bin")
    assert made.time_bin_start.values.tolist() == [0, 10, 20, 30, 40]
    assert made.time_bin_end.values.tolist() == [10, 20, 30, 40, 50]
    assert made.phase.values.tolist() == ["settle"] * 3 + ["learn"] * 2
    assert made.time_bin_end.attrs["units"] == "ms"
    one = made.rate.values[made.stage.values == "trial"][5]
    np.testing.assert_allclose(one, 5 + np.r_[0:6, 0:4][:, None] / 100 + np.arange(5) / 1000)


def test_whatever_is_recorded_has_rates_and_no_nan(session):
    made = run(cs.Experiment(network(), {"one": protocol(record=cs.Record(variables=["credit"]))}))
    assert {"rate", "credit"} == set(made.data_vars)
    assert not made.credit.values[:, made.population.values == "retina"].any()
    assert np.isfinite(made.credit).all()
    for variable in made.data_vars.values():
        assert variable.attrs["units"] == "1" and variable.attrs["long_name"]


def test_only_the_arms_asked_for(experiment, session):
    alone = run(experiment, arms=["two"])
    assert set(alone.arm.values) == {"two"}
    both = recording.select(run(experiment), arm="two")
    xr.testing.assert_equal(alone, both)


def test_attributes_tell_arms_apart(session):
    arms = {"one": protocol(), "two": cs.Arm(protocol(), network("other"))}
    made = run(cs.Experiment(network(), arms))
    assert made.attrs["rule"] == "hebbian" and made.attrs["seed"] == 3
    assert json.loads(made.attrs["network"]) == {"one": "small", "two": "other"}


def test_one_protocol_on_a_session_of_its_own(session):
    """Weights continue from their present values, and no snapshot pretends to know them before."""
    own = session(network(), 3)
    first, second = (session_module.record(own, protocol(probe=False, repeat=1)) for _ in range(2))
    assert set(first.arm.values) == {"small"} and first.snapshot_trial.values.tolist() == [3, 6]
    weights = [made["weight:retina->V1"].values for made in (first, second)]
    np.testing.assert_allclose(weights[1] - weights[0], 7, atol=1e-12)


def test_each_backend_has_its_own_word(experiment, session, tmp_path):
    for backend in (cs.brian2, cs.torch):
        made = backend.run(experiment, 3, arms=["two"], progress=False)
        xr.testing.assert_identical(made, run(experiment, arms=["two"]))
        backend.run(experiment, 3, out=tmp_path / "a.nc").close()
        backend.run(experiment, 3, out=tmp_path / "a.nc", resume=True).close()
        (tmp_path / "a.nc").unlink()


def test_unknown_names(experiment, session):
    with pytest.raises(RunError, match=r"unknown arm 'on' \(did you mean 'one'\?\); known: one, two"):
        run(experiment, arms=["on"])
    with pytest.raises(RunError, match="arms: the list is empty; give some of one, two"):
        run(experiment, arms=[])
    with pytest.raises(RunError, match="unknown backend 'brian'"):
        running.run(experiment, "brian", 0)
    assert not session.made


ARMS_APART = {
    "time bins differ": (
        {"record": cs.Record(every_ms=10)},
        {"record": cs.Record(every_ms=25)},
    ),
    "variables differ": (
        {"record": cs.Record(variables=["rate", "drive"])},
        {"record": cs.Record()},
    ),
    "populations differ": (
        {"record": cs.Record(populations=["V1"])},
        {"record": cs.Record()},
    ),
    "recorded weights differ": (
        {"record": cs.Record(weights=True)},
        {"record": cs.Record()},
    ),
}


@pytest.mark.parametrize("said", ARMS_APART)
def test_arms_that_cannot_share_a_recording(said, session, tmp_path):
    first, second = ARMS_APART[said]
    arms = {"one": protocol(**first), "two": protocol(**second)}
    with pytest.raises(RunError, match=f"arms one and two cannot share a recording: {said}.*--arm two"):
        run(cs.Experiment(network(), arms), out=tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda v: {"rate": {"retina": v["rate"]["retina"]}}, "gave no rate of V1"),
        (
            lambda v: {"rate": {**v["rate"], "V1": v["rate"]["V1"][:, :, :2]}},
            r"rate of V1 has shape \(3, 1, 2\)",
        ),
        (
            lambda v: {"rate": {**v["rate"], "V1": v["rate"]["V1"] * np.inf}},
            "became infinite or NaN in trial 0",
        ),
    ],
)
def test_what_a_backend_must_not_give(spoil, said, experiment, session, monkeypatch):
    carry_out = session.carry_out

    def spoilt(self, plan, first, keep):
        def keep_spoilt(sample):
            keep(recorder_sample(sample.shown, spoil(sample.values), {}))

        carry_out(self, plan, first, keep_spoilt)

    monkeypatch.setattr(session, "carry_out", spoilt)
    with pytest.raises(RunError, match=f"arm one: .*{said}"):
        run(experiment)


def test_progress_is_drawn_on_a_terminal_only(experiment, session, capfd, monkeypatch):
    running.run(experiment, "brian2", 3)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    running.run(experiment, "brian2", 3)
    out, err = capfd.readouterr()
    err = re.sub(r"\x1b\[[0-9;]*m", "", err)
    assert out == "" and "40/40 presentations" in err and "arm two" in err


@pytest.mark.parametrize("out", [3, "", "n" * 300, "a\0b"])
def test_what_no_file_can_be_called_is_refused(experiment, session, out):
    with pytest.raises(RunError, match=r"give a path|no file can have this name"):
        run(experiment, out=out)


def test_a_backend_whose_start_returns_no_session_is_named(experiment, monkeypatch):
    monkeypatch.setattr(registry, "_BACKENDS", {"brian2": lambda net, seed, conditions: None})
    with pytest.raises(RunError, match="not a session"):
        run(experiment)
