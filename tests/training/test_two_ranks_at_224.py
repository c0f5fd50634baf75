"""ImageNet's form end to end: two ranks at 224 x 224, from a folder of pictures and from shards."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_networks_train_from_a_folder_and_from_shards(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    two_ranks = importlib.import_module("two_ranks")
    rows = two_ranks.measured(tmp_path, 64, 3, two_ranks.NETWORKS)
    assert [(row["network"], row["data"]) for row in rows] == [
        (network, data) for network in ("gait_imagenet", "resnet_like") for data in ("pictures", "shards")
    ]
    for row in rows:
        first, *_, last = row["train_loss"]
        assert len(row["train_loss"]) == 3 and last < 0.9 * first, row
        assert len(row["busy_s"]) == 2 and min(row["busy_s"]) > 0.4 * max(row["busy_s"]), row
        assert row["read_ms"] < row["step_ms"], (
            row
        )  # else the shortfall has to be named in docs/distributed.md
    for folder, shards in zip(rows[::2], rows[1::2], strict=True):
        assert folder["train_loss"] == shards["train_loss"]  # the same pictures in the same order
