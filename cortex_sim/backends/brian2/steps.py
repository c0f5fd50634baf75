"""Durations in whole time steps."""

from __future__ import annotations

from cortex_sim.errors import RunError


def whole_steps(owner: str, duration_ms: float, dt_ms: float) -> int:
    """Number of steps in a duration: at least 1 where it is not 0.

    Raises
    ------
    RunError
        If it is not a whole number.
    """
    exact = duration_ms / dt_ms
    steps = round(exact)
    # A millionth of a step, plus the rounding error of a quotient of this size.
    if abs(exact - steps) > 1e-6 + 1e-15 * exact or (duration_ms > 0 and not steps):
        short = f"; times are in ms, so {duration_ms:g} s would be {1000 * duration_ms:g}"
        hint = short if duration_ms < dt_ms else ""
        raise RunError(f"{owner} must be a multiple of dt_ms={dt_ms:.12g}{hint}. Got {duration_ms:.12g}")
    return steps
