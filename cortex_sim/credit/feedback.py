"""Top-down weights of a credit network: how channels spread, and the addresses of channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cortex_sim.checks import require_count, require_flag, require_positive
from cortex_sim.connectors import Shape
from cortex_sim.credit.kernels import Learned, Ring, diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import make, register

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


@register("feedback", "diffusion")
@dataclass(frozen=True)
class Diffusion:
    """Credit diffusion, c_i = Σ_k D_ik g_k: every unit receives the channels near its own position.

    D is drawn for the shape of the population.

    Parameters
    ----------
    kernel : Kernel or str, default Ring()
        Positions of units among the channels; see `cortex_sim.credit`.
    signs : bool, default False
        Whether each unit has its own receptor sign ±1.
    scale : float, default 1.0
        Length of a row of D; positive.
    """

    kernel: Any = field(default_factory=Ring)
    signs: bool = False
    scale: float = 1.0
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True
    knows_shape: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", _fixed_kernel(self, self.kernel))
        require_flag(self, signs=self.signs)
        require_positive(self, scale=self.scale)

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], senders: int, *, post: Shape
    ) -> np.ndarray:
        """D of shape (unit, channel), for a population of shape ``post``."""
        return self.scale * diffusion(self.kernel, post, senders, rng, self.signs)

    def check(self, net: Network, projection: Projection) -> None:
        """Raise `DeclarationError` unless the kernel fits the sending channels and the population."""
        _check_kernel(self.kernel, net, projection, net.ends(projection)[0][0])


@register("feedback", "diffused")
@dataclass(frozen=True)
class Diffused:
    """B = scale·D P/√(sending units), fixed: few places receive the signal, and it spreads from there.

    P (place, pre) is standard normal: what each place receives. D (post, place) is credit diffusion as in
    `Diffusion`: neighbouring units have nearly the same credit.

    Parameters
    ----------
    places : int, default 16
        Number of places, evenly spaced over the receiving population.
    kernel : Kernel or str, default Ring()
        How the signal spreads from each place; see `cortex_sim.credit`.
    scale : float, default 1.0
        Standard deviation of an entry times √(sending units), as for `Random`; positive.

    References
    ----------
    Barretto-Bittar et al. (2026), arXiv 2603.08949: sparse feedback whose signal diffuses between
    neighbours. There it also diffuses and decays in time; here it spreads at once.
    """

    places: int = 16
    kernel: Any = field(default_factory=Ring)
    scale: float = 1.0
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True
    knows_shape: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", _fixed_kernel(self, self.kernel))
        require_count(self, places=self.places)
        require_positive(self, scale=self.scale)

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], senders: int, *, post: Shape
    ) -> np.ndarray:
        """Weights of shape (post, pre), for a population of shape ``post``."""
        spread = diffusion(self.kernel, post, self.places, rng)
        return self.scale * spread @ rng.normal(size=(self.places, shape[1])) / np.sqrt(senders)

    def check(self, net: Network, projection: Projection) -> None:
        """Raise `DeclarationError` unless the kernel fits the places and the receiving population."""
        _check_kernel(self.kernel, net, projection, self.places)


def _fixed_kernel(owner: object, kernel: Any) -> Any:
    """A kernel, given by name or as an object; learned kernels are refused."""
    made = make("kernel", kernel)
    if isinstance(made, Learned):
        raise DeclarationError(f"{type(owner).__name__}: a learned kernel is an array; use Given(weights)")
    return made


def _check_kernel(kernel: Any, net: Network, projection: Projection, channels: int) -> None:
    try:
        diffusion(kernel, net.ends(projection)[1], channels, np.random.default_rng(0))
    except DeclarationError as exception:
        raise DeclarationError(f"projection {projection.name}: {exception}") from None


@dataclass(frozen=True)
class Addressed:
    """Addresses of a credit network's channels: B contains α of shape (channel, output), normal.

    They are drawn with the bottom-up network; the credit network defines how a channel uses them.
    """

    tied: ClassVar[bool] = False

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Addresses (channel, output)."""
        return rng.normal(size=shape)


@dataclass(frozen=True)
class Elementwise:
    """In the shared form: unit j of the top receives only signal j, through a small network."""

    tied: ClassVar[bool] = False
