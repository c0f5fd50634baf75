"""Mistakes that people make, what breaks a constraint, and what a sentence about a mistake has to say."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import brian2
import numpy as np

import cortex_sim as cs
from cortex_sim import checks
from cortex_sim.protocol import values

KINDS = (
    "shapes",
    "units",
    "names",
    "times",
    "labels",
    "windows",
    "lesions",
    "kinds of object",
    "NaN",
    "sizes",
    "files",
    "rules",
)
WAY_OUT = re.compile(
    r"\b(must|give|use|known|did you mean|add|leave|write|name|lower|remove|needs|takes|from \d+ to|at most|"
    r"at least|start|put|choose|declare|make|read|change|bring|clip|call|connect|open|nudge|resume|continue|"
    r"create|it is written|is written as|is run by|disconnect it with|silenced with|begin with|"
    r"as a number in|expected|rename)\b"
)


@dataclass(frozen=True)
class Mistake:
    """A mistake: its kind, its name in the test's report, what makes it, and what the refusal says.

    ``about`` is the object's name and ``wrong`` the value as the sentence writes it.
    """

    kind: str
    called: str
    make: Callable[[], Any]
    about: str
    wrong: str


def refusal(mistake: Mistake) -> str:
    """The sentence with which a mistake is refused.

    Raises
    ------
    AssertionError
        If it is not refused, by another exception than ours, or by a sentence that lacks a part.
    """
    try:
        mistake.make()
    except cs.CortexSimError as exception:
        said = str(exception)
    except Exception as exception:
        raise AssertionError(f"{type(exception).__name__} is not ours: {exception}") from exception
    else:
        raise AssertionError("was not refused")
    assert said and "\n" not in said and len(said) < 700, f"is not one sentence: {said}"
    for part, text in (("the object", mistake.about), ("the wrong value", mistake.wrong)):
        assert text in said, f"{part}, {text!r}, is missing: {said}"
    assert WAY_OUT.search(said), f"what would be right is missing: {said}"
    assert "object at 0x" not in said, f"shows an address: {said}"
    return said


# -- what breaks a constraint ---------------------------------------------------------------------------

NOT_A_NUMBER = {"text": "20", "none": None, "list": [[1.0]], "mapping": {"V1": {}}, "flag": True}
NOT_FINITE = {"nan": float("nan"), "inf": float("inf")}
BELOW = {"negative": -1.5}
NO_TIME = {"volts": 3 * brian2.mV, "hertz": 5 * brian2.Hz}
WITH_UNIT = {"seconds": 3 * brian2.second, "volts": 3 * brian2.mV}
BREAKS: dict[str, dict[str, Any]] = {
    "require_positive": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **WITH_UNIT, "zero": 0.0},
    "require_nonnegative": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **WITH_UNIT},
    "require_finite": {**NOT_A_NUMBER, **NOT_FINITE, **WITH_UNIT},
    "require_count": {
        **NOT_A_NUMBER,
        **NOT_FINITE,
        "negative": -1,
        "fraction": 2.5,
        "seconds": 3 * brian2.second,
    },
    "require_flag": {"text": "yes", "number": 1, "none": None},
    "number": {**NOT_A_NUMBER, **NOT_FINITE, **WITH_UNIT},
    "at_least_zero": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **WITH_UNIT},
    "above_zero": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **WITH_UNIT, "zero": 0.0},
    "at_least_zero_ms": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **NO_TIME},
    "above_zero_ms": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **NO_TIME, "zero": 0.0},
    "require_ms": {**NOT_A_NUMBER, **NOT_FINITE, **BELOW, **NO_TIME, "zero": 0.0},
}
CHECKS = {
    getattr(home, name).__code__: name
    for home, names in ((checks, BREAKS), (values, BREAKS))
    for name in names
    if hasattr(home, name)
}
LOOK_UP = checks.look_up.__code__


def kind_of(constraint: str, broken: str) -> str:
    """The kind of mistake that a broken constraint is."""
    if broken in ("nan", "inf"):
        return "NaN"
    if broken in ("volts", "hertz", "seconds"):
        return "units"
    if constraint.endswith("_ms"):
        return "times"
    return "sizes" if constraint == "require_count" else "kinds of object"


def constraints_met(make: Callable[[], Any]) -> Iterator[tuple[str, str, Any]]:
    """(constraint, parameter, value) of every check that an object passes while it is made."""
    found: list[tuple[str, str, Any]] = []

    def seen(frame: Any, event: str, _: Any) -> None:
        if event != "call":
            return
        given = frame.f_locals
        constraint = CHECKS.get(frame.f_code)
        if constraint and "values" in given:
            found.extend((constraint, name, value) for name, value in given["values"].items())
        elif constraint:
            found.append((constraint, given["what"], given["value"]))
        elif frame.f_code is LOOK_UP and isinstance(given["name"], str):
            found.append(("choice", "", given["name"]))

    sys.setprofile(seen)
    try:
        make()
    finally:
        sys.setprofile(None)
    taken: set[str] = set()
    for constraint, parameter, value in found:
        key = f"{constraint} {value}" if constraint == "choice" else parameter
        if key not in taken:  # the outermost check, which calls the others
            taken.add(key)
            yield constraint, parameter, value


def of_parameters(
    word: str, make: Callable[..., Any], given: Mapping[str, Any], about: str | None = None
) -> Iterator[Mistake]:
    """A mistake for every way to break every constraint that ``make(**given)`` meets."""
    for constraint, parameter, value in constraints_met(lambda: make(**given)):
        if constraint == "choice":
            for name in [n for n, chosen in given.items() if chosen == value]:
                for wrong in near_misses(value):
                    yield _changed("names", word, make, given, name, wrong, "near miss " + wrong, about)
        elif parameter in given:
            in_time = parameter.endswith("_ms")
            breaks = BREAKS["above_zero_ms" if in_time and "_ms" not in constraint else constraint]
            for broken, wrong in breaks.items():
                if wrong is not None or is_needed(make, parameter):
                    kind = kind_of("in_ms" if in_time else constraint, broken)
                    yield _changed(kind, word, make, given, parameter, wrong, broken, about)


def is_needed(make: Callable[..., Any], parameter: str) -> bool:
    """Whether None would not mean a default."""
    import inspect

    found = inspect.signature(make).parameters.get(parameter)
    return found is not None and found.default is not None and "None" not in str(found.annotation)


def _changed(kind, word, make, given, parameter, wrong, called, about) -> Mistake:
    changed = {**given, parameter: wrong}
    return Mistake(
        kind,
        f"{word}: {parameter}, {called}",
        lambda: make(**changed),
        parameter if about is None else about,
        spelled(wrong),
    )


def spelled(wrong: Any) -> str:
    """A wrong value as sentences write it: numbers short, everything else as Python shows it, in part."""
    if isinstance(wrong, float):
        return f"{wrong:g}"
    if isinstance(wrong, brian2.Quantity):
        return f"{float(np.asarray(wrong / wrong.get_best_unit())):g}"
    return {"[[1.0]]": "[1.0]", "{'V1': {}}": "V1"}.get(repr(wrong), repr(wrong)[:12])


def near_misses(name: str) -> list[str]:
    """What one types instead of a name: a letter too few, two swapped."""
    swapped = name[:-2] + name[-1] + name[-2]
    return [name[:-1], swapped] if swapped != name else [name[:-1]]


def wrong_shapes(right: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes that do not fit: one unit more, one fewer, a further axis."""
    *lead, last = right
    return [(*lead, last + 1), (*lead, last - 1), (*right, 2)]


def spoiled(array: Any, value: float) -> np.ndarray:
    """An array with one value spoiled, neither the first nor the last."""
    changed = np.array(array, dtype=float)
    changed.flat[changed.size // 2] = value
    return changed
