"""How tables print a learning rate that was chosen among several."""

from __future__ import annotations

from collections.abc import Sequence


def said(rate: float, tried: Sequence[float]) -> str:
    """The rate, and whether there was a choice: ``0.01 (edge)``, ``0.003 (the only one)``, or ``0.003``.

    At an edge the best rate may lie outside the grid, and the arm may be better than its row says.

    Parameters
    ----------
    rate : float
        The chosen rate.
    tried : sequence of float
        The rates it was chosen from, itself included.
    """
    if rate not in tried:
        raise ValueError(
            f"rate {rate:g} is not among those that were tried: {', '.join(f'{r:g}' for r in tried)}"
        )
    if len(set(tried)) == 1:
        return f"{rate:g} (the only one)"
    return f"{rate:g} (edge)" if rate in (min(tried), max(tried)) else f"{rate:g}"
