"""Regularisers of a projection's weights: orthogonality, soft or hard, and decay.

They belong to the projection, not to the rule, so backpropagation can run with the same regulariser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.checks import require_count, require_flag, require_nonnegative, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


@register("regulariser", "decay")
@dataclass(frozen=True)
class Decay:
    """Weight decay: ΔW/η = −rate·W, added to the rule's change.

    Parameters
    ----------
    rate : float, default 1e-4
        Share of the weight lost per unit of η; 0 or more.
    """

    rate: float = 1e-4
    lateral: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_nonnegative(self, rate=self.rate)

    def change(self, w: Array) -> Array:
        """ΔW/η, as w (post, inputs)."""
        return -self.rate * w


@register("regulariser", "orthogonality")
@dataclass(frozen=True)
class Orthogonality:
    """Soft penalty λ‖G − g²I‖², G = WWᵀ (WᵀW where post units outnumber inputs): ΔW/η = −4λ(G − g²I)W.

    Auxiliary units, if the projection's inverse has them, count as rows of W.

    Parameters
    ----------
    strength : float, default 1e-3
        λ; positive.
    diagonal : bool, default True
        False gives the penalty of arXiv 2006.06438's code, λ‖off(WᵀW)‖², where off sets the diagonal to 0
        (in that code weights are (input, unit)): ΔW/η = −4λW·off(WᵀW), and `gain` is not used. Columns
        become orthogonal and their norms stay free, so GAIT-prop need not equal backpropagation at the
        optimum. With more inputs than post units auxiliary units are needed, which that code has under
        every rule.
    probes : int or None, default None
        Number of random vectors v with which the gradient is estimated, without bias, as the mean of
        (G − g²I)v vᵀW; None computes it exactly.
    gain : float or None, default 1.0
        g; None leaves it free (g² is then the mean squared singular value of the current weights).

    References
    ----------
    Dalm et al. (2021), arXiv 2102.11598; Ahmad et al. (2020), arXiv 2006.06438.
    """

    strength: float = 1e-3
    diagonal: bool = True
    probes: int | None = None
    gain: float | None = 1.0
    by_backend: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, strength=self.strength)
        require_flag(self, diagonal=self.diagonal)
        if self.probes is not None:
            require_count(self, probes=self.probes)
        if self.gain is not None:
            require_positive(self, gain=self.gain)
        if self.probes is not None and not self.diagonal:
            raise DeclarationError(
                "Orthogonality: probes estimate the full penalty only; use diagonal=True, or probes=None"
            )

    def check_whole(self, net: Network, projection: Projection) -> None:
        """Without the diagonal, refuse more columns than rows, which cannot become orthogonal."""
        if self.diagonal:
            return
        op = net.operator(projection)
        shape = projection.connector.weight_shape(*net.ends(projection))
        rows, columns = op.blocks(op.matrix(np.empty(shape))).shape[-2:]
        down = net.projections.get(projection.reverse_name)
        square = down is not None and getattr(down.feedback, "auxiliary", False)
        if columns > rows and not square:
            raise DeclarationError(
                f"projection {projection.name}: Orthogonality(diagonal=False) makes columns orthogonal, but "
                f"{columns} columns cannot be orthogonal in {rows} rows, so it only shrinks the weights; "
                "use Orthogonality(gain=None), which makes rows orthogonal and leaves their norm free, or "
                "GAIT-prop with Inverse(auxiliary=True), whose auxiliary units make the matrix square"
            )


@register("regulariser", "hard_orthogonality")
@dataclass(frozen=True)
class HardOrthogonality:
    """Make weights orthogonal again after updates: X ← X + ½ρ(X − XXᵀX) on X = W/s, s free.

    s² = ‖W‖²_F / min(post, inputs), so the weights keep their gain. At ρ = 1 this is one Newton–Schulz
    step, which squares the deviation of nearly orthogonal weights. If the largest singular value leaves
    the range of convergence, the exact polar factor is used instead.

    Parameters
    ----------
    every : int, default 8
        Number of updates after which this is done.
    steps : int, default 1
        Newton–Schulz steps each time.
    strength : float, default 1.0
        ρ; above 0, at most 1.
    """

    every: int = 8
    steps: int = 1
    strength: float = 1.0
    by_backend: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, every=self.every, steps=self.steps)
        require_positive(self, strength=self.strength)
        if self.strength > 1:
            raise DeclarationError(f"HardOrthogonality: strength must be at most 1. Got {self.strength}")
