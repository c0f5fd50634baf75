"""Several processes of one run under ``torchrun``: which this is, and which of them reports an error.

Nothing here imports torch before there is an error to report.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

_FIRST_S = 1.0  # seconds in which rank 0 reports an error that all ranks meet
_STORE_S = 5.0


def rank() -> int:
    """Rank of this process; 0 if it is alone."""
    return int(os.environ.get("RANK", "0")) if "WORLD_SIZE" in os.environ else 0


def was_restarted() -> bool:
    """Whether ``torchrun --max-restarts`` has started the processes of this job again."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def has_to_say(message: str) -> bool:
    """Whether this process has to print a message that others may print as well.

    Under ``torchrun`` a counter in its store shows which process is first. Without it they cannot ask each
    other, and each has to.
    """
    if "WORLD_SIZE" not in os.environ:
        return True
    if rank():
        time.sleep(_FIRST_S)  # if rank 0 meets the same error, all ranks end with it
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    return _is_first(message)


def leave(message: str) -> None:
    """Leave a message for ``torchrun``, whose own report ends with it.

    That report, a trace of ``torchrun`` itself, comes from another process, which no exit status silences.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place:
        with suppress(OSError):  # it has been printed
            Path(place).write_text(json.dumps({"message": message, "timestamp": int(time.time())}), "utf-8")


def _is_first(message: str) -> bool:
    from datetime import timedelta

    from torch import distributed as dist

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        every: Any = dist  # which has no types for its stores
        store = every.TCPStore(*place, is_master=False, timeout=timedelta(seconds=_STORE_S))
        said = store.add(f"cortex-sim/{attempt}/{sha256(message.encode()).hexdigest()}", 1)
    except (KeyError, RuntimeError):  # torchrun has ended: the others may be gone
        return True
    return bool(said == 1)
