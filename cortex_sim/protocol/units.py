"""Names of populations and of single units, "V1" and "V1/3", as arrays of units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cortex_sim.checks import look_up
from cortex_sim.errors import DeclarationError


def units_on(where: str, off: Iterable[str], populations: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Population to (unit,), 0 where a unit is named, else 1; only populations that are named."""
    found: dict[str, np.ndarray] = {}
    for name in off:
        population, slash, unit = name.partition("/")
        size = look_up(f"population in {where}", population, populations, exact=True).size
        units = found.setdefault(population, np.ones(size))
        if not slash:
            units[:] = 0.0
        elif unit.isascii() and unit.isdigit() and int(unit) < size:
            units[int(unit)] = 0.0
        else:
            raise DeclarationError(
                f"{where}: no unit {name}; {population} has units {population}/0 to {population}/{size - 1}, "
                "name one of these"
            )
    return found
