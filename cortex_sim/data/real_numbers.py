"""Measurements that are real numbers: text and complex numbers are not."""

from __future__ import annotations

import numpy as np

from cortex_sim.errors import DataError


def require_real(source: str, kind: np.dtype) -> None:
    """Raise `DataError` unless an array of this type holds real numbers.

    Complex numbers would lose their imaginary part, and text would be read as if it were numbers.
    """
    if kind.kind not in "biufO":
        word = {"c": "complex numbers", "M": "dates", "m": "time differences"}.get(kind.kind, "text")
        raise DataError(f"{source} holds {word}, where real numbers belong; convert them first")
