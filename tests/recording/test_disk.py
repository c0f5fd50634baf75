"""Whether the disk has room is known before any stimulus is presented."""

import shutil
from collections import namedtuple

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.data import StimulusSet
from cortex_sim.errors import RunError
from cortex_sim.recording import disk
from cortex_sim.recording.appending import appending

Usage = namedtuple("Usage", "total used free")


def network(units):
    net = cs.Network("wide")
    net.population("retina", 3)
    net.population("V1", units)
    net.bottom_up("retina", "V1")
    return net


@pytest.fixture
def free(monkeypatch):
    """Let the disk have so many bytes free; returns the folders that were looked at."""

    def let(count):
        looked = []
        monkeypatch.setattr(
            shutil, "disk_usage", lambda folder: looked.append(folder) or Usage(10**12, 0, count)
        )
        return looked

    return let


@pytest.mark.parametrize(
    "rows, units, variables, bins", [(7, 5003, 2, 0), (3001, 11, 1, 0), (23, 701, 1, 13)]
)
def test_the_estimate_is_what_a_file_takes(rows, units, variables, bins, tmp_path, monkeypatch):
    known = []
    monkeypatch.setattr(
        "cortex_sim.recording.appending.require_disk", lambda path, count: known.append(count)
    )
    names = ["rate", "drive"][:variables]
    times = {"time_bin_end": ("time_bin", np.arange(bins))} if bins else None
    ids, more = [f"folder/{i:06d}.jpeg" for i in range(rows)], {"degrees": np.arange(rows)}
    with appending(tmp_path / "r.nc", network(units), ["V1"], names, ids, more, {}, times) as file:
        shape = (units, bins) if bins else (units,)
        file.add(dict.fromkeys(names, np.random.default_rng(0).normal(size=(rows, *shape))))
    taken = (tmp_path / "r.nc").stat().st_size
    assert taken <= known[0] <= 1.1 * taken + 2**16


def test_a_disk_without_room_is_refused_before_anything_is_presented(tmp_path, free):
    asked = []

    class Watched(StimulusSet):
        def batch(self, indices, epoch=0):
            asked.append(indices)
            return super().batch(indices, epoch)

    model, shown = cs.torch.build(network(5003)), Watched(np.zeros((700, 3), np.float32))
    rows = 52 * -(-700 // 52)  # chunks of a MiB
    needed = 2 * 4 * rows * 5003 + 2**20
    looked = free(needed - 2**20)
    with pytest.raises(
        RunError, match=r"r.nc: needs 29.8 MB of disk, but only 29.1 MB is free; record fewer"
    ) as it:
        model.respond(shown, populations=["V1"], out=tmp_path / "r.nc")
    assert "--population" in str(it.value) and "\n" not in str(it.value)
    assert looked == [tmp_path] and not asked and not list(tmp_path.iterdir())
    free(needed)
    model.respond(shown, populations=["V1"], out=tmp_path / "r.nc").close()
    assert len(asked) == 3 and (tmp_path / "r.nc").stat().st_size <= needed


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(RunError, match=f"no folder {tmp_path}/nowhere"):
        disk.require_disk(tmp_path / "nowhere" / "r.nc", 1)


@pytest.mark.parametrize("count, spelled", [(1, "1 kB"), (2_340_000, "2.34 MB"), (12_300_000_000, "12.3 GB")])
def test_numbers_are_spelled_for_people(count, spelled, tmp_path, free):
    free(0)
    with pytest.raises(RunError, match=f"needs {spelled} of disk, but only 0 kB is free"):
        disk.require_disk(tmp_path / "r.nc", count)
