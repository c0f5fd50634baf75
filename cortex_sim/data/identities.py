"""Identities of stimuli as text, alike wherever they come from: 1, 1.0 and "1" are one stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError


def identities(source: str, values: Sequence[Any] | NDArray[Any]) -> list[str]:
    """Ids as text; whole numbers that a file holds as floating-point numbers are read as whole numbers.

    Parameters
    ----------
    source : str
        Their name in error messages, such as "neural data v4.npz: stimulus_id".
    values : sequence or array of shape (stimulus,)
        Text, which stays as it is, text as bytes (UTF-8), or numbers.

    Returns
    -------
    list of str
        Empty text where an id is missing (NaN, None, pandas' NA or NaT), so that it is not mistaken for a
        stimulus named "nan".

    Raises
    ------
    DataError
        If a number is not whole, or too large for its type to tell it from the next.
    """
    return [_text(source, one) for one in values]


def _text(source: str, value: Any) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if not isinstance(value, (float, np.floating)):
        return str(value)
    if not float(value).is_integer():
        raise DataError(
            f"{source} holds {value:g}, which is not a whole number; save ids as text or whole numbers"
        )
    if abs(float(value)) >= 2.0 ** (np.finfo(type(value)).nmant + 1):
        raise DataError(
            f"{source} holds {value:g}, too large to be distinguished from the next number in its "
            f"floating-point type; save ids as text or whole numbers"
        )
    return str(int(value))


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)  # NaN and NaT differ from themselves
    except TypeError:  # pandas' NA does not say whether it does
        return True
