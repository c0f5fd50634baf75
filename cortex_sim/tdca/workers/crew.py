"""Requests to all workers at once; a worker that replaces a lost one repeats its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any, Protocol

from cortex_sim.errors import RunError

_log = getLogger(__name__)
_TRIES = 3  # of one request: one that ends a worker each time is no accident
Call = tuple[Any, ...]
"""Name of a method of `Worker`, then its arguments."""


class WorkerLost(Exception):
    """A worker's process ended before it answered."""


class Pool(Protocol):
    """Processes that each hold a `Worker`, by rank."""

    size: int

    def send(self, rank: int, method: str, *given: Any) -> Any:
        """Send a request to a worker, which answers requests in order; returns a ticket."""

    def answer(self, ticket: Any) -> Any:
        """Wait for an answer.

        Raises
        ------
        WorkerLost
            If its process has ended. An exception of the worker itself is raised unchanged.
        """

    def replace(self, rank: int) -> None:
        """Start another worker in place of one that was lost; it has no state yet."""

    def close(self) -> None:
        """End all workers."""


class Crew:
    """The workers of a pool, each of which computes a share.

    Parameters
    ----------
    pool : Pool

    Attributes
    ----------
    lost : int
        Workers lost so far, each replaced.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool, self.lost = pool, 0
        self._prepared = [False] * pool.size

    @property
    def size(self) -> int:
        """Number of workers."""
        return self.pool.size

    def unprepare(self) -> None:
        """Have every worker prepared again before its next request."""
        self._prepared = [False] * self.size

    def ask(self, calls: Sequence[Call], prepare: Callable[[int], Sequence[Call]]) -> list[Any]:
        """Answers of workers to one call each, in order of rank.

        Parameters
        ----------
        calls : sequence of (method, arguments)
            If there are fewer than workers, the last workers stay idle.
        prepare : callable
            Calls that bring a new worker of a rank to the state of the lost one before this request; also
            made once for each worker at the start.

        Raises
        ------
        RunError
            If three workers were lost at one request.
        """
        tickets = [self._send(rank, call, prepare) for rank, call in enumerate(calls)]
        return [self._answer(rank, ticket, calls[rank], prepare) for rank, ticket in enumerate(tickets)]

    def _send(self, rank: int, call: Call, prepare: Callable[[int], Sequence[Call]]) -> list[Any]:
        before = [] if self._prepared[rank] else prepare(rank)
        return [self.pool.send(rank, *each) for each in (*before, call)]

    def _answer(
        self, rank: int, tickets: list[Any], call: Call, prepare: Callable[[int], Sequence[Call]]
    ) -> Any:
        for _ in range(_TRIES):
            try:
                answers = [self.pool.answer(ticket) for ticket in tickets]
            except WorkerLost as exception:
                self.lost += 1
                _log.warning("worker %d was lost (%s); another worker repeats its work", rank, exception)
                self._prepared[rank] = False
                self.pool.replace(rank)
                tickets = self._send(rank, call, prepare)
            else:
                self._prepared[rank] = True
                return answers[-1]
        raise RunError(
            f"worker {rank}: lost {_TRIES} times at the same request ({call[0]}), perhaps for lack of "
            "memory; use fewer workers, or fewer inner runs or members"
        )
