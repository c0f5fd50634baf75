"""Feedback: where the weights B of a top-down projection come from; c_post = B u_pre.

Feedback is tied to a bottom-up projection (`Transpose`, `SignSymmetric`, `Inverse`) or free (`Random`,
`Given`, `Mirrored`, and three that limit what a broadcast can carry: `Modulo`, `LowRank`, `Neuromodulator`).
B has shape (post, pre) of the top-down projection; a convolution's B is kept in the shape of the bottom-up
kernel (C_out, C_in, k, k) and applied by transposed convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from cortex_sim.arrays import checked
from cortex_sim.checks import require_count, require_flag, require_nonnegative, require_positive
from cortex_sim.connectors import size
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import LATER, register

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


class Feedback(Protocol):
    """Source of a top-down projection's weights; ``tied``: whether they follow a bottom-up projection."""

    tied: ClassVar[bool]


class HasName(Protocol):
    """Anything with a projection's name."""

    @property
    def name(self) -> str:
        """``pre->post``."""


def projection_name(of: Any) -> str:
    """Name of a projection, given the projection or its name."""
    name = of if isinstance(of, str) else getattr(of, "name", None)
    if not isinstance(name, str) or "->" not in name:
        raise DeclarationError(f'feedback: of must be a projection or its name ("V1->IT"). Got {of!r}')
    return name


@register("feedback", "transpose")
@dataclass(frozen=True)
class Transpose:
    """B = Wᵀ of a bottom-up projection: what backpropagation assumes (weight transport).

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection, or its name.
    """

    of: str | HasName
    tied: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))


@register("feedback", "sign_symmetric")
@dataclass(frozen=True)
class SignSymmetric:
    """B = sign(Wᵀ)·‖W‖_F/√(number of weights): shares signs, not sizes.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection, or its name.

    References
    ----------
    Liao, Leibo & Poggio (2016), arXiv 1510.05067.
    """

    of: str | HasName
    tied: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))


