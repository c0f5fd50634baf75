"""Two processes never write into one run directory."""

from __future__ import annotations

import pytest
from filelock import FileLock

import cortex_sim as cs
from cortex_sim.training.run import LOCK, train
from cortex_sim.training.settings import resolve


def test_a_run_in_progress_cannot_be_resumed_beside_it(tmp_path):
    out = tmp_path / "run"
    settings = resolve("digits_mlp", flags={"epochs": 1})
    train(settings, out)
    (out / "metrics.json").unlink()  # as if it had not come to its end
    before = (out / "metrics.jsonl").read_bytes()
    with FileLock(out / LOCK), pytest.raises(cs.RunError, match="another process is training in it"):
        train(settings, out, resume=True)
    assert (out / "metrics.jsonl").read_bytes() == before
    assert train(settings, out, resume=True)["steps"] == 24  # freed again
