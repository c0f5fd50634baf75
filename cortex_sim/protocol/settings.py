"""Settings of a class given by name: an unknown one is refused with the one that was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from cortex_sim.checks import look_up, spelled
from cortex_sim.errors import DeclarationError

T = TypeVar("T", bound=type)


def known_settings(cls: T) -> T:
    """Refuse unknown keyword arguments of a class with one sentence, in place of Python's `TypeError`."""
    construct: Callable[..., None] = cls.__init__  # type: ignore[misc]
    parameters = inspect.signature(construct).parameters.values()
    known = dict.fromkeys(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL and p.name != "self")

    @wraps(construct)
    def checked(self: Any, *args: Any, **given: Any) -> None:
        for name in given:
            if name not in known:
                look_up(f"setting of {cls.__name__}", name, known)
                raise DeclarationError(
                    f"unknown setting of {cls.__name__} {name!r}; it is written {spelled(name, known)!r}"
                )
        construct(self, *args, **given)

    cls.__init__ = checked  # type: ignore[misc]
    return cls
