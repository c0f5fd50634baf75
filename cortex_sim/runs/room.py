"""Whether work fits in memory: checked when it is planned, and refused with sizes."""

from __future__ import annotations

import os
from pathlib import Path

from cortex_sim.errors import CortexSimError, RunError

_MEMINFO = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def available_memory() -> int | None:
    """Bytes that this process may still take, within the limit of its container; None where unknown."""
    found = [size for size in (_of_machine(), _of_container()) if size is not None]
    return min(found) if found else None


def require_memory(
    owner: str, what: str, needed: int, way_out: str, exception_type: type[CortexSimError] = RunError
) -> None:
    """Raise ``exception_type`` if ``needed`` bytes are more than are available.

    Parameters
    ----------
    owner, what : str
        Name of the work, and what takes the memory.
    needed : int
        Bytes.
    way_out : str
        What to do instead.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise exception_type(
            f"{owner}: {what} would take {spelled(needed)} of memory, but only {spelled(available)} is "
            f"available; {way_out}"
        )


def spelled(count: int) -> str:
    """A number of bytes, with three digits and a unit."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:,.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    return f"{count} bytes"


def _of_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return None


def _of_container() -> int | None:
    try:
        limit, used = _LIMIT.read_text(encoding="ascii").strip(), int(_USED.read_text(encoding="ascii"))
        return max(0, int(limit) - used)
    except (OSError, ValueError):  # no container, or no limit ("max")
        return None
