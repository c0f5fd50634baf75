"""Worker processes of a sweep that end with the process that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import threading
import time

_SECONDS = 0.1  # between two checks

_watching: list[int] = []


def end_with(parent: int) -> None:
    """From now on end this process as soon as the process ``parent`` has ended; in the parent, do nothing.

    A worker that outlives a killed sweep would hold its job, and write, while the sweep is resumed.
    Nothing is cleaned up: whatever a kill leaves behind can be resumed.
    """
    if os.getpid() == parent or parent in _watching:
        return
    _watching.append(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
