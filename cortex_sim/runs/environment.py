"""What bit-identity depends on besides settings: versions, threads and instruction set."""

from __future__ import annotations

import logging
import platform
from typing import Any

_log = logging.getLogger(__name__)


def machine(threads: int = 1) -> dict[str, Any]:
    """Versions, threads and instruction set of this process."""
    import torch

    import cortex_sim

    return {
        "cortex_sim": cortex_sim.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "threads": threads,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def warn_if_another(recorded: Any, threads: int = 1) -> None:
    """Warn where a run continues in another environment than the one it was started in."""
    if recorded != machine(threads):
        _log.warning("resumed in another environment; the result need not be the same bit for bit")
