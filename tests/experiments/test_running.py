"""An experiment becomes one recording: in memory, on disk, interrupted and resumed."""

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import known_session
import numpy as np
import pytest
import xarray as xr
from filelock import FileLock
from known_session import Ended, KnownSession, network, protocol

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.backends import registry
from cortex_sim.errors import RunError
from cortex_sim.experiments import running
from cortex_sim.recording import assembling, parts, recorder
from cortex_sim.recording import session as session_module
from cortex_sim.runs import files, progress


@pytest.fixture
def session(monkeypatch):
    """The known session in the place of both backends."""

    class Own(KnownSession):
        made = 0  # whatever other tests have made of its parent

    def start(net, seed, conditions):
        return Own(net, seed)

    monkeypatch.setattr(registry, "_BACKENDS", {"brian2": start, "torch": start})
    return Own


@pytest.fixture
def experiment():
    return cs.Experiment(network(), {"one": protocol(), "two": protocol(trials=4)})


def run(experiment, **settings):
    return running.run(experiment, "brian2", 3, progress=False, **settings)


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


# -- on disk --------------------------------------------------------------------------------------


def test_file_holds_what_memory_would(experiment, session, tmp_path):
    record = cs.Record(variables=["rate", "drive"], every_ms=10, weights=True)
    experiment = cs.Experiment(network(), {n: protocol(record=record) for n in ("one", "longer name")})
    with run(experiment, out=tmp_path / "a.nc") as made:
        xr.testing.assert_equal(made.load(), run(experiment))
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
    again = recording.load(tmp_path / "a.nc")
    assert {k: v for k, v in again.attrs.items() if k != "run"} == run(experiment).attrs
    assert json.loads(again.attrs["run"])["seed"] == 3
    assert again["weight:retina->V1"].attrs == run(experiment)["weight:retina->V1"].attrs


@pytest.fixture
def every_trial(monkeypatch):
    """A chunk after every trial, and blocks of the file shorter and longer than a chunk."""
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    monkeypatch.setattr(assembling, "_BLOCK_BYTES", 4 * 8 * 10)


@pytest.mark.parametrize("ends", [0, 1, 2, 5, 9, 16])
def test_interrupted_and_resumed_ends_as_the_same_bytes(ends, experiment, session, tmp_path, every_trial):
    run(experiment, out=tmp_path / "whole.nc").close()
    session.ends_before = ends
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()
    assert (tmp_path / "a.nc.parts" / "settings.json").is_file()
    session.ends_before = None
    run(experiment, out=tmp_path / "a.nc", resume=True).close()
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "whole.nc"]


def test_chunks_of_any_length_give_the_same_bytes(experiment, session, tmp_path, monkeypatch):
    monkeypatch.setattr(assembling, "_BLOCK_BYTES", 3 * 8 * 10)
    written = []
    for number, size in enumerate([0, 200, 900, 2**30]):
        monkeypatch.setattr(recorder, "CHUNK_BYTES", size)
        run(experiment, out=tmp_path / f"{number}.nc").close()
        written.append((tmp_path / f"{number}.nc").read_bytes())
    assert len(set(written)) == 1


WRITE = """
import sys
from cortex_sim.backends import registry
from cortex_sim.experiments import running
from known_session import KnownSession, network, protocol
import cortex_sim as cs

registry._BACKENDS["brian2"] = lambda net, seed, conditions: KnownSession(net, seed)
running.run(cs.Experiment(network(), {"one": protocol()}), "brian2", out=sys.argv[1])
"""


def test_every_process_writes_the_same_bytes(tmp_path):
    """Sets have another order in every process: 0 and 2 give opposite orders of the growing dimensions."""
    for hash_seed in ("0", "2"):
        folders = [Path(cs.__file__).parents[1], Path(known_session.__file__).parent]
        place = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
        }
        command = [sys.executable, "-c", WRITE, str(tmp_path / f"{hash_seed}.nc")]
        subprocess.run(command, env=place, check=True)
    first, second = sorted(tmp_path.iterdir())
    assert first.read_bytes() == second.read_bytes()


