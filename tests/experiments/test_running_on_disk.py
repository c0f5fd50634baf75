"""A recording on disk: the same bytes however it was interrupted and resumed, or refused."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import known_session
import numpy as np
import pytest
import xarray as xr
from filelock import FileLock
from known_runs import run
from known_session import Ended, network, protocol

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.errors import RunError
from cortex_sim.experiments import running
from cortex_sim.recording import assembling, parts, recorder
from cortex_sim.runs import files

# -- on disk --------------------------------------------------------------------------------------


def test_file_holds_what_memory_would(experiment, session, tmp_path):
    record = cs.Record(variables=["rate", "drive"], every_ms=10, weights=True)
    experiment = cs.Experiment(network(), {n: protocol(record=record) for n in ("one", "longer name")})
    with run(experiment, out=tmp_path / "a.nc") as made:
        assert not made.encoding["unlimited_dims"]  # a file whose axes may grow is slow to open
        xr.testing.assert_equal(made.load(), run(experiment))
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
    again = recording.load(tmp_path / "a.nc")
    assert {k: v for k, v in again.attrs.items() if k != "run"} == run(experiment).attrs
    assert json.loads(again.attrs["run"])["seed"] == 3
    assert again["weight:retina->V1"].attrs == run(experiment)["weight:retina->V1"].attrs


@pytest.mark.parametrize("ends", [0, 5, 16])
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
    with pytest.raises(RunError, match=r"a.nc: has been started in .*a.nc.parts; continue with resume"):
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


def test_missing_chunk_says_so(experiment, session, tmp_path, every_trial, monkeypatch):
    """Of an arm that is complete too: what follows would get the labels of what is missing."""

    def write(*given):
        raise Ended

    with monkeypatch.context() as ended, pytest.raises(Ended):
        ended.setattr(assembling, "write", write)
        run(experiment, out=tmp_path / "a.nc")
    (tmp_path / "a.nc.parts" / "000" / "000005.rows.safetensors").unlink()
    with pytest.raises(RunError, match=r"000005.rows.safetensors: is missing; remove .*a.nc.parts and start"):
        run(experiment, out=tmp_path / "a.nc", resume=True)


def test_a_file_that_would_be_partly_empty_is_not_written(experiment, session, tmp_path, monkeypatch):
    read = parts.Parts.read
    monkeypatch.setattr(parts.Parts, "read", lambda self, names: list(read(self, names))[:-1])
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    with pytest.raises(RunError, match="of 40 rows of presentation were kept"):
        run(experiment, out=tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


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
