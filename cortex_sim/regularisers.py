"""Regularisers of a projection's weights: orthogonality, soft or hard, and decay.

They belong to the projection, not to the rule, so backpropagation can run with the same one.
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
    """Weights forget: ΔW/η = −rate·W, added to what the rule says.

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

    Explicit auxiliary units, where the projection's inverse has them, count as rows of W.

    Parameters
    ----------
    strength : float, default 1e-3
        λ; positive.
    diagonal : bool, default True
        False is the penalty of arXiv 2006.06438's code, λ‖off(WᵀW)‖², off without the diagonal (there
        weights are (input, unit)): ΔW/η = −4λW·off(WᵀW), and `gain` plays no part. Columns become
        orthogonal and their norms stay free, so GAIT-prop need not equal backpropagation at the optimum.
        More inputs than post units need auxiliary units, as that code has under every rule.
    probes : int or None, default None
        Number of random vectors v that estimate the gradient as mean of (G − g²I)v vᵀW, unbiased;
        None computes it whole.
    gain : float or None, default 1.0
        g; None leaves it free (the mean squared singular value of the present weights).

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
        """Without the diagonal, columns must be able to become orthogonal: no more of them than rows."""
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
    """Pull the weights back to orthogonal after the step: X ← X + ½ρ(X − XXᵀX) on X = W/s, s free.

    s² = ‖W‖²_F / min(post, inputs), so the gain is the projection's own. One step of Newton–Schulz
    at ρ = 1; near orthogonal weights it squares the deviation. Where the largest singular value
    leaves its range of convergence, the exact polar factor takes its place.

    Parameters
    ----------
    every : int, default 8
        Updates between two pulls.
    steps : int, default 1
        Newton–Schulz steps per pull.
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
