"""Decorrelation: lateral inhibition grows between correlated units until they are decorrelated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.registry import register


@register("rule", "decorrelation")
@dataclass(frozen=True)
class Decorrelation:
    """ΔL_ij = η⟨r_i r_j⟩ for i ≠ j, L_ii = 0, of a lateral projection: r = f(W r_pre + b − L r).

    Because L is subtracted, growth with correlation is anti-Hebbian: it stops when ⟨r_i r_j⟩ = 0 for
    every pair. The authors of GAIT-prop name this as a local route to orthogonality: with white input
    (I + L)⁻¹W then has orthogonal rows.

    Notes
    -----
    Departures: Földiák's constant p², for sparse units, is left out.

    Limits: weights become orthogonal only if the input is white, and their lengths are not constrained.
    Lateral projections carry no credit.

    References
    ----------
    Földiák (1990), Biol. Cybern. 64, doi:10.1007/BF02331346; named as a route to orthogonal weights in
    Ahmad et al. (2020), arXiv 2006.06438, discussion.
    """

    lateral: ClassVar[bool] = True
    growth: ClassVar[str] = "r_post * r_pre"  # ΔL/η between two units

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """ΔL/η, 0 on the diagonal, from r_pre and r_post (presentation, unit) of one population."""
        xp = array_namespace(r_post)
        together = r_post.T @ r_pre / len(r_post)
        return together - xp.diag(xp.diag(together))
