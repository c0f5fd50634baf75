"""Leaky integrate-and-fire units, in place of a population's activation."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_nonnegative, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.quantities import in_ms


@known_settings
@dataclass(frozen=True)
class LeakyIntegrateAndFire:
    """Leaky integrate-and-fire units with a soft reset, and the surrogate of their spikes' derivative.

    With θ the threshold, α = exp(−dt/τ), τ the population's ``tau_ms``, z a spike (0 or 1) and v the membrane
    potential above rest,

        v_i[t+1] = α v_i[t] + (1 − α) b_i θ + Σ w_ij θ z_j − θ z_i[t],   z_i = 1 where v_i > θ,
        ψ_i = γ max(0, 1 − |v_i − θ|/θ) / θ,

    z and ψ are 0 in the refractory period, during which v is still integrated. A weight of 1 moves v by θ; a
    bias of 1 is the current that brings it to θ.

    Parameters
    ----------
    threshold_mV : float, default 20.0
        θ, in mV above rest; positive.
    refractory_ms : float, default 2.0
        Time after a spike within which there is no other; a whole number of steps.
    dampening : float, default 0.3
        γ, the largest surrogate derivative times θ; positive.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Methods; there γ = 0.3.
    """

    threshold_mV: float = 20.0
    refractory_ms: float = 2.0
    dampening: float = 0.3

    def __post_init__(self) -> None:
        owner = "LeakyIntegrateAndFire"
        require_positive(owner, threshold_mV=self.threshold_mV, dampening=self.dampening)
        refractory = in_ms(owner, "refractory_ms", self.refractory_ms)
        require_nonnegative(owner, refractory_ms=refractory)
        object.__setattr__(self, "refractory_ms", float(refractory))

    def require_steps(self, dt_ms: float) -> None:
        """Raise `DeclarationError` unless the refractory period is a whole number of steps."""
        steps = self.refractory_ms / dt_ms
        if abs(steps - round(steps)) > 1e-6:
            raise DeclarationError(
                f"LeakyIntegrateAndFire: refractory_ms must be a multiple of dt_ms={dt_ms:g}. "
                f"Got {self.refractory_ms:g}"
            )
