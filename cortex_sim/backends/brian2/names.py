"""Identifiers that brian2 accepts, for populations and projections of any name."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

# Names of variables, units, constants and functions in the equations, which populations may also have.
_TAKEN = {
    *(
        "a",
        "c",
        "r",
        "g",
        "u",
        "w",
        "i",
        "j",
        "e",
        "t",
        "dt",
        "N",
        "pi",
        "inf",
        "xi",
        "tau",
        "alive",
        "free",
        "shown",
    ),
    *(
        "bias",
        "external",
        "noise",
        "fluctuation",
        "nudge",
        "goal",
        "strength",
        "spontaneous",
        "partition",
        "normalised",
        "u_behind",
        "u_through",
        "lastupdate",
    ),
    *(
        "ms",
        "second",
        "meter",
        "kelvin",
        "mole",
        "candela",
        "ampere",
        "kilogram",
        "volt",
        "ohm",
        "hertz",
        "Hz",
    ),
    *(
        "sin",
        "cos",
        "tan",
        "exp",
        "log",
        "abs",
        "sign",
        "int",
        "clip",
        "rand",
        "randn",
        "sqrt",
        "floor",
        "ceil",
    ),
}


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Each name to its own identifier: "V4 left" to "V4_left", "e" to "e_"; all different."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W+", "_", name.replace("->", "_to_")).strip("_") or "population"
        if plain in _TAKEN or keyword.iskeyword(plain) or plain[0].isdigit():
            plain += "_"
        used = set(found.values())
        number, candidate = 2, plain
        while candidate in used:
            candidate, number = f"{plain}_{number}", number + 1
        found[name] = candidate
    return found
