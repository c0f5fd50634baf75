"""`cortex-sim shard`: a folder of pictures becomes shards, whole, resumable, told as JSON."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from painted_pictures import painted

import cortex_sim
from cortex_sim import data
from cortex_sim.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return painted(tmp_path / "set")


def said(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_folder_becomes_shards(folder, capsys):
    assert main(["shard", "set", "--out", "out", "--shard-size", "5", "--json"]) == 0
    assert said(capsys) == {"out": "out", "pictures": {"train": 18, "val": 9}, "left_out": []}
    assert sorted(p.name for p in Path("out").glob("train*.tar")) == [f"train-{i:06d}.tar" for i in range(4)]
    x, y = data.streamed_set("out").fit_to((3, 8, 8)).part("train").batch(np.arange(18))
    theirs = data.streamed_set("set").fit_to((3, 8, 8)).part("train").batch(np.arange(18))
    np.testing.assert_array_equal(x, theirs[0])
    np.testing.assert_array_equal(y, theirs[1])


def test_an_index_of_existing_shards(folder, capsys):
    assert main(["shard", "set", "--out", "out"]) == 0
    assert "out: 18 of train, 9 of val" in capsys.readouterr().out
    kept = {file.name: file.read_bytes() for file in Path("out").glob("*.npz")}
    for file in Path("out").glob("*.npz"):
        file.unlink()
    assert main(["shard", "out", "--index", "--json"]) == 0
    assert said(capsys)["pictures"] == {"train": 18, "val": 9}
    for name, content in kept.items():
        one, other = np.load(Path("out") / name), None
        Path("other.npz").write_bytes(content)
        other = np.load("other.npz")
        assert set(one.files) == set(other.files)
        for array in one.files:
            np.testing.assert_array_equal(one[array], other[array])
        one.close()
        other.close()


SLOW = """
import sys, time
from cortex_sim.data.streamed import sharding
from cortex_sim.cli import main

write, count = sharding.tarfile.TarFile.addfile, 0

def slow(self, info, content):
    global count
    count += 1
    write(self, info, content)
    if count == 25:
        open("there", "w").close()
        time.sleep(600)

sharding.tarfile.TarFile.addfile = slow
sys.exit(main(sys.argv[1:]))
"""


def test_killed_and_resumed(folder):
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1])}
    command = [sys.executable, "-c", SLOW, *["shard", "set", "--out", "out", "--shard-size", "4"]]
    process = subprocess.Popen(command, env=place)
    deadline = time.monotonic() + 60
    while not Path("there").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(Path("out").glob("*.part")) and not list(Path("out").glob("*.npz"))
    whole = sorted(Path("out").glob("*.tar"))
    assert len(whole) == 3

    assert main(["shard", "set", "--out", "out", "--shard-size", "4", "--resume"]) == 0
    assert main(["shard", "set", "--out", "again", "--shard-size", "4"]) == 0
    assert not list(Path("out").glob("*.part"))
    ours = {file.name: file.read_bytes() for file in Path("out").glob("*.tar")}
    assert ours == {file.name: file.read_bytes() for file in Path("again").glob("*.tar")}


@pytest.mark.parametrize(
    "line, words",
    [
        ("shard set", "give --out"),
        ("shard nothing --out out", "has no folder train, val or test"),
        ("shard set --index", "holds no shards such as train-000000.tar"),
        ("shard set --index --out out", "leave --out and --resume out"),
        ("shard set --out set", "already exists"),
        ("shard twins --out out", "has two pictures named 1"),
    ],
)
def test_bad_requests(folder, line, words, capsys):
    (folder.parent / "twins/train/a").mkdir(parents=True)
    shutil.copy(folder / "train/a/p.0.PNG", "twins/train/a/1.png")
    shutil.copy(folder / "train/a/p.1.jpg", "twins/train/a/1.jpg")
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not Path("out").exists()
