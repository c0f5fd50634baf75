"""Variables of one group as a program is told them: page by page, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Written:
    """What `phase.apply_phase` puts into a group, one page for each piece of a plan.

    Stands where a `View` stands in a simulation that goes on step by step. ``view["a"]`` is known
    only once a page has been recalled, after the program has run.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.pages: list[dict[str, np.ndarray]] = []
        self._recalled: dict[str, np.ndarray] = {}

    def __contains__(self, variable: str) -> bool:
        return variable in self.group.variables

    def __getitem__(self, variable: str) -> np.ndarray:
        return self._recalled[variable]

    def turn(self) -> None:
        """Begin a page."""
        self.pages.append({})

    def put(self, variable: str, value: Any) -> None:
        """Write down that a variable takes a value: one number, or one for each unit."""
        self.pages[-1][variable] = np.asarray(value, dtype=np.float64).ravel()

    def recall(self, page: int, states: Mapping[str, np.ndarray]) -> None:
        """Let the variables be what this page says, and the states (unit,) what they had become."""
        self._recalled = {
            name: values if self.is_shared(name) else np.broadcast_to(values, (1, len(self.group)))
            for name, values in {**self.pages[page], **states}.items()
        }

    def is_shared(self, variable: str) -> bool:
        """Whether a variable has one value for the whole group."""
        return bool(self.group.variables[variable].scalar)

    def table(self, variable: str) -> np.ndarray:
        """Values page by page, (page,) where every one is a single number, else (page, unit)."""
        values = [page[variable] for page in self.pages]
        if all(len(one) == 1 for one in values):
            return np.concatenate(values)
        return np.stack([np.broadcast_to(one, (len(self.group),)) for one in values])
