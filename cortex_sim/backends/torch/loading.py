"""Batches prepared ahead by worker processes: torch's DataLoader, given the order of coming batches.

A batch is a pure function of its indices and epoch (see `cortex_sim.data.sources.Source`), so that neither
the number of workers nor what was prepared before an interruption can change it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from cortex_sim.checks import require_count
from cortex_sim.errors import CortexSimError, DataError, RunError
from cortex_sim.runs.room import spelled

_log = logging.getLogger(__name__)

AHEAD = 2  # batches that each worker prepares before they are needed
_SHARED = "/dev/shm"

Task = tuple[np.ndarray, int]  # indices and epoch of one batch


class Ahead:
    """A source whose expected batches are prepared by worker processes; any other is made on request.

    Parameters
    ----------
    source : Source
        Copied to every worker: on macOS and Windows it must be picklable.
    workers : int
        Number of processes; 0 prepares nothing ahead.
    """

    def __init__(self, source: Any, workers: int) -> None:
        require_count("training", 0, workers=workers)
        self.source, self.workers = source, workers
        self._coming: deque[Task] = deque()
        self._prepared: Iterator[Any] | None = None

    def __len__(self) -> int:
        """Number of presentations."""
        return len(self.source)

    def __getattr__(self, name: str) -> Any:
        """Any other attribute of the source, such as its labels."""
        if name == "source":  # while this object is unpickled
            raise AttributeError(name)
        return getattr(self.source, name)

    def expects(self, indices: np.ndarray, epoch: int) -> bool:
        """Whether this is the batch that comes next."""
        return bool(self._coming) and _same(self._coming[0], (indices, epoch))

    def expect(self, tasks: Iterable[Task], largest: int = 1) -> None:
        """Prepare these batches, in this order, instead of those expected before.

        Parameters
        ----------
        tasks : iterable of (indices, epoch)
            Taken one after the other, as workers become free.
        largest : int
            Presentations in the largest batch.

        Raises
        ------
        RunError
            If the batches that would be prepared ahead do not fit into shared memory.
        """
        self.forget()
        if not self.workers:
            return
        require_shared_memory(self.workers, largest, getattr(self.source, "shape", (1,)))
        order = _Order(tasks, self._coming)
        if self.workers > (os.cpu_count() or 1):
            _log.warning(
                "training: more workers (%d) than CPU cores (%d); fewer may be as fast",
                self.workers,
                os.cpu_count(),
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # as warned above
            loader: DataLoader[Any] = DataLoader(
                _Prepared(self.source),
                batch_size=None,  # each task is a whole batch
                sampler=order,
                num_workers=self.workers,
                prefetch_factor=AHEAD,
                generator=torch.Generator(),  # else torch's default generator would advance
                worker_init_fn=_quiet,
            )
        self._prepared = iter(loader)

    def forget(self) -> None:
        """Stop the workers."""
        self._coming.clear()
        self._prepared = None  # workers end with their iterator

    def batch(self, indices: np.ndarray, epoch: int = 0) -> tuple[Any, Any]:
        """One batch, as the source returns it.

        Raises
        ------
        RunError
            If a worker process was ended from outside.
        """
        if self._prepared is None or not self.expects(indices, epoch):
            return self.source.batch(indices, epoch)
        self._coming.popleft()
        with naming_lost_workers():
            try:
                x, y, found, wrong = next(self._prepared)
            except (OSError, EOFError) as exception:
                if str(exception).startswith("Caught "):  # raised by the source
                    raise
                raise _lost(exception) from None  # the worker that prepared this batch has ended
        if found:
            self.source.unreadable.note(found)
        if wrong is not None:
            self.forget()
            raise DataError(wrong)
        return x, y


class _Order(Sampler[Task]):
    """Tasks in order; records those that are being prepared."""

    def __init__(self, tasks: Iterable[Task], coming: deque[Task]) -> None:
        self.tasks, self.coming = tasks, coming

    def __iter__(self) -> Iterator[Task]:
        for task in self.tasks:
            self.coming.append(task)
            yield task


class _Prepared(Dataset[Any]):
    """One batch per task: stimuli, labels, pictures found unreadable, and the message of an error."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __getitem__(self, task: Task) -> tuple[Any, Any, Mapping[str, str], str | None]:
        unreadable = getattr(self.source, "unreadable", None)
        known = set() if unreadable is None else set(unreadable.reasons)
        x, y, wrong = None, None, None
        try:
            x, y = self.source.batch(*task)
        except CortexSimError as exception:
            wrong = str(exception)
        found = {} if unreadable is None else unreadable.reasons
        return x, y, {name: why for name, why in found.items() if name not in known}, wrong


def _quiet(worker: int) -> None:
    """Silence a worker: the main process logs the pictures that a worker finds unreadable."""
    info = get_worker_info()
    dataset: Any = None if info is None else info.dataset
    unreadable = getattr(dataset.source, "unreadable", None)
    if unreadable is not None:
        unreadable.quiet = True


@contextmanager
def naming_lost_workers() -> Iterator[None]:
    """Report in one sentence that a worker was ended; torch raises this at once, wherever the program is.

    Raises
    ------
    RunError
        In place of torch's exception.
    """
    try:
        yield
    except RuntimeError as exception:
        if "DataLoader worker" not in str(exception) or str(exception).startswith("Caught "):
            raise
        raise _lost(exception) from None


def _lost(exception: Exception) -> RunError:
    if threading.current_thread() is threading.main_thread():  # else torch would report it again
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said = (str(exception) or type(exception).__name__).splitlines()[0].strip().rstrip(".")
    return RunError(
        f"training: a process that prepares batches was ended ({said}); use fewer workers if memory ran out, "
        "and continue with --resume"
    )


def _same(one: Task, other: Task) -> bool:
    return one[1] == other[1] and np.array_equal(one[0], other[0])


def require_shared_memory(workers: int, batch_size: int, shape: tuple[int, ...]) -> None:
    """Raise `RunError` where float32 batches that workers prepare do not fit into shared memory.

    Containers often have 64 MB of it; torch would end with a bus error.
    """
    if not workers or not os.path.isdir(_SHARED):
        return
    needed = (AHEAD * workers + 1) * batch_size * int(np.prod(shape)) * 4
    about = os.statvfs(_SHARED)
    free = about.f_bavail * about.f_frsize
    if needed > free:
        raise RunError(
            f"training: batches prepared ahead (workers: {workers}) would need {spelled(needed)} of shared "
            f"memory in {_SHARED}, where {spelled(free)} are free; use fewer workers or a smaller batch, or "
            "give the container more shared memory (docker run --shm-size)"
        )
