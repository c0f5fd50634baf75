"""Checks of arguments, made once where a value enters; messages name object, value and remedy."""

from __future__ import annotations

import errno
import inspect
import math
import numbers
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cortex_sim.errors import CortexSimError, DeclarationError
from cortex_sim.quantities import in_ms

T = TypeVar("T")
_LARGEST = 2**63 - 1
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def short(value: object) -> str:
    """A value for a message, on one line and not too long."""
    if inspect.isroutine(value) or isinstance(value, np.ufunc):
        return f"the function {value.__name__}"
    text = _ADDRESS.sub("", " ".join(repr(value).split()))
    return text if len(text) <= 80 else f"{text[:77]}..."


def name_of(owner: object) -> str:
    """The name of an object in errors: a given name, else its class."""
    return owner if isinstance(owner, str) else type(owner).__name__


def _number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def require_positive(owner: object, **values: float) -> None:
    """Raise `DeclarationError` unless every value is a finite number above 0."""
    for name, value in values.items():
        if not (_number(value) and value > 0):
            raise DeclarationError(f"{name_of(owner)}: {name} must be a positive number. Got {value!r}")


def positive_ms(owner: object, **values: Any) -> Any:
    """Return the one value, a positive time in ms, with a brian2 quantity turned into a plain number."""
    ((name, given),) = values.items()
    found = in_ms(name_of(owner), name, given)
    require_positive(owner, **{name: found})
    return found


def require_window(owner: object, window: float) -> None:
    """Raise `DeclarationError` unless ``window``, a time constant, is at least one presentation."""
    require_positive(owner, window=window)
    if window < 1:
        raise DeclarationError(f"{name_of(owner)}: window must be at least 1 presentation. Got {window}")


def require_finite(owner: object, **values: float) -> None:
    """Raise `DeclarationError` unless every value is a finite number."""
    for name, value in values.items():
        if not _number(value):
            raise DeclarationError(f"{name_of(owner)}: {name} must be a finite number. Got {value!r}")


def require_nonnegative(owner: object, **values: float) -> None:
    """Raise `DeclarationError` unless every value is a finite number of at least 0."""
    for name, value in values.items():
        if not (_number(value) and value >= 0):
            raise DeclarationError(f"{name_of(owner)}: {name} must be 0 or more. Got {value!r}")


def require_count(owner: object, minimum: int = 1, **values: int) -> None:
    """Raise `DeclarationError` unless every value is a whole number of at least ``minimum``.

    Files keep whole numbers, seeds among them, as int64, so larger ones are refused here.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
            raise DeclarationError(
                f"{name_of(owner)}: {name} must be a whole number of at least {minimum}. Got {value!r}"
            )
        if value > _LARGEST:
            raise DeclarationError(
                f"{name_of(owner)}: {name} must be at most 2⁶³ − 1, {_LARGEST}. Got {short(value)}"
            )


def require_path(what: str, given: object, exception_type: type[CortexSimError] = DeclarationError) -> Path:
    """Return ``given`` as a path; raise ``exception_type`` if it is not one or cannot name a file.

    Whether it already exists is not checked.
    """
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        raise exception_type(f"{what}: give a path, such as 'folder/name'. Got {short(given)}")
    path = Path(os.fspath(given))
    try:
        path.with_name(f"{path.name or 'name'}.parts").lstat()  # the longest name written beside it
    except (OSError, ValueError) as wrong:
        if isinstance(wrong, ValueError) or wrong.errno == errno.ENAMETOOLONG:
            why = wrong if isinstance(wrong, ValueError) else wrong.strerror
            raise exception_type(
                f"{what} {short(str(given))}: no file can have this name ({why}); give another"
            ) from None
    return path


def require_flag(owner: object, **values: bool) -> None:
    """Raise `DeclarationError` unless every value is True or False."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise DeclarationError(f"{name_of(owner)}: {name} must be True or False. Got {value!r}")


def require_name(owner: str, name: object) -> None:
    """Raise `DeclarationError` unless ``name`` is usable in files and recordings.

    A name is printable text in Unicode's normal form C, without spaces at either end and without "/".
    Other names are refused by netCDF tools, or cannot be folder names.
    """
    if not isinstance(name, str) or not name:
        hint = "" if isinstance(name, str) else "; in YAML, put it in quotes"
        raise DeclarationError(f"{owner}: name must be a non-empty string. Got {name!r}{hint}")
    wrong = ""
    if name != name.strip():
        wrong = "not begin or end with a space"
    elif "/" in name or name in (".", ".."):
        wrong = 'not contain "/", and not be "." or ".."'
    elif not name.isprintable():
        wrong = "not contain control characters"
    elif unicodedata.normalize("NFC", name) != name:
        wrong = f"be in Unicode's composed form, {unicodedata.normalize('NFC', name)!r}"
    if wrong:
        raise DeclarationError(f"{owner}: a name must {wrong}. Got {name!r}")


def listed(names: Iterable[str]) -> str:
    """Names for a message: sorted, separated by commas."""
    return ", ".join(sorted(names)) or "none"


def counted(count: int, noun: str) -> str:
    """A number with its noun for a message, "1 picture" or "3 pictures"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def spelled(name: str, known: Iterable[str]) -> str:
    """The known name meant by this spelling ("GAIT prop" and "gait-prop" mean "gait_prop"), or ``name``."""
    names = list(known)
    if name in names or not isinstance(name, str):
        return name
    meant = [n for n in names if isinstance(n, str) and _letters(n) == _letters(name)]
    return meant[0] if len(meant) == 1 else name


def _letters(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def look_up(
    kind: str,
    name: str,
    table: Mapping[str, T],
    exception_type: type[CortexSimError] = DeclarationError,
    *,
    exact: bool = False,
) -> T:
    """Return ``table[name]``, or raise with the known names and the nearest one.

    Other spellings of the package's own names are accepted too, unless ``exact``, which is for names that
    users chose and for names that are passed on as given.
    """
    if isinstance(name, str):
        found = name if exact else spelled(name, table)
        if found in table:
            return table[found]
    raise _unknown(kind, name, table, exception_type)


def require_known(
    kind: str,
    name: object,
    known: Collection[str],
    exception_type: type[CortexSimError] = DeclarationError,
) -> None:
    """Raise with the known names and the nearest one unless ``name`` is exactly one of them.

    For names that are passed on as given, so that another spelling would not be recognised later.
    """
    if not (isinstance(name, str) and name in known):
        raise _unknown(kind, name, known, exception_type)


def _unknown(
    kind: str, name: object, known: Collection[str], exception_type: type[CortexSimError]
) -> CortexSimError:
    near: list[Any] = get_close_matches(str(name), list(known), n=1)
    meant = spelled(str(name), known)
    near = [meant] if meant in known else near
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return exception_type(f"unknown {kind} {name!r}{hint}; known: {listed(known)}")
