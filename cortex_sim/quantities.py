"""Quantities of brian2 as plain numbers: times in ms, and a refusal of every other dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.errors import DeclarationError


def dimension(value: Any) -> str | None:
    """Unit of a quantity of brian2 in words, such as "volt" for 3*mV; None for what has none."""
    dim = getattr(value, "dim", None) if type(value).__module__.startswith("brian2") else None
    if dim is None or dim.is_dimensionless:
        return None
    from brian2.units.fundamentalunits import get_unit  # it is loaded, since the value is its own

    return repr(get_unit(dim))


def in_ms(owner: str, what: str, value: Any) -> Any:
    """A time of brian2 as a number in ms; anything without a dimension as it is."""
    unit = dimension(value)
    if unit is None or np.ndim(value):
        return value
    if unit != "second":
        raise DeclarationError(
            f"{owner}: {what} is a time, as a number in ms or a time of brian2 such as 200*ms. Got {value!r}"
        )
    return float(f"{float(np.asarray(value)) * 1e3:.14g}")  # 0.3 * ms is 0.3 again
