"""Top-down weights of a credit network: how channels spread, and addresses of channels."""

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
    """Credit diffusion, c_i = Σ_k D_ik g_k: every unit receives the channels near its own place.

    D is drawn for the population's shape: another width, another D.

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
        """The kernel must fit the channels that send and the population that receives."""
        _check_kernel(self.kernel, net, projection, net.ends(projection)[0][0])


@register("feedback", "diffused")
@dataclass(frozen=True)
class Diffused:
    """B = scale·D P/√(units that send): few places receive the signal, and it spreads from there, fixed.

    P (place, pre) is standard normal: what each place receives. D (post, place) is credit diffusion, as of
    `Diffusion`: neighbouring units have nearly the same credit.

    Parameters
    ----------
    places : int, default 16
        Evenly spaced over the population that receives.
    kernel : Kernel or str, default Ring()
        How the signal spreads from place to place; see `cortex_sim.credit`.
    scale : float, default 1.0
        Standard deviation of an entry times √(units that send), as of `Random`; positive.

    References
    ----------
    Barretto-Bittar et al. (2026), arXiv 2603.08949: sparse feedback whose signal diffuses between
    neighbours. There it diffuses in time too, and decays; here it has spread at once.
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
        """The kernel must fit the places and the population that receives."""
        _check_kernel(self.kernel, net, projection, self.places)


def _fixed_kernel(owner: object, kernel: Any) -> Any:
    """A kernel by name or as it is; one that is learned is refused."""
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
    """Of a credit network with addresses: B holds α of shape (channel, output), normal.

    They are drawn with the bottom-up network; the network defines how a channel uses them.
    """

    tied: ClassVar[bool] = False

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Addresses (channel, output)."""
        return rng.normal(size=shape)


@dataclass(frozen=True)
class Elementwise:
    """Of the shared form: output j of the top receives only output j, through a small network."""

    tied: ClassVar[bool] = False
