"""Top-down weights of a credit network: how channels spread, and small networks of the shared form."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import checked
from cortex_sim.checks import require_flag
from cortex_sim.connectors import Shape
from cortex_sim.credit.kernels import Learned, Ring, diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import make, register


@register("feedback", "diffusion")
@dataclass(frozen=True)
class Diffusion:
    """Credit diffusion, c_i = Σ_k D_ik g_k: every unit hears the channels near its own place.

    D is drawn for the population as it is: another width, another D.

    Parameters
    ----------
    kernel : Kernel or str, default Ring()
        Where units stand among the channels; see `cortex_sim.credit`.
    signs : bool, default False
        Whether units answer with a receptor sign ±1 of their own.
    """

    kernel: Any = field(default_factory=Ring)
    signs: bool = False
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True
    knows_shape: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", make("kernel", self.kernel))
        if isinstance(self.kernel, Learned):
            raise DeclarationError("Diffusion: a learned kernel is an array; use Given(weights)")
        require_flag(self, signs=self.signs)

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], senders: int, *, post: Shape
    ) -> np.ndarray:
        """D of shape (unit, channel), for a population of shape ``post``."""
        return diffusion(self.kernel, post, senders, rng, self.signs)


@dataclass(frozen=True, eq=False)
class _SmallNetwork:
    """ψ(z) = Σ_h out_h tanh(weights_h·z + bias_h), one for all units that hear through it.

    Parameters
    ----------
    weights : array of shape (hidden, input)
    bias, out : array of shape (1, hidden)
    """

    weights: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    tied: ClassVar[bool] = False
    dense_only: ClassVar[bool] = True
    inputs: ClassVar[int]

    def __post_init__(self) -> None:
        for name in ("weights", "bias", "out"):
            object.__setattr__(self, name, checked(f"{type(self).__name__} {name}", getattr(self, name)))
        hidden = self.weights.shape[0] if self.weights.ndim else 0
        wanted = {"weights": (hidden, self.inputs), "bias": (1, hidden), "out": (1, hidden)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DeclarationError(
                    f"{type(self).__name__}: {name} must have shape {shape}, for {hidden} hidden units. "
                    f"Got {getattr(self, name).shape}"
                )

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return False
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash(self.weights.tobytes())


@register("feedback", "addressed")
@dataclass(frozen=True, eq=False)
class Addressed(_SmallNetwork):
    """Shared form: a channel hears the mean over j of α_kj b_j + s ψ(α_kj, e_j, y_j, α_kj e_j, α_kj y_j).

    B holds the addresses α of shape (channel, output), normal, drawn with the bottom-up network; ψ, with
    weights (hidden, 5), is the same for every channel of every population.
    """

    inputs: ClassVar[int] = 5

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """Addresses (channel, output)."""
        return rng.normal(size=shape)


@register("feedback", "elementwise")
@dataclass(frozen=True, eq=False)
class Elementwise(_SmallNetwork):
    """Shared form: output j of the top gets b_j + s ψ(e_j, y_j), weights (hidden, 2); B is the identity."""

    inputs: ClassVar[int] = 2

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], senders: int) -> np.ndarray:
        """The identity."""
        return np.eye(shape[0], shape[1])
