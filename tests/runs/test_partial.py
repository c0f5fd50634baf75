"""Several writers of one file do not touch each other's bytes, and what killed ones leave goes away."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cortex_sim
from cortex_sim.runs import partial
from cortex_sim.runs.files import whole, write_text

SIZE = 300_000
PLACE = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1])}
WRITER = f"""
import sys
from pathlib import Path
from cortex_sim.runs.files import whole
for _ in range(15):
    with whole(Path(sys.argv[1])) as part, part.open("wb") as file:
        for _ in range(30):
            file.write(sys.argv[2].encode() * {SIZE // 30})
            file.flush()
"""
HALF = """
import os, sys
from pathlib import Path
from cortex_sim.runs.files import whole
with whole(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read(1)
    part.write_bytes(b"all")
"""


def start(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env=PLACE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def of_one_writer(content):
    return len(content) == SIZE and len(set(content)) == 1


def test_two_processes_that_write_one_file_never_mix(tmp_path):
    path = tmp_path / "scores.csv"
    writers = [start(WRITER, path, letter) for letter in "ab"]
    looked = 0
    while any(one.poll() is None for one in writers):
        if path.exists():
            assert of_one_writer(path.read_bytes())
            looked += 1
    for one in writers:
        assert one.communicate()[1] == b"" and one.returncode == 0
    assert looked and of_one_writer(path.read_bytes())
    assert names(tmp_path) == ["scores.csv"]


def test_threads_have_names_of_their_own(tmp_path):
    path, both = tmp_path / "a.txt", threading.Barrier(2, timeout=20)

    def write(letter):
        with whole(path) as part:
            part.write_text(letter, encoding="utf-8")
            both.wait()
            assert part.read_text(encoding="utf-8") == letter

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text(encoding="utf-8") in ("a", "b") and names(tmp_path) == ["a.txt"]


def half_written(path):
    process = start(HALF, path)
    assert process.stdout.readline() == b"half\n"
    return process


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "a.txt"
    process = half_written(path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    [left] = names(tmp_path)
    assert left.startswith("a.txt.") and left.endswith(".part")  # and no file of the final name
    write_text(tmp_path / "other.txt", "x")
    assert left in names(tmp_path)
    write_text(path, "x")
    assert names(tmp_path) == ["a.txt", "other.txt"]


def test_the_file_of_a_process_that_still_writes_stays(tmp_path):
    path = tmp_path / "a.txt"
    process = half_written(path)
    write_text(path, "ours")
    assert path.read_text(encoding="utf-8") == "ours" and len(names(tmp_path)) == 2
    assert process.communicate(b"x")[1] == b""
    assert path.read_text(encoding="utf-8") == "all" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["a.txt.part", "a.txt.01234567-1-89abcdef.part"])
def test_of_another_machine_age_decides(tmp_path, name):
    """Whether that process still runs cannot be seen from here."""
    left = tmp_path / name
    left.write_bytes(b"half")
    write_text(tmp_path / "a.txt", "x")
    assert left.exists()
    old = time.time() - partial.ABANDONED_S - 60
    os.utime(left, (old, old))
    write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]


def test_other_files_are_not_taken_for_abandoned_ones(tmp_path):
    kept = ["a.txt.mine.part", "b.a.txt.part", "a.txt.part.bak", "a.txt.01234567-1-xyz.part"]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (0, 0))
    write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == sorted([*kept, "a.txt"])


@pytest.mark.parametrize("name", ["n" * 245, "ü" * 120 + "n", "[a]*.txt"])
def test_any_name_can_be_written(tmp_path, name):
    part = partial.partial(tmp_path / name)
    assert len(part.name.encode()) <= 255 and part.parent == tmp_path and part.suffix == ".part"
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
