"""Arguments of a call, checked beforehand: one plain sentence in place of Python's `TypeError`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from cortex_sim.checks import listed, require_known, short
from cortex_sim.errors import DeclarationError

T = TypeVar("T", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
_RECEIVERS = {"self", "model"}  # first parameters that a user writes before the dot


def known_settings(cls: T) -> T:
    """Refuse calls of a class whose arguments do not fit, suggesting the setting that was probably meant."""
    construct: Callable[..., None] = cls.__init__  # type: ignore[misc]
    if not getattr(construct, "checks_arguments", False):
        cls.__init__ = _checked(construct, cls.__name__)  # type: ignore[misc]
    return cls


def known_arguments(word: str) -> Callable[[F], F]:
    """The same for a function or method, which messages call ``word``."""
    return lambda function: _checked(function, word)


def _checked(function: F, word: str) -> F:
    signature = inspect.signature(function)
    every = tuple(signature.parameters.values())
    receives = bool(every) and every[0].name in _RECEIVERS
    called = Called(word, every[receives:])

    @wraps(function)
    def checked(*args: Any, **given: Any) -> Any:
        try:
            signature.bind(*args, **given)
        except TypeError:
            fits = False
        else:
            fits = True
        if not fits:  # outside the handler, so that our message is the only one
            called.require(args[receives:], given)
        return function(*args, **given)

    checked.checks_arguments = True  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]


class Called:
    """The arguments that a call accepts.

    Parameters
    ----------
    word : str
        How the user writes the call: "Phase", "net.bottom_up".
    parameters : tuple of inspect.Parameter
        Without ``self``.
    """

    def __init__(self, word: str, parameters: tuple[inspect.Parameter, ...]) -> None:
        self.word = word
        self.open = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.many = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self.named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.placed = [p.name for p in self.named if p.kind is p.POSITIONAL_OR_KEYWORD]

    def require(self, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        """Raise `DeclarationError` for the first argument that does not fit."""
        known = dict.fromkeys(p.name for p in self.named)
        for name in given:
            if name == self.many:
                raise DeclarationError(
                    f"{self.word}: give {name} one after another without names, as in "
                    f"{self.word}(first, second). Got {name}={short(given[name])}"
                )
            if name not in known and not self.open:
                require_known(f"setting of {self.word}", name, known)
        if len(args) > len(self.placed) and not self.many:
            by_name = listed(known.keys() - set(self.placed)) if len(known) > len(self.placed) else ""
            further = f"; give further settings by name{', known: ' * bool(by_name)}{by_name}"
            rest = further if by_name or self.open else "; leave the rest out"
            first = f"only {', '.join(self.placed)}" if self.placed else "nothing"
            raise DeclarationError(
                f"{self.word}: {first} may be given without a name{rest}. Got {short(args[len(self.placed)])}"
            )
        for name in self.placed[: len(args)]:
            if name in given:
                raise DeclarationError(
                    f"{self.word}: {name} is given twice, by position and by name; leave one out. "
                    f"Got {short(given[name])}"
                )
        needed = [p.name for p in self.named if p.default is p.empty]
        missing = [name for name in needed if name not in given and name not in self.placed[: len(args)]]
        if missing:
            whole = ", ".join(f"{name}=..." for name in needed)
            raise DeclarationError(f"{self.word}: {missing[0]} is missing; give {self.word}({whole})")
