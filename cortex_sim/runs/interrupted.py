"""Ctrl-C in a script: the interruption says what was kept and how to continue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def saying(advice: str) -> Iterator[None]:
    """Let a `KeyboardInterrupt` within carry this advice; one that carries some already keeps its own."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        if interruption.args:
            raise
        raise KeyboardInterrupt(advice) from None