def test_resume_repeats_no_trial(experiment, session, tmp_path, every_trial):
    session.ends_before = 9
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    session.ends_before = None
    begun = []
    carry_out = session.carry_out
    session.carry_out = lambda self, plan, first, keep: (
        begun.append(first),
        carry_out(self, plan, first, keep),
    )
    run(experiment, out=tmp_path / "a.nc", resume=True).close()
    assert begun == [9, 0]


def test_memory_stays_flat(session, tmp_path, monkeypatch):
    """With chunks of 1 kB, no more than one waits in memory."""
    monkeypatch.setattr(recorder, "CHUNK_BYTES", 1000)
    waiting = []
    take = recorder.Recorder._take
    monkeypatch.setattr(
        recorder.Recorder, "_take", lambda self, rows: (take(self, rows), waiting.append(self._bytes))
    )
    run(cs.Experiment(network(), {"one": protocol(trials=100)}), out=tmp_path / "a.nc").close()
    assert len(waiting) > 200 and max(waiting) < 2000


def test_finished_is_opened_again_and_nothing_runs(experiment, session, tmp_path):
    with run(experiment, out=tmp_path / "a.nc") as made:
        first = made.load()
    before, made = (tmp_path / "a.nc").stat().st_mtime_ns, session.made
    with run(experiment, out=tmp_path / "a.nc", resume=True) as again:
        xr.testing.assert_identical(again.load(), first)
    assert session.made == made and (tmp_path / "a.nc").stat().st_mtime_ns == before


def test_half_written_files_are_of_no_account(experiment, session, tmp_path, every_trial):
    run(experiment, out=tmp_path / "whole.nc").close()
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    first = tmp_path / "a.nc.parts" / "000"
    assert sorted(p.name for p in first.iterdir())[-2:] == [
        "000004.rows.safetensors",
        "000004.state.safetensors",
    ]
    (first / "000005.state.safetensors").write_bytes(b"state without its chunk")
    (first / "000005.rows.part").write_bytes(b"half")
    (first.parent / "whole.nc").write_bytes(b"half")
    session.ends_before = None
    run(experiment, out=tmp_path / "a.nc", resume=True).close()
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


# -- refused --------------------------------------------------------------------------------------


def test_resume_with_other_settings_is_refused(experiment, session, tmp_path):
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    session.ends_before = None
    run(experiment, out=tmp_path / "b.nc").close()
    longer = cs.Experiment(network(), {"one": protocol(trials=8), "two": protocol(trials=4)})
    other = cs.Experiment(network(units=5), experiment.arms)
    slower = cs.Experiment(network(), experiment.arms, dt_ms=0.5)
    for name in ("a.nc", "b.nc"):
        for said, call in {
            "seed 3": lambda out: running.run(experiment, "brian2", 4, out=out, resume=True),
            "backend brian2": lambda out: running.run(experiment, "torch", 3, out=out, resume=True),
            "arms": lambda out: run(experiment, out=out, arms=["one"], resume=True),
            "protocols": lambda out: run(longer, out=out, resume=True),
            "networks": lambda out: run(other, out=out, resume=True),
            "dt_ms 1.0, and 0.5": lambda out: run(slower, out=out, resume=True),
        }.items():
            with pytest.raises(RunError, match=rf"{name}.*was made with {said}"):
                call(tmp_path / name)


def test_places_that_are_taken_or_empty(experiment, session, tmp_path):
    with pytest.raises(RunError, match="nothing to resume"):
        run(experiment, out=tmp_path / "a.nc", resume=True)
    with pytest.raises(RunError, match="no folder .*nowhere"):
        run(experiment, out=tmp_path / "nowhere" / "a.nc")
    with pytest.raises(RunError, match="needs out"):
        run(experiment, resume=True)
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    with pytest.raises(RunError, match=r"a.nc: was started in .*a.nc.parts; continue with resume"):
        run(experiment, out=tmp_path / "a.nc")
    (tmp_path / "b.nc").write_text("mine")
    with pytest.raises(RunError, match="b.nc: already exists"):
        run(experiment, out=tmp_path / "b.nc")
    assert (tmp_path / "b.nc").read_text() == "mine"
    assert session.made == 2  # of the run that was ended: a place is looked at before anything is built


