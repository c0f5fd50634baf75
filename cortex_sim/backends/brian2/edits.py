"""Edits of brian2's own variables between two runs: taken over, never silently undone."""

from __future__ import annotations

import numpy as np

from cortex_sim.errors import RunError


class Edits:
    """Values that an engine last wrote into brian2's variables, by label."""

    def __init__(self) -> None:
        self._values: dict[str, np.ndarray] = {}

    def leave(self, label: str, values: np.ndarray) -> None:
        """Remember what a variable now holds."""
        self._values[label] = np.array(values)

    def edited(self, label: str, now: np.ndarray, ours: np.ndarray) -> bool:
        """Whether the variable was set from outside since; ``ours`` is what the simulation would write.

        Raises
        ------
        RunError
            If both were changed, to different values, so that neither can be preferred.
        """
        left = self._values.get(label)
        if left is None or np.array_equal(np.broadcast_to(left, np.shape(now)), now):
            return False
        if not np.array_equal(left, ours) and not np.array_equal(np.broadcast_to(ours, np.shape(now)), now):
            raise RunError(
                f"{label}: was set both in brian2's objects and in simulation.weights, to different values; "
                "set it in one place"
            )
        if not np.isfinite(now).all():
            raise RunError(f"{label}: holds NaN or infinity; give finite numbers")
        return True


def by_channel(label: str, by_unit: np.ndarray, channels: int) -> np.ndarray:
    """One bias per unit or channel, from those of all units.

    Raises
    ------
    RunError
        If units of one channel differ: they share one bias.
    """
    rows = by_unit.reshape(channels, -1)
    if (rows != rows[:, :1]).any():
        raise RunError(f"{label}: units of one channel share their bias; give them the same value")
    return rows[:, 0]
