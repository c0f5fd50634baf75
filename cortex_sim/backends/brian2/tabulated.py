"""Variables of one group for a C++ program, tabulated segment by segment before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Tabulated:
    """Values that `phase.apply_phase` sets in a group, one row for each segment of a plan.

    A simulation that runs step by step has a `View` in its place. ``view["a"]`` is known only after the
    program has run and a row has been loaded.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.rows: list[dict[str, np.ndarray]] = []
        self._loaded: dict[str, np.ndarray] = {}

    def __contains__(self, variable: str) -> bool:
        return variable in self.group.variables

    def __getitem__(self, variable: str) -> np.ndarray:
        return self._loaded[variable]

    def begin_row(self) -> None:
        """Begin a row."""
        self.rows.append({})

    def put(self, variable: str, value: Any) -> None:
        """Record the value of a variable: one number, or one for each unit."""
        self.rows[-1][variable] = np.asarray(value, dtype=np.float64).ravel()

    def load(self, row: int, states: Mapping[str, np.ndarray]) -> None:
        """Set the variables to this row, and the states (unit,) to their values at that time."""
        self._loaded = {
            name: values if self.is_shared(name) else np.broadcast_to(values, (1, len(self.group)))
            for name, values in {**self.rows[row], **states}.items()
        }

    def is_shared(self, variable: str) -> bool:
        """Whether a variable has one value for the whole group."""
        return bool(self.group.variables[variable].scalar)

    def table(self, variable: str) -> np.ndarray:
        """Values row by row, (row,) where every one is a single number, else (row, unit)."""
        values = [row[variable] for row in self.rows]
        if all(len(one) == 1 for one in values):
            return np.concatenate(values)
        return np.stack([np.broadcast_to(one, (len(self.group),)) for one in values])
