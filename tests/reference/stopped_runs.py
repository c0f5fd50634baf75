"""Simulations that are interrupted after some trials, resumed, and compared with uninterrupted ones."""

import pytest

import cortex_sim as cs
from cortex_sim.recording import recorder


def assert_resumed_is_the_same(experiment, stops, folder, monkeypatch):
    """Interrupted after each of ``stops`` trials and resumed, a run leaves the same bytes."""
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    whole, keep = folder / "whole.nc", recorder.Recorder.keep
    cs.brian2.run(experiment, out=whole, progress=False).close()
    for stop in stops:
        out, seen = folder / f"{stop}.nc", []

        def halting(self, sample, seen=seen, stop=stop):
            if len(seen) == stop:
                raise KeyboardInterrupt
            seen.append(keep(self, sample))

        monkeypatch.setattr(recorder.Recorder, "keep", halting)
        with pytest.raises(KeyboardInterrupt):
            cs.brian2.run(experiment, out=out, progress=False)
        monkeypatch.setattr(recorder.Recorder, "keep", keep)
        cs.brian2.run(experiment, out=out, resume=True, progress=False).close()
        assert out.read_bytes() == whole.read_bytes()
