"""Layered credit network: credit populations that mirror the hierarchy, connected by plastic weights.

    u_L = c_L ∘ f′(a_L),    u_l = (B_l u_{l+1}) ∘ f′(a_l)
    W_l ← (1 − λ_W) W_l + Δ_l,    B_l ← (1 − λ_B) B_l + κ Δ_{l+1}ᵀ

where c_L is the error at the top, Δ_l the step that the bottom-up weights W_l take, and B_l the top-down
weights onto population l. Both synapses of a pair receive the same two signals, r of the population below
and u of the one above, so that each can compute Δ by itself, including the running means of an optimiser;
neither reads the other's weight. With κ = 1 and λ_B = λ_W this is the Kolen–Pollack rule. The outer loop
trains κ, λ_W, λ_B and the size of initial top-down weights: four numbers, shared by all layers, so that they
fit any width and depth.

The paper (arXiv 2208.01416) states that a top-down network replaces the backward pass; this form of it is
ours, after Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486, and Akrout et al. (2019), arXiv 1904.05391.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.checks import require_count, require_flag
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

#: Outer parameters before training: κ = 1, equal decays, initial B as large as `Random()`.
_START = {"log_gain": 0.0, "log_decay_up": log(5e-4), "log_decay_down": log(5e-4), "log_scale": 0.0}
_LARGEST = 700.0  # exp of larger numbers overflows float64
SHARES = ("mixing", "centring")  # settings of `Decorrelated`, trained with a credit network


def share_of(logit: Array | float) -> float:
    """Share, from 0 to 1, from its logit."""
    return 1 / (1 + exp(min(-float(np.asarray(logit)), _LARGEST)))


def share_parameters() -> dict[str, np.ndarray]:
    """Logits of the shares before training."""
    return {name: np.array(log(0.7 / 0.3)) for name in SHARES}


@dataclass(frozen=True)
class PlasticValues:
    """Trained numbers of a credit network with plastic weights, as they enter its equations.

    ``gain`` is κ, ``decay_up`` λ_W, ``decay_down`` λ_B (or λ_D), ``scale`` the factor on initial B (or D);
    ``mixing`` and ``centring`` are settings of `cortex_sim.Decorrelated`, None if synapses read plain rates.
    """

    gain: float
    decay_up: float
    decay_down: float
    scale: float
    mixing: float | None = None
    centring: float | None = None


def plastic_values(form: str, parameters: Mapping[str, Array]) -> PlasticValues:
    """Numbers from the trained parameters of a credit network of this form.

    Raises
    ------
    DeclarationError
        If one is too large.
    """
    found = {name: float(np.asarray(parameters[name])) for name in (*_START, *SHARES) if name in parameters}
    for name in _START:
        if found[name] > _LARGEST:
            raise DeclarationError(
                f"credit network {form}: the logarithm of {name.removeprefix('log_')} is {found[name]:g}, "
                "which is too large; use a credit network whose training did not diverge"
            )
    shares = {name: share_of(found[name]) for name in SHARES if name in found}
    return PlasticValues(*(exp(found[name]) for name in _START), **shares)


@register("credit_network", "layered")
@dataclass(frozen=True)
class LayeredCredit:
    """Credit populations that mirror the bottom-up ones, each driven by the one above.

    Parameters
    ----------
    mirror : int, default 0
        Number of spontaneous presentations ξ before learning, which give B its initial value ⟨(W ξ) ξᵀ⟩ᵀ,
        times a trained factor: no labels are needed, and no weight is copied. With 0 initial B is random.
    decorrelated : bool, default False
        Whether it is trained with synapses that read decorrelated rates; their shares are then among its
        parameters.
    """

    mirror: int = 0
    decorrelated: bool = False

    def __post_init__(self) -> None:
        require_count(self, minimum=0, mirror=self.mirror)
        require_flag(self, decorrelated=self.decorrelated)

    @property
    def outputs(self) -> None:
        """None: any number of top units."""
        return None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every trained parameter, by name: scalars."""
        return dict.fromkeys([*_START, *(SHARES if self.decorrelated else ())], ())

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training; they are not random."""
        shares = share_parameters() if self.decorrelated else {}
        return {name: np.array(value) for name, value in _START.items()} | shares

    def values(self, parameters: Mapping[str, Array]) -> PlasticValues:
        """The numbers in its equations; see `plastic_values`."""
        return plastic_values("layered", parameters)

    def initial(self, weights: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Initial Bᵀ from W (channel, input) and the patches of ξ (position, input)."""
        responses = patches @ weights.T
        return responses.T @ patches / len(patches)
