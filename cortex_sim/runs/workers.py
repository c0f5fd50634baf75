"""Processes of a sweep end with the one that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import threading
import time

_SECONDS = 0.1  # between two looks

_watching: list[int] = []


def end_with(parent: int) -> None:
    """From now on this process ends, at once, when the process ``parent`` has; in the parent itself, nothing.

    A worker that outlives a killed sweep would hold its job, and write, while the sweep is continued.
    Nothing is tidied up: what a kill leaves behind can be continued.
    """
    if os.getpid() == parent or parent in _watching:
        return
    _watching.append(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
