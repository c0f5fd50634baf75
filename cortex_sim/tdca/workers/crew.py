"""Requests to all workers at once; what a lost worker was doing is done again by the one that replaces it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any, Protocol

from cortex_sim.errors import RunError

_log = getLogger(__name__)
_TRIES = 3  # of one request: what kills a worker each time is no accident
Call = tuple[Any, ...]
"""Name of a method of `Worker`, then its arguments."""


class WorkerLost(Exception):
    """A worker's process ended before it answered."""


class Pool(Protocol):
    """Processes that each hold a `Worker`, by rank."""

    size: int

    def send(self, rank: int, method: str, *given: Any) -> Any:
        """Ask a worker for something; it answers requests in order. Returns a ticket."""

    def answer(self, ticket: Any) -> Any:
        """Wait for an answer.

        Raises
        ------
        WorkerLost
            If its process has ended. What the worker itself raised is raised as it was.
        """

    def replace(self, rank: int) -> None:
        """Start another worker in place of one that was lost; it knows nothing."""

    def close(self) -> None:
        """End all workers."""


class Crew:
    """The workers of a pool, each asked for its share.

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
        """Let every worker be prepared again before its next request."""
        self._prepared = [False] * self.size

    def ask(self, calls: Sequence[Call], prepare: Callable[[int], Sequence[Call]]) -> list[Any]:
        """Answers of workers to one call each, in order of rank.

        Parameters
        ----------
        calls : sequence of (method, arguments)
            Fewer than there are workers leave the last ones idle.
        prepare : callable
            Calls that bring the new worker of a rank to where the lost one was before this one; also made
            once for each worker at the start.

        Raises
        ------
        RunError
            If one request has cost three workers.
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
                _log.warning("worker %d was lost (%s); what it was doing is done again", rank, exception)
                self._prepared[rank] = False
                self.pool.replace(rank)
                tickets = self._send(rank, call, prepare)
            else:
                self._prepared[rank] = True
                return answers[-1]
        raise RunError(
            f"worker {rank}: lost {_TRIES} times at the same request ({call[0]}), perhaps for want of "
            "memory; give fewer workers, or fewer inner runs or members"
        )
