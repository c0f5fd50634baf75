"""Whether presentations of one shape fit a population of another without scrambling them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def _long(shape: Sequence[int]) -> list[int]:
    return [side for side in shape if side > 1]


def same_axes_in_another_order(have: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether ``have`` has the axes of ``wanted``, but not in its order: (6, 6, 3) for (3, 6, 6)."""
    ours, theirs = _long(have), _long(wanted)
    return ours != theirs and sorted(ours) == sorted(theirs)


def keeps_order(have: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether values keep their meaning: the same axes except those of length 1, or one side is flat."""
    ours, theirs = _long(have), _long(wanted)
    flat = min(len(ours), len(theirs)) <= 1
    return math.prod(have) == math.prod(wanted) and (ours == theirs or flat)
