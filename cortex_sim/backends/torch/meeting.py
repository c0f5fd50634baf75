"""The store by which the ranks of a run find one another, opened by rank 0 at every start.

``torchrun`` keeps one store for all its attempts. When ``--max-restarts`` starts the processes again, they
find the addresses of the killed processes there, and wait for them (seen with torch 2.13 and gloo).
"""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from torch import distributed as dist

from cortex_sim.errors import RunError

_KEY, _MARK = "cortex-sim/meeting", "mark"
_WAIT_S, _TRY_S, _PAUSE_S = 1800.0, 5.0, 0.2


def store(rank: int) -> Any:
    """The store of this start; None where ``torchrun`` shares none, so that old addresses cannot occur.

    Raises
    ------
    RunError
        If rank 0 has not opened the store within half an hour.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    every: Any = dist  # has no type annotations for its stores
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    shared = every.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=_WAIT_S))
    if rank == 0:
        own = every.TCPStore(
            host, 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=_WAIT_S)
        )
        mark = uuid4().hex
        own.set(_MARK, mark)
        shared.set(_KEY, f"{own.port} {mark}")
        return own
    return _found(every.TCPStore, host, shared)


def _found(opened: Any, host: str, shared: Any) -> Any:
    """The store of rank 0; the address found may still be that of a rank 0 that has ended."""
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        port, mark = shared.get(_KEY).decode().split()
        try:
            with socket.create_connection((host, int(port)), timeout=_TRY_S):
                pass  # else torch would print why it cannot connect, at length
            own = opened(host, int(port), is_master=False, timeout=timedelta(seconds=_TRY_S))
            if own.get(_MARK).decode() == mark:
                own.set_timeout(timedelta(seconds=_WAIT_S))
                return own
        except (OSError, RuntimeError):  # that rank 0 has ended
            pass
        time.sleep(_PAUSE_S)
    raise RunError(
        f"ranks cannot meet: rank 0, on {host}, did not open a store within {_WAIT_S:.0f} s; check that it "
        "runs and that this machine can reach it, then start the run again"
    )