def test_a_run_that_the_backend_ends_early_is_interrupted(experiment, session, tmp_path, every_trial):
    """As brian2 does at Ctrl-C: what is whole stays, and nothing is taken for finished."""
    carry_out = session.carry_out

    def early(self, plan, first, keep):
        with contextlib.suppress(Ended):
            carry_out(self, plan, first, keep)

    session.carry_out, session.ends_before = early, 5
    with pytest.raises(KeyboardInterrupt):
        run(experiment, out=tmp_path / "a.nc")
    session.ends_before = None
    run(experiment, out=tmp_path / "a.nc", resume=True).close()
    run(experiment, out=tmp_path / "whole.nc").close()
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_a_second_process_is_refused(experiment, session, tmp_path):
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    with (
        FileLock(tmp_path / "a.nc.parts" / ".lock"),
        pytest.raises(RunError, match="another process is recording it"),
    ):
        run(experiment, out=tmp_path / "a.nc", resume=True)


def test_damaged_chunk_says_so(experiment, session, tmp_path, every_trial):
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    chunk = tmp_path / "a.nc.parts" / "000" / "000002.rows.safetensors"
    chunk.write_bytes(chunk.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"000002.rows.safetensors: damaged .*remove .*a.nc.parts"):
        run(experiment, out=tmp_path / "a.nc", resume=True)


@pytest.mark.parametrize("name", ["000002.rows.safetensors", "000002.state.safetensors"])
def test_one_wrong_bit_is_refused_by_name(name, experiment, session, tmp_path, every_trial):
    session.ends_before = 5
    with pytest.raises(Ended):
        run(experiment, out=tmp_path / "a.nc")
    (kept,) = [
        p for p in (tmp_path / "a.nc.parts" / "000").glob(f"*{name[6:]}") if "state" in name or p.name == name
    ]
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    with pytest.raises(RunError, match=rf"{kept.name}: damaged, .*checksum; remove .*a.nc.parts"):
        run(experiment, out=tmp_path / "a.nc", resume=True)


def test_a_full_disk_costs_no_chunk_that_is_written(experiment, session, tmp_path, every_trial, monkeypatch):
    run(experiment, out=tmp_path / "whole.nc").close()
    save, count = files.save_file, itertools.count()

    def full(arrays, path, labels):
        if next(count) > 6:
            raise OSError(28, "No space left on device")
        save(arrays, path, labels)

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(RunError, match="cannot be written .*No space left on device.*continue with resume"):
        run(experiment, out=tmp_path / "a.nc")
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(files, "save_file", save)
    run(experiment, out=tmp_path / "a.nc", resume=True).close()
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_unknown_names(experiment, session):
    with pytest.raises(RunError, match=r"unknown arm 'on' \(did you mean 'one'\?\); known: one, two"):
        run(experiment, arms=["on"])
    with pytest.raises(RunError, match="arms: none named; known: one, two"):
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


def test_parts_folder_stands_beside_its_recording(tmp_path):
    assert parts.folder_of(tmp_path / "a.nc") == tmp_path / "a.nc.parts"


def test_what_starts_with_other_biases_is_not_resumed(session, tmp_path):
    net = network()
    name = next(name for name, p in net.populations.items() if p.bias and net.inputs(name))
    model = cs.torch.build(net)

    def started():
        return cs.Experiment(net, {"one": protocol()}, start=model.state())

    run(started(), out=tmp_path / "made.nc").close()
    run(started(), out=tmp_path / "made.nc", resume=True).close()
    model.set_biases({name: np.ones(net.populations[name].bias_shape)})
    with pytest.raises(RunError, match="start"):
        run(started(), out=tmp_path / "made.nc", resume=True)


@pytest.mark.parametrize("out", [3, "", "n" * 300, "a\0b"])
def test_what_no_file_can_be_called_is_refused(experiment, session, out):
    with pytest.raises(RunError, match=r"give a path|no file can have that name"):
        run(experiment, out=out)


def test_a_backend_whose_start_returns_no_session_is_named(experiment, monkeypatch):
    monkeypatch.setattr(registry, "_BACKENDS", {"brian2": lambda net, seed, conditions: None})
    with pytest.raises(RunError, match="not a session"):
        run(experiment)
