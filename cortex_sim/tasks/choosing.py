"""Actions from rates: the default choices where the user gives no function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.protocol.closed_loop import Seen

#: ``choose(seen, rng)``: an action from rates.
Choose = Callable[[Seen, np.random.Generator], Any]


def only_rates(seen: Seen) -> np.ndarray:
    """Rates of the one population that is read."""
    if len(seen.rates) > 1:
        raise RunError(
            f"reads {', '.join(seen.rates)}, but an action is chosen from one population; read one, or give "
            "choose=function(seen, rng)"
        )
    return next(iter(seen.rates.values()))


def highest(seen: Seen, actions: int) -> int:
    """The action of the unit with the highest rate, the first of equal ones."""
    rates = only_rates(seen)
    if len(rates) != actions:
        name = next(iter(seen.rates))
        raise RunError(
            f"there are {actions} actions, but {name} has {len(rates)} unit{'s' * (len(rates) != 1)}; read a "
            f"population with {actions}, or give choose=function(seen, rng)"
        )
    return int(np.argmax(rates))


def require_choice(owner: str, choose: Any) -> None:
    """Raise `DeclarationError` unless ``choose`` is None or a function."""
    if choose is not None and not callable(choose):
        raise DeclarationError(f"{owner}: choose must be a function(seen, rng). Got {choose!r}")
