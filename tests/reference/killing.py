"""A program that records in a process of its own, and ends by SIGKILL at moments drawn from a seed.

Half of the kills come from outside, at any moment of the program; the others from inside, in the middle of
writing a file. They are spread over the run: each waits until the recording has grown by its share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import cortex_sim

FOLDERS = [Path(cortex_sim.__file__).parents[1], Path(__file__).parent]
WRITES_EVERY_TRIAL = "from cortex_sim.recording import recorder; recorder.CHUNK_SECONDS = -1.0\n"
DIES = "import killing; killing.dies_writing(); killing.keeps_states()\n"
_AT = "DIES_WRITING"  # a chunk's number: the file of that number is written by half, then the process ends


def started(program: str, here: Path, *arguments: str, dies_at: int | None = None) -> subprocess.Popen:
    """Python running ``program``, which writes a chunk after every trial, in the folder ``here``."""
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)), "OMP_NUM_THREADS": "1"}
    place |= {} if dies_at is None else {_AT: str(dies_at)}
    code = WRITES_EVERY_TRIAL + DIES + program
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=here, env=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def chunks(out: Path) -> int:
    """How many trials of all arms are on disk."""
    return len(list(Path(f"{out}.parts").glob("*/*.rows.safetensors")))


def states(out: Path) -> dict[str, bytes]:
    """Every array, by arm and name, of the states after the last trials, which `keeps_states` kept."""
    return {
        f"{path.parent.name} {name} {array.shape}": array.tobytes()
        for path in Path(f"{out}.states").glob("*/state")
        for name, array in load_file(path).items()
    }


def finished(process: subprocess.Popen) -> None:
    """Wait until it has come to its end without a word."""
    said = process.communicate(timeout=900)[1]
    assert (process.returncode, said) == (0, b"")


def killed_at(process: subprocess.Popen, out: Path, count: int, later: float) -> bool:
    """Kill it ``later`` seconds after it has written ``count`` chunks; False where it was done before."""
    until = time.monotonic() + 900
    while process.poll() is None and chunks(out) < count:
        assert time.monotonic() < until, f"{chunks(out)} chunks written, {count} expected"
        time.sleep(0.005)
    time.sleep(later)
    process.kill()
    process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


def moments(kills: int, trials: int, seed: int) -> list[tuple[int, bool, float]]:
    """(chunks before the kill, whether it comes in the middle of writing, seconds after) of each kill."""
    rng = np.random.default_rng(seed)
    edges = np.linspace(1, trials - 1, kills + 1)
    counts = [int(rng.integers(int(a), max(int(b), int(a) + 1))) for a, b in pairwise(edges)]
    inside = rng.permutation([k % 2 == 0 for k in range(kills)])
    return [(n, bool(i), float(rng.uniform(0, 0.08))) for n, i in zip(counts, inside, strict=True)]


def require_survival(program: str, here: Path, *arguments: str, kills: int, seed: int) -> None:
    """Record undisturbed, then with ``kills`` kills; recordings and last states must be the same bytes.

    The program takes the file to write, ``arguments``, and, where it continues, ``--resume``.
    """
    whole, out = "whole.nc", "a.nc"
    finished(started(program, here, whole, *arguments))
    expected, kept = (here / whole).read_bytes(), states(here / whole)
    assert kept
    trials = int((here / f"{whole}.states" / "trials").read_text())
    left, resume = moments(kills, trials, seed), []
    while left:
        count, inside, later = left[0]
        process = started(program, here, out, *arguments, *resume, dies_at=count if inside else None)
        if killed_at(process, here / out, count if not inside else trials + 1, later):
            left, resume = left[1:], ["--resume"]
        else:  # it came to its end before the kill: from the beginning again
            assert (here / out).read_bytes() == expected
            (here / out).unlink()
            resume = []
    finished(started(program, here, out, *arguments, *resume))
    assert (here / out).read_bytes() == expected
    assert states(here / out) == kept
    assert not Path(f"{here / out}.parts").exists()


def killed_writing(work: Callable[[], object], at: int) -> None:
    """Do the work in a forked process that ends by SIGKILL in the middle of writing chunk ``at``."""
    child = os.fork()
    if child == 0:
        os.environ[_AT] = str(at)
        dies_writing()
        try:
            work()
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


# -- in the program itself ------------------------------------------------------------------------------


def dies_writing() -> None:
    """End by SIGKILL in the middle of a file, state or rows, of the chunk that `started` named."""
    from cortex_sim.runs import files

    at, save = os.environ.get(_AT), files.save_file
    if at is None:
        return
    which = ".state." if int(at) % 2 else ".rows."

    def dying(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
        save(arrays, path, metadata)
        if which in path.name and len(list(path.parents[1].glob("*/*.rows.safetensors"))) >= int(at):
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    files.save_file = dying


def keeps_states(setattr_: Callable[[object, str, object], None] = setattr) -> None:
    """Keep the last state of each arm where the folder of a finished recording is removed."""
    from cortex_sim.recording import parts

    remove = parts.remove

    def keeping(out: Path) -> None:
        kept = Path(f"{out}.states")
        for path in parts.folder_of(out).glob("*/*.state.safetensors"):
            (kept / path.parent.name).mkdir(parents=True, exist_ok=True)
            (kept / path.parent.name / "state").write_bytes(path.read_bytes())
            (kept / "trials").write_text(str(chunks(out)))
        remove(out)

    setattr_(parts, "remove", keeping)
