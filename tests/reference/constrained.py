"""Projections onto constrained sets, written from their definitions, one row at a time."""

import numpy as np
from scipy.optimize import brentq


def row_kept(w, low, high, total, method, norm="sum"):
    """The row that a shift or a factor t makes of w, clipped, whose sum or length is the total."""

    def at(t):
        return np.clip(w - t if method == "subtractive" else w * t, low, high)

    def excess(t):
        x = at(t)
        return (np.sqrt((x * x).sum()) if norm == "length" else x.sum()) - total

    if method == "subtractive":
        far = 10 * (np.abs(w).sum() + abs(total) + 1)
        return at(brentq(excess, -far, far, xtol=1e-15, rtol=1e-15, maxiter=500))
    return at(brentq(excess, 0, 1e4, xtol=1e-16, rtol=1e-15, maxiter=500))


def kept(w, low, high, total, method, norm="sum"):
    """All rows."""
    low, high = np.broadcast_to(low, w.shape), np.broadcast_to(high, w.shape)
    rows = zip(w, low, high, strict=True)
    return np.array([row_kept(r, lo, hi, total, method, norm) for r, lo, hi in rows])
