"""Ctrl-C in a script: the interruption says what was kept and how to continue."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

#: Exit status of a script or command that was interrupted.
STATUS = 130


class Advice(str):
    """What an interruption says about what was kept and how to continue."""


@contextmanager
def saying(advice: str) -> Iterator[None]:
    """Let a `KeyboardInterrupt` within carry this advice; one that carries some already keeps its own.

    A script that does not catch it ends with that one sentence in place of a traceback.
    """
    try:
        yield
    except KeyboardInterrupt as interruption:
        if _advised(interruption):
            raise
        if not isinstance(sys.excepthook, _OneSentence):
            sys.excepthook = _OneSentence(sys.excepthook)
        raise KeyboardInterrupt(Advice(advice)) from None


def _advised(exception: BaseException) -> bool:
    return isinstance(exception, KeyboardInterrupt) and isinstance(next(iter(exception.args), None), Advice)


class _OneSentence:
    """Handles uncaught exceptions: an interruption by its sentence and status 130, others as before."""

    def __init__(self, before: Callable[..., object]) -> None:
        self.before = before

    def __call__(
        self, kind: type[BaseException], exception: BaseException, traceback: TracebackType | None
    ) -> None:
        if not _advised(exception):
            self.before(kind, exception, traceback)
            return
        print(f"cortex-sim: {exception}", file=sys.stderr)
        if not hasattr(sys, "ps1"):  # an interactive session continues
            raise SystemExit(STATUS)
