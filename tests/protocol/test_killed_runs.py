"""Sequences, delays and spontaneous activity, killed at any moment: the same recording and state."""

import killed_runs
import killing
import pytest

import cortex_sim as cs
from cortex_sim.recording import recorder

PROGRAM = """
import sys
import cortex_sim as cs
import killed_runs

out, name, engine = sys.argv[1:4]
experiment = getattr(killed_runs, name)(engine)
cs.brian2.run(experiment, 3, out=out, resume="--resume" in sys.argv, progress=False).close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize("name", ["sequence", "delays"])
def test_killed_ten_times_on_each_engine(name, engine, tmp_path):
    killing.require_survival(PROGRAM, tmp_path, name, engine, kills=10, seed=len(name + engine))


@pytest.mark.parametrize(
    "name, engine, kills",
    [("sequence", "batched", (3, 8)), pytest.param("delays", "synapses", (1, 4), marks=pytest.mark.slow)],
)
def test_killed_in_the_middle_of_writing(name, engine, kills, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    killing.keeps_states(monkeypatch.setattr)
    experiment = getattr(killed_runs, name)(engine, trials=3)

    def record(out, resume=False):
        cs.brian2.run(experiment, 3, out=tmp_path / out, resume=resume, progress=False).close()

    record("whole.nc")
    for number, at in enumerate(kills):
        killing.killed_writing(lambda resume=number > 0: record("a.nc", resume), at)
        assert killing.chunks(tmp_path / "a.nc") == at
    record("a.nc", resume=True)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()
    assert killing.states(tmp_path / "a.nc") == killing.states(tmp_path / "whole.nc") != {}
