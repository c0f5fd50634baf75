"""brian2 quantities as plain numbers: times in ms; other dimensions are refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.errors import DeclarationError


def dimension(value: Any) -> str | None:
    """Name of the unit of a brian2 quantity, such as "volt" for 3*mV; None if it has none."""
    dim = getattr(value, "dim", None) if type(value).__module__.startswith("brian2") else None
    if dim is None or dim.is_dimensionless:
        return None
    from brian2.units.fundamentalunits import get_unit  # already loaded, since the value is a brian2 quantity

    return repr(get_unit(dim))


def in_ms(owner: str, what: str, value: Any) -> Any:
    """A brian2 time as a number in ms; anything without a dimension unchanged."""
    unit = dimension(value)
    if unit is None or np.ndim(value):
        return value
    if unit != "second":
        raise DeclarationError(
            f"{owner}: {what} must be a time: a number in ms, or a brian2 time such as 200*ms. Got {value!r}"
        )
    return float(f"{float(np.asarray(value)) * 1e3:.14g}")  # 0.3 * ms is 0.3 again