@register("feedback", "inverse")
@dataclass(frozen=True)
class Inverse:
    """B = Wᵀ(WWᵀ + αI)⁻¹ = (WᵀW + αI)⁻¹Wᵀ, the damped pseudo-inverse of a bottom-up projection.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection that is inverted, or its name.
    damping : float, default 1e-3
        α; 0 or more, in squared units of the weights.
    rescale : bool, default False
        Multiply B by s² + α, s² = ‖W‖²_F / min(post, pre): the credit then has the length of
        backpropagation's, whatever the gain of the weights.
    auxiliary : bool, default False
        Simulate the auxiliary units of arXiv 2006.06438: rows A make [W; A] square, and B consists of the
        columns of its inverse that belong to real units. Not possible where units outnumber inputs.
    solver : {"direct", "iterative"}, default "direct"
        Cholesky, or the Neumann series, which is used only while its error is small (otherwise direct, which
        is logged).
    iterations : int, default 1
        Terms of the series after the first.
    refresh : int, default 1
        Updates between two computations of (WWᵀ + αI)⁻¹; the Wᵀ that multiplies it is always the current one.
    tolerance : float, default 0.0
        For the iterative solver: if omitting the whole series causes an error below this (spectral norm,
        relative), it is omitted, and B is a multiple of Wᵀ until the next computation.
    keeps : {"gram", "difference"}, default "gram"
        What is computed at a refresh and used until the next: (WWᵀ + αI)⁻¹, or the difference B − Wᵀ, so that
        B is the current Wᵀ plus that difference. The latter needs ``rescale``; it saves a dense projection
        one product with credit at each update. B then lags behind by the change of the difference, which is
        small where W is nearly orthogonal.

    References
    ----------
    Ahmad et al. (2020), arXiv 2006.06438, section 2.
    """

    of: str | HasName
    damping: float = 1e-3
    rescale: bool = False
    auxiliary: bool = False
    solver: str = "direct"
    iterations: int = 1
    refresh: int = 1
    tolerance: float = 0.0
    keeps: str = field(default="gram", metadata=LATER)
    tied: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))
        require_nonnegative(self, damping=self.damping, tolerance=self.tolerance)
        require_flag(self, rescale=self.rescale, auxiliary=self.auxiliary)
        require_count(self, refresh=self.refresh, iterations=self.iterations)
        if self.solver not in ("direct", "iterative"):
            raise DeclarationError(f'Inverse: solver must be "direct" or "iterative". Got {self.solver!r}')
        if self.keeps not in ("gram", "difference"):
            raise DeclarationError(f'Inverse: keeps must be "gram" or "difference". Got {self.keeps!r}')
        if self.keeps == "difference" and not self.rescale:
            raise DeclarationError(
                f'Inverse(of={self.of}): keeps="difference" keeps B − Wᵀ, which is small only if B has the '
                'size of Wᵀ; give rescale=True, or keeps="gram"'
            )
        if self.auxiliary and self.keeps == "difference":
            raise DeclarationError(
                f'Inverse(of={self.of}): with auxiliary units all of B is kept; leave keeps="difference" out'
            )
        if self.auxiliary and self.damping:
            raise DeclarationError(
                f"Inverse(of={self.of}): auxiliary units make the matrix square and its inverse exact; "
                f"give damping=0 with auxiliary=True. Got damping={self.damping}"
            )

    def check(self, net: Network, projection: Projection) -> None:
        """Refuse auxiliary units unless the post population has fewer units than inputs."""
        shape, op = net.weight_shape(projection), net.operator(projection)
        if not (self.auxiliary and shape):
            return
        alike = op.feedback_like_weights
        post, fan_in = (shape[0] // op.groups, size(shape[1:])) if alike else (shape[1], shape[0])
        if post > fan_in:
            each = "" if op.groups == 1 else " in each group"
            raise DeclarationError(
                f"projection {projection.name}: {self.of} has {post} post units for {fan_in} inputs{each}, "
                "but auxiliary units can only add to a smaller post population; use auxiliary=False"
            )


@register("feedback", "random")
@dataclass(frozen=True)
class Random:
    """B drawn once: normal, standard deviation scale/√(sending units), fixed unless it has plasticity.

    Parameters
    ----------
    scale : float, default 1.0
        Average length of a row of B; positive. Credit then keeps its size per unit on the way down, which
        is far more than Wᵀ delivers where few units send to many: from 10 units to 4096, 20 times as much as
        the transpose of an orthogonal W. With √(sending units / the larger of the two numbers) B has the
        size of an orthogonal W, with √(2 · sending units / receiving units) that of `He` weights.
    """

    scale: float = 1.0
    tied: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive(self, scale=self.scale)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Weights of ``shape``; ``senders`` is the number of units (or channels) that send credit."""
        return self.scale * rng.normal(size=shape) / np.sqrt(senders)


@register("feedback", "mirrored")
@dataclass(frozen=True)
class Mirrored:
    """B = scale·⟨ξ yᵀ⟩ from spontaneous activity before training: ξ white below, y = Wξ its echo above.

    This estimates Wᵀ without labels and without reading a weight; B is free from then on. For a
    convolution the mean also runs over positions: B is assumed to be a kernel too, shared by all positions.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection that carries the echo.
    presentations : int, default 320
        Samples of ξ; the error of an entry falls with the root of their number.
    scale : float, default 1.0
        Positive.

    References
    ----------
    Akrout et al. (2019), arXiv 1904.05391, eq. 7; here in one phase before training, there throughout it
    (`WeightMirror`).
    """

    of: str | HasName
    presentations: int = 320
    scale: float = 1.0
    tied: ClassVar[bool] = False
    knows_weights: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))
        require_count(self, presentations=self.presentations)
        require_positive(self, scale=self.scale)

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], senders: int, *, up: np.ndarray, operator: Any
    ) -> np.ndarray:
        """B as (input, channel), from initial weights ``up`` (channel, input) and their ``operator``."""
        xi = operator.patches(rng.normal(size=(self.presentations, size(operator.pre))))
        up = operator.blocks(up)  # (group, channel, input), like the inputs that groups read
        b = self.scale * xi.swapaxes(-1, -2) @ (xi @ up.swapaxes(-1, -2)) / xi.shape[-2]
        return b if operator.groups == 1 else b.swapaxes(-1, -2).reshape(-1, b.shape[-2]).T


@register("feedback", "given")
@dataclass(frozen=True, eq=False)
class Given:
    """B given as an array.

    Parameters
    ----------
    weights : array of shape (post, pre)
        For a convolution, of the bottom-up kernel's shape.
    """

    weights: np.ndarray
    tied: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", checked("Given feedback", self.weights))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return hash(self.weights.tobytes())

    def check(self, net: Network, projection: Projection) -> None:
        """Raise `DeclarationError` unless the array has the shape of the projection's weights."""
        expected = net.weight_shape(projection)
        if self.weights.shape != expected:
            pre, post = net.ends(projection)
            raise DeclarationError(
                f"projection {projection.name}: weights have shape {self.weights.shape}, "
                f"give shape {expected} (of {size(post)} {projection.post} units by {size(pre)} "
                f"{projection.pre} units)"
            )

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """The given weights; the generator is not used."""
        return self.weights


def _receptor_signs(rng: np.random.Generator, units: int, drawn: bool) -> np.ndarray:
    """Signs s_i with which units respond to the broadcast, (unit, 1); all 1 unless drawn."""
    return rng.choice([-1.0, 1.0], size=(units, 1)) if drawn else np.ones((units, 1))


@register("feedback", "modulo")
@dataclass(frozen=True)
class Modulo:
    """B_ij = scale·s_i where j = i mod C, else 0: unit i receives from only one of the C sending units.

    Parameters
    ----------
    scale : float, default 1.0
        Size of every weight; each row of B then has the average length of `Random`'s. Positive.
    signs : bool, default False
        Draw a receptor sign s_i = ±1 for each unit; otherwise s_i = 1.
    """

    scale: float = 1.0
    signs: bool = False
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, scale=self.scale)
        require_flag(self, signs=self.signs)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Weights of shape (post, pre); the generator is used for signs only."""
        units = np.arange(shape[0])
        one_hot = np.zeros(shape)
        one_hot[units, units % senders] = self.scale
        return _receptor_signs(rng, shape[0], self.signs) * one_hot


@register("feedback", "low_rank")
@dataclass(frozen=True)
class LowRank:
    """B = scale·P Q/√(rank·sending units), P (post, rank) and Q (rank, pre) standard normal, fixed.

    Entries have the variance of `Random`'s, and become normal as the rank grows.

    Parameters
    ----------
    rank : int, default 2
        Numbers that the credit passes through: the rank of B, unless B has fewer rows or columns.
    scale : float, default 1.0
        Standard deviation of an entry times √(sending units); positive.
    """

    rank: int = 2
    scale: float = 1.0
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, rank=self.rank)
        require_positive(self, scale=self.scale)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Weights of shape (post, pre)."""
        p, q = rng.normal(size=(shape[0], self.rank)), rng.normal(size=(self.rank, shape[1]))
        return self.scale * p @ q / np.sqrt(self.rank * senders)


@register("feedback", "neuromodulator")
@dataclass(frozen=True)
class Neuromodulator:
    """B = scale·s wᵀ: every unit of every population receives one number m = wᵀ c, with its own sign s_i.

    w is a random direction of length 1, drawn once for the sending population: all its targets receive
    the same m.

    Parameters
    ----------
    scale : float, default 1.0
        Length of every row of B, equal to `Random`'s average; positive.
    signs : bool, default True
        Draw a receptor sign s_i = ±1 for each unit; otherwise s_i = 1 and all units receive the same credit.
    """

    scale: float = 1.0
    signs: bool = True
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True
    one_signal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, scale=self.scale)
        require_flag(self, signs=self.signs)

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], senders: int, *, sender: np.random.Generator
    ) -> np.ndarray:
        """Weights of shape (post, pre); w from ``sender``, the random stream of the sending population."""
        w = sender.normal(size=(1, senders))
        return _receptor_signs(rng, shape[0], self.signs) * (self.scale * w / np.linalg.norm(w))
