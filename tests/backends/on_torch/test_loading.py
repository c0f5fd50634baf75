"""Batches that workers prepare are those that the source would give at once, in every order and number."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from painted_pictures import painted

from cortex_sim import data
from cortex_sim.augmentation import Chain, Flip, RandomResizedCrop
from cortex_sim.backends.torch import loading
from cortex_sim.backends.torch.loading import Ahead, require_shared_memory
from cortex_sim.backends.torch.showing import batches
from cortex_sim.errors import DataError, RunError

SHAPE = (3, 12, 12)


class Numbers:
    """Presentations made of their own index and epoch."""

    def __len__(self):
        return 23

    def batch(self, indices, epoch=0):
        if 13 in indices and epoch == 2:
            raise DataError("presentation 13 is missing; put it back")
        x = np.stack([np.full(3, 100 * epoch + i, np.float32) for i in indices])
        return {"left": x, "right": -x}, np.asarray(indices) % 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return painted(tmp_path_factory.mktemp("pictures") / "set")


def source(folder, seed=0):
    found = data.streamed_set(folder).fit_to(SHAPE)
    return found.augmented("train", Chain((RandomResizedCrop((12, 12)), Flip()), seed), found.preprocessing())


def tasks(count, epochs=2, size=5):
    return [(index, epoch) for epoch in range(epochs) for index in batches(0, epoch, count, size)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_gives_the_same_batches(folder, workers):
    plain, ahead = source(folder), Ahead(source(folder), workers)
    asked = tasks(len(plain))
    ahead.expect(asked)
    for indices, epoch in asked:
        x, y = ahead.batch(indices, epoch)
        np.testing.assert_array_equal(np.asarray(x), plain.batch(indices, epoch)[0])
        np.testing.assert_array_equal(np.asarray(y), plain.batch(indices, epoch)[1])
    assert not ahead.expects(*asked[0]) and len(ahead) == 18


def test_batches_out_of_order_are_right_and_leave_the_order_alone():
    ahead = Ahead(Numbers(), 1)
    asked = tasks(23)
    ahead.expect(asked)
    shuffled = list(asked)
    random.Random(0).shuffle(shuffled)
    for (indices, epoch), (others, when) in zip(asked, shuffled, strict=True):
        x, y = ahead.batch(others, when)
        np.testing.assert_array_equal(np.asarray(x["right"])[:, 0], -(100 * when + others))
        if (others is not indices) or when != epoch:
            assert ahead.expects(indices, epoch)
            x, y = ahead.batch(indices, epoch)
            np.testing.assert_array_equal(np.asarray(x["left"])[:, 2], 100 * epoch + indices)
            np.testing.assert_array_equal(np.asarray(y), indices % 5)


def test_tasks_are_taken_from_the_iterator_as_they_are_needed():
    taken = []

    def endless():
        for number in range(10**9):
            taken.append(number)
            yield np.array([number % 23]), 0

    ahead = Ahead(Numbers(), 2)
    ahead.expect(endless())
    for number in range(5):
        assert int(ahead.batch(np.array([number]), 0)[1]) == number % 5
    assert len(taken) <= 5 + 2 * loading.AHEAD


def test_torchs_own_random_numbers_are_left_alone():
    before = torch.get_rng_state()
    ahead = Ahead(Numbers(), 1)
    ahead.expect(tasks(23))
    ahead.batch(*tasks(23)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_in_a_worker_is_the_sources_own_sentence():
    ahead = Ahead(Numbers(), 1)
    asked = [(np.array([1]), 0), (np.array([13]), 2), (np.array([2]), 0)]
    ahead.expect(asked)
    ahead.batch(*asked[0])
    with pytest.raises(DataError) as raised:
        ahead.batch(*asked[1])
    assert str(raised.value) == "presentation 13 is missing; put it back"
    assert list(ahead.batch(*asked[2])[1]) == [2]  # made at once


def test_what_workers_find_unreadable_is_named_once(tmp_path, caplog):
    folder = painted(tmp_path / "set")
    (folder / "train/a/p.3.jpg").write_bytes(b"junk")
    ahead = Ahead(source(folder), 2)
    ahead.source.unreadable.reasons.clear()  # measuring mean and sd met it too
    caplog.clear()
    asked = tasks(18, epochs=3)
    ahead.expect(asked)
    with caplog.at_level(logging.WARNING):
        for task in asked:
            ahead.batch(*task)
    assert list(ahead.unreadable.reasons) == ["train/a/p.3.jpg"]
    assert [r.message for r in caplog.records if "cannot be read" in r.message] == [
        f"data {folder}: train/a/p.3.jpg cannot be read (cannot identify image file); another picture of its "
        "class takes its place"
    ]


def children():
    found = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(found.read_text().split()) if found.exists() else set()


KILLED = """
import os, signal, sys
import numpy as np
from test_loading import Numbers, children
from cortex_sim.backends.torch.loading import Ahead, naming_lost_workers
from cortex_sim.errors import RunError

ahead = Ahead(Numbers(), 2)
try:
    with naming_lost_workers():
        ahead.expect([(np.array([i % 23]), 0) for i in range(1000)])
        os.kill(int(min(children())), signal.SIGKILL)
        for i in range(1000):
            ahead.batch(np.array([i % 23]), 0)
except RunError as exception:
    print(exception)
"""


@pytest.mark.slow  # torch looks every five seconds
def test_a_worker_that_is_killed_is_named():
    """In a process of its own: torch raises wherever the program happens to be."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.startswith("training: a process that prepares batches was ended (")
    assert "continue with --resume" in done.stdout and done.stdout.count("\n") == 1


def test_workers_end_with_what_was_expected():
    before = children()
    ahead = Ahead(Numbers(), 2)
    for _ in range(2):
        ahead.expect(tasks(23))
        assert len(children() - before) == 2
    ahead.forget()
    assert children() == before


def test_shared_memory_is_checked_before(folder):
    require_shared_memory(2, 4, SHAPE)
    require_shared_memory(0, 10**9, (3, 10**4, 10**4))
    with pytest.raises(RunError, match="use fewer workers or a smaller batch"):
        require_shared_memory(2, 10**6, (3, 10**4, 10**4))
    with pytest.raises(RunError, match="of shared memory in"):
        Ahead(source(folder), 1).expect([], largest=10**10)
